"""From a network to a denoiser: `Denoiser = (z, logsnr, condition) -> x`.

Solvers, losses and rollouts know denoisers only. What a network predicts (x, eps, v, ...) is one small class
here; guidance and partitioning are functions from denoisers to a denoiser.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from rolling.array_types import Clocks, Frames, JointClocks, JointFrames
from rolling.common.errors import InputError
from rolling.noise import alpha_sigma, expand, x_from_eps, x_from_flow, x_from_score, x_from_v

NO_LABEL = -1


OF_SEQUENCES: tuple[str, ...] = ("label", "tokens", "constants", "reference", "memory")
OF_FRAMES: tuple[str, ...] = ("vectors", "fields", "known")
"""Parts of a condition `[batch, ...]`, and those `[batch, time, ...]`."""


class Known(NamedTuple):
    """Frames that are known and not made, beside those that a rollout begins with."""

    frames: Frames
    there: Bool[Array, "batch time"]
    """Which of the frames are known; the values of the others do not matter."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
    """Everything but the frames that a network is conditioned on; any part may be absent (None)."""

    label: Int[Array, " batch"] | None = None
    """Class of the sequence; `NO_LABEL` for any."""
    tokens: Float[Array, "batch token dim"] | None = None
    """Embeddings of a text, or of anything else; a token of zeros is none."""
    vectors: Float[Array, "batch time feature"] | None = None
    """Per frame: actions, parameters of a simulation, hour of day, ..."""
    fields: Float[Array, "batch time *space field"] | None = None
    """Per frame and cell: known forcings."""
    static: Float[Array, "*space static"] | None = None
    """Per cell, in all sequences: land mask."""
    constants: Float[Array, "batch *space constant"] | None = None
    """Per sequence and cell: obstacles, the speed of sound."""
    reference: Float[Array, "batch *space reference"] | None = None
    """Per sequence and cell: its first frames, which stay known however long a rollout is."""
    memory: Float[Array, "batch *space memory"] | None = None
    """Per sequence and cell: frames at fixed ages, older than the context (`Sampling.memory`)."""
    known: Known | None = None
    """Per frame: the frame itself, where it is known. The sampler's alone: no network sees it."""
    of: "dict[str, Condition] | None" = None
    """Of several modalities, what belongs to each: its vectors, fields, static field and so on."""

    def map(self, *, frames: Callable[[Array], Array], sequences: Callable[[Array], Array]) -> "Condition":
        """`frames` of the parts `[batch, time, ...]`, `sequences` of the parts `[batch, ...]`."""
        functions = dict.fromkeys(OF_SEQUENCES, sequences) | dict.fromkeys(OF_FRAMES, frames)
        parts = {name: jax.tree.map(f, getattr(self, name)) for name, f in functions.items()}
        of = self.of and {
            name: part.map(frames=frames, sequences=sequences) for name, part in self.of.items()
        }
        return dataclasses.replace(self, **parts, of=of)

    @property
    def known_frames(self) -> int | None:
        """Frames of which something is known; None where nothing depends on the frame."""
        parts = jax.tree.leaves([getattr(self, name) for name in OF_FRAMES])
        return parts[0].shape[1] if parts else None

    def window(self, start: Int[Array, ""] | int, size: int) -> "Condition":
        """What is known of `size` frames from `start` on."""
        cut = lambda part: jax.lax.dynamic_slice_in_dim(part, start, size, axis=1)  # noqa: E731
        return self.map(frames=cut, sequences=lambda part: part)

    def after_repeats(self, count: int) -> "Condition":
        """What is known of the first frame, `count` times more before it."""
        pad = lambda part: jnp.concatenate([jnp.repeat(part[:, :1], count, axis=1), part], axis=1)  # noqa: E731
        return self.map(frames=pad, sequences=lambda part: part)

    def copies(self, count: int) -> "Condition":
        """The same for `count` copies of the batch, one after the other."""
        return joined([self] * count)

    def dropped(self, where: Bool[Array, " batch"] | None = None) -> "Condition":
        """Without label and tokens, which then stand for "any" (in some sequences only)."""

        def drop(part, nothing):
            if part is None:
                return None
            chosen = jnp.ones(len(part), bool) if where is None else where
            return jnp.where(chosen.reshape(-1, *[1] * (part.ndim - 1)), jnp.full_like(part, nothing), part)

        return dataclasses.replace(self, label=drop(self.label, NO_LABEL), tokens=drop(self.tokens, 0))


