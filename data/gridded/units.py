"""Units as CF and GRIB spell them: `m s-1`, `m s**-1`, `mm/day`, `degC`, `degrees_C`, `1`."""

import dataclasses
import functools
import re
from typing import Any

import numpy as np

SPELLINGS = {
    **dict.fromkeys(("degrees_c", "degree_c", "deg_c", "degc", "celsius", "degrees_celsius"), "degC"),
    **dict.fromkeys(("degree_celsius", "deg c", "degrees c", "degree c", "°c", "ºc"), "degC"),
    **dict.fromkeys(("kelvin", "degk", "deg_k", "degrees_k", "degree_k", "degrees_kelvin"), "K"),
    **dict.fromkeys(("millibars", "mb", "mbar"), "mbar"),
    **dict.fromkeys(("%", "percent"), "percent"),
    **dict.fromkeys(("1", "dimensionless", "(0 - 1)", "0-1", "fraction", "proportion"), "dimensionless"),
    **dict.fromkeys(("meters", "metres", "metre"), "m"),
    **{"pa": "Pa", "hpa": "hPa"},
    "gpm": "m",  # a geopotential metre
}
"""By lower case, what pint calls otherwise or writes with capitals: the whole text, or a factor of it."""
LONGEST = 60
DIFFERENCES = {"degC": "K", "degF": "degR"}
"""Within a product, a rate such as `degC s-1`, a temperature is a difference of temperatures."""
FACTOR = re.compile(
    r"(?P<sign>[*./·]?)\s*(?P<name>1|[A-Za-z_%°µμ]+)(?:\s*(?:\*\*|\^)\s*|)(?P<power>[-+]?\d)?\s*"
)


@dataclasses.dataclass(frozen=True)
class Conversion:
    """`x scale + offset`."""

    scale: float = 1.0
    offset: float = 0.0

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        return (self.scale, self.offset) != (1.0, 0.0)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """In the type of the values, computed in double precision."""
        return (values.astype(np.float64) * self.scale + self.offset).astype(values.dtype) if self else values


SAME = Conversion()


@functools.lru_cache(maxsize=256)
def conversion(given: str, wanted: str, *, difference: bool = False) -> Conversion | None:
    """How values in units `given` become values in units `wanted`; None where it is not known.

    Units that differ as text only, `m s-1` and `m s**-1`, need no change. A `difference` of temperatures,
    such as an anomaly, is not shifted.
    """
    if " ".join(given.split()) == " ".join(wanted.split()):
        return SAME
    source, target = _parsed(given), _parsed(wanted)
    if source is None or target is None or source.dimensionality != target.dimensionality:
        return None
    try:
        low, high, double = (_registry().convert(value, source, target) for value in (0.0, 1.0, 2.0))
    except Exception:  # of pint's own kinds: logarithmic units
        return None
    if not np.isclose(double - low, 2 * (high - low)):
        return None
    # Differences such as 274.15 - 273.15 leave the last bits; the ratio of two units is a short decimal.
    return Conversion(float(f"{high - low:.12g}"), 0.0 if difference else float(f"{low:.12g}"))


def _parsed(text: str) -> Any | None:
    """A unit of pint; None for what is no product of known units."""
    if len(text) > LONGEST:
        return None
    spelled = SPELLINGS.get(text.strip().lower(), text.strip())
    place, parts, over = 0, [], 1
    while place < len(spelled):
        factor = FACTOR.match(spelled, place)
        if factor is None or len(parts) > 8:
            return None
        # After a slash only the next factor is divided by, as in `W/m2/sr`.
        over = -1 if factor["sign"] == "/" else 1
        name = SPELLINGS.get(factor["name"].lower(), factor["name"])
        parts.append((name, over * int(factor["power"] or 1)))
        place = factor.end()
    return _product(tuple(parts)) if parts else None


@functools.cache
def _registry() -> Any:
    import pint  # takes half a second

    return pint.UnitRegistry(cache_folder=None)


def _product(parts: tuple[tuple[str, int], ...]) -> Any | None:
    # pint is given single names only: what it makes of a whole text could be made to take for ever.
    if len(parts) > 1 or any(power != 1 for _, power in parts):
        parts = tuple((DIFFERENCES.get(name, name), power) for name, power in parts)
    found = _registry().dimensionless
    for name, power in parts:
        try:
            found = found * _registry().parse_units("dimensionless" if name == "1" else name) ** power
        except Exception:  # of pint's own and of Python's kinds, for names that it does not know
            return None
    return found
