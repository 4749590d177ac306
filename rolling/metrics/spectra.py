"""Energy spectra of fields `[..., *space]` on a layout's grid.

The definition depends on the grid, and `spectrum` chooses:

* a line, a plane or a box, periodic or not: `Planar`, energy summed over shells of the wavenumber. A periodic
  axis takes a Fourier transform; a bounded axis takes a cosine transform (Denis et al. 2002,
  doi 10.1175/1520-0493(2002)130<1812:SDOTDA>2.0.CO;2), which needs no window and has no jump at the ends;
* a region in latitude and longitude: the same, on a plane that is true to scale at the central latitude;
* a full circle of longitudes: `Zonal`, wavenumbers along each circle of latitude, averaged by area.

Levels over a sphere are no axis of waves: there the spectrum is that of all of them together.

In every case `sum_k E(k) = <f^2> / 2`, the mean over cells (by area, for `Zonal`).
"""

import dataclasses
import functools
import math
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.fft

from rolling.geometry import Axis, LatLon
from rolling.layout import Layout


@runtime_checkable
class Spectrum(Protocol):
    """`E(k)` of fields; `wavenumbers [K]` are 0, 1, 2, ..., and shells up to `resolved` are complete."""

    @property
    def wavenumbers(self) -> np.ndarray: ...

    @property
    def resolved(self) -> int: ...

    def __call__(self, field: np.ndarray) -> np.ndarray:
        """`[..., *space]` to `[..., K]`, float64, in the square of the field's units."""
        ...


def spectrum(layout: Layout) -> Spectrum:
    """The spectrum that suits a layout's grid."""
    grid = layout.grid
    if isinstance(grid, LatLon) and layout.x.periodic:
        return Zonal(layout=layout)
    return Planar(axes=layout.axes, lengths=grid.lengths())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planar:
    """`E(k) = 1/2 sum |f_m|^2` over modes whose wavenumber rounds to `k`, on one to three axes.

    Wavenumbers count waves along the longest side of the domain, of length `L`: a mode of `m` waves along a
    side of length `l` has the component `m L / l`. The cosine transform also has half waves, `m = 1/2, 3/2`,
    which round up: shell `k >= 1` contains `[k - 1/2, k + 1/2)`, and shell 0 only the mean.
    """

    axes: tuple[Axis, ...]
    lengths: tuple[float, ...]

    @property
    def longest(self) -> float:
        return max(self.lengths)

    @functools.cached_property
    def _places(self) -> tuple[int, ...]:
        return tuple(range(-len(self.axes), 0))

    @functools.cached_property
    def _periodic(self) -> tuple[int, ...]:
        return tuple(place for place in self._places if self.axes[place].periodic)

    def _waves(self, place: int) -> np.ndarray:
        """The number of waves of each mode along one side, in the order of the transform."""
        count = len(self.axes[place])
        if place not in self._periodic:
            return np.arange(count) / 2
        frequencies = (
            np.arange(count // 2 + 1) if place == self._periodic[-1] else scipy.fft.fftfreq(count, 1 / count)
        )
        return np.abs(frequencies)

    @functools.cached_property
    def modulus(self) -> np.ndarray:
        """`[modes]`: the wavenumber of each mode, a real number, in waves along the longest side."""
        sides = [self._waves(place) * self.longest / self.lengths[place] for place in self._places]
        return functools.reduce(np.hypot.outer, sides).ravel()

    @functools.cached_property
    def _shells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Modes sorted by shell, where each occupied shell begins among them, and the occupied shells."""
        shell = np.floor(self.modulus + 0.5).astype(int)
        order = np.argsort(shell, kind="stable")
        occupied, begin = np.unique(shell[order], return_index=True)
        return order, begin, occupied

    @property
    def wavenumbers(self) -> np.ndarray:
        return np.arange(self._shells[2][-1] + 1)

    @property
    def resolved(self) -> int:
        sides = zip(self.axes, self.lengths, strict=True)
        limits = (len(axis) / 2 * self.longest / length for axis, length in sides)
        return math.floor(min(limits) - 0.5)

    def energy(self, field: np.ndarray) -> np.ndarray:
        """`|f_m|^2 / 2` of every mode: `[..., *space]` to `[..., modes]`."""
        field = np.asarray(field, np.float64)
        for place in set(self._places) - set(self._periodic):
            field = np.asarray(scipy.fft.dct(field, axis=place, norm="ortho")) / math.sqrt(field.shape[place])
        if not self._periodic:
            return field.reshape(*field.shape[: -len(self.axes)], -1) ** 2 / 2
        last = self._periodic[-1]
        modes = np.asarray(scipy.fft.rfftn(field, axes=self._periodic, norm="forward"), np.complex128)
        # A real transform keeps one mode of each conjugate pair; the mean and the Nyquist mode are single.
        count = field.shape[last]
        pairs = np.full(modes.shape[last], 2.0)
        pairs[0] = 1.0
        if count % 2 == 0:
            pairs[-1] = 1.0
        pairs = pairs.reshape([-1 if place == last else 1 for place in self._places])
        energy = (modes.real**2 + modes.imag**2) * pairs / 2
        return energy.reshape(*energy.shape[: -len(self.axes)], -1)

    def sum_shells(self, energy: np.ndarray) -> np.ndarray:
        """`[..., modes]` to `[..., K]`."""
        order, begin, occupied = self._shells
        out = np.zeros((*energy.shape[:-1], occupied[-1] + 1))
        out[..., occupied] = np.add.reduceat(energy[..., order], begin, axis=-1)
        return out

    def __call__(self, field):
        return self.sum_shells(self.energy(field))

    def kinetic_of_vorticity(self, vorticity: np.ndarray) -> np.ndarray:
        """`1/2 sum |w|^2 / |k|^2`, `k = 2 pi modulus / L`: the kinetic energy of the divergence-free flow
        of zero mean that has this vorticity, on a doubly periodic plane."""
        wavenumber = 2 * np.pi * self.modulus / self.longest
        inverse = np.divide(1.0, wavenumber**2, out=np.zeros_like(wavenumber), where=wavenumber > 0)
        return self.sum_shells(self.energy(vorticity) * inverse)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Zonal:
    """`E(m) = 1/2 <|f_m|^2 + |f_-m|^2>`, `m` waves round a circle of latitude, area-averaged over circles."""

    layout: Layout

    @property
    def wavenumbers(self) -> np.ndarray:
        return np.arange(len(self.layout.x) // 2 + 1)

    @property
    def resolved(self) -> int:
        return (len(self.layout.x) - 1) // 2

    def __call__(self, field):
        count = len(self.layout.x)
        modes = np.asarray(
            scipy.fft.rfft(np.asarray(field, np.float64), axis=-1, norm="forward"), np.complex128
        )
        energy = modes.real**2 + modes.imag**2
        energy[..., 0] /= 2
        if count % 2 == 0:
            energy[..., -1] /= 2
        area = self.layout.area_weights()[..., 0]
        return np.tensordot(energy, area / area.sum(), axes=(range(-1 - area.ndim, -1), range(area.ndim)))


def square(units: str) -> str:
    """`(m s-1)^2` for `m s-1`; dimensionless units stay as they are."""
    return units if units in ("", "1") else f"({units})^2"