def joined(conditions: Sequence[Condition]) -> Condition:
    """One condition for several batches, one after the other, which have the same parts."""
    batched = [{name: getattr(c, name) for name in OF_SEQUENCES + OF_FRAMES} for c in conditions]
    of = conditions[0].of and {
        name: joined([(c.of or {})[name] for c in conditions]) for name in conditions[0].of
    }
    parts = jax.tree.map(lambda *parts: jnp.concatenate(parts), *batched)
    return dataclasses.replace(conditions[0], **parts, of=of)


NOTHING = Condition()

Denoiser = Callable[[Frames, Clocks, Condition], Frames]
JointDenoiser = Callable[[JointFrames, JointClocks, Condition], JointFrames]
"""Of several modalities."""


@runtime_checkable
class Network(Protocol):
    """A trained function of noisy frames; its output has the shape of `z`."""

    def __call__(self, z: Frames, logsnr: Clocks, condition: Condition) -> Frames: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """The shapes that a network must take: a frame, and the size of each part of `Condition` (0: absent).

    `labels` counts classes; `tokens`, `vectors`, `fields`, `static`, `constants`, `reference` and `memory`
    are last dimensions. `space` counts the cells along each axis, and `boundaries` says what lies beyond the
    ends of each, as in `Axis`; none: they are open. Of several modalities, `every` counts the ticks from one
    frame of this one to the next.
    """

    space: tuple[int, ...]
    channels: int
    labels: int = 0
    tokens: int = 0
    vectors: int = 0
    fields: int = 0
    static: int = 0
    constants: int = 0
    reference: int = 0
    memory: int = 0
    boundaries: tuple[str, ...] = ()
    every: int = 1


@runtime_checkable
class Architecture(Protocol):
    """What an experiment names: a frozen dataclass that builds an untrained network.

    The module is called as `module(z, logsnr, condition, dropout_key=None)`; without a key there is no
    dropout.
    """

    def build(self, inputs: Inputs, rngs: nnx.Rngs) -> nnx.Module:
        """Raises `InputError` where the shapes do not suit it."""
        ...


Apply = Callable[..., Frames]


def functional(module: nnx.Module) -> tuple[Apply, dict[str, Any]]:
    """Splits a module into `apply(params, z, logsnr, condition, dropout_key=None)` and a plain dict."""
    graph, state = nnx.split(module)
    abstract = jax.eval_shape(lambda: state)

    def apply(params, z, logsnr, condition=NOTHING, dropout_key=None):
        filled = jax.tree.map(lambda leaf: leaf, abstract)
        nnx.replace_by_pure_dict(filled, params)
        return nnx.merge(graph, filled)(z, logsnr, condition, dropout_key=dropout_key)

    return apply, _named(nnx.to_pure_dict(state))


def _named(tree: Any) -> Any:
    """Items of lists by name, "0": the keys that a checkpoint brings back."""
    return {str(key): _named(item) for key, item in tree.items()} if isinstance(tree, dict) else tree


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Past:
    """What is known of a frame from the frames before it."""

    context: int = 0
    """Frames of the window that are given."""
    lag_correlation: Float[np.ndarray, "lag channel"] | None = None
    """Correlation of a frame with the one `1, 2, ...` before it; None, and 0, where it was not measured."""


NO_PAST = Past()
MOST_ALIKE = 0.995
"""Of a frame given the last one: a tenth of its standard deviation is left to predict, at least."""


