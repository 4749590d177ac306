"""Checks of settings that many parts share."""

import math
from typing import Any

from rolling.common.errors import InputError

SEEDS = 2**32 - 1  # the largest that every generator takes


def check_finite(where: str, part: Any, *names: str, above: float = -math.inf) -> None:
    """Raises `InputError` unless these fields of a part are finite numbers above a bound."""
    for name in names:
        value = getattr(part, name)
        if not above < value < math.inf:
            bound = "" if above == -math.inf else f" above {above:g}"
            raise InputError(f"{where}.{name} must be a finite number{bound}, not {value}")


def check_least(where: str, part: Any, *names: str, least: float = 0, most: float = math.inf) -> None:
    """Raises `InputError` unless these fields of a part are finite numbers from `least` to `most`."""
    for name in names:
        value = getattr(part, name)
        if not (least <= value <= most and value < math.inf):
            upper = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"
            raise InputError(f"{where}.{name} must be a finite number {upper}, not {value}")


def check_seed(where: str, part: Any) -> None:
    """Raises `InputError` for a field `seed` that no generator of random numbers takes."""
    check_least(where, part, "seed", most=SEEDS)
