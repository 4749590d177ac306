"""Parts by short names: `solver.uni_pc` in `experiment.json`, `--solver uni_pc` on the command line.

A *kind* of part is a protocol together with the modules that hold its implementations: a new part is known as
soon as one of these modules defines or exports it. The dataclasses of a user's file become known, under the
kinds whose protocols they implement, when that file is loaded explicitly. A file can name nothing else.
"""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from typing_extensions import get_protocol_members, is_protocol

from rolling.common.errors import InputError
from rolling.data.augment import Augmentation
from rolling.data.clips.protocol import Collection
from rolling.data.simulations.trajectories import Archive
from rolling.data.source import Source
from rolling.denoisers import Architecture, Prediction
from rolling.losses import Weighting
from rolling.metrics import Metric
from rolling.metrics.between_modalities import JointMetric
from rolling.metrics.frame_statistics import Statistic
from rolling.noise import NoiseSchedule
from rolling.noise.prior import NoisePrior
from rolling.outputs import Output
from rolling.physics.simulators import Simulator
from rolling.protocols.protocol import PublishedProtocol
from rolling.run.experiment.objectives import Objective
from rolling.run.experiment.optimisers import Optimiser
from rolling.sampling.constraints import Constraint
from rolling.sampling.corrections import Correction
from rolling.sampling.guidance import Guidance
from rolling.sampling.partitions import Partition
from rolling.sampling.starts import Guess, Start
from rolling.sampling.sweeps import Spacing, Sweep
from rolling.solvers import Solver
from rolling.windows import Window


class UnknownPart(InputError):
    """A tag that no known part has."""

    def __init__(self, tag: str):
        self.tag = tag
        super().__init__(
            f"the part {tag!r} is not known to this installation: give the Python file that defines it with"
            " --code FILE, or use the version of rolling-diffusion that wrote it"
        )


class Kind(NamedTuple):
    protocol: type
    homes: tuple[str, ...]
    """Modules; of a package, what it exports."""


KINDS = {
    "window": Kind(Window, ("rolling.windows",)),
    "schedule": Kind(NoiseSchedule, ("rolling.noise",)),
    "noise": Kind(NoisePrior, ("rolling.noise.prior",)),
    "solver": Kind(Solver, ("rolling.solvers",)),
    "start": Kind(Start, ("rolling.sampling.starts",)),
    "guess": Kind(Guess, ("rolling.sampling.starts",)),
    "guidance": Kind(Guidance, ("rolling.sampling.guidance",)),
    "constraint": Kind(Constraint, ("rolling.sampling.constraints", "rolling.physics.divergence_free")),
    "correction": Kind(Correction, ("rolling.sampling.corrections",)),
    "partition": Kind(Partition, ("rolling.sampling.partitions",)),
    "spacing": Kind(Spacing, ("rolling.sampling.sweeps",)),
    "sweep": Kind(Sweep, ("rolling.sampling.sweeps",)),
    "prediction": Kind(Prediction, ("rolling.denoisers",)),
    "weighting": Kind(Weighting, ("rolling.losses",)),
    "network": Kind(Architecture, ("rolling.video.uvit",)),
    "source": Kind(
        Source,
        (
            "rolling.data.simulated",
            "rolling.data.gridded",
            "rolling.data.clips",
            "rolling.data.clips.tracks",
            "rolling.data.simulations",
            "rolling.data.together",
        ),
    ),
    "collection": Kind(Collection, ("rolling.data.clips.collections",)),
    "archive": Kind(
        Archive, ("rolling.data.simulations.archives", "rolling.data.simulations.known_archives")
    ),
    "protocol": Kind(PublishedProtocol, ("rolling.protocols",)),
    "simulator": Kind(
        Simulator,
        (
            "rolling.physics.simulators",
            "rolling.physics.front_on_a_line",
            "rolling.physics.turbulent_cube",
            "rolling.physics.unforced_turbulence",
            "rolling.physics.burgers_waves",
            "rolling.physics.reacting_spots",
            "rolling.physics.flow_past_a_cylinder",
            "rolling.physics.convection_rolls",
            "rolling.physics.two_scales_on_a_ring",
            "rolling.physics.flow_with_probes",
            "rolling.data.moving_shapes",
            "rolling.data.sounding_shapes",
        ),
    ),
    "augmentation": Kind(Augmentation, ("rolling.data.augment",)),
    "metric": Kind(
        Metric,
        (
            "rolling.metrics.ensemble",
            "rolling.metrics.scaled_errors",
            "rolling.metrics.correlation",
            "rolling.metrics.valid_time",
            "rolling.metrics.spectral_bands",
            "rolling.metrics.distributions",
            "rolling.metrics.anomalies",
            "rolling.metrics.drift",
            "rolling.physics.metrics",
            "rolling.physics.lsim",
            "rolling.video.metrics.quality",
            "rolling.video.metrics.by_age",
            "rolling.video.metrics.fvd",
            "rolling.video.metrics.projection",
            "rolling.video.metrics.spectral_power",
        ),
    ),
    "joint_metric": Kind(
        JointMetric, ("rolling.metrics.explained_variance", "rolling.data.bounces_and_clicks")
    ),
    "statistic": Kind(Statistic, ("rolling.metrics.frame_statistics",)),
    "output": Kind(Output, ("rolling.video.outputs",)),
    "objective": Kind(
        Objective,
        (
            "rolling.run.experiment.objectives",
            "rolling.run.experiment.few_steps",
            "rolling.run.experiment.own_context",
            "rolling.run.experiment.error_bank",
            "rolling.run.experiment.joint_denoising",
        ),
    ),
    "optimiser": Kind(Optimiser, ("rolling.run.experiment.optimisers",)),
}

