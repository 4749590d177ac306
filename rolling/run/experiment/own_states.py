"""States of the network's own rollout within a training: windows that are placed on the truth, and rolled."""

import dataclasses
from typing import NamedTuple

import einops
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from rolling.array_types import Clocks, Frames
from rolling.common.errors import InputError
from rolling.denoisers import Condition
from rolling.run.experiment.objectives import LossInputs, Params
from rolling.sampling.guidance import Denoisers
from rolling.sampling.own_rollout import own_rollout
from rolling.sampling.recipe import Sampling
from rolling.sampling.sampler import Sampler
from rolling.windows import Window, check_share


class OwnState(NamedTuple):
    """Of each clip of a batch: the frames in the window, and the old ones that are shown beside it."""

    frames: Frames
    memory: Array | None
    """As in `Condition.memory`; None where none are shown."""


@dataclasses.dataclass(frozen=True)
class OwnStates:
    """A share of the clips of a batch, rolled up to `cycles` cycles: as the experiment samples but without
    guidance, without gradient and without dropout."""

    share: float
    cycles: int

    def check(self, share: str) -> None:
        """Raises `InputError` unless the share, a field of this name, is a probability, and there is a
        cycle."""
        check_share(f"objective.{share}", self.share)
        if self.cycles < 1:
            raise InputError(f"objective.cycles must be a whole number of at least 1, not {self.cycles}")

    def frames(self, window: Window) -> int:
        """Frames of a clip: those of the window, wherever it is rolled."""
        return window.size + self.cycles * window.stride

    def past(self, sampling: Sampling) -> tuple[int, ...]:
        """`Objective.past`: all old frames that a rollout keeps, as those that are shown change while the
        window moves."""
        return tuple(range(sampling.memory.frames(sampling.window), 0, -1))

    def clips(self, batch: int) -> int:
        """How many clips of a batch are rolled: the first ones, as a batch is in random order."""
        return min(batch, max(1, round(self.share * batch))) if self.share > 0 else 0

    def counts(self, key: Key[Array, ""], batch: int) -> Int[Array, " batch"]:
        """Cycles that each clip is rolled, `k ~ U{1 .. cycles}`; 0 for those that are not."""
        cycles = jax.random.randint(key, (batch,), 1, self.cycles + 1)
        return jnp.where(jnp.arange(batch) < self.clips(batch), cycles, 0)

    def rolled(
        self,
        inputs: LossInputs,
        params: Params,
        x: Frames,
        condition: Condition,
        count: Int[Array, " batch"],
        key: Key[Array, ""],
    ) -> OwnState:
        """The window of each clip after its cycles, its context clean; the truth where it is not rolled. The
        old frames of `condition` are all that a rollout keeps, see `past`."""
        return self._rolled(_sampler(inputs), inputs, params, x, condition, count, jnp.zeros_like(count), key)

    def within_a_cycle(
        self,
        inputs: LossInputs,
        params: Params,
        x: Frames,
        condition: Condition,
        count: Int[Array, " batch"],
        done: Int[Array, " batch"],
        logsnr: Clocks,
        key: Key[Array, ""],
    ) -> OwnState:
        """The same after `count` cycles and `done` steps of the next one, as a rollout shows it to the
        network at the clocks `logsnr` of that state: its context with the noise that it is seen with."""
        sampler, steps = _sampler(inputs), inputs.recipe.cycle_steps
        z, memory = self._rolled(sampler, inputs, params, x, condition, count, done, key, steps)
        rolled = self.clips(len(x))
        keys, first = jax.random.split(key, rolled), count[:rolled] * sampler.window.stride

        def shown(z, key, first, logsnr):
            return sampler.shown(z[None], key[None], first, logsnr[None])[0]

        z = z.at[:rolled].set(jax.vmap(shown)(z[:rolled], keys, first, logsnr[:rolled]))
        return OwnState(z, memory)

    def _rolled(self, sampler, inputs, params, x, condition, count, done, key, steps=1) -> OwnState:
        rolled, past = self.clips(len(x)), None
        if condition.memory is not None:
            past = einops.rearrange(condition.memory, "b ... (t c) -> b t ... c", c=x.shape[-1])
        true = OwnState(x[:, : sampler.window.size], sampler.recipe.memory.shown(past))
        if rolled == 0:
            return true
        network = Denoisers(inputs.denoiser(jax.lax.stop_gradient(params), None), units=inputs.units)
        those = condition.map(frames=lambda part: part[:rolled], sequences=lambda part: part[:rolled])
        keys, past = jax.random.split(key, rolled), None if past is None else past[:rolled]
        states = own_rollout(sampler, network, x[:rolled], keys, those, self.cycles, steps, past)
        count, done, clip = count[:rolled], done[:rolled], jnp.arange(rolled)
        memory = None if states.memory is None else states.memory[count, clip]
        own = OwnState(states.frames[count, done, clip], memory)
        return jax.tree.map(lambda own, true: jnp.concatenate([own, true[rolled:]]), own, true)


def _sampler(inputs: LossInputs) -> Sampler:
    return Sampler(dataclasses.replace(inputs.recipe.recipe, guidance=(), truncate_tail=False))