@runtime_checkable
class Prediction(Protocol):
    """What the network's output means."""

    def x(self, z: Frames, logsnr: Clocks, output: Frames, past: Past) -> Frames:
        """The clean frames that the output stands for."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class X:
    """The output is the clean frame."""

    def x(self, z, logsnr, output, past=NO_PAST):
        return output


@dataclasses.dataclass(frozen=True, kw_only=True)
class V:
    """`x = alpha z - sigma v` (Salimans and Ho, arXiv 2202.00512). With `sigma_data = 1` this is also EDM's
    preconditioning: `c_skip z / alpha = alpha z`, `c_out = sigma`, `F = -v`."""

    def x(self, z, logsnr, output, past=NO_PAST):
        return x_from_v(z, output, logsnr)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Eps:
    """`x = (z - sigma eps) / alpha`: needs a schedule with `alpha(1) > 0`."""

    def x(self, z, logsnr, output, past=NO_PAST):
        return x_from_eps(z, output, logsnr)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreFunction:
    """`x = (z + sigma^2 score) / alpha`: needs a schedule with `alpha(1) > 0`."""

    def x(self, z, logsnr, output, past=NO_PAST):
        return x_from_score(z, output, logsnr)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlowVelocity:
    """`x = (z - sigma u) / (alpha + sigma)` with `u = eps - x` (Lipman et al., arXiv 2210.02747)."""

    def x(self, z, logsnr, output, past=NO_PAST):
        return x_from_flow(z, output, logsnr)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Residual:
    """The output is what the last frame of context does not say: `V` about the mean given that frame.

    Let `c = alpha_c x_c + sigma_c eps` be that frame as the network is shown it, `rho_j` the correlation of
    frames `j` apart in the training data, `r = rho_j alpha_c` for the frame `j` after it, `v = 1 - r^2` and
    `d = alpha^2 v + sigma^2`; then

        x = (sigma^2 r c + alpha v z) / d - sigma sqrt(v / d) F.

    `F = 0` is the best linear denoiser of a frame from itself and `c`, and `F` has unit variance whatever the
    noise: a frame that hardly changes need not be learnt to be copied. With `V`, of correlation 0, the
    network must give all of it. For frames of the context, for those further from it than was measured, and
    where the context is dropped (pure noise), it is `V`. The form is EDM's preconditioning (arXiv 2206.00364,
    eq. 7) with the distribution of `x` given `c` in place of that of `x`.

    Correlations are measured when a training begins and kept with its mean and standard deviation; beyond
    0.995 they count as 0.995. Raises `InputError` for a window without context.
    """

    def x(self, z, logsnr, output, past=NO_PAST):
        frames, channels = z.shape[1], z.shape[-1]
        if not 1 <= past.context <= frames:
            raise InputError(
                "a residual is predicted from the last frame of context, and of this window none is given:"
                " choose a window with context, or --prediction v"
            )
        lagged = np.zeros((frames, channels))
        if past.lag_correlation is not None:
            lags = np.clip(past.lag_correlation, -MOST_ALIKE, MOST_ALIKE)[: frames - past.context]
            lagged[past.context : past.context + len(lags)] = lags
        alpha, sigma = alpha_sigma(expand(logsnr, z))
        last = slice(past.context - 1, past.context)
        r = _of_channels(jnp.asarray(lagged, z.dtype), z) * alpha[:, last]
        v = 1 - r**2
        d = alpha**2 * v + sigma**2
        return (sigma**2 * r * z[:, last] + alpha * v * z) / d - sigma * jnp.sqrt(v / d) * output


def _of_channels(numbers: Float[Array, "time channel"], z: Frames) -> Array:
    """Numbers of each frame and channel, to broadcast against frames."""
    return numbers.reshape(1, len(numbers), *[1] * (z.ndim - 3), z.shape[-1])


def denoiser(network: Network, prediction: Prediction, past: Past = NO_PAST) -> Denoiser:
    """The denoiser of a network."""

    def denoise(z, logsnr, condition):
        return prediction.x(z, logsnr, network(z, logsnr, condition), past)

    return denoise


def joint_denoiser(network: Callable, prediction: Prediction, past: Mapping[str, Past]) -> JointDenoiser:
    """The denoiser of a network of several modalities."""

    def denoise(z, logsnr, condition):
        found = network(z, logsnr, condition)
        return {name: prediction.x(z[name], logsnr[name], found[name], past[name]) for name in z}

    return denoise
