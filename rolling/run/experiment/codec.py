"""Experiments to JSON and back. Only known classes are instantiated; nothing that is read is executed.

A frozen dataclass becomes `{"type": "window.rolling", "size": 8, ...}`; `registry.py` has the known classes
and their names, and `former.py` the names that earlier versions used.
"""

import dataclasses
import functools
import math
import types
import typing
from difflib import get_close_matches
from typing import Any

from typing_extensions import is_protocol

from rolling.common.documents import check_depth
from rolling.common.errors import InputError
from rolling.run.experiment.former import upgraded
from rolling.run.experiment.registry import implements, known_class, tag


def encode(value: Any) -> Any:
    """A JSON value; non-finite numbers become strings, and tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": tag(type(value)), **fields}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"an experiment may hold dataclasses, tuples, numbers and strings, not {value!r}")


def decode(value: Any, hint: Any = None, where: str = "the experiment") -> Any:
    """The inverse of `encode`, of this version or an earlier one. Raises `InputError` that names the field
    that does not fit."""
    try:
        check_depth(value)
    except ValueError as error:
        raise InputError(f"{where} cannot be read: {error}") from None
    return _decode(upgraded(value), hint, where)


hints_of = functools.cache(typing.get_type_hints)
"""The annotations of a class, evaluated: once, as that takes longer than to decode its fields."""


def _decode(value: Any, hint: Any, where: str) -> Any:
    if isinstance(value, dict):
        return _decode_dataclass(value, where)
    if isinstance(value, list):
        return tuple(_decode(item, None, f"{where}[{i}]") for i, item in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**1023 else math.inf
    if value in ("inf", "-inf", "nan") and not fits(value, hint):
        return float(value)
    return value


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has an annotated type: a number, string, tuple, or part that implements a protocol."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return any(fits(value, each) for each in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        return value in typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        items = typing.get_args(hint)
        items = items[:1] * len(value) if items[1:] == (...,) and isinstance(value, tuple) else items
        return isinstance(value, tuple) and len(value) == len(items) and all(map(fits, value, items))
    if hint in (int, float):
        return isinstance(value, (int, float) if hint is float else int) and not isinstance(value, bool)
    if is_protocol(hint):
        return implements(type(value), hint)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _decode_dataclass(value: dict, where: str) -> Any:
    if not isinstance(value.get("type"), str):
        raise InputError(f"{where} lacks its `type`: this is not an experiment written by rolling-diffusion")
    kind = known_class(value["type"])
    hints = hints_of(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    arguments = {}
    for name, item in value.items():
        if name == "type":
            continue
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f"; the nearest is {near[0]!r}" if near else ""
            raise InputError(f"{where}: {kind.__name__} has no field {name!r}{hint}")
        arguments[name] = _decode(item, hints[name], f"{where}.{name}")
        if not fits(arguments[name], hints[name]):
            shown = item.get("type") if isinstance(item, dict) else item
            wanted = getattr(hints[name], "__name__", str(hints[name]))
            raise InputError(f"{where}.{name} must be of type {wanted}, not {shown!r}: give it another value")
    return made(kind, arguments, where)


def made(kind: type[Any], fields: dict[str, Any], where: str) -> Any:
    """A part of these fields. Raises `InputError` where its own checks fail, whatever they raise."""
    try:
        return kind(**fields)
    except InputError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"{where}: {kind.__name__} cannot be made: {error}") from error


def upgraded_fields(tag: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The encoded fields of the class `tag`, written by any version, under their present names."""
    return {name: item for name, item in upgraded({"type": tag, **fields}).items() if name != "type"}


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """The fields in which two encoded values, of any version, differ, as `window.size: 8 / 12`."""
    return _differences(upgraded(a), upgraded(b), where)


def _differences(a: Any, b: Any, where: str) -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict) and a.get("type") == b.get("type"):
        names = [name for name in dict.fromkeys([*a, *b]) if name != "type"]
        parts = [_differences(a.get(n), b.get(n), f"{where}.{n}" if where else n) for n in names]
        return [line for part in parts for line in part]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        parts = [_differences(x, y, f"{where}[{i}]") for i, (x, y) in enumerate(zip(a, b, strict=True))]
        return [line for part in parts for line in part]
    shown = [_shortened(value.get("type") if isinstance(value, dict) else value) for value in (a, b)]
    return [] if a == b else [f"{where}: {shown[0]} / {shown[1]}".removeprefix(": ")]


def _shortened(value: Any) -> str:
    """A long list by its number of items: a sentence names what differs, and need not print it all."""
    long = isinstance(value, list) and len(str(value)) > 60
    return f"{len(value)} of them" if long else str(value)
