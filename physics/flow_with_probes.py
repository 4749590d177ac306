"""A turbulent flow that carries a tracer, and probes of the tracer."""

import dataclasses
import math
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rolling.common.checks import check_finite, check_least
from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.physics.fourier_fields import periodic_layout, shown, stepped
from rolling.physics.simulators import VORTICITY, KolmogorovFlow, check_exact_spin_up

State = Float[Array, "2 grid grid"]  # the vorticity and the tracer
PARTS = ("field", "probes")
TRACER = Variable(name="tracer", long_name="tracer, apart from its mean gradient")


@dataclasses.dataclass(frozen=True, kw_only=True)
class KolmogorovTracer(KolmogorovFlow):
    """The flow of `Kolmogorov`, which carries a tracer: as a field, or as point probes see it.

        dw/dt + u . grad w = nu lap w - drag w - mode forcing cos(mode y),
        dc/dt + u . grad c = kappa lap c - gradient v,    (x, y) in [0, 2 pi)^2,

    with the vorticity `w = dv/dx - du/dy` of the velocity `(u, v)`. `c` is what a tracer has beside a uniform
    gradient along y, which the flow stirs and never uses up (Holzer and Siggia 1994, doi 10.1063/1.868243):
    in the steady state `-gradient <v c>`, the rate at which half its variance is made, is that at which
    diffusion destroys it, `kappa <|grad c|^2>`. The mean of `c` is 0, and so is all of it at the start.
    Lengths and times are dimensionless.

    Probe `i` of `n` is in column `i` and row `i step mod n` of `n` columns and rows, in the cell of a frame
    that begins there or before: a lattice that closes on itself round both sides, with the `step` by which
    the closest two are farthest apart. No two share a row or a column, and each sees the next one in the same
    direction, as far as whole cells allow.

    **The same trajectories, seen twice**, as those of `Lorenz96` are: states depend on neither `part`,
    `probes` nor `interval`, and with all other settings, seeds and counts equal they are identical to the
    bit. A probe sees the tracer that the field has in its cell. Frame `i` of the field every 0.4 is at the
    time of frame `4 i + 3` of the probes every 0.1.

    Both parts have constant fields, the sines and cosines of `x` and `y`: a network is told where cells and
    probes are, which it could not know from the flow.
    """

    dt: float = 0.025
    """Time step of the simulation."""
    part: Literal["field", "probes"] = "field"
    """What a frame holds: vorticity and tracer on all cells, or the tracer at the probes."""
    probes: int = 16
    """Their number, at most the resolution."""
    diffusivity: float = 0.01
    """The `kappa` of the equation: lower needs a finer grid."""
    gradient: float = 1.0
    """The mean gradient of the tracer along y, by which all of `c` is multiplied."""
    varying: ClassVar[tuple[str, ...]] = (*KolmogorovFlow.varying, "diffusivity")
    constant_names: ClassVar[tuple[str, ...]] = ("cos_x", "sin_x", "cos_y", "sin_y")

    def __post_init__(self):
        super().__post_init__()
        if self.part not in PARTS:
            raise InputError(f"simulator.part must be one of {', '.join(PARTS)}, not {self.part!r}")
        check_least("simulator", self, "probes", least=1, most=self.resolution)
        check_least("simulator", self, "diffusivity")
        check_finite("simulator", self, "gradient")
        check_exact_spin_up(self)

    @property
    def layout(self) -> Layout:
        if self.part == "field":
            return periodic_layout((VORTICITY, TRACER), 2 * math.pi, self.resolution, self.interval, 2)
        numbers = tuple(float(i) for i in range(self.probes))
        return Layout(
            variables=(TRACER,),
            axes=(Axis(name="probe", values=numbers, boundary="periodic"),),
            step=self.interval,
        )

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows and the columns, `[probe]` each, of the cells of a frame that have a probe."""
        columns = np.arange(self.probes)
        rows = columns * _step(self.probes) % self.probes
        return rows * self.resolution // self.probes, columns * self.resolution // self.probes

    def initial(self, key: jax.Array) -> State:
        eddies = self.eddies(key)
        return jnp.stack([eddies, jnp.zeros_like(eddies)])

    def stepper(self):
        from rolling.physics.carried_tracer import TracerFlow  # here, as exponax is slow to import

        names = ("viscosity", "drag", "diffusivity", "mode", "forcing", "gradient")
        settings = {name: getattr(self, name) for name in names}
        return TracerFlow(2, 2 * math.pi, self.grid, self.dt, **settings, order=4)

    def advance(self, stepper: Any, state: State) -> State:
        # Back to real values in each step: states would else depend on how many a frame has.
        count = round(self.interval / self.dt)
        return jax.lax.fori_loop(0, count, lambda _, fields: stepped(stepper, fields, 1), state)

    def frame(self, state: State) -> Float[Array, "*space variable"]:
        frame = shown(state, self.resolution)
        return frame if self.part == "field" else frame[self.places][:, 1:]

    def constants(self, state: State) -> Float[Array, "*space 4"]:
        along = 2 * jnp.pi / self.resolution * jnp.arange(self.resolution)
        y, x = jnp.meshgrid(along, along, indexing="ij")
        waves = jnp.stack([jnp.cos(x), jnp.sin(x), jnp.cos(y), jnp.sin(y)], axis=-1)
        return waves if self.part == "field" else waves[self.places]


def _step(count: int) -> int:
    """Rows from one probe to the next, such that the closest two on the torus are farthest apart."""

    def closest(step: int) -> float:
        columns = np.arange(1, count)
        rows = columns * step % count
        x, y = (np.minimum(along, count - along) for along in (columns, rows))
        return min(x**2 + y**2, default=math.inf)

    return max((step for step in range(1, count + 1) if math.gcd(step, count) == 1), key=closest)
