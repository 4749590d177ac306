"""One window's step forward: how frames enter, are denoised, finish and leave.

The whole state is the `Carry`. Each method is a pure function of it and knows nothing of the length of a
rollout; `rollout.py` has the loop.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from rolling.array_types import Clocks, ContextFrames, Frames, PastFrames
from rolling.common.errors import InputError
from rolling.denoisers import Condition
from rolling.noise import diffuse, diffuse_further, expand
from rolling.noise.prior import CONTEXT, FRESH, RESTART, Generator, gaussian
from rolling.sampling.carry import Carry
from rolling.sampling.constraints import Units
from rolling.sampling.guidance import Denoisers, Schedules, guided
from rolling.sampling.recipe import Sampling
from rolling.sampling.sweeps import State
from rolling.solvers import Denoise, Step, step_between
from rolling.windows import Window, in_context, rounded, warmup_steps

FOREVER = np.iinfo(np.int32).max


@dataclasses.dataclass(frozen=True)
class Sampler:
    """A window's step forward, as the recipe says; `generator` draws all noise."""

    recipe: Sampling
    generator: Generator = gaussian

    @property
    def window(self) -> Window:
        return self.recipe.window

    def check(self, given: Frames, frames: int) -> None:
        """Raises `InputError` unless so many frames can be rolled out after the given ones."""
        if given.shape[1] != self.recipe.given_frames:
            raise InputError(
                f"the rollout needs {self.recipe.given_frames} given frames, not {given.shape[1]}"
            )

    def begin(self, given: Frames, key: Key[Array, " batch"]) -> Carry:
        """The given frames `[batch, m, ...]`, of which the last ones are the context, and pure noise after
        them. Frame 0 is the first of them."""
        n, first = self.window.context, given.shape[1] - self.window.context
        if first < 0:
            raise InputError(f"the window needs {n} frames of context, not {given.shape[1]}")
        past, context = given[:, :first], given[:, first:]
        noise = self._warm_noise(key, first + n, self.window.size - n, FRESH, context)
        memory = self.recipe.memory.begun(past, context, self.window)
        return self._carry(jnp.concatenate([context, noise], axis=1), key, first, memory)

    def place(
        self, x: Frames, key: Key[Array, " batch"], first: int, end=FOREVER, past: PastFrames | None = None
    ) -> Carry:
        """Clean frames `[batch, size, ...]` of which the first is frame `first`, each after the context
        diffused to the clock with which a cycle begins; pure noise from frame `end` on if the tail is
        truncated. `past [batch, m, ...]` are the frames before them."""
        noise = self._warm_noise(key, first, self.window.size, FRESH, x)
        tau = rounded(self.window.cycle(jnp.ones(1, x.dtype)))
        z = diffuse(x, noise, self.recipe.schedule.logsnr(tau))
        if self.recipe.truncate_tail:
            z = jnp.where(expand((first + jnp.arange(self.window.size) < end)[None], z), z, noise)
        memory = self.recipe.memory.begun(past, x, self.window)
        return self._carry(jnp.where(self._in_context(x), x, z), key, first, memory)

    def _carry(self, z, key, first, memory) -> Carry:
        first, step = jnp.asarray(first, jnp.int32), jnp.zeros((), jnp.int32)
        key = jnp.copy(key)  # the carry's memory is given away, the caller's key is not
        given = z[:, : self.window.context] if self.recipe.corrections else None
        history = self.recipe.solver.init(z)
        return Carry(z=z, history=history, first=first, step=step, key=key, given=given, memory=memory)

    def warm_up(self, denoiser, carry: Carry, condition: Condition, end=FOREVER) -> Carry:
        steps = warmup_steps(self.window, self.recipe.cycle_steps)
        return self._sweep(self.window.warmup, steps, denoiser, carry, condition, end)

    def cycle(self, denoiser, carry: Carry, condition: Condition, end=FOREVER, done: int = 0) -> Carry:
        """One cycle, of which `done` steps are done; `end` is the index of the first frame that a rollout
        with its tail truncated lacks."""
        return self._sweep(self.window.cycle, self.recipe.cycle_steps, denoiser, carry, condition, end, done)

    def seen(self, condition: Condition, carry: Carry, begun: Carry | None = None) -> Condition:
        """What is known of the frames in the window. The first frame of `condition` is frame 0, or the first
        of the window of `begun`."""
        origin = 0 if begun is None else begun.first
        return condition.window(carry.first - origin, self.window.size)

    def first_steps(
        self, denoiser, carry: Carry, condition: Condition, count: int
    ) -> tuple[Float[Array, "step batch window *space channel"], Carry]:
        """The frames of the carry where each of the first `count` steps of a cycle begins, and the carry
        where the last of them does. The steps run one after another, whatever the recipe's sweep."""
        carry = self.told(carry, condition)
        if count == 1:
            return carry.z[None], carry
        _, plan, network = self._planned(
            self.window.cycle, self.recipe.cycle_steps, denoiser, carry, condition, FOREVER
        )

        def one(carry, step):
            after = self._solve(jax.tree.map(lambda part: part[None], step), network, carry)
            return after, after.z

        last, later = jax.lax.scan(one, carry, jax.tree.map(lambda part: part[: count - 1], plan))
        return jnp.concatenate([carry.z[None], later]), last

    def shown(self, z: Frames, key: Key[Array, " batch"], first, logsnr: Clocks) -> Frames:
        """Frames of a carry whose slot 0 has frame `first`, as the network is shown them at the clocks
        `logsnr`: with their context, which is clean in the carry, diffused to its clocks."""
        return self._show(z, key, first)(z, logsnr)

    def show(self, carry: Carry) -> Callable[[Frames, Clocks], Frames]:
        """`show(z, logsnr)` for the window of a carry: see `shown`."""
        return self._show(carry.z, carry.key, carry.first)

    def finished(self, carry: Carry) -> Frames:
        n = self.window.context
        return carry.z[:, n : n + self.window.stride]

    def shift(self, carry: Carry) -> Carry:
        """Drops `stride` frames on the left with their history, appends pure noise on the right."""
        stride, size = self.window.stride, self.window.size
        noise = self._warm_noise(carry.key, carry.first + size, stride, FRESH, carry.z)

        def append(old, new):
            return jnp.concatenate([old[:, stride:], new], axis=1)

        return dataclasses.replace(
            carry,
            z=append(carry.z, noise),
            history=jax.tree.map(append, carry.history, self.recipe.solver.init(noise)),
            first=carry.first + stride,
            memory=self.recipe.memory.moved(carry.memory, carry.z[:, :stride]),
        )

    def informed(self, condition: Condition, carry: Carry) -> Condition:
        """What the network is told of the window, and with it the old frames that it sees."""
        memory = condition.memory if carry.memory is None else self.recipe.memory.shown(carry.memory)
        return dataclasses.replace(condition, memory=memory, known=None)

    def told(self, carry: Carry, condition: Condition) -> Carry:
        """The carry with the frames of its window that are known."""
        if condition.known is None:
            return carry
        frames, there = condition.known
        return dataclasses.replace(carry, z=jnp.where(expand(there, carry.z), frames, carry.z))

    def unseen(self, carry: Carry) -> Frames:
        """The window of a carry as pure noise."""
        return self._noise(carry.key, carry.first, self.window.size, CONTEXT, carry.z)

    def _noise(self, key, first, count, fold, like) -> Array:
        """Unit noise of `count` frames for frames like `like`."""

        def draw(frame):
            return self.generator(key, frame, fold, like.shape[2:], like.dtype)

        return self.recipe.noise(draw, first, count, restart=self.recipe.all_enter_at_once)

    def _warm_noise(self, key, first, count, fold, like) -> Array:
        """The noise that frames are made of. That of a context which is only shown is unit noise, as the
        network is told its level."""
        noise = self._noise(key, first, count, fold, like)
        return noise if self.recipe.temperature == 1 else self.recipe.temperature * noise

    def _in_context(self, z: Frames) -> Array:
        return expand(in_context(self.window, (1, self.window.size)), z)

    def plan(self, clocks: Callable, times: np.ndarray, dtype) -> tuple[Step, bool]:
        """The steps between falling times, constants of the program, and whether they show the context with
        noise."""

        def plan_of(grid):
            tau = rounded(clocks(grid))[:, None, :]
            plan = step_between(self.recipe.schedule, tau[:-1], tau[1:])
            return plan, jnp.any((tau > 0) & in_context(self.window, tau.shape))

        # Jitted, as each operation on its own would be compiled for each length.
        with jax.ensure_compile_time_eval():
            plan, noisy = jax.jit(plan_of)(jnp.asarray(times, dtype))
            return plan, bool(noisy)

    def _network(self, denoisers: Denoisers, carry: Carry, condition: Condition, noisy: bool) -> Callable:
        """`network(z, logsnr)` for any number of copies of the batch."""
        n, weak, condition = self.window.context, denoisers.weak, self.informed(condition, carry)
        strong, weak = self.recipe.partition(denoisers.strong), weak and self.recipe.partition(weak)
        if noisy or self.recipe.guidance:
            show = self.show(carry)
            schedules = Schedules(self.window, self.recipe.schedule)
            strong = guided(strong, weak, self.recipe.guidance, schedules, show)

        def network(z, logsnr):
            copies = len(z) // len(carry.z)
            x = strong(z, logsnr, condition if copies == 1 else condition.copies(copies))
            context = jnp.concatenate([carry.z[:, :n]] * copies)
            return self.constrained(x, context, denoisers.units)

        return network

    def _show(self, clean: Frames, key: Key[Array, " batch"], first) -> Callable:
        """`show(z, logsnr)`, for any number of copies of the batch: the context, which is `clean` in the
        carry, diffused to the clocks of its labels."""
        noise = self._noise(key, first, self.window.size, CONTEXT, clean)
        least = self.recipe.schedule.logsnr(jnp.zeros((1, 1), clean.dtype))

        def show(z, logsnr):
            copies = len(z) // len(noise)
            x, eps = (jnp.concatenate([part] * copies) for part in (clean, noise))
            shown = jnp.where(expand(logsnr < least, z), diffuse(x, eps, logsnr), x)
            return jnp.where(self._in_context(z), shown, z)

        return show

    def constrained(
        self, x: Frames, context: ContextFrames, units: Units | None, stop: int | None = None
    ) -> Frames:
        """`x` with its frames behind the context, up to `stop`, constrained."""
        if not self.recipe.constraints:
            return x
        frames = slice(self.window.context, stop)
        found = x[:, frames]
        for part in self.recipe.constraints:
            found = part.constrain(found, context, known_units(units))
        return x.at[:, frames].set(found)

    def _corrected(
        self, z: Frames, frames: slice, given: ContextFrames | None, units: Units | None
    ) -> Frames:
        """`z` with some of its frames, which are finished, corrected."""
        if given is None:
            return z
        found = z[:, frames]
        for part in self.recipe.corrections:
            found = part.correct(found, given, known_units(units))
        return z.at[:, frames].set(found)

    def _planned(self, clocks, steps, denoiser, carry, condition, end) -> tuple[Denoisers, Step, Callable]:
        """What a sweep from `t = 1` to `t = 0` takes: the denoisers, its steps, and `network(z, logsnr)`."""
        denoisers = denoiser if isinstance(denoiser, Denoisers) else Denoisers(denoiser)
        plan, noisy = self.plan(clocks, self.recipe.spacing.times(steps), carry.z.dtype)
        network = self._network(denoisers, carry, condition, noisy)
        return denoisers, self.standing(plan, carry, condition, end), network

    def _sweep(self, clocks, steps, denoiser, carry, condition, end, done=0) -> Carry:
        """Solves from `t = 1`, or from where so many steps are done, to `t = 0`, and again where there are
        restarts."""
        carry = self.told(carry, condition)
        denoisers, plan, network = self._planned(clocks, steps, denoiser, carry, condition, end)
        plan = jax.tree.map(lambda part: part[done:], plan) if done else plan
        carry = self._solve(plan, network, carry)
        if self.recipe.restart.times:
            carry = self._restarted(denoisers, carry, condition, end)
        # Solvers of higher order end beside their last prediction, and all of them at the lowest noise level.
        n = self.window.context
        stop = n + self.window.stride
        z = self._corrected(carry.z, slice(n, stop), carry.given, denoisers.units)
        z = self.constrained(z, z[:, :n], denoisers.units, stop)
        return self.told(dataclasses.replace(carry, z=z), condition)

    def move(self, carry: Carry, i, step: Step, state: State, denoise: Denoise) -> State:
        """Step `i` of a sweep that began at `carry`."""

        def noise(draw: int) -> Frames:
            # One fold per draw: a solver that draws twice in a step gets two streams.
            key = carry.key if draw == 0 else jax.vmap(partial(jax.random.fold_in, data=draw))(carry.key)
            return self._warm_noise(key, carry.first, self.window.size, carry.step + i + 1, carry.z)

        before, history = state
        moved = self.recipe.solver.step(denoise, before, history, step, noise)
        z, history = jax.tree.map(step.hold, moved, state)
        # Context whose clock runs is shown at other levels (`show`), and is not denoised.
        return jnp.where(self._in_context(z), before, z), history

    def _solve(self, plan: Step, network: Callable, carry: Carry) -> Carry:
        """The carry after all steps of a plan."""
        move = partial(self.move, carry)
        z, history = self.recipe.sweep(move, network, (carry.z, carry.history), plan)
        return dataclasses.replace(carry, z=z, history=history, step=carry.step + len(plan.moving))

    def _restarted(self, denoisers: Denoisers, carry: Carry, condition: Condition, end) -> Carry:
        """The carry at the end of a cycle, or of the warm-up, which ends at the same clocks, after the
        restarts that are due. Cycles are counted by the frames, so that one that is resumed goes on alike."""
        restart = self.recipe.restart
        times = restart.level * self.recipe.spacing.times(restart.steps(self.recipe.cycle_steps))
        plan, noisy = self.plan(self.window.cycle, times, carry.z.dtype)
        plan = self.standing(plan, carry, condition, end)

        def once(i, carry: Carry) -> Carry:
            carry = self._noised(carry, i, plan.logsnr_s[-1], plan.logsnr_t[0])
            return self._solve(plan, self._network(denoisers, carry, condition, noisy), carry)

        due = (carry.first // self.window.stride + 1) % restart.every == 0
        return jax.lax.fori_loop(0, jnp.where(due, restart.times, 0), once, carry)

    def _noised(self, carry: Carry, i, logsnr_s, logsnr_t) -> Carry:
        """Frames behind the context taken from the clocks `s` to noisier clocks `t`, without a history, by
        the noise of restart `i` of this cycle."""
        size = self.window.size
        cycle = carry.first // self.window.stride + size  # a start may place the window before frame 0
        eps = self._warm_noise(
            carry.key, carry.first, size, RESTART - self.recipe.restart.times * cycle - i, carry.z
        )
        noised = diffuse_further(carry.z, eps, logsnr_s, logsnr_t)
        kept = self._in_context(carry.z) | expand(logsnr_t >= logsnr_s, carry.z)
        z = jnp.where(kept, carry.z, noised)
        return dataclasses.replace(carry, z=z, history=self.recipe.solver.init(z))

    def standing(self, plan: Step, carry: Carry, condition: Condition, end) -> Step:
        """The plan in which frames that are known stand still, clean, and where the tail is truncated those
        from `end` on, as pure noise."""
        if condition.known is not None:
            plan = self._held(plan, condition.known.there, 0.0)
        if self.recipe.truncate_tail:
            plan = self._held(plan, (carry.first + jnp.arange(self.window.size) >= end)[None], 1.0)
        return plan

    def _held(self, plan: Step, where: Bool[Array, "#batch time"], tau: float) -> Step:
        """The plan in which some frames stand at the local time `tau`."""
        there = where[None]
        logsnr = self.recipe.schedule.logsnr(jnp.full((1, 1, 1), tau, plan.logsnr_t.dtype))
        return Step(
            jnp.where(there, logsnr, plan.logsnr_t),
            jnp.where(there, logsnr, plan.logsnr_s),
            plan.moving & ~there,
            plan.last & ~there,
        )


def known_units(units: Any) -> Any:
    """Raises `InputError` where there are none."""
    if units is None:
        raise InputError("constraints and corrections need the units of the frames, and there are none here")
    return units
