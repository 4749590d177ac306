"""Flow past a round obstacle, whose wake is a street of eddies."""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from rolling.common.checks import check_finite
from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.layout import Layout
from rolling.physics.fourier_fields import check, check_step, spin_up_frames, truncate_box
from rolling.physics.simulators import VELOCITY

State = Float[Array, "3 grid length"]  # u, v and the obstacle
Modes = Complex[Array, "2 grid half"]  # of u and v

SHOWN = 2  # heights along x that frames show
BOX = 2.5  # of the periodic box, which ends with the fringe
PLACE = (1 / 3, 1 / 2)  # of the obstacle's centre along x, in heights
DAMPING = 4.0  # in the middle of the fringe, per unit of time
DISTURBANCE = 0.3  # root mean square speed of the first eddies
EDDIES = 2.0  # wavenumber up to which they have energy


class Stepper(NamedTuple):
    """What a time step needs, beside the state."""

    viscosity: Array | float
    kx: Float[np.ndarray, "grid half"]
    ky: Float[np.ndarray, "grid half"]
    changing: Float[np.ndarray, "grid half"]
    """1 for waves that are kept, 0 for shorter ones and for the mean, which stays."""
    fringe: Float[np.ndarray, "1 length"]
    """The rate at which the flow is drawn to the inflow."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wake:
    """Flow past a round obstacle, which sheds eddies in turn from both of its sides:

        du/dt + u . grad u = -grad p + viscosity lap u - chi u / permeability - lambda (u - (1, 0)),
        div u = 0.

    `chi` is 1 in the obstacle and 0 outside: a body so hardly permeable that the flow comes to rest in it
    (Angot, Bruneau and Fabrie 1999, doi 10.1007/s002110050401; by Fourier modes Kevlahan and Ghidaglia 2001,
    doi 10.1016/S0997-7546(00)01121-3). The box is periodic; `lambda` is above 0 in a fringe behind what
    frames show only, where the wake fades and the flow becomes uniform again (Nordstroem, Nordin and
    Henningson 1999, doi 10.1137/S1064827596310251). Its mean over the box is (1, 0) at all times. Steps in
    time are those of Runge and Kutta, of fourth order, and products are dealiased by the rule of 2/3.

    Lengths are in units of the obstacle's typical diameter, speeds in those of the inflow. Each trajectory
    has an obstacle of its own, in diameter and place, told as a constant field. The Reynolds number `Re` is
    its diameter over `viscosity`. From about 47 on eddies are shed: without walls or neighbours
    `0.2175 - 5.1064 / Re` from each side in the time in which the inflow goes one diameter (Williamson 1989,
    doi 10.1017/S0022112089002429, up to 180). Here the obstacle and its periodic images block a part
    `diameter / height` of the flow and make the rest faster: at `Re = 100` they shed 0.189 at a height of 6,
    on a grid of 96, in place of 0.166. A grid of 48 has 6 % less than that one, 3 at 80 and 8 at 140.
    """

    resolution: int = 32
    """Cells along y of the frames, which have twice as many along x; even."""
    grid: int = 48
    """Cells along y of the simulation, no fewer; even. Waves that are longer than three of them are kept."""
    height: float = 6.0
    """Of the frames, which are periodic along y and twice as long."""
    smallest: float = 0.8
    """Diameter of the smallest obstacle."""
    largest: float = 1.2
    """Diameter of the largest one."""
    viscosity: float = 0.01
    """One over the Reynolds number of an obstacle of diameter 1."""
    permeability: float = 0.02
    """Of the obstacle: the time in which the flow in it comes to rest."""
    dt: float = 0.04
    """Time step of the simulation."""
    interval: float = 0.4
    """Time between frames."""
    spin_up: float = 24.0
    """Time that is simulated before the first frame."""
    varying: ClassVar[tuple[str, ...]] = ("viscosity",)
    constant_names: ClassVar[tuple[str, ...]] = ("obstacle",)

    def __post_init__(self):
        check(self)
        positive = ("height", "smallest", "largest", "viscosity", "permeability")
        check_finite("simulator", self, *positive, above=0)
        _check_cells(self)
        # Runge and Kutta's method of fourth order is stable while a step is no longer than 2.78 over the rate
        # at which anything is damped, nor than 2.82 over that at which it oscillates. Speeds stay below 2.
        shortest = 2 * math.pi / (3 * self.spacing)
        damped = max(1 / self.permeability, DAMPING) + 2 * self.viscosity * shortest**2
        words = f"at a permeability of {self.permeability} and a viscosity of {self.viscosity}"
        check_step(self, 2.75 / damped, words)
        check_step(self, 2.8 / (2 * shortest), f"on a grid of {self.grid} cells")

    @property
    def spacing(self) -> float:
        """The distance between cells of the simulation."""
        return self.height / self.grid

    @property
    def box(self) -> tuple[int, int]:
        """Cells of the simulation along y and x."""
        return self.grid, round(BOX * self.grid)

    @property
    def layout(self) -> Layout:
        y, x = (
            tuple(self.height * i / self.resolution for i in range(heights * self.resolution))
            for heights in (1, SHOWN)
        )
        axes = (Axis(name="y", values=y, boundary="periodic"), Axis(name="x", values=x, boundary="open"))
        return Layout(variables=VELOCITY, axes=axes, step=self.interval)

    @property
    def spin_up_frames(self) -> int:
        return spin_up_frames(self)

    def initial(self, key: jax.Array) -> State:
        """The inflow everywhere, with eddies that keep the wake from being symmetric, and an obstacle."""
        place, eddies = jax.random.split(key)
        return jnp.concatenate([self._disturbed(eddies), self._obstacle(place)[None]])

    def stepper(self) -> Stepper:
        kx, ky = self._waves()
        kept = np.maximum(np.abs(kx), np.abs(ky)) < 2 * math.pi / (3 * self.spacing)
        # From 0 to 1 along the fringe, at both of whose ends it is smooth.
        place = (np.arange(self.box[1]) / self.grid - SHOWN) / (BOX - SHOWN)
        return Stepper(
            viscosity=self.viscosity,
            kx=kx,
            ky=ky,
            changing=(kept & (kx**2 + ky**2 > 0)).astype(float),
            fringe=np.where(place > 0, DAMPING * np.sin(math.pi * place) ** 2, 0.0)[None],
        )

    def advance(self, stepper: Stepper, state: State) -> State:
        resistance = state[2] / self.permeability + stepper.fringe

        def step(_, flow: Modes) -> Modes:
            first = change(flow, resistance, stepper)
            second = change(flow + self.dt / 2 * first, resistance, stepper)
            third = change(flow + self.dt / 2 * second, resistance, stepper)
            fourth = change(flow + self.dt * third, resistance, stepper)
            return flow + self.dt / 6 * (first + 2 * second + 2 * third + fourth)

        flow = jax.lax.fori_loop(0, round(self.interval / self.dt), step, jnp.fft.rfft2(state[:2]))
        return jnp.concatenate([jnp.fft.irfft2(flow, s=self.box), state[2:]])

    def frame(self, state: State) -> Float[Array, "y x 2"]:
        """Without the fringe, truncated in Fourier space."""
        cells = (self.resolution, round(BOX * self.resolution))
        parts = [truncate_box(jnp.fft.rfft2(field), self.box, cells) for field in state[:2]]
        return jnp.stack(parts, axis=-1)[:, : SHOWN * self.resolution]

    def constants(self, state: State) -> Float[Array, "y x 1"]:
        """1 in cells of the obstacle, 0 outside, linear between cells of the simulation."""
        cells = (self.grid / self.resolution * jnp.arange(n * self.resolution) for n in (1, SHOWN))
        places = jnp.meshgrid(*cells, indexing="ij")
        return jax.scipy.ndimage.map_coordinates(state[2], places, order=1, mode="wrap")[..., None]

    def _waves(self) -> tuple[np.ndarray, np.ndarray]:
        """Wavenumbers of the box along x and y, `[grid, half]`."""
        height, length = self.box
        kx = 2 * math.pi * np.fft.rfftfreq(length, self.spacing)
        kx, ky = np.meshgrid(kx, 2 * math.pi * np.fft.fftfreq(height, self.spacing))
        return kx, ky

    def _obstacle(self, key: jax.Array) -> Float[Array, "grid length"]:
        """1 inside and 0 outside; cells on the edge have a part of it."""
        low = jnp.array([self.smallest, PLACE[0] * self.height, 0])
        high = jnp.array([self.largest, PLACE[1] * self.height, self.height])
        diameter, ahead, above = jax.random.uniform(key, (3,), minval=low, maxval=high)
        y, x = (self.spacing * jnp.arange(count) for count in self.box)
        up = (y - above + self.height / 2) % self.height - self.height / 2
        beyond = jnp.hypot(up[:, None], (x - ahead)[None, :]) - diameter / 2
        return jnp.clip(0.5 - beyond / self.spacing, 0, 1)

    def _disturbed(self, key: jax.Array) -> Float[Array, "2 grid length"]:
        kx, ky = self._waves()
        psi = jnp.fft.rfft2(jax.random.normal(key, self.box)) * jnp.exp(-(kx**2 + ky**2) / EDDIES**2)
        eddies = jnp.fft.irfft2(jnp.stack([-1j * ky * psi, 1j * kx * psi]), s=self.box)
        eddies = DISTURBANCE * eddies / jnp.sqrt((eddies**2).sum(0).mean())
        return eddies + jnp.array([1.0, 0.0])[:, None, None]


def change(flow: Modes, resistance: Float[Array, "grid length"], stepper: Stepper) -> Modes:
    """`d flow / dt`, whose part along each wave, that of the pressure, is taken out."""
    kx, ky, box = stepper.kx, stepper.ky, resistance.shape
    square = kx**2 + ky**2
    vorticity = 1j * (kx * flow[1] - ky * flow[0])
    u, v, w = jnp.fft.irfft2(jnp.concatenate([flow, vorticity[None]]), s=box)
    # u . grad u = (-v w, u w) + grad (u^2 + v^2) / 2, whose last part belongs to the pressure.
    force = jnp.stack([v * w - resistance * u + stepper.fringe, -u * w - resistance * v])
    force_u, force_v = jnp.fft.rfft2(force) * stepper.changing[None]
    along = (kx * force_u + ky * force_v) / np.where(square > 0, square, 1)
    return jnp.stack([force_u - kx * along, force_v - ky * along]) - stepper.viscosity * square[None] * flow


def _check_cells(wake: Wake) -> None:
    """Raises `InputError` for cells that do not fill the box, or do not resolve the flow."""
    for name in ("resolution", "grid"):
        if getattr(wake, name) % 2:
            raise InputError(f"simulator.{name} of Wake must be even, not {getattr(wake, name)}")
    fewest = 4 * wake.spacing
    if not fewest <= wake.smallest <= wake.largest <= wake.height / 2:
        raise InputError(
            f"obstacles with diameters from {wake.smallest:g} to {wake.largest:g} do not suit Wake: they must"
            f" lie in order between {fewest:.3g}, four cells of the simulation, and {wake.height / 2:g}, half"
            " of the height"
        )
    thinnest = wake.spacing / 25
    if wake.viscosity < thinnest:
        raise InputError(
            f"the layers around the obstacle at a viscosity of {wake.viscosity:g} are not resolved by a grid"
            f" of {wake.grid} cells: simulator.viscosity must be at least {thinnest:.2g}, or the grid finer"
        )
