"""Training that begins with what another run has learnt: its experiment, shortened, and its parameters."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from rolling.common.errors import InputError
from rolling.layout import Layout
from rolling.run import other_runs
from rolling.run.checkpoint import Trained, leaves_by_path, load_trained
from rolling.run.experiment import Experiment, codec, presets as experiments

SHARE_OF_STEPS = 0.25  # of the other run's training: most is learnt already
SHARE_OF_PEAK = 0.1
LISTED = 12  # entries of what begins anew


def continued(run: Path, command: str, ending: str, init: str = "", **changes: Any) -> Experiment:
    """The experiment of a run that begins with what `run` has learnt: fewer steps, a lower learning rate, and
    these changes. Raises `InputError` where `run` is no run."""
    if not (run / "experiment.json").exists():
        raise InputError(f"{run} is not a run: give `rolling {command}` the folder of a trained one")
    own = experiments.from_json(run / "experiment.json")
    training, optimiser = own.training, own.optimiser
    steps = max(1, round(SHARE_OF_STEPS * training.steps))
    return dataclasses.replace(
        own,
        name=f"{run.name}-{ending}",
        training=dataclasses.replace(training, steps=steps, init=init),
        optimiser=dataclasses.replace(cast(Any, optimiser), peak=SHARE_OF_PEAK * optimiser.peak),
        **changes,
    )


def finetuned(run: Path) -> Experiment:
    """The experiment that goes on from a run's parameters."""
    return continued(run, "finetune", "finetuned", init=str(run))


class Initial(NamedTuple):
    """The parameters before the first step, and what there is to say about where they come from."""

    params: Any
    notices: tuple[str, ...]


class Fit(NamedTuple):
    """The arrays of a network, `here`, and of another run's, `there`, by path, and those that are `taken`."""

    here: dict[str, Any]
    there: dict[str, Any]
    taken: set[str]

    @classmethod
    def of(cls, fresh: Any, found: Any) -> "Fit":
        here, there = leaves_by_path(fresh), leaves_by_path(found)
        return cls(here, there, {p for p in here.keys() & there if here[p].shape == there[p].shape})

    def merged(self, fresh: Any) -> Any:
        """What fits in the structure of `fresh`, which has the rest."""
        leaves = [self.there[p] if p in self.taken else leaf for p, leaf in self.here.items()]
        return jax.tree.unflatten(jax.tree.structure(fresh), [jnp.array(leaf) for leaf in leaves])

    def summary(self) -> str:
        share = _size({p: self.here[p] for p in self.taken}) / _size(self.here)
        return f"{len(self.taken)} of {len(self.here)} arrays, {100 * share:.3g} % of the parameters"

    def untaken(self) -> list[str]:
        """The arrays here that keep their values, with their shapes; a part of the network of which nothing
        is taken is one entry."""
        parts: dict[str, int] = {}
        for path in self.here:
            if path not in self.taken:
                part = self._part(path)
                parts[part] = parts.get(part, 0) + 1
        return [f"{p} {self._shapes(p)}" if p in self.here else f"{p} ({n} arrays)" for p, n in parts.items()]

    def _part(self, path: str) -> str:
        """The outermost part of the network that holds this array, another one and nothing taken."""
        words = path.split(".")
        for part in (".".join(words[:depth]) + "." for depth in range(1, len(words))):
            if not any(other.startswith(part) for other in self.taken):
                return part[:-1] if sum(other.startswith(part) for other in self.here) > 1 else path
        return path

    def _shapes(self, path: str) -> str:
        shapes = [" x ".join(map(str, tree[path].shape)) for tree in (self.here, self.there) if path in tree]
        return f"({', there '.join(shapes)})"


def load_initial(experiment: Experiment, run: Path, fresh: Any, layout: Layout) -> Initial:
    """The parameters with which the training of `run` begins: `fresh` ones, and in their place the averaged
    ones of the run `training.init`, where there is an array of the same path and shape.

    Raises `InputError` where that run is missing, or nothing of its network fits.
    """
    name = experiment.training.init
    if not name:
        return Initial(fresh, ())
    other = load_trained(other_runs.place_in_training("init", name, run))
    fit = Fit.of(fresh, other.params)
    if not fit.taken:
        raise InputError(
            f"nothing of the network of {name} fits this one, as no array has the same name and shape: give"
            " this run the other's --network, or leave out --training.init"
        )
    return Initial(
        fit.merged(fresh), (_summary(name, other, fit), *_changes(name, other, experiment, layout))
    )


def _summary(name: str, other: Trained, fit: Fit) -> str:
    lines = [f"begins with the parameters of {name} after step {other.step}: {fit.summary()}"]
    if entries := fit.untaken():
        more = f"; and {len(entries) - LISTED} more" if len(entries) > LISTED else ""
        lines.append(
            f"fresh, as there is nothing of the same name and shape: {'; '.join(entries[:LISTED])}{more}"
        )
    if unused := fit.there.keys() - fit.here.keys():
        lines.append(f"not used: {len(unused)} arrays of {name} that this network does not have")
    return "\n".join(lines)


def _changes(name: str, other: Trained, experiment: Experiment, layout: Layout) -> tuple[str, ...]:
    """What the network now predicts and no shape tells."""
    before, now = (codec.encode(each.prediction) for each in (other.experiment, experiment))
    changed = codec.differences(before, now, "prediction")
    if other.layout.names != layout.names:
        changed.append(f"variables: {', '.join(other.layout.names)} / {', '.join(layout.names)}")
    return (f"{name} was trained otherwise (there / here): {'; '.join(changed)}",) if changed else ()


def _size(arrays: dict[str, Any]) -> int:
    return sum(array.size for array in arrays.values())
