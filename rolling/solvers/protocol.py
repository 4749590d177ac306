"""The protocol of a solver, and the step that it takes."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from rolling.array_types import Clocks, Frames
from rolling.noise import NoiseSchedule, expand

Denoise = Callable[[Frames, Clocks], Frames]
"""`(z, logsnr) -> x`."""
Noise = Literal["none", "shared", "per_frame"]
"""The fresh noise of a step: none, one factor times the `sigma` of all frames, or each frame's own."""


class Step(NamedTuple):
    """From the clocks `t` to cleaner clocks `s`."""

    logsnr_t: Clocks
    logsnr_s: Clocks
    moving: Bool[Array, "#batch time"]
    """Whether the frame's clock moves in this step."""
    last: Bool[Array, "#batch time"]
    """Whether the frame reaches `tau = 0`."""

    def hold(self, new: Array, old: Array) -> Array:
        """`new` for frames that move; `old`, bit for bit, for those that do not."""
        return jnp.where(expand(self.moving, new), new, old)


def step_between(
    schedule: NoiseSchedule,
    tau_t: Float[Array, "*steps #batch time"],
    tau_s: Float[Array, "*steps #batch time"],
) -> Step:
    """The step from `tau_t` to `tau_s`, or one for each entry of the leading axes."""
    return Step(schedule.logsnr(tau_t), schedule.logsnr(tau_s), tau_s < tau_t, tau_s == 0)


@runtime_checkable
class Solver(Protocol):
    """`denoise(z, logsnr) -> x`; `noise(i)` is this step's `i`-th draw of Gaussian noise, shaped like `z`.

    A history is a tree of arrays `[batch, time, ...]`, each entry of which belongs to a frame. A solver that
    calls the network more than once per step shows it frames that do not move unchanged, at their own clocks.
    One whose first call shows moving frames at other clocks than `logsnr_t` has `at_own_clocks = False`.
    With several modalities `step` is run once for each of its calls, so that `denoise` is called in `step`
    itself, and not within a loop or a condition of `jax.lax`.
    """

    @property
    def calls(self) -> int:
        """Network calls (function evaluations, NFE) per step."""
        ...

    @property
    def noise(self) -> Noise:
        """The noise that a step draws."""
        ...

    def init(self, z: Frames) -> Any:
        """The history of fresh frames."""
        ...

    def step(
        self,
        denoise: Denoise,
        z: Frames,
        history: Any,
        step: Step,
        noise: Callable[[int], Frames],
    ) -> tuple[Frames, Any]: ...
