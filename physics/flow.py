"""Flows: finds velocities and vorticities among variables; the vorticity and divergence of a velocity.

On a plane `vorticity = dv/dx - du/dy` and `divergence = du/dx + dv/dy`. On the sphere of radius `a`, with
longitude `l` and latitude `p`,
`vorticity = (dv/dl - d(u cos p)/dp) / (a cos p)`, `divergence = (du/dl + d(v cos p)/dp) / (a cos p)`.

A periodic axis is differentiated in Fourier space, exactly for all resolved wavenumbers; a bounded axis, or a
field with holes, by second-order differences.
"""

import dataclasses
import re

import numpy as np

from rolling.geometry import EARTH_RADIUS, Axis, LatLon
from rolling.layout import Layout

# Standard names of the CF conventions: u to v.
VELOCITY_STANDARD_NAMES = {
    "eastward_wind": "northward_wind",
    "x_wind": "y_wind",
    "eastward_sea_water_velocity": "northward_sea_water_velocity",
    "sea_water_x_velocity": "sea_water_y_velocity",
}
VORTICITY_STANDARD_NAMES = ("atmosphere_relative_vorticity", "ocean_relative_vorticity")
# Common names: `#` stands for a letter of those that follow; a level or a height may come last (u10, u_500).
VELOCITY_NAMES = {
    "#": "uvw",
    "#o": "uvw",
    "#a": "uvw",
    "#_component_of_wind": "uvw",
    "10m_#_component_of_wind": "uvw",
    "velocity_#": "uvw xyz",
    "#_velocity": "uvw xyz",
    "v#": "xyz",
    "vel#": "xyz",
}
LEVEL = r"(?P<level>_?\d+)?"
VORTICITY_NAME = re.compile(rf"(?:relative_)?(?:vorticity|vor|vo|zeta){LEVEL}", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Velocity:
    """The channels of the components of one velocity along x, y and, in a volume, z (`w`)."""

    u: int
    v: int
    w: int | None = None

    @property
    def components(self) -> tuple[int, ...]:
        return (self.u, self.v) if self.w is None else (self.u, self.v, self.w)


def velocities(layout: Layout) -> tuple[Velocity, ...]:
    """The variables that are velocities, by common name or by standard name.

    Components belong together if their names differ only in `u` and `v`, or `x` and `y`; two that are the
    only ones with their standard names may have any names. A third one, `w` or `z`, belongs to them in a
    volume only: on a plane, nothing is known along z.
    """
    found = (
        _by_name(variable.name, layout) or _by_standard_name(channel, layout)
        for channel, variable in enumerate(layout.variables)
    )
    return tuple(velocity for velocity in found if velocity is not None)


def _by_name(name: str, layout: Layout) -> Velocity | None:
    """The velocity of which `name` is the first component."""
    channels = {variable.name.lower(): channel for channel, variable in enumerate(layout.variables)}
    name = name.lower()
    for pattern, alphabets in VELOCITY_NAMES.items():
        before, after = pattern.split("#")
        for letters in alphabets.split():
            match = re.fullmatch(f"{before}{letters[0]}{after}{LEVEL}", name)
            if match is None:
                continue
            u, v, w = (channels.get(f"{before}{letter}{after}{match['level'] or ''}") for letter in letters)
            if u is not None and v is not None:
                return Velocity(u=u, v=v, w=w if len(layout.axes) == 3 else None)
    return None


def _by_standard_name(channel: int, layout: Layout) -> Velocity | None:
    """The velocity of which `channel` is the first component."""
    standard_names = [variable.standard_name for variable in layout.variables]
    first = standard_names[channel]
    second = VELOCITY_STANDARD_NAMES.get(first)
    if second and standard_names.count(first) == standard_names.count(second) == 1:
        return Velocity(u=channel, v=standard_names.index(second))
    return None


def vorticities(layout: Layout) -> tuple[int, ...]:
    """The channels that are relative vorticities; `vo` is a velocity of the sea if there is `uo`."""
    partners = {channel for velocity in velocities(layout) for channel in velocity.components}
    return tuple(
        channel
        for channel, variable in enumerate(layout.variables)
        if channel not in partners
        and (variable.standard_name in VORTICITY_STANDARD_NAMES or VORTICITY_NAME.fullmatch(variable.name))
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kinematics:
    """Vorticity and divergence of `u, v [..., height, width]` on the grid of a layout, at least 2 x 2 cells.

    With `holes`, a NaN cell makes its neighbours NaN and no other cells.
    """

    layout: Layout
    holes: bool = False

    def vorticity(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        metric, cosine, inverse = self._metric()
        return (self._along_x(v) - self._along_y(u * cosine)) * inverse / metric

    def divergence(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        metric, cosine, inverse = self._metric()
        return (self._along_x(u) + self._along_y(v * cosine)) * inverse / metric

    def _metric(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Length of one unit of `y`, `cos p` and `1 / cos p` `[height, 1]`; ones on a plane."""
        y = self.layout.y
        if not isinstance(self.layout.grid, LatLon):
            return 1.0, np.ones((len(y), 1)), np.ones((len(y), 1))
        cosine = np.cos(np.deg2rad(np.asarray(y.values)))[:, None]
        # The quotient has a limit at a pole; a quarter of a cell away is as close as the grid resolves.
        nearest = np.sin(np.deg2rad(y.spacing / 4))
        return EARTH_RADIUS * np.pi / 180, cosine, 1 / np.maximum(cosine, nearest)

    def _along_y(self, field: np.ndarray) -> np.ndarray:
        return np.swapaxes(self._derivative(np.swapaxes(field, -1, -2), self.layout.y), -1, -2)

    def _along_x(self, field: np.ndarray) -> np.ndarray:
        return self._derivative(field, self.layout.x)

    def _derivative(self, field: np.ndarray, axis: Axis) -> np.ndarray:
        """Along the last axis of `field`."""
        field = np.asarray(field, np.float64)
        count = len(axis)
        if not axis.periodic:
            return np.gradient(field, np.asarray(axis.values), axis=-1, edge_order=2 if count > 2 else 1)
        spacing = (axis.values[-1] - axis.values[0]) / (count - 1)  # negative where the axis descends
        if self.holes:
            return (np.roll(field, -1, axis=-1) - np.roll(field, 1, axis=-1)) / (2 * spacing)
        wavenumber = 2 * np.pi * np.fft.rfftfreq(count, spacing)
        if count % 2 == 0:
            wavenumber[-1] = 0.0  # the derivative of the Nyquist mode is invisible on the grid
        return np.fft.irfft(1j * wavenumber * np.fft.rfft(field, axis=-1), n=count, axis=-1)
