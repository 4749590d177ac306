"""Seals: checksums of what is kept, by which damage is found when it is read.

A seal is a CRC-32C, which finds every single changed bit and every run of up to 32 of them. It guards against
failing disks and cut copies, not against somebody who makes a new one. Checkpoints are sealed and checked in
`rolling/run/checkpoint.py`, forecasts in `forecast_seal.py`, prepared clips in `data/clips/store/`.
"""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from rolling.common.errors import InputError

SEAL = "seal"
BLOCK = 2**22


def checksum(values: np.ndarray | bytes, before: int = 0) -> int:
    """The CRC-32C of the bytes of an array, whatever its type and shape, or of `before` followed by them."""
    if not isinstance(values, bytes):
        values = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return google_crc32c.extend(before, values)  # pyright: ignore[reportArgumentType]


def checksums(values: np.ndarray) -> list[int]:
    """The checksum of each `values[i]`, at less cost than one call for each."""
    rows = np.ascontiguousarray(values).reshape(len(values), math.prod(values.shape[1:])).view(np.uint8)
    return [google_crc32c.extend(0, row) for row in rows]  # pyright: ignore[reportArgumentType]


def checksum_of_json(value: Any) -> int:
    """The same for whatever JSON can hold, however it is written."""
    return checksum(json.dumps(value, sort_keys=True).encode())


def checksum_of_arrays(arrays: Mapping[str, Any]) -> int:
    """The same for named arrays, with their names, types and shapes."""
    total = 0
    for name, value in sorted(arrays.items()):
        array = np.asarray(value)
        total = checksum(f"{name} {array.dtype} {array.shape} ".encode(), total)
        total = checksum(array, total)
    return total


def checksum_of_file(path: Path) -> int:
    """The same for a file, read in blocks."""
    total = 0
    with open(path, "rb") as handle:
        while block := handle.read(BLOCK):
            total = checksum(block, total)
    return total


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with its own seal."""
    return value | {SEAL: checksum_of_json(value)}


def is_sealed(value: Mapping[str, Any]) -> bool:
    return SEAL in value


def check_sealed(value: Mapping[str, Any], what: str, advice: str) -> None:
    """Raises `InputError` where an object is not what was sealed."""
    rest = {name: part for name, part in value.items() if name != SEAL}
    if value.get(SEAL) != checksum_of_json(rest):
        raise damaged(what, advice)


def damaged(what: str, advice: str) -> InputError:
    return InputError(f"{what} is damaged, as it is not what was written: {advice}")


def tell_missing(what: str) -> None:
    """Says that there is no seal, once for each place in a process."""
    if what not in _told:
        _told.add(what)
        print(f"{what} has no seal, as those of earlier versions: damage to it is not found", file=sys.stderr)


_told: set[str] = set()
