"""The clocks that several modalities are trained on: together, apart, some given, some left out."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Key

from rolling.common.errors import InputError
from rolling.windows.every import Every
from rolling.windows.protocol import SampledTimes, Window, check_share, in_context, stratified

JointTimes = dict[str, SampledTimes]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tasks:
    """Each clip of a batch is shown at the clocks of one task, with `C(t)` the clocks of the window:

    - `joint`: all modalities at `C(t)`, one `t` (MM-Diffusion, arXiv 2212.09478);
    - `apart`: each at `C(t_m)`, with a `t_m` of its own (UniDiffuser, arXiv 2303.06555; UWM, 2504.02792);
    - `given`: some of them, not all, at exactly 0, the others at `C(t)`;
    - `absent`: some of them, not all, at exactly 1, the others at `C(t)`;
    - `frames`: each tick behind the context at its own `tau ~ U(0, 1)`, the same for all modalities;
    - `frames_apart`: the same, drawn for each modality (with `joint`, `apart` and `frames` in equal shares
      the mixture of noise levels, MoNL, of AVDiT, arXiv 2405.13762).

    The shares sum to 1 and are dealt out evenly in a batch. Independent clocks alone never show what a
    rollout begins and ends with: a modality that is given is at exactly 0, one that is left out at exactly 1,
    and two clocks that run together are rarely near each other by chance. Frames that stand have `rate = 0`:
    no loss is taken on them.

    Raises `InputError` for shares that are no probabilities or do not sum to 1.
    """

    joint: float = 0.4
    """Share of clips with one time for all modalities."""
    apart: float = 0.2
    """Share with a time for each."""
    given: float = 0.3
    """Share with some modalities clean."""
    absent: float = 0.1
    """Share with some modalities as pure noise."""
    frames: float = 0.0
    """Share with a time for each tick."""
    frames_apart: float = 0.0
    """Share with a time for each frame of each modality."""

    def __post_init__(self):
        for name, share in self.shares.items():
            check_share(f"the share of {name}", share)
        if abs(sum(self.shares.values()) - 1) > 1e-6:
            listed = ", ".join(f"{name} {share:g}" for name, share in self.shares.items())
            raise InputError(f"the shares of the tasks must sum to 1, and these do not: {listed}")

    @property
    def shares(self) -> dict[str, float]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def check(self, names) -> None:
        """Raises `InputError` where one modality alone would be given or absent."""
        if len(names) < 2 and self.given + self.absent > 0:
            raise InputError(
                "tasks in which a modality is given or absent need at least two: set these shares to 0"
            )

    def sample_times(
        self, window: Window, every: Mapping[str, int], key: Key[Array, ""], batch: int
    ) -> JointTimes:
        """Clocks `[batch, window.size / every]` of each modality; `every` counts ticks between its frames."""
        self.check(every)
        parts = {name: Every(inner=window, every=count) for name, count in every.items()}
        deal, shared, which, ticks, *own = jax.random.split(key, 4 + 2 * len(parts))
        task = self._tasks(deal, batch)
        standing = self._standing(which, len(parts), batch)
        tau = jax.random.uniform(ticks, (batch, window.size))
        found = {}
        for place, (name, part) in enumerate(sorted(parts.items())):
            together = part.sample_times(shared, batch)
            apart = part.sample_times(own[2 * place], batch)
            alone = jax.random.uniform(own[2 * place + 1], (batch, part.size))
            still = jnp.zeros_like(alone)
            clocks = {
                "joint": together,
                "apart": apart,
                "given": _where(standing[:, place], SampledTimes(still, still), together),
                "absent": _where(standing[:, place], SampledTimes(still + 1, still), together),
                "frames": _behind_context(part, tau[:, part.every - 1 :: part.every], together),
                "frames_apart": _behind_context(part, alone, together),
            }
            found[name] = jax.tree.map(
                lambda *of: _chosen(task, of), *(clocks[share] for share in self.shares)
            )
        return found

    def _tasks(self, key: Key[Array, ""], batch: int) -> Array:
        """`[batch]`, the number of each clip's task. Their order is drawn, as times are spread by place."""
        deal, order = jax.random.split(key)
        ends = jnp.cumsum(jnp.asarray(list(self.shares.values())))[:-1]
        return jax.random.permutation(order, jnp.searchsorted(ends, stratified(deal, batch), side="right"))

    def _standing(self, key: Key[Array, ""], count: int, batch: int) -> Bool[Array, "batch modality"]:
        """Of each clip some modalities and not all, all such choices with the same probability."""
        choice = jax.random.randint(key, (batch, 1), 1, max(2, 2**count - 1))
        return (choice >> jnp.arange(count)[None]) % 2 == 1


def missing(times: SampledTimes, present: Bool[Array, "batch window"]) -> SampledTimes:
    """Clocks at which frames that are not there are pure noise, without a loss."""
    return SampledTimes(jnp.where(present, times.tau, 1.0), jnp.where(present, times.rate, 0.0))


def _where(clips: Bool[Array, " batch"], one: SampledTimes, other: SampledTimes) -> SampledTimes:
    return jax.tree.map(lambda a, b: jnp.where(clips[:, None], a, b), one, other)


def _behind_context(part: Every, tau: Array, base: SampledTimes) -> SampledTimes:
    context = in_context(part, tau.shape)
    return SampledTimes(jnp.where(context, base.tau, tau), jnp.where(context, base.rate, 1.0))


def _chosen(task: Array, of: tuple[Array, ...]) -> Array:
    return jnp.take_along_axis(jnp.stack(of), task[None, :, None], axis=0)[0]
