"""Several modalities, each with its own frames, rate and clocks, made together.

Time is counted in ticks: the window of a recipe runs over ticks, and a modality with a frame at every `p`-th
tick sees every `p`-th of its clocks (`Every`). Each modality is begun, shifted and finished by a sampler of
its own. They meet in one place only, the call of the network. The least number of ticks that holds whole
frames of all modalities is a *slot*.

What is made of what is a matter of clocks that stand still: those of a modality that is given stand at 0,
those of one that is absent at 1 (UniDiffuser, arXiv 2303.06555), and all others run.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from rolling.array_types import JointClocks, JointFrames
from rolling.common.errors import InputError
from rolling.denoisers import NOTHING, Condition
from rolling.noise import NoiseSchedule
from rolling.noise.prior import FRESH, Generator, NoisePrior, gaussian
from rolling.sampling.carry import Carry
from rolling.sampling.constraints import Constraint
from rolling.sampling.coupling import Coupling, coupled
from rolling.sampling.guidance import Denoisers
from rolling.sampling.partitions import Whole
from rolling.sampling.recipe import Sampling
from rolling.sampling.sampler import FOREVER, Sampler, known_units
from rolling.sampling.starts import FromNoise
from rolling.sampling.sweeps import Sequential
from rolling.solvers import Solver, in_lockstep
from rolling.windows import Every, warmup_steps

JointCarry = dict[str, Carry]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Modality:
    """One kind of frames, and what differs from the recipe in how they are made."""

    name: str
    """Of which one this is said."""
    schedule: NoiseSchedule | None = None
    """The noise level of each local time; None: the recipe's. An increasing function of another one makes
    this modality lead or follow."""
    solver: Solver | None = None
    """None: the recipe's. It calls the network as often in a step as that one."""
    noise: NoisePrior | None = None
    """None: the recipe's."""
    constraints: tuple[Constraint, ...] = ()
    """What all frames of this modality obey."""

    def of(self, recipe: Sampling, every: int) -> Sampling:
        """The recipe as this modality sees it, with a frame at every `every`-th tick. Raises `InputError`
        where they do not suit each other."""
        solver = self.solver or recipe.solver
        if solver.calls != recipe.solver.calls:
            raise InputError(
                f"the solver of {self.name} calls the network {solver.calls} times in a step and that of the"
                f" recipe {recipe.solver.calls} times: choose solvers with equal calls"
            )
        past = recipe.given_frames - recipe.window.context
        if past % every:
            raise InputError(
                f"{past} ticks given before the context hold no whole number of frames of {self.name}, of"
                f" which there is one in {every}: choose another --start.past"
            )
        return dataclasses.replace(
            recipe._only(Sampling),
            window=Every(inner=recipe.window, every=every),
            calls_per_frame=recipe.calls_per_frame * every,
            start=FromNoise(past=past // every),
            schedule=self.schedule or recipe.schedule,
            solver=solver,
            noise=self.noise or recipe.noise,
            constraints=self.constraints,
        )


class Absent(Sampler):
    """The sampler of a modality that is left out: its frames, with the context, stay pure noise."""

    def begin(self, given, key):
        first = given.shape[1] - self.window.context
        noise = self._warm_noise(key, first, self.window.size, FRESH, given)
        return self._carry(noise, key, first, None)

    def told(self, carry, condition):
        return carry

    def standing(self, plan, carry, condition, end):
        return self._held(plan, jnp.ones((1, self.window.size), bool), 1.0)


@dataclasses.dataclass(frozen=True)
class Joint:
    """The samplers of several modalities in lockstep; a `Rollout` takes it as it takes a `Sampler`.

    Frames, keys' folds, carries and what is known (`Condition.of`) are dicts by name; lengths are in ticks.
    """

    recipe: Sampling
    """Its window runs over ticks."""
    parts: dict[str, Sampler]
    given: tuple[str, ...] = ()
    """Modalities of which all frames are known: `Condition.of[name].known` has them."""
    absent: tuple[str, ...] = ()
    """Modalities that are left out. Of what is given of them only the shape matters."""
    couplings: tuple[Coupling, ...] = ()
    """How much modalities listen to the others."""

    @property
    def window(self):
        return self.recipe.window

    @property
    def slot(self) -> int:
        """Ticks that hold whole frames of every modality."""
        return math.lcm(*self.every.values())

    @property
    def every(self) -> dict[str, int]:
        """Ticks from one frame of each modality to the next."""
        return {name: self.window.size // part.window.size for name, part in self.parts.items()}

    def check(self, given: JointFrames, frames: int) -> None:
        """Raises `InputError` unless so many ticks can be rolled out after these frames."""
        if sorted(given) != sorted(self.parts):
            raise InputError(
                f"a rollout begins with frames of {', '.join(sorted(self.parts))}, not of"
                f" {', '.join(sorted(given)) or 'none'}"
            )
        self.check_ticks(frames)
        for name, part in self.parts.items():
            part.check(given[name], frames)

    def check_ticks(self, ticks: int) -> None:
        """Raises `InputError` where they are no whole slots."""
        if ticks % self.slot:
            raise InputError(
                f"a rollout of several modalities takes whole slots of {self.slot} ticks, and {ticks} are"
                f" none: choose {ticks // self.slot * self.slot} or {-(-ticks // self.slot) * self.slot}"
            )

    def begin(self, given: JointFrames, key: Key[Array, " batch"]) -> JointCarry:
        """As `Sampler.begin`, with the noise of each modality its own."""
        keys = self._keys(key)
        return {name: part.begin(given[name], keys[name]) for name, part in self.parts.items()}

    def place(self, x: JointFrames, key: Key[Array, " batch"], first: int) -> JointCarry:
        """As `Sampler.place`; `first` is a tick."""
        keys, every = self._keys(key), self.every
        return {
            name: part.place(x[name], keys[name], first // every[name]) for name, part in self.parts.items()
        }

    def _keys(self, key: Key[Array, " batch"]) -> dict[str, Key[Array, " batch"]]:
        return {
            name: jax.vmap(partial(jax.random.fold_in, data=place))(key)
            for place, name in enumerate(sorted(self.parts))
        }

    def seen(self, condition: Condition, carry: JointCarry, begun: JointCarry | None = None) -> Condition:
        begins = begun or dict.fromkeys(self.parts)
        of = {
            name: part.seen(self._of(condition, name), carry[name], begins[name])
            for name, part in self.parts.items()
        }
        return dataclasses.replace(condition, of=of)

    def warm_up(self, denoiser, carry: JointCarry, condition: Condition, end=FOREVER) -> JointCarry:
        steps = warmup_steps(self.window, self.recipe.cycle_steps)
        return self._sweep("warmup", steps, denoiser, carry, condition, end)

    def cycle(self, denoiser, carry: JointCarry, condition: Condition, end=FOREVER) -> JointCarry:
        return self._sweep("cycle", self.recipe.cycle_steps, denoiser, carry, condition, end)

    def finished(self, carry: JointCarry) -> JointFrames:
        """Of the modalities that are made."""
        still = self.given + self.absent
        return {name: part.finished(carry[name]) for name, part in self.parts.items() if name not in still}

    def shift(self, carry: JointCarry) -> JointCarry:
        return {name: part.shift(carry[name]) for name, part in self.parts.items()}

    def _of(self, condition: Condition, name: str) -> Condition:
        of = (condition.of or {}).get(name, NOTHING)
        if name in self.given and of.known is None:
            raise InputError(f"{name} is given, and its frames are not: say what is known of it")
        return of

    def _sweep(self, sweep: str, steps: int, denoiser, carry: JointCarry, condition, end) -> JointCarry:
        """Solves all modalities from `t = 1` to `t = 0` on one grid of times."""
        of = {name: self._of(condition, name) for name in self.parts}
        carry = {name: part.told(carry[name], of[name]) for name, part in self.parts.items()}
        times, plans, shows = self.recipe.spacing.times(steps), {}, {}
        for name, part in self.parts.items():
            plan, noisy = part.plan(getattr(part.window, sweep), times, carry[name].z.dtype)
            plans[name] = part.standing(plan, carry[name], of[name], end // self.every[name])
            if noisy:
                shows[name] = part.show(carry[name])
        told = {name: part.informed(of[name], carry[name]) for name, part in self.parts.items()}
        denoisers = denoiser if isinstance(denoiser, Denoisers) else Denoisers(denoiser)
        network = self._network(denoisers, carry, dataclasses.replace(condition, of=told), shows)

        def move(i, step, state, denoise):
            moves = {
                name: partial(part.move, carry[name], i, step[name], state[name])
                for name, part in self.parts.items()
            }
            return in_lockstep(moves, self.recipe.solver.calls, denoise)

        state = {name: (one.z, one.history) for name, one in carry.items()}
        state = cast(Any, self.recipe.sweep)(move, network, state, plans)
        stops = {name: part.window.context + part.window.stride for name, part in self.parts.items()}
        z = self._constrained({name: one for name, (one, _) in state.items()}, denoisers.units, stops)
        return {
            name: dataclasses.replace(one, z=z[name], history=state[name][1], step=one.step + steps)
            for name, one in carry.items()
        }

    def _constrained(self, x: JointFrames, units: Any, stops: Mapping[str, int], carry=None) -> JointFrames:
        """The frames of modalities that are made, up to their `stops`, constrained; the context is that of
        the carry or, without one, their own."""
        found = dict(x)
        for name, part in self.parts.items():
            if part.recipe.constraints and name not in self.given + self.absent:
                clean = (carry[name].z if carry else x[name])[:, : part.window.context]
                found[name] = part.constrained(x[name], clean, known_units(units).of[name], stops.get(name))
        return found

    def _network(self, denoisers: Denoisers, carry: JointCarry, condition: Condition, shows: Mapping):
        """`network(z, logsnr)` of all modalities, with context that is shown at its clocks."""
        strong: Any = denoisers.strong
        denoise = coupled(strong, self.couplings, partial(self._alone, carry))

        def network(z, logsnr):
            shown = {name: shows[name](z[name], logsnr[name]) if name in shows else z[name] for name in z}
            return self._constrained(denoise(shown, logsnr, condition), denoisers.units, {}, carry)

        return network

    def _alone(self, carry: JointCarry, own: str, z: JointFrames, logsnr: JointClocks):
        """The modality `own` beside others that are pure noise."""
        others = {name: part for name, part in self.parts.items() if name != own}
        noise = {name: part.unseen(carry[name]) for name, part in others.items()}
        clocks = {
            name: part.recipe.schedule.logsnr(jnp.ones_like(logsnr[name])) for name, part in others.items()
        }
        return z | noise, logsnr | clocks


def joint(
    recipe: Sampling,
    every: Mapping[str, int],
    *,
    modalities: Sequence[Modality] = (),
    given: Sequence[str] = (),
    absent: Sequence[str] = (),
    couplings: Sequence[Coupling] = (),
    generators: Mapping[str, Generator] | None = None,
) -> Joint:
    """The samplers of several modalities by one recipe, whose window and calls are those of ticks.

    `every` counts the ticks from one frame of each modality to the next; `modalities` say where one differs
    from the recipe. Raises `InputError` where the recipe, the rates or the names do not suit each other.
    """
    _check_recipe(recipe)
    _check_names(every, modalities, given, absent)
    for coupling in couplings:
        _check_coupling(coupling, [name for name in every if name not in (*given, *absent)])
    own, parts = {modality.name: modality for modality in modalities}, {}
    for name, count in every.items():
        kind = Absent if name in absent else Sampler
        generator = (generators or {}).get(name, gaussian)
        parts[name] = kind(own.get(name, Modality(name=name)).of(recipe, count), generator)
    return Joint(recipe, parts, tuple(given), tuple(absent), tuple(couplings))


def _check_recipe(recipe: Sampling) -> None:
    """Raises `InputError` for parts of a recipe that are for one modality only."""
    unsuitable = {
        "guidance": recipe.guidance,
        "constraints": recipe.constraints,
        "corrections": recipe.corrections,
        "restart": recipe.restart.times,
        "memory": recipe.memory.ages,
        "start": not isinstance(recipe.start, FromNoise),
        "partition": not isinstance(recipe.partition, Whole),
        "sweep": not isinstance(recipe.sweep, Sequential),
    }
    for name, there in unsuitable.items():
        if there:
            where = ", or give it to the modality that it is of" if name == "constraints" else ""
            raise InputError(f"several modalities cannot be made with this {name} yet: leave it out{where}")


def _check_coupling(coupling: Coupling, made: Sequence[str]) -> None:
    if coupling.modality not in made:
        raise InputError(
            f"the coupling of {coupling.modality} guides what is not made: choose among {', '.join(made)}"
        )


def _check_names(
    every: Mapping[str, int], modalities: Sequence[Modality], given: Sequence[str], absent: Sequence[str]
) -> None:
    for name in (*(modality.name for modality in modalities), *given, *absent):
        if name not in every:
            raise InputError(f"there is no modality {name}: choose among {', '.join(every)}")
    if len({modality.name for modality in modalities}) < len(modalities):
        names = ", ".join(modality.name for modality in modalities)
        raise InputError(f"what differs of a modality is said once, and these are {names}")
    for name, count in every.items():
        if count < 1:
            raise InputError(f"{name} has a frame at every {count} ticks: choose 1 or more")
    if set(given) & set(absent):
        raise InputError(f"{', '.join(sorted(set(given) & set(absent)))} cannot be both given and absent")
    if len({*given, *absent}) == len(every):
        raise InputError("there is nothing to make: all modalities are given or absent")
