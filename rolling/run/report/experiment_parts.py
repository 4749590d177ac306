"""An experiment in words: each part with the first sentence of its docstring and its settings."""

import dataclasses
import inspect
import re
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A part of an experiment: the field's name, its class, a sentence on that class, and the settings."""

    name: str
    kind: str
    sentence: str
    settings: tuple[tuple[str, str], ...]


def describe(experiment: Any) -> list[Part]:
    """The parts of a dataclass, in order; plain fields except `name` form the last part, `settings`."""
    parts, plain = [], []
    for name, value in _fields(experiment):
        if dataclasses.is_dataclass(value):
            settings = tuple((_spaced(key), _text(item)) for key, item in _fields(value))
            parts.append(
                Part(
                    name=_spaced(name),
                    kind=type(value).__name__,
                    sentence=_sentence(value),
                    settings=settings,
                )
            )
        elif name != "name":
            plain.append((_spaced(name), _text(value)))
    if plain:
        parts.append(Part(name="settings", kind="", sentence="", settings=tuple(plain)))
    return parts


def _fields(value: Any) -> list[tuple[str, Any]]:
    found = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value) if field.repr]
    return [(name, item) for name, item in found if item is not None and item != ()]


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _sentence(value: Any) -> str:
    """The first sentence of the class's docstring; empty where `dataclasses` generated it."""
    text = inspect.getdoc(type(value)) or ""
    if text.startswith(f"{type(value).__name__}("):
        return ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`])", paragraph)[0]


def _text(value: Any) -> str:
    """A setting: short numbers, sequences with commas, dataclasses as `Class (field value, ...)`."""
    if dataclasses.is_dataclass(value):
        inner = ", ".join(f"{_spaced(name)} {_text(item)}" for name, item in _fields(value))
        return f"{type(value).__name__} ({inner})" if inner else type(value).__name__
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (tuple, list)):
        return ", ".join(_text(item) for item in value)
    return str(value)
