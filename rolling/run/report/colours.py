"""Colour scales of fields, and the fixed colours of curves.

The curves' colours are those of Okabe and Ito ("Color universal design", 2008), which readers with any colour
vision can distinguish; line styles differ too. Fields are drawn in `RdBu_r` where zero is the middle of their
range, and in `viridis` elsewhere.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator
from PIL import ImageColor

OURS, MEMBER, PERSISTENCE, CLIMATOLOGY, TRUTH = "#0072b2", "#56b4e9", "#d55e00", "#009e73", "#1b1f24"
SERIES = (OURS, PERSISTENCE, CLIMATOLOGY, "#cc79a7", "#e69f00", MEMBER)
"""Colours of forecasts in a comparison."""
INK, RULE = "#57606a", "#d8dee4"
MASKED = "#9b9b9b"
LEVELS = 200  # of a scale: all differ in eight bits, so that a colour can be mapped back to its value

LOSSLESS: dict[str, Any] = {"format": "WEBP", "lossless": True, "quality": 100}  # a third smaller than PNG


class Palette(Protocol):
    """How a field becomes colours. `saved`: options of image files, tried in turn for one small enough."""

    @property
    def saved(self) -> Sequence[dict[str, Any]]: ...

    def paint(self, field: np.ndarray) -> np.ndarray:
        """`uint8 [..., y, x, 3]`; grey where there is no value."""
        ...

    def bar(self, label: str, units: str) -> dict[str, Any] | None:
        """The colour bar for the page's script; None where pictures have their own colours."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class GreyLevels:
    """Pictures `[..., y, x, colour]` as they are: red, green and blue, or luma alone, from 0 to 255."""

    # JPEG keeps small pictures better than WebP, which halves the resolution of their colours.
    saved = (LOSSLESS, {"format": "JPEG", "quality": 90, "subsampling": 0})

    def paint(self, field: np.ndarray) -> np.ndarray:
        levels = np.where(np.isfinite(field), field, ImageColor.getrgb(MASKED)[0])
        levels = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        return np.broadcast_to(levels, (*levels.shape[:-1], 3))

    def bar(self, label: str, units: str) -> None:
        return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """A colour map between two values in physical units; values beyond them get the end colours."""

    palette: str
    low: float
    high: float

    saved = (LOSSLESS,)  # exact, so that colours can be mapped back to values

    def indices(self, field: np.ndarray) -> np.ndarray:
        """`uint8` of the field's shape: 1 .. LEVELS for values, 0 for NaN."""
        fraction = np.clip((field - self.low) / (self.high - self.low), 0, 1)
        level = np.where(np.isfinite(field), 1 + np.round(fraction * (LEVELS - 1)), 0)
        return level.astype(np.uint8)

    def colours(self) -> list[str]:
        """`#rrggbb` of the indices 0 .. LEVELS."""
        ramp = matplotlib.colormaps[self.palette](np.linspace(0, 1, LEVELS))
        return [MASKED, *(to_hex(colour) for colour in ramp)]

    def paint(self, field: np.ndarray) -> np.ndarray:
        colours = np.array([ImageColor.getrgb(colour) for colour in self.colours()], np.uint8)
        return colours[self.indices(field)]

    def bar(self, label: str, units: str) -> dict[str, Any]:
        span = self.high - self.low
        ticks = [{"at": (value - self.low) / span, "text": f"{value:g}"} for value in self.ticks()]
        return {
            "label": label,
            "low": self.low,
            "high": self.high,
            "units": units,
            "colours": self.colours(),
            "ticks": ticks,
        }

    def ticks(self, most: int = 5) -> list[float]:
        """Round values within the scale."""
        values = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        slack = 1e-6 * (self.high - self.low)
        return [float(v) for v in values if self.low - slack <= v <= self.high + slack]


def palette(clips: list[Any]) -> Palette:
    """The palette of clips of one variable, the same for the truth and every forecast."""
    truths = [clip.fields["Truth"] for clip in clips]
    return GreyLevels() if truths[0].ndim == 4 else field_scale(truths)


def field_scale(fields: list[np.ndarray]) -> Scale:
    """The scale of a variable from its truth: the central 99.6 % of the values.

    Symmetric about zero where each sign reaches at least a third of the other, as for vorticity, velocities
    and anomalies, and seldom for a temperature in degrees Celsius.
    """
    low, high = _range(fields, 0.2, 99.8)
    if low < 0 < high and min(-low, high) > max(-low, high) / 3:
        bound = max(-low, high)
        return Scale(palette="RdBu_r", low=-bound, high=bound)
    return Scale(palette="viridis", low=low, high=high)


def spread_scale(fields: list[np.ndarray]) -> Scale:
    """From zero to the 99.8th percentile of the spread."""
    return Scale(palette="magma", low=0.0, high=max(_range(fields, 0, 99.8)[1], 1e-12))


def _range(fields: list[np.ndarray], lowest: float, highest: float) -> tuple[float, float]:
    values = np.concatenate([field[np.isfinite(field)].ravel() for field in fields])
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(values, (lowest, highest)))
    return (low, high) if high > low else (low, low + max(abs(low), 1.0) * 1e-3)