RECORDS = {
    "experiment": "rolling.run.experiment.experiment.Experiment",
    "training": "rolling.run.experiment.experiment.Training",
    "validation": "rolling.run.experiment.experiment.Validation",
    "forecast": "rolling.run.experiment.experiment.Forecast",
    "reference": "rolling.run.experiment.experiment.Reference",
    "picture": "rolling.data.clips.protocol.Picture",
    "history": "rolling.sampling.guidance.History",
    "restart": "rolling.sampling.restart.Restart",
    "memory": "rolling.sampling.old_frames.Memory",
    "tower": "rolling.video.uvit.joint.Tower",
    "joint_experiment": "rolling.run.experiment.joint_experiment.JointExperiment",
    "law": "rolling.run.experiment.joint_experiment.Law",
    "modality": "rolling.sampling.modalities.Modality",
    "coupling": "rolling.sampling.coupling.Coupling",
    "tasks": "rolling.windows.tasks.Tasks",
    "modality_loss": "rolling.run.experiment.joint_denoising.ModalityLoss",
    "joint_layout": "rolling.joint_layout.JointLayout",
    "named_layout": "rolling.joint_layout.NamedLayout",
    "oracle": "rolling.oracle.Oracle",
    "joint_oracle": "rolling.joint_oracle.JointOracle",
    "named_source": "rolling.data.together.NamedSource",
    "layout": "rolling.layout.Layout",
    "variable": "rolling.layout.Variable",
    "covariate": "rolling.layout.Covariate",
    "axis": "rolling.geometry.Axis",
    "coordinate": "rolling.geometry.Coordinate",
}
"""Dataclasses that are not parts: they cannot be exchanged."""

_own: dict[str, type] = {}
"""A user's own dataclasses by tag."""


@cache
def snake(name: str) -> str:
    """`ClassName` as `class_name`; digits stay with the letters before them, except for `2S`: `plus_2s`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z](?!$)|[0-9]+[A-Z])", "_", name).lower()


@cache
def implements(kind: type, protocol: type) -> bool:
    """Whether a dataclass has every member of a protocol; it is not instantiated."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)) or is_protocol(kind):
        return False
    return get_protocol_members(protocol) <= _members(kind)


@cache
def _kind_of(part: type, homes_only: bool) -> str | None:
    """The kind of a dataclass: of the protocols that it implements, the one with the most members, with ties
    broken by the number of methods with the same parameters."""
    place = f"{part.__module__}."
    sizes = {
        name: (len(get_protocol_members(kind.protocol)), _same_parameters(part, kind.protocol))
        for name, kind in KINDS.items()
        if implements(part, kind.protocol)
        and (not homes_only or any(place.startswith(f"{home}.") for home in kind.homes))
    }
    return max(sizes, key=sizes.__getitem__) if sizes else None


def _same_parameters(part: type, protocol: type) -> int:
    """The number of the protocol's methods that the part defines with the same parameters."""

    def parameters(kind: type, name: str) -> list[str] | None:
        method = getattr(kind, name, None)
        return list(inspect.signature(method).parameters) if inspect.isfunction(method) else None

    names = get_protocol_members(protocol)
    return sum(parameters(protocol, n) == parameters(part, n) is not None for n in names)


