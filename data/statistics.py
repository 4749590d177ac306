"""Statistics of the training data: moments, climatology and mask, computed in one pass.

The same object normalises and denormalises; it is stored in the checkpoint as plain arrays.
"""

import dataclasses
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np

from rolling.array_types import space_of
from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.data import calendar
from rolling.data.source import Sequences, present
from rolling.layout import Layout

BLOCK_VALUES = 2**22  # values read at a time: 32 MiB in float64
CACHED_VALUES = 2**16  # values normalised at a time: 256 KiB


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Statistics:
    """`mean [C]` and `std [C]` over time and unmasked cells; `climatology [P, *space, C]`, the mean at each
    phase of `layout.phase`, in physical units and NaN where masked: all float32. `mask [*space, C]` is True
    where there are data, None if there are data everywhere. `lag_correlation [L, C]` is that of frames
    `1 .. L` apart (`rolling.data.lag_correlation`), None where it was not measured."""

    mean: np.ndarray
    std: np.ndarray
    climatology: np.ndarray
    mask: np.ndarray | None = None
    lag_correlation: np.ndarray | None = None

    def same_scale(self, other: "Statistics", rtol: float = 0.0) -> bool:
        """Whether both normalise alike, to `rtol`, and have the same climatology and mask."""
        names = ("mean", "std", "climatology", "mask")
        pairs = [(getattr(self, name), getattr(other, name)) for name in names]
        return all(
            a is b is None
            or (
                (a is not None and b is not None and a.shape == b.shape)
                and np.allclose(a, b, rtol=rtol, atol=1e-3 * rtol, equal_nan=True)
            )
            for a, b in pairs
        )

    def normalise(self, x):
        """`(x - mean) / std`, and 0 in masked cells, for `x [..., *space, C]` of numpy or jax."""
        if isinstance(x, np.ndarray):
            return self._normalise_frames(x)
        mean, std = self._moments(x)
        scaled = (x - mean) / std
        return scaled if self.mask is None else x.__array_namespace__().where(self._mask(x), scaled, 0.0)

    def denormalise(self, x):
        """`x std + mean`, and NaN in masked cells, for `x [..., *space, C]` of numpy or jax."""
        xp, (mean, std) = x.__array_namespace__(), self._moments(x)
        scaled = x * std + mean
        return scaled if self.mask is None else xp.where(self._mask(x), scaled, xp.nan)

    def climatology_at(self, layout: Layout, times: np.ndarray) -> np.ndarray:
        """`[T, *space, C]`: the climatology of each of `times [T]`."""
        return self.climatology[calendar.phase(layout, times)]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fields by name, those that are None left out."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Statistics":
        """The inverse of `to_arrays`."""
        return cls(**{name: np.asarray(value) for name, value in arrays.items()})

    def _normalise_frames(self, x: np.ndarray) -> np.ndarray:
        # A few frames at a time stay in the processor's cache, and moments repeated over a frame give long
        # loops: several times faster than the formula, and bit-identical.
        shape = x.shape[-self.climatology.ndim + 1 :]
        mean, std = (np.broadcast_to(moment, shape).copy() for moment in (self.mean, self.std))
        scaled = np.empty(x.shape, np.result_type(x, np.float32))
        frames, outs = x.reshape(-1, *shape), scaled.reshape(-1, *shape)
        size = max(1, CACHED_VALUES // mean.size)
        for out, some in ((outs[i : i + size], frames[i : i + size]) for i in range(0, len(frames), size)):
            np.copyto(out, some)
            np.subtract(out, mean, out=out)
            np.divide(out, std, out=out)
            if self.mask is not None:
                out[:, ~self.mask] = 0.0
        return scaled

    # With all axes, so that they broadcast even where jax forbids rank promotion.
    def _moments(self, x):
        shape = (1,) * (x.ndim - 1) + (-1,)
        return self.mean.reshape(shape), self.std.reshape(shape)

    def _mask(self, x):
        assert self.mask is not None  # asked for only where there is one
        return self.mask.reshape((1,) * (x.ndim - self.mask.ndim) + self.mask.shape)


@runtime_checkable
class Measured(Sequences, Protocol):
    """Sequences whose statistics were computed when they were prepared."""

    def statistics(self) -> Statistics: ...


def measure(sequences: Sequences) -> Statistics:
    """Reads every frame once, unless the statistics are known already; those that are missing do not count.

    Raises `InputError` if no scale can be found.
    """
    if isinstance(sequences, Measured):
        return sequences.statistics()
    layout, mask = sequences.layout, sequences.mask
    lengths = [sequences.length(i) for i in range(len(sequences))]
    if not any(lengths):
        raise InputError("the training part has no frames: choose another time range or a smaller test part")
    total = sum(int(present(sequences, i, 0, length).sum()) for i, length in enumerate(lengths))
    if total == 0:
        raise InputError(
            f"all frames of {', '.join(layout.names)} are missing in the training part: leave these data out"
        )
    sums = np.zeros((calendar.phases(layout), *layout.shape))
    counts = np.zeros(len(sums), int)
    squares, shift = np.zeros(len(layout.variables)), None
    with Progress("statistics", total=total, unit="frame") as progress:
        for block, phase in _blocks(sequences):
            values = block.astype(np.float64) if mask is None else np.where(mask, block, 0.0)
            if shift is None:
                # Sums of the remainder stay exact even where the mean is far larger than the spread.
                shift = _masked_mean(values.mean(0), mask)
            values = values - shift if mask is None else np.where(mask, values - shift, 0.0)
            _check_finite(values, layout)
            for p in np.unique(phase):
                sums[p] += values[phase == p].sum(0)
                counts[p] += np.count_nonzero(phase == p)
            squares += np.square(values).sum(space_of(values, 0))
            progress.update(len(block))
    return from_sums(layout, mask, shift, sums, squares, counts)


def from_sums(layout, mask, shift, sums, squares, counts) -> Statistics:
    """From `sums [P, *space, C]` and `squares [C]` of `x - shift`, `shift [C]`, and the numbers of frames
    `counts [P]`. Raises `InputError` for a variable without any variance."""
    field = sums.sum(0) / counts.sum()
    mean = _masked_mean(field, mask)
    cells = np.prod(layout.space) if mask is None else mask.sum(space_of(mask, 0))
    variance = squares / (cells * counts.sum()) - mean**2
    for variable, spread, offset in zip(layout.variables, variance, shift + mean, strict=True):
        # Below float32's resolution of the values themselves there is nothing to learn.
        if not spread > (1e-7 * offset) ** 2:
            raise InputError(
                f"{variable.name} has the same value, {offset:g}, everywhere in the training part: leave it"
                " out of the chosen variables"
            )
    # A phase that never occurred in training has the mean over all of them.
    seen = counts.reshape(-1, *[1] * len(layout.shape))
    climatology = np.where(seen > 0, sums / np.maximum(seen, 1), field) + shift
    if mask is not None:
        climatology = np.where(mask, climatology, np.nan)
    mean, std, climatology = (a.astype(np.float32) for a in (shift + mean, np.sqrt(variance), climatology))
    return Statistics(mean=mean, std=std, climatology=climatology, mask=mask)


def _blocks(sequences: Sequences) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All frames that are there in blocks, with the phase of each frame."""
    layout = sequences.layout
    size = max(1, BLOCK_VALUES // int(np.prod(layout.shape)))
    for index in range(len(sequences)):
        for start in range(0, sequences.length(index), size):
            stop = min(start + size, sequences.length(index))
            times, there = sequences.times(index, start, stop), present(sequences, index, start, stop)
            if there.any():
                yield sequences.read(index, start, stop)[there], calendar.phase(layout, times)[there]


def finite(values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Where `values [..., *space, C]` are finite, or masked."""
    return np.isfinite(values) | (False if mask is None else ~mask)


def joint_mask(*masks: np.ndarray | None) -> np.ndarray | None:
    """Where all masks have data; None: everywhere."""
    given = [np.asarray(mask, bool) for mask in masks if mask is not None]
    return np.logical_and.reduce(given) if given else None


def _masked_mean(field: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """`[C]`: the mean of `field [*space, C]` over unmasked cells."""
    space = space_of(field, 0)
    return field.mean(space) if mask is None else np.where(mask, field, 0.0).sum(space) / mask.sum(space)


def _check_finite(values: np.ndarray, layout: Layout) -> None:
    broken = ~np.isfinite(values).all(space_of(values, 0))
    if broken.any():
        name = layout.names[int(np.argmax(broken))]
        raise InputError(
            f"{name} holds NaN or infinite values outside its mask: repair these data or leave them out"
        )
