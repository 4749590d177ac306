"""The linear-Gaussian sequence of two modalities, for which every joint and conditional law is known.

Every tick carries a state `(a, b)` of the stationary process `s_t = F s_{t-1} + noise`, with unit variances
and independent innovations: `a` is fast, `b` is slow and drives it. A modality is one component at every
`p`-th tick. The frames of both in a window are one long axis, so that the exact denoiser is that of
`rolling.oracle`, and what is rolled out is the linear map itself.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from rolling.array_types import JointFrames
from rolling.common.errors import InputError
from rolling.denoisers import Condition, JointDenoiser, Known
from rolling.noise import NoiseSchedule
from rolling.noise.prior import covariance
from rolling.oracle import UNCLIPPED, Basis, check_emitted, exact_denoiser, lifetime
from rolling.sampling.modalities import Joint, joint
from rolling.sampling.recipe import Sampling
from rolling.sampling.rollout import Rollout
from rolling.windows import Rolling, Window

TRANSITION = np.array([[0.70, 0.25], [-0.05, 0.97]])
"""`F` of the process."""
NAMES = ("a", "b")


def process_covariance(
    every: Sequence[int], ticks: int
) -> dict[tuple[str, str], Float[np.ndarray, "frames frames"]]:
    """`Cov(x_i, y_j)` for each pair of modalities, of their frames in so many ticks. The
    frame of every `p`-th tick is that of the last one of `p`."""
    # Stationary with unit variances: the correlation `c` solves the off-diagonal entry of P = F P F' + Q.
    f = TRANSITION
    c = (f[0] @ f[1]) / (1 - f[0, 0] * f[1, 1] - f[0, 1] * f[1, 0])
    lagged = [np.array([[1.0, c], [c, 1.0]])]  # of `s_{t+k}` with `s_t`
    while len(lagged) < ticks:
        lagged.append(f @ lagged[-1])
    ends = {name: range(p - 1, ticks, p) for name, p in zip(NAMES, every, strict=True)}
    places = {name: [(t, i) for t in ends[name]] for i, name in enumerate(NAMES)}

    def entry(t, i, u, j):
        return lagged[t - u][i, j] if t >= u else lagged[u - t][j, i]

    return {
        (one, other): np.array([[entry(t, i, u, j) for u, j in places[other]] for t, i in places[one]])
        for one in NAMES
        for other in NAMES
    }


def _joined(blocks, counts: Mapping[str, int]) -> np.ndarray:
    """The covariance of the first so many frames of some modalities, one after the other."""
    return np.block([[blocks[a, b][: counts[a], : counts[b]] for b in counts] for a in counts])


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointOracle(Sampling):
    """A way of sampling two modalities, and the process that it is tried on.

    Window, calls and `frames` count ticks. Raises `InputError` for rates that are not two, and for names
    other than a and b.
    """

    window: Window = Rolling(size=24, context=4, block=4)
    schedule: NoiseSchedule = UNCLIPPED
    calls_per_frame: int | float = 8
    modalities: tuple[int, ...] = (1, 4)
    """Ticks from one frame to the next, of `a`, which is fast, and of `b`, which is slow."""
    given: tuple[str, ...] = ()
    """The modality, a or b, of which all frames are known."""
    absent: tuple[str, ...] = ()
    """The modality, a or b, that is left out."""
    frames: int = 96
    """Emitted ticks, whose frames are compared."""

    def __post_init__(self):
        super().__post_init__()
        if len(self.modalities) != 2:
            raise InputError(
                f"the oracle has two modalities: give two rates, as in --modalities 1,4, not"
                f" {len(self.modalities)}"
            )
        check_emitted(self.frames)
        self.sampler()

    @property
    def every(self) -> dict[str, int]:
        return dict(zip(NAMES, self.modalities, strict=True))

    @property
    def _ticks(self) -> int:
        """Ticks of which anything is seen before the last frame leaves the window."""
        window = self.window
        cycles = -(-self.frames // window.stride)
        return self.given_frames + cycles * window.stride + window.size - window.context - window.stride

    def _known(self, name: str) -> int:
        """How many frames of a modality are data: those of the context, or all."""
        ticks = 0 if name in self.absent else self._ticks if name in self.given else self.given_frames
        return ticks // self.every[name]

    def sampler(self) -> Joint:
        """The samplers of both. Their noise has channels of its own behind those of the data."""
        data = sum(self._known(name) for name in NAMES)
        own = {
            name: Basis(
                given=0,
                before=self.noise.memory + self.window.size // every,
                frames=self._ticks // every,
                lifetime=lifetime(self),
            )
            for name, every in self.every.items()
        }
        a, b = (own[name].channels for name in NAMES)
        bases = {
            "a": dataclasses.replace(own["a"], given=data, others=b),
            "b": dataclasses.replace(own["b"], given=data + a),
        }
        return joint(self, self.every, given=self.given, absent=self.absent, generators=bases)

    def _data(self, channels: int) -> dict[str, np.ndarray]:
        """`[frames, channels]`: what is given of each modality, as linear maps of independent variables."""
        matrix = _joined(self._process(), {name: self._known(name) for name in NAMES})
        rows = np.zeros((len(matrix), channels))
        rows[:, : len(matrix)] = np.linalg.cholesky(matrix)
        count = self._known("a")
        return {"a": rows[:count], "b": rows[count:]}

    def _process(self):
        return process_covariance(self.modalities, self._ticks)

    def coefficients(self) -> dict[str, np.ndarray]:
        """`[frames, channels]` for each modality: what is given of it, and what is made behind that, as
        linear maps of the data's variables and of all noise, float64."""
        sampler = self.sampler()
        channels = cast(Basis, sampler.parts["b"].generator).channels
        data = self._data(channels)
        with jax.enable_x64(True):
            frames = {name: jnp.asarray(rows)[None, :, None, None] for name, rows in data.items()}
            begin = {name: self._context(name, frames[name], channels) for name in NAMES}

            def conditions(first, count):
                of = {name: self._told(name, frames[name], first, count) for name in self.given}
                return Condition(of=of)

            rollout = Rollout(sampler, lambda _: self._exact(), cycles=8)
            key = jax.random.split(jax.random.key(0), 1)
            chunks = rollout.chunks(None, begin, key, self.frames, conditions)
            made: dict[str, list] = {name: [] for name in NAMES}
            for chunk in chunks:
                for name, block in cast(JointFrames, chunk.frames).items():
                    made[name].append(np.asarray(block)[0, :, 0, 0])
        return {name: np.concatenate([data[name], *made[name]]) for name in NAMES}

    def _told(self, name, frames, first: int, count: int) -> Condition:
        """What is known of the ticks from `first` on. Behind the last window nothing is."""
        every = self.every[name]
        there = frames[:, first // every : (first + count) // every]
        missing = count // every - there.shape[1]
        padded = jnp.pad(there, [(0, 0), (0, missing), *[(0, 0)] * (there.ndim - 2)])
        return Condition(known=Known(padded, (jnp.arange(count // every) < there.shape[1])[None]))

    def _context(self, name, frames, channels):
        count = self.given_frames // self.every[name]
        return frames[:, :count] if self._known(name) else jnp.zeros((1, count, 1, 1, channels))

    def _exact(self) -> JointDenoiser:
        """The exact denoiser of both modalities in a window."""
        size = self.window.size
        blocks = process_covariance(self.modalities, size)
        counts = {name: size // every for name, every in self.every.items()}
        noise = jax.scipy.linalg.block_diag(*(covariance(self.noise, count) for count in counts.values()))
        exact = exact_denoiser(jnp.asarray(_joined(blocks, counts)), noise)

        def denoise(z, logsnr, condition) -> JointFrames:
            rows = max(len(logsnr[name]) for name in NAMES)
            clocks = [jnp.broadcast_to(logsnr[name], (rows, logsnr[name].shape[1])) for name in NAMES]
            x = exact(jnp.concatenate([z[name] for name in NAMES], 1), jnp.concatenate(clocks, 1), condition)
            return dict(zip(NAMES, jnp.split(x, [counts["a"]], axis=1), strict=True))

        return denoise

    def errors(self) -> dict[str, float]:
        """How far the frames that are made are from their law.

        `max_covariance_error` is the largest `|Z Z^T - K|`. Where something is given, `x = M g + E noise` is
        compared with the law of `x` given all of `g`, the context and the given modality to the end of the
        last window: `E E^T` with its covariance, and `M` with its mean, by the largest entry,
        `max_mean_error`, and by the root mean square over frames of the mean's error, `rms_mean_error`, where
        frames have variance 1.
        """
        z, blocks = self.coefficients(), self._process()
        made = [name for name in NAMES if name not in self.given + self.absent]
        rows = {name: z[name] for name in made}
        if not self.given:
            found = np.concatenate([rows[name] for name in made])
            truth = _joined(blocks, {name: len(rows[name]) for name in made})
            return {"max_covariance_error": float(np.abs(found @ found.T - truth).max())}
        return self._conditional_errors(made[0], rows[made[0]], blocks)

    def _conditional_errors(self, name, rows, blocks) -> dict[str, float]:
        start, stop = self._known(name), len(rows)
        known = {other: self._known(other) for other in NAMES}
        g = _joined(blocks, known)
        cross = np.concatenate([blocks[name, other][start:stop, : known[other]] for other in NAMES], axis=1)
        mean = np.linalg.solve(g, cross.T).T
        law = blocks[name, name][start:stop, start:stop] - mean @ cross.T
        root, new = np.linalg.cholesky(g), rows[start:]
        off = new[:, : len(g)] - mean @ root
        noise = new[:, len(g) :]
        return {
            "max_covariance_error": float(np.abs(noise @ noise.T - law).max()),
            "max_mean_error": float(np.abs(np.linalg.solve(root.T, off.T)).max()),
            "rms_mean_error": float(np.sqrt((off**2).sum(1).mean())),
        }
