"""Experiments as JSON and back. Only known classes are made, and nothing that is read is executed.

A frozen dataclass becomes `{"type": "rolling.windows.rolling.Rolling", "size": 8, ...}`. Known are the
dataclasses of the project's own packages, and those of a user's own file once it was loaded on purpose.
"""

import dataclasses
import importlib
import math
import pkgutil
import typing
from difflib import get_close_matches
from functools import cache
from typing import Any

from rolling.errors import InputError

PACKAGES = ("rolling", "video", "physics", "data")
_registered: dict[str, type] = {}


def tag(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def register(kind: type) -> None:
    """Makes a user's own dataclass known."""
    _registered[tag(kind)] = kind


@cache
def _modules() -> frozenset[str]:
    """The names of all modules of the project's packages; importing them runs no foreign code."""
    names = set(PACKAGES)
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        names.update(module.name for module in pkgutil.walk_packages(path, package + "."))
    return frozenset(names)


def known_class(name: str) -> type:
    """The dataclass of a tag, which may name the package around its module, too. Raises `InputError` for
    any other."""
    if name in _registered:
        return _registered[name]
    module, _, attribute = name.rpartition(".")
    kind = getattr(importlib.import_module(module), attribute, None) if module in _modules() else None
    own = isinstance(kind, type) and f"{kind.__module__}.".startswith(f"{module}.")
    if not (own and dataclasses.is_dataclass(kind)):
        raise InputError(
            f"the class {name!r} is not part of this installation: give the Python file that defines it with"
            " --code FILE, or use the version of rolling-diffusion that wrote it"
        )
    return kind


def encode(value: Any) -> Any:
    """A JSON value; non-finite numbers become strings, tuples lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": tag(type(value)), **fields}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"an experiment holds dataclasses, tuples, numbers and words, not {value!r}")


def decode(value: Any, hint: Any = None, where: str = "the experiment") -> Any:
    """The value that `encode` was given. Raises `InputError` naming the place of what does not fit."""
    if isinstance(value, dict):
        return _decode_dataclass(value, where)
    if isinstance(value, list):
        return tuple(decode(item, where=f"{where}[{i}]") for i, item in enumerate(value))
    if hint is float and isinstance(value, str | int):
        return float(value)
    return value


def _decode_dataclass(value: dict, where: str) -> Any:
    if not isinstance(value.get("type"), str):
        raise InputError(f"{where} lacks its `type`: this is no experiment that rolling-diffusion wrote")
    kind = known_class(value["type"])
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    arguments = {}
    for name, item in value.items():
        if name == "type":
            continue
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f"; the nearest is {near[0]!r}" if near else ""
            raise InputError(f"{where}: {kind.__name__} has no field {name!r}{hint}")
        arguments[name] = decode(item, hints.get(name), f"{where}.{name}")
    try:
        return kind(**arguments)
    except TypeError as error:
        raise InputError(f"{where}: {kind.__name__} cannot be made: {error}") from error


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """The fields in which two encoded values differ, as `window.size: 8 / 12`."""
    if isinstance(a, dict) and isinstance(b, dict) and a.get("type") == b.get("type"):
        names = [name for name in dict.fromkeys([*a, *b]) if name != "type"]
        parts = [differences(a.get(n), b.get(n), f"{where}.{n}" if where else n) for n in names]
        return [line for part in parts for line in part]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        parts = [differences(x, y, f"{where}[{i}]") for i, (x, y) in enumerate(zip(a, b, strict=True))]
        return [line for part in parts for line in part]
    shown = [value.get("type") if isinstance(value, dict) else value for value in (a, b)]
    return [] if a == b else [f"{where}: {shown[0]} / {shown[1]}"]
