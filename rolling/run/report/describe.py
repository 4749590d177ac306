"""An experiment in words: what each part is, in the first sentence of its own docstring, and its settings."""

import dataclasses
import inspect
import re
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A part of an experiment: the field's name, the class chosen for it, what that is, and its settings."""

    name: str
    kind: str
    sentence: str
    settings: tuple[tuple[str, str], ...]


def describe(experiment: Any) -> list[Part]:
    """The parts of a dataclass, in order; plain fields, but for `name`, make up the last part, `settings`."""
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
    """The first sentence of the class's docstring; nothing where dataclasses made it up."""
    text = inspect.getdoc(type(value)) or ""
    if text.startswith(f"{type(value).__name__}("):
        return ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`])", paragraph)[0]


def _text(value: Any) -> str:
    """A setting: numbers short, sequences with commas, dataclasses as `Class (field value, ...)`."""
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
