"""JSON that others may have written: no larger and no deeper than any that is written here.

Python's parser ends with `RecursionError` where brackets are nested a thousand deep, as would whatever then
walks through the values, and takes up to twenty times the size of a file in memory.
"""

import json
from pathlib import Path
from typing import Any

LARGEST = 2**27  # bytes: lists of all clips of the largest collections take a tenth of it
DEEPEST = 64


def read_json(path: Path) -> Any:
    """What a file holds. Raises `OSError` where it cannot be read, and `ValueError` as `parse_json` does."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError("it is no regular file")
    with open(path, "rb") as file:
        return parse_json(file.read(LARGEST + 1))


def parse_json(text: str | bytes) -> Any:
    """What a text holds. Raises `ValueError` where it is no JSON in UTF-8, larger than `LARGEST` bytes or
    nested deeper than `DEEPEST`."""
    if len(text) > LARGEST:
        raise ValueError(f"its JSON is larger than {LARGEST // 2**20} MiB")
    try:
        value = json.loads(text if isinstance(text, str) else str(text, "utf-8"))
    except RecursionError:
        raise _too_deep() from None
    check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Raises `ValueError` for lists and objects nested deeper than `DEEPEST`."""
    layer = [value]
    for _ in range(DEEPEST + 2):
        inner = [each for each in layer if isinstance(each, dict | list)]
        if not inner:
            return
        layer = [item for each in inner for item in (each.values() if isinstance(each, dict) else each)]
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"its JSON is nested more than {DEEPEST} levels deep")
