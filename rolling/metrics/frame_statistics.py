"""Statistics of single frames: numbers that a forecast should share with real data however far it goes.

In every equation `x` is a frame of one variable, `<.>` the area mean over cells that hold data. The colours
of a picture are pooled, by a mean over them before any root is taken; only the mean is that of each colour.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rolling.array_types import space_of
from rolling.geometry import Axis
from rolling.layout import Variable
from rolling.metrics.area import Domain, averaged
from rolling.metrics.protocol import About, EvaluationSetup
from rolling.metrics.spectra import spectrum, square

RINGS = 6
NEAR = 0.01
"""Of the range of grey levels: a pixel so near to a limit is saturated."""
SLACK = 0.05
"""Of a positive number, or of the standard deviation: how far real data may always go beyond what was seen,
as some conserve a number to rounding."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """`values [sequence, T, *space, variable]` in order of time, and `previous [sequence, *space,
    variable]`, the frames before them."""

    values: np.ndarray
    previous: np.ndarray
    _shared: dict[Hashable, Any] = dataclasses.field(init=False, default_factory=dict, repr=False)

    def share(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """The result of `compute`, called once for these frames."""
        if key not in self._shared:
            self._shared[key] = compute()
        return self._shared[key]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Measure:
    """A statistic in one setup: `of(frames)` is `[sequence, T, variable]`, for each of `variables`.

    The range of a `positive` number is taken on a logarithmic scale, so that it includes 0 only where real
    data do. Of any other, `slack` is the least by which the range is widened, from the standard deviations
    `[variable]` of the layout's variables.
    """

    variables: tuple[Variable, ...]
    of: Callable[[Frames], np.ndarray]
    positive: bool = True
    least: float = -np.inf
    """The smallest possible value."""
    slack: Callable[[np.ndarray], np.ndarray] = lambda std: SLACK * std


@runtime_checkable
class Statistic(Protocol):
    """A number of every frame; `key` is its name in `evaluation.json`."""

    @property
    def key(self) -> str: ...

    @property
    def shown(self) -> About: ...

    def measure(self, setup: EvaluationSetup) -> Measure | None:
        """What computes it; None where it makes no sense for these frames."""
        ...


def described(title: str, note: str, order: int, *, zero: bool = True) -> About:
    """Of a statistic whose reference is its mean over real data."""
    return About(title=title, note=note, section="drift", order=order, reference="real data", zero=zero)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mean:
    """`<x>`, of each colour of a picture."""

    key = "mean"
    shown = described("Mean", "Over the frame.", 61, zero=False)

    def measure(self, setup):
        domain = dataclasses.replace(Domain.of(setup), pooled=False)
        return Measure(
            variables=setup.layout.variables, of=lambda frames: domain.mean(frames.values), positive=False
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contrast:
    """`sqrt(<(x - <x>)^2>)`."""

    key = "contrast"
    shown = described("Contrast", "Standard deviation over the frame.", 62)

    def measure(self, setup):
        domain = Domain.of(setup)
        centre = dataclasses.replace(domain, pooled=False)

        def of(frames: Frames) -> np.ndarray:
            x = frames.values.astype(np.float64)
            return np.sqrt(domain.mean((x - centre.everywhere(centre.mean(x))) ** 2))

        return Measure(variables=averaged(setup.layout), of=of)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion:
    """`<(x_k - x_(k-1))^2>` of neighbouring frames: 0 of a frozen sequence."""

    key = "motion"
    shown = described("Motion", "Mean squared difference of neighbouring frames; frozen ones have none.", 63)

    def measure(self, setup):
        domain = Domain.of(setup)

        def of(frames: Frames) -> np.ndarray:
            x = np.concatenate([frames.previous[:, None], frames.values], axis=1).astype(np.float64)
            return domain.mean(np.diff(x, axis=1) ** 2)

        return Measure(variables=_squared(averaged(setup.layout)), of=of)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gradient:
    """`<sqrt(sum_a (D_a x)^2)>` over the axes, `D` the difference from a cell to the next one, across the
    ends of a periodic axis; over cells whose next ones hold data."""

    key = "gradient"
    shown = described("Mean gradient", "Mean |∇| from cell to cell: how sharp it is.", 64)

    def measure(self, setup):
        layout, domain = setup.layout, Domain.of(setup)
        places = range(-1 - len(layout.axes), -1)
        axes = [(place, axis) for place, axis in zip(places, layout.axes, strict=True) if len(axis) > 1]
        there = domain.weights > 0
        for place, axis in axes:
            there = there & _next(domain.weights > 0, place) & _has_next(axis, place, there.ndim)
        weights = np.where(there, domain.weights, 0.0)
        total = weights.sum(axis=space_of(weights, 0))
        if not axes or not (total > 0).all():
            return None
        inner = dataclasses.replace(domain, weights=weights / total, mask=there)

        def of(frames: Frames) -> np.ndarray:
            x = frames.values.astype(np.float64)
            return inner.mean(np.sqrt(sum((_next(x, place) - x) ** 2 for place, _ in axes)))

        return Measure(variables=averaged(layout), of=of)


def _next(x: np.ndarray, axis: int) -> np.ndarray:
    return np.roll(x, -1, axis=axis)


def _has_next(axis: Axis, place: int, axes: int) -> np.ndarray:
    """`[cells]` at one place of so many axes, 1 at the others: False for the last cell of an axis that is not
    periodic."""
    there = np.ones(len(axis), bool)
    there[-1] = axis.periodic
    return there.reshape([-1 if a == place else 1 for a in range(-axes, 0)])


@dataclasses.dataclass(frozen=True, kw_only=True)
class RingPower:
    """`sum_k E(k)` over the wavenumbers of ring `ring` of `RINGS`, counted from 1 at the largest scales.

    The rings have ends in equal ratios between wavenumber 1 and the last complete shell of the spectrum
    (`rolling.metrics.spectra`), rounded; the last one includes all beyond. A small grid has fewer. Variables
    with masked cells have no spectrum.
    """

    ring: int
    """Counted from 1."""

    @property
    def key(self) -> str:
        return f"power_{self.ring}"

    @property
    def shown(self) -> About:
        where = {1: ", the largest scales", RINGS: ", the smallest scales"}.get(self.ring, "")
        return described(
            f"Power in ring {self.ring}", f"Of {RINGS} rings of wavenumber{where}.", 65 + self.ring
        )

    def measure(self, setup):
        layout, domain = setup.layout, Domain.of(setup)
        ends = ring_ends(spectrum(layout).resolved)
        whole = [channel for channel in range(layout.shape[-1]) if domain.is_whole(channel)]
        if self.ring >= len(ends) or not whole:
            return None
        first, stop = ends[self.ring - 1], None if self.ring + 1 == len(ends) else ends[self.ring]
        variables = averaged(layout) if layout.is_video else tuple(layout.variables[c] for c in whole)

        def of(frames: Frames) -> np.ndarray:
            energy = frames.share("energy", functools.partial(_energies, spectrum(layout), frames, whole))
            power = energy[..., first:stop].sum(axis=-1)
            return power.mean(axis=-1, keepdims=True) if layout.is_video else power

        return Measure(variables=_squared(variables), of=of)


def ring_ends(resolved: int) -> list[int]:
    """Wavenumbers at which the rings begin, and the end of the last one; none of a grid without a complete
    shell."""
    ends = np.geomspace(1, resolved + 1, RINGS + 1).round() if resolved > 0 else np.zeros(0)
    return np.unique(ends.astype(int)).tolist()


def _energies(energy: Callable[[np.ndarray], np.ndarray], frames: Frames, channels: list[int]) -> np.ndarray:
    """`[sequence, T, channel, wavenumber]`."""
    return np.stack([energy(frames.values[..., channel]) for channel in channels], axis=-2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Saturation:
    """The share of pixels within 1 % of either limit of the grey levels; of pictures only."""

    key = "saturation"
    shown = described("Saturated pixels", "Share of pixels within 1 % of black or of full colour.", 65)

    def measure(self, setup):
        if not setup.layout.is_video:
            return None
        domain, limits = Domain.of(setup), np.iinfo(setup.layout.variables[0].dtype)
        margin = NEAR * (limits.max - limits.min)

        def of(frames: Frames) -> np.ndarray:
            x = frames.values
            return domain.mean(((x <= limits.min + margin) | (x >= limits.max - margin)).astype(np.float64))

        share = (Variable(name=averaged(setup.layout)[0].name),)
        return Measure(variables=share, of=of, positive=False, least=0.0, slack=lambda _: np.full(1, NEAR))


def _squared(variables: tuple[Variable, ...]) -> tuple[Variable, ...]:
    """The variables in the square of their units."""
    return tuple(dataclasses.replace(variable, units=square(variable.units)) for variable in variables)


STATISTICS: tuple[Statistic, ...] = (
    Mean(),
    Contrast(),
    Motion(),
    Gradient(),
    Saturation(),
    *(RingPower(ring=ring) for ring in range(1, RINGS + 1)),
)
"""Those that decide whether a rollout lasts."""
