"""Restarts: frames that are nearly finished are noised once more and denoised again."""

import dataclasses
import math
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from rolling.common.checks import check_least
from rolling.common.errors import InputError
from rolling.windows import rounded

if TYPE_CHECKING:
    from rolling.sampling.recipe import Sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Restart:
    """At the end of a cycle all frames behind the context go back to its time `level` and are denoised again.

    A frame whose clock is at `s` at the end of the cycle, and at `t` at its time `level`, is drawn from the
    exact forward transition `q(z_t | z_s)` (`rolling.noise.diffuse_further`). What the network is shown are
    clocks of the cycle, which it was trained on, and with an exact denoiser the distribution of the frames
    stays what it is, while a part of what went wrong on the way is forgotten. The context is left alone, and
    what it holds that is wrong comes back.

    Restart sampling (Xu et al., arXiv 2306.14878) does so with pictures, from the last step or on the way;
    RePaint's resampling (Lugmayr et al., arXiv 2201.09865) with ancestral steps, to bring what is painted
    into line with what was given.

    The way back takes `ceil(level * cycle_steps)` steps, spaced as those of a cycle are, so that steps are no
    larger than the cycle's; `Sampling.network_calls` counts them. A multistep solver begins them anew. Raises
    `InputError` for numbers out of range, and, as a part of a `Sampling`, where all frames would be pure
    noise again, and for noise that is correlated between frames that are not finished together: what each
    clock would add has another correlation.
    """

    times: int = 0
    """How often, one after another; 0: never."""
    level: float = 0.5
    """The time of the cycle to go back to: 0 is its end, 1 its beginning."""
    every: int = 1
    """In each so many cycles there is one that restarts."""

    def __post_init__(self):
        check_least("restart", self, "times")
        check_least("restart", self, "every", least=1)
        if not 0 < self.level <= 1:
            raise InputError(f"a restart goes back to a level in (0, 1], not {self.level}")

    def check(self, sampling: "Sampling") -> None:
        """Raises `InputError` for a way of sampling that it does not suit."""
        if not self.times:
            return
        window = sampling.window
        tau = np.asarray(rounded(window.cycle(jnp.asarray([self.level]))))[0, window.context :]
        if (tau == 1).all():
            raise InputError(
                f"a restart from level {self.level:g} throws all frames of this window away, as they are pure"
                " noise there: choose a lower --restart.level"
            )
        if sampling.noise.memory and not sampling.all_enter_at_once:
            raise InputError(
                "a restart adds noise to frames with different clocks, which cannot be right where the noise"
                " of neighbouring frames is correlated: choose --noise independent, or no restart"
            )

    def steps(self, cycle_steps: int) -> int:
        """Solver steps of one way back."""
        return max(1, math.ceil(self.level * cycle_steps - 1e-6))

    def more_steps(self, cycle_steps: int) -> float:
        """Solver steps of all restarts, on average over cycles."""
        return self.times * self.steps(cycle_steps) / self.every
