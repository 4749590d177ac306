"""What earlier versions called parts and their fields: runs and forecasts of before stay readable.

Before parts had short names, a class was written with its module, `rolling.windows.rolling.Rolling`. Rename a
class or a field of an experiment only with a line here.
"""

from functools import cache
from typing import Any

from rolling.run.experiment import registry

CLASSES = {"Score": "prediction.score_function"}
"""Former class name to today's short name."""
SAMPLING = {"view": "partition", "drain": "truncate_tail"}
FIELDS = {
    "experiment": SAMPLING,
    "oracle": SAMPLING,
    "forecast": {"beginnings": "from_clip_start"},
    "window": {"roll": "inner"},
}
"""By short name, or by kind: former field to today's."""


def upgraded(value: Any) -> Any:
    """An encoded value in today's names; one of today is returned as it is."""
    if isinstance(value, list):
        return [upgraded(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {name: upgraded(item) for name, item in value.items()}
    kind = value.get("type")
    if not isinstance(kind, str):
        return value
    kind = _today(kind)
    renamed = {**FIELDS.get(kind.partition(".")[0], {}), **FIELDS.get(kind, {})}
    fields = {renamed.get(name, name): item for name, item in value.items() if name != "type"}
    return {"type": kind, **fields}


def _today(kind: str) -> str:
    """The short name of a class that was written with its module."""
    module, _, name = kind.rpartition(".")
    if not name[:1].isupper():
        return kind
    if module.partition(".")[0] in ("rolling", "video", "physics", "data"):
        return CLASSES.get(name) or _by_class().get(name, kind)
    return registry.own_tag_of(name) or kind


@cache
def _by_class() -> dict[str, str]:
    """The short names of the project's own classes."""
    records = {place.rpartition(".")[2]: tag for tag, place in registry.RECORDS.items()}
    return records | {
        part.__name__: tag for kind in registry.KINDS for tag, part in registry.parts(kind).items()
    }