@cache
def parts(kind: str) -> dict[str, type]:
    """The project's own parts of a kind by tag."""
    modules = [importlib.import_module(home) for home in KINDS[kind].homes]
    return {
        f"{kind}.{snake(part.__name__)}": part
        for module in modules
        for part in vars(module).values()
        if isinstance(part, type) and not part.__name__.startswith("_") and _kind_of(part, True) == kind
    }


def named_so(name: str, known: Iterable[str]) -> str | None:
    """The one of the known names that is written like this, `uni_pc`, or is so but for case, underscores and
    hyphens, `UniPC` and `uni-pc`; None where that is none, or several."""
    written = name.replace("-", "_")
    if written in known:
        return written
    alike = [each for each in known if _letters(each) == _letters(name)]
    return alike[0] if len(alike) == 1 else None


def _letters(name: str) -> str:
    return re.sub("[-_]", "", name).lower()


def lacking(name: str, protocol: type) -> list[str]:
    """What a user's own class of that short name lacks to be of a kind; empty without such a class."""
    own = [part for part in _own.values() if named_so(name, [snake(part.__name__)])]
    if not own or not is_protocol(protocol) or any(implements(part, protocol) for part in own):
        return []
    return sorted(get_protocol_members(protocol) - _members(own[0]))


def _members(part: type) -> set[str]:
    """Attributes, methods and fields, of the bases too."""
    return {
        name for base in part.__mro__[:-1] for name in (*vars(base), *vars(base).get("__annotations__", ()))
    }


def alternatives(protocol: type) -> dict[str, type]:
    """All parts that can be used where a protocol or a dataclass is expected, by name.

    A user's own part can be used wherever its methods allow it.
    """
    for name, kind in KINDS.items():
        if kind.protocol is protocol:
            owned = {snake(part.__name__): part for part in _own.values() if implements(part, protocol)}
            return {tag.partition(".")[2]: part for tag, part in parts(name).items()} | owned
    return {snake(protocol.__name__): protocol} if dataclasses.is_dataclass(protocol) else {}


def register(part: type) -> None:
    """Registers a user's own dataclass. Raises `InputError` where its name is taken."""
    tag = _own_tag(part)
    there = _find(tag)
    if there is not None and (there.__module__, there.__qualname__) != (part.__module__, part.__qualname__):
        raise InputError(
            f"{part.__name__} of {part.__module__} would be known as {tag!r}, and so is {there.__name__} of"
            f" {there.__module__}: give it another name"
        )
    _own[tag] = part


def _find(tag: str) -> type | None:
    """The part of this short name, the user's own before the project's."""
    kind = tag.partition(".")[0]
    return _own.get(tag) or (parts(kind).get(tag) if kind in KINDS else None)


def _own_tag(part: type) -> str:
    return f"{_kind_of(part, False) or 'own'}.{snake(part.__name__)}"


def own_tag_of(name: str) -> str | None:
    """The short name of the user's own class with this qualified name, `module.Class`."""
    return next((tag for tag, part in _own.items() if f"{part.__module__}.{part.__qualname__}" == name), None)


def own_parts(value: Any) -> set[type]:
    """The user's own classes used in a value."""
    if isinstance(value, tuple):
        return set().union(*map(own_parts, value))
    if not dataclasses.is_dataclass(value):
        return set()
    inner = (own_parts(getattr(value, field.name)) for field in dataclasses.fields(value))
    return ({type(value)} & set(_own.values())).union(*inner)


def tag(part: type) -> str:
    """The short name of a class; one that a user defined, in a notebook say, is registered on the way."""
    for record, place in RECORDS.items():
        if place == f"{part.__module__}.{part.__qualname__}":
            return record
    kind = _kind_of(part, True)
    if kind is not None:
        return f"{kind}.{snake(part.__name__)}"
    register(part)
    return _own_tag(part)


def known_class(tag: str) -> type:
    """The class of a short name. Raises `InputError` for any that is not known."""
    if tag in RECORDS:
        module, _, name = RECORDS[tag].rpartition(".")
        return getattr(importlib.import_module(module), name)
    found = _find(tag)
    if found is None:
        raise UnknownPart(tag)
    return found
