"""Names that earlier versions gave to parts and their fields, so that old runs and forecasts stay readable.

Before parts had short names, a class was written with its module, `rolling.windows.rolling.Rolling`. Renaming
a class or a field of an experiment requires a line here.
"""

from typing import Any

from rolling.layout import HOURS, MEAN_MONTH, MONTHS
from rolling.run.experiment import registry

CLASSES = {"rolling.denoisers.Score": "prediction.score_function"}
"""Parts that were renamed since."""

SAMPLING = {"view": "partition", "drain": "truncate_tail"}
FIELDS = {
    "experiment": SAMPLING,
    "sampling": SAMPLING,
    "oracle": SAMPLING,
    "joint_oracle": SAMPLING,
    "forecast": {"beginnings": "from_clip_start"},
    "window": {"roll": "inner"},
    "metric": {"resamples": None},
}
"""By short name, or by kind: former field to present field; None for one that is no more. A forecast notes
the `sampling` of its experiment."""

ADDED_TO_SAMPLING = {
    "temperature": 1.0,
    "constraints": [],
    "corrections": [],
    "restart": {"type": "restart", "times": 0, "level": 0.5, "every": 1},
    "memory": {"type": "memory", "ages": [], "start_share": 0.1},
}
NOTHING_OWN = {"own_share": 0.0, "cycles": 1}
ADDED = {
    "source.together": {"paths": []},
    "source.clips": {"holdout_by": "names", "actions": True},
    "objective.consistency": NOTHING_OWN,
    "objective.moment_matching": NOTHING_OWN,
    "sampling": ADDED_TO_SAMPLING,
    "experiment": {
        **ADDED_TO_SAMPLING,
        "protocols": [],
        "validation": {"type": "validation", "share": 0.0, "every": 200, "clips": 64, "patience": 0},
    },
    "metric.lsim": {"given": False},
    "joint_experiment": {"joint_metrics": []},
    "modality": {"constraints": []},
    "network.video_uvit": {"end_distance": 0},
    "start.from_noise": {"past": 0},
    "training": {"init": ""},
    "window.noisy_context": {"most": None},
}
"""By short name: fields that earlier versions did not have, with what they did."""


def _monthly(layout: dict[str, Any]) -> dict[str, Any]:
    """Steps of months used to be written as hours, of the mean month."""
    step = layout.get("step")
    if not isinstance(step, int | float) or layout.get("time_units") != HOURS:
        return layout
    months = step / MEAN_MONTH
    if months < 0.5 or abs(months - round(months)) > 1e-6:
        return layout
    return layout | {"step": float(round(months)), "time_units": MONTHS}


def _axes(layout: dict[str, Any]) -> dict[str, Any]:
    """Frames used to have two axes, `y` and `x`."""
    if "y" not in layout or "x" not in layout:
        return layout
    rest = {name: value for name, value in layout.items() if name not in ("y", "x")}
    return rest | {"axes": [layout["y"], layout["x"]]}


def _boundary(axis: dict[str, Any]) -> dict[str, Any]:
    """An axis used to be periodic or not."""
    if "periodic" not in axis:
        return axis
    rest = {name: value for name, value in axis.items() if name != "periodic"}
    return rest | {"boundary": "periodic" if axis["periodic"] is True else "open"}


CHANGED = {"layout": lambda layout: _axes(_monthly(layout)), "axis": _boundary}
"""By short name: what turns the fields of before into those of today."""

HOMES = {
    "window": ("rolling.windows",),
    "schedule": ("rolling.noise",),
    "noise": ("rolling.draws",),
    "solver": ("rolling.solvers",),
    "start": ("rolling.starts",),
    "guess": ("rolling.starts",),
    "guidance": ("rolling.guidance",),
    "partition": ("rolling.views",),
    "spacing": ("rolling.sweeps",),
    "sweep": ("rolling.sweeps",),
    "prediction": ("rolling.denoisers",),
    "weighting": ("rolling.losses",),
    "network": ("video.uvit",),
    "source": ("data.simulated", "data.gridded", "data.clips.source"),
    "collection": ("data.clips",),
    "simulator": ("physics.simulators", "data.clips.moving_shapes"),
    "augmentation": ("data.augment",),
    "metric": (
        "physics.verification",
        "physics.flow_verification",
        "video.quality",
        "video.fvd",
        "video.projection",
        "video.spectral",
    ),
    "output": ("video.outputs",),
    "objective": ("rolling.run.objectives",),
    "optimiser": ("rolling.run.optimisers",),
}
"""The modules or packages in which the parts of a kind used to be."""

RECORDS = {
    "rolling.run.experiment.Experiment": "experiment",
    "rolling.run.experiment.Training": "training",
    "rolling.run.experiment.Forecast": "forecast",
    "data.clips.collection.Picture": "picture",
    "rolling.guidance.History": "history",
    "rolling.fields.Layout": "layout",
    "rolling.fields.Variable": "variable",
    "rolling.fields.Axis": "axis",
}


def upgraded(value: Any) -> Any:
    """An encoded value under present names; one that has them already is returned unchanged."""
    if isinstance(value, list):
        return [upgraded(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {name: upgraded(item) for name, item in value.items()}
    if not isinstance(value.get("type"), str):
        return value
    kind = _present(value["type"])
    value = CHANGED.get(kind, lambda fields: fields)(value)
    renamed = FIELDS.get(kind, {}) | FIELDS.get(kind.partition(".")[0], {})
    present = ADDED.get(kind, {}) | {renamed.get(name, name): item for name, item in value.items()}
    return {name: item for name, item in present.items() if name is not None} | {"type": kind}


def _present(name: str) -> str:
    """The short name of a class that was written with its module; anything else is returned unchanged."""
    if name in RECORDS or name in CLASSES:
        return RECORDS.get(name) or CLASSES[name]
    if (now := name.partition(".")[0]) in HOMES and name in registry.parts(now):
        return name
    module, _, leaf = name.rpartition(".")
    for kind, homes in HOMES.items():
        tag = f"{kind}.{registry.snake(leaf)}"
        if any(f"{module}.".startswith(f"{home}.") for home in homes) and tag in registry.parts(kind):
            return tag
    return registry.own_tag_of(name) or name
