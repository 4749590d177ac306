"""Quantities derived from the variables of a flow: spectra, kinetic energy, vorticity, divergence.

Each function lists those that a layout and its mask allow, possibly none. Derived quantities are named
`kinetic_energy`, `vorticity` and `divergence`, followed by the level, or by the name of u if there are
several velocities at it.
"""

import dataclasses
import re
from collections.abc import Callable

import numpy as np

from rolling.geometry import LatLon
from rolling.layout import Layout, Variable
from rolling.metrics.area import Domain
from rolling.metrics.protocol import EvaluationSetup
from rolling.metrics.spectra import Planar, spectrum, square
from rolling.physics.flow import Kinematics, Velocity, velocities, vorticities


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantity:
    """A function of frames: `of(frames [..., *space, variable])` is a number, field or spectrum.

    `weights [*space]` are those of an area mean, for fields; `kinetic` marks kinetic energies.
    """

    variable: Variable
    of: Callable[[np.ndarray], np.ndarray]
    weights: np.ndarray | None = None
    kinetic: bool = False

    def mean(self, field: np.ndarray) -> np.ndarray:
        """`[..., *space]` to `[...]`."""
        assert self.weights is not None, f"{self.variable.name} is no field"
        if (self.weights == 0).any():
            field = np.where(self.weights > 0, field, 0.0)
        return np.tensordot(field, self.weights, axes=self.weights.ndim)

    def everywhere(self, means: np.ndarray) -> np.ndarray:
        """Means `[...]` with axes of one for the cells, to broadcast against fields."""
        assert self.weights is not None, f"{self.variable.name} is no field"
        return means.reshape(*means.shape, *[1] * self.weights.ndim)


def spectral_quantities(setup: EvaluationSetup) -> tuple[Quantity, ...]:
    """Spectra of the variables without masked cells, and of kinetic energy if there is a flow."""
    energy, domain = spectrum(setup.layout), Domain.of(setup)

    def of_variable(channel: int, variable: Variable) -> Quantity:
        named = Variable(name=variable.name, units=square(variable.units))
        return Quantity(variable=named, of=lambda frames: energy(frames[..., channel]))

    fields = tuple(
        of_variable(channel, variable)
        for channel, variable in enumerate(setup.layout.variables)
        if domain.is_whole(channel)
    )
    return fields + kinetic_spectra(setup)


def kinetic_spectra(setup: EvaluationSetup) -> tuple[Quantity, ...]:
    """Of the velocities without masked cells; if there are no velocities, of doubly periodic vorticities.

    A velocity with fewer components than axes has none: it is a part of the energy.
    """
    layout, domain, energy = setup.layout, Domain.of(setup), spectrum(setup.layout)

    def of_velocity(pair: Velocity) -> Quantity:
        named = Variable(name=_label("kinetic_energy", pair, layout), units=square(_units(pair, layout)))
        return Quantity(
            variable=named,
            of=lambda frames: np.sum([energy(frames[..., c]) for c in pair.components], axis=0),
            kinetic=True,
        )

    def of_vorticity(plane: Planar, channel: int) -> Quantity:
        name = "kinetic_energy" + _level(layout.variables[channel].name)
        units = square(times(layout.variables[channel].units, layout.x.units))
        return Quantity(
            variable=Variable(name=name, units=units),
            of=lambda frames: plane.kinetic_of_vorticity(frames[..., channel]),
            kinetic=True,
        )

    pairs = velocities(layout)
    if not pairs and isinstance(energy, Planar) and layout.is_torus:
        return tuple(of_vorticity(energy, c) for c in vorticities(layout) if domain.is_whole(c))
    whole = (p for p in pairs if len(p.components) >= len(layout.axes))
    return tuple(of_velocity(p) for p in whole if all(map(domain.is_whole, p.components)))


def vorticity_fields(setup: EvaluationSetup) -> tuple[Quantity, ...]:
    """The vorticities among the variables; if there are none, those of the velocities."""
    layout, domain = setup.layout, Domain.of(setup)

    def of_variable(channel: int) -> Quantity:
        weights = domain.weights[..., channel]
        return Quantity(
            variable=layout.variables[channel], of=lambda frames: frames[..., channel], weights=weights
        )

    found = tuple(of_variable(channel) for channel in vorticities(layout))
    return found or _from_velocities(setup, "vorticity", Kinematics.vorticity)


def divergence_fields(setup: EvaluationSetup) -> tuple[Quantity, ...]:
    """The divergences of the velocities."""
    return _from_velocities(setup, "divergence", Kinematics.divergence)


def _from_velocities(setup: EvaluationSetup, name: str, operator: Callable) -> tuple[Quantity, ...]:
    layout, domain = setup.layout, Domain.of(setup)
    if len(layout.axes) != 2 or min(layout.space) < 2:
        return ()

    def of_velocity(pair: Velocity) -> Quantity | None:
        kinematics = Kinematics(
            layout=layout, holes=not (domain.is_whole(pair.u) and domain.is_whole(pair.v))
        )
        # A cell counts if both components have data there and the operator reaches no cell without data.
        there = np.minimum(domain.weights[..., pair.u], domain.weights[..., pair.v])
        template = np.where(there > 0, 0.0, np.nan)
        weights = np.where(np.isfinite(operator(kinematics, template, template)), there, 0.0)
        if weights.sum() == 0:
            return None
        metres = "m" if isinstance(layout.grid, LatLon) else layout.x.units
        named = Variable(name=_label(name, pair, layout), units=per(_units(pair, layout), metres))
        return Quantity(
            variable=named,
            of=lambda frames: operator(kinematics, frames[..., pair.u], frames[..., pair.v]),
            weights=weights / weights.sum(),
        )

    return tuple(quantity for quantity in map(of_velocity, velocities(layout)) if quantity is not None)


def _level(name: str) -> str:
    """`_500` of `u_500` or `u500`; empty if the name does not end in a number."""
    match = re.search(r"(\d+)$", name)
    return f"_{match.group()}" if match else ""


def _label(name: str, pair: Velocity, layout: Layout) -> str:
    level = _level(layout.names[pair.u])
    same = [p for p in velocities(layout) if _level(layout.names[p.u]) == level]
    return name + level if len(same) == 1 else f"{name}_{layout.names[pair.u]}"


def _units(pair: Velocity, layout: Layout) -> str:
    return layout.variables[pair.u].units


def times(units: str, other: str) -> str:
    return " ".join(u for u in (units, other) if u not in ("", "1")) or "1"


def per(units: str, other: str) -> str:
    """The units of a derivative: `m s-1` per `m` is `s-1`."""
    words = units.split()
    if other in words:
        words.remove(other)
        return " ".join(words) or "1"
    return times(units, "1" if other in ("", "1") else f"({other})-1")
