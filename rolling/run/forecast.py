"""A trained run as a forecaster: in memory for a data set, or streamed to a store, frame after frame."""

import dataclasses
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from data.calendar import features
from data.source import Sequences
from data.statistics import Statistics
from rolling.denoisers import Condition
from rolling.errors import InputError
from rolling.fields import Layout
from rolling.guidance import Autoguidance
from rolling.progress import Progress
from rolling.rollout import Rollout
from rolling.run import codec, model, store
from rolling.run.checkpoint import Checkpoints, check_shapes
from rolling.run.experiment import Experiment, Forecast
from rolling.sampler import Carry, Denoisers, Sampler, Sampling

Times = Callable[[int, int], np.ndarray]
"""`(first, count)` to the times of frames counted from the first frame of the context."""


class Forecaster:
    """A network with everything that it needs: its experiment, layout, statistics and parameters."""

    def __init__(
        self, experiment: Experiment, layout: Layout, statistics: Statistics, params: Any, step: int
    ):
        self.experiment, self.layout, self.statistics, self.step = experiment, layout, statistics, step
        apply, fresh = model.build(experiment, layout, statistics.mask)
        check_shapes(params, fresh, "the checkpoint")
        self.params = jax.device_put(params)
        self.bind = model.binder(experiment, apply)
        self.sampler: Sampler | None = None
        self.sample_with(experiment)

    def fingerprint(self) -> str:
        """A check sum of the parameters: forecasts of two networks are never taken for each other."""
        total = 0
        for leaf in jax.tree.leaves(self.params):
            total = zlib.crc32(np.asarray(leaf).tobytes(), total)
        return f"{total:08x}"

    def sample_with(self, sampling: Sampling) -> None:
        """Forecasts from now on in another way."""
        if sampling.sampler != self.sampler:  # what is compiled for the same one stays
            self.sampler, self._weak = sampling.sampler, _weak_network(sampling, self.layout)
            self._rollouts: dict[int, Rollout] = {}

    def rollout(self, cycles: int) -> Rollout:
        """The compiled loop whose chunks hold `cycles` cycles."""

        def bind(params):
            strong, weak = params
            return Denoisers(self.bind(strong), self._weak and self._weak.bind(weak))

        if cycles not in self._rollouts:
            self._rollouts[cycles] = Rollout(self.sampler, bind, cycles=cycles)
        return self._rollouts[cycles]

    def cycles(self, frames: int, chunk: int) -> int:
        """Cycles in a chunk of about `chunk` frames, and no more than `frames` need."""
        stride = self.sampler.window.stride
        return max(1, min(chunk // stride, -(-frames // stride)))

    def conditions(self, times: list[Times]) -> Callable[[int, int], Condition]:
        """What a batch of forecasts may know, by the times of each."""
        static = model.static_fields(self.statistics.mask)

        def known(first: int, count: int) -> Condition:
            if not self.layout.features:
                return Condition(static=static)
            vectors = [features(self.layout, of(first, count)) for of in times]
            return Condition(static=static, vectors=jnp.asarray(np.stack(vectors)))

        return known

    def sample(
        self,
        given: np.ndarray,
        times: list[Times],
        keys: jax.Array,
        frames: int,
        cycles: int,
        resume: tuple[int, Carry] | None = None,
    ) -> Iterator[tuple[int, np.ndarray, Carry]]:
        """`(first lead, frames, carry)` for `given [batch, n, height, width, variable]`, physical units."""
        clean = jnp.asarray(self.statistics.normalise(given), jnp.float32)
        params = (self.params, self._weak and self._weak.params)
        chunks = self.rollout(cycles).chunks(
            params, clean, keys, frames, self.conditions(times), resume=resume
        )
        for chunk in chunks:
            yield chunk.start, self.statistics.denormalise(np.asarray(chunk.frames)), chunk.carry

    def forecast(self, data: xr.Dataset, frames: int, members: int = 4, seed: int = 0) -> xr.Dataset:
        """`members` forecasts of the `frames` frames that follow the last ones of `data`.

        `data` holds the variables that the network was trained on, in the same units and on the same grid,
        with a dimension `time` of at least as many frames as a rollout is given.
        """
        if frames < 1 or members < 1:
            raise InputError(f"a forecast wants frames >= 1 and members >= 1, not {frames} and {members}")
        given = self._given(data)
        n = self.sampler.given
        step = self.layout.step
        if self.layout.has_calendar:
            step = np.timedelta64(round(step * 3.6e12), "ns")
        last = _last_time(data["time"].values, step, n)

        def times(first, count):
            return last + step * (np.arange(first, first + count) - (n - 1))

        given = np.broadcast_to(given[None], (members, *given.shape))
        keys = sequence_keys(seed, [(0, member) for member in range(members)])
        chunks = self.sample(given, [times] * members, keys, frames, self.cycles(frames, 32))
        values = np.concatenate([block for _, block, _ in chunks], axis=1)
        result = store.skeleton(self.layout, np.asarray([last]), None, members, frames)
        for channel, variable in enumerate(self.layout.variables):
            attributes = store.attributes(variable)
            result[variable.name] = (store.dimensions(self.layout), values[None, ..., channel], attributes)
        return result

    def _given(self, data: xr.Dataset) -> np.ndarray:
        """The given frames `[n, height, width, variable]`, checked against the layout."""
        layout, n = self.layout, self.sampler.given
        if not isinstance(data, xr.Dataset):
            raise InputError(f"a forecast wants an xarray.Dataset, not a {type(data).__name__}")
        missing = [name for name in layout.names if name not in data]
        if missing:
            raise InputError(f"the data lack {', '.join(missing)}; they hold {', '.join(map(str, data))}")
        for axis in (layout.y, layout.x):
            found = data[axis.name].values if axis.name in data.coords else np.empty(0)
            if len(found) != len(axis) or not np.allclose(found, axis.values):
                raise InputError(f"the data's {axis.name} is not that of the training data")
        for variable in layout.variables:
            units = data[variable.name].attrs.get("units", variable.units)
            if units != variable.units:
                raise InputError(f"{variable.name} is in {units}, in the training data in {variable.units}")
        if "time" not in data.coords or data["time"].ndim != 1 or data.sizes["time"] < max(n, 1):
            raise InputError(
                f"the data hold fewer than the {n} frames along a coordinate `time` that a rollout is given"
            )
        order = ("time", layout.y.name, layout.x.name)
        recent = data.isel(time=slice(data.sizes["time"] - n, None))
        frames = [recent[name].transpose(*order).values for name in layout.names]
        given = np.stack(frames, axis=-1).astype(np.float32)
        mask = self.statistics.mask
        if not (np.isfinite(given) | (False if mask is None else ~mask)).all():
            raise InputError(f"the last {n} frames have values that are not finite: fill or drop them")
        return given


def _last_time(times: np.ndarray, step: Any, n: int) -> Any:
    """The time of the last of `n` given frames, which must be `step` apart."""
    gaps = np.diff(times[len(times) - max(n, 1) :])
    # Calendar months, whose mean length is the step, differ by up to a tenth.
    if not all(abs(gap / step - 1) < 0.12 for gap in gaps):
        raise InputError(
            f"the last {n} frames of the data must be one step ({step}) apart, as in training, not"
            f" {', '.join(map(str, gaps))}"
        )
    return times[-1]


def _weak_network(sampling: Sampling, layout: Layout) -> Forecaster | None:
    """The weaker network that autoguidance asks."""
    names = {part.weak for part in sampling.guidance if isinstance(part, Autoguidance)}
    if not names:
        return None
    if len(names) > 1 or "" in names:
        raise InputError(
            "autoguidance wants the folder of one run of a weaker network: give --guidance.0.weak runs/NAME"
        )
    weak = load(names.pop())
    if weak.layout != layout:
        raise InputError("the weaker network of autoguidance was trained on other data: choose another run")
    return weak


def load(path: str | Path) -> Forecaster:
    """The forecaster of a run: `load("runs/kolmogorov").forecast(dataset, frames=20)`."""
    folder = Path(path)
    if not (folder / "checkpoints").is_dir():
        raise InputError(f"{folder} is no run: it has no checkpoints")
    checkpoints = Checkpoints(folder / "checkpoints")
    try:
        items = checkpoints.restore(("ema", "statistics", "experiment", "layout"))
        step = checkpoints.latest()
    finally:
        checkpoints.close()
    where = f"the checkpoint of {folder}"
    experiment = codec.decode(items["experiment"], where=where)
    return Forecaster(
        experiment,
        codec.decode(items["layout"], where=where),
        Statistics.from_arrays(items["statistics"]),
        experiment.objective.forecasts(items["ema"]),
        step,
    )


def sequence_keys(seed: int, places: list[tuple[int, int]]) -> jax.Array:
    """A key for each `(start, member)`, whatever the batch that it is sampled in."""
    base = jax.random.key(seed)
    return jnp.stack(
        [jax.random.fold_in(jax.random.fold_in(base, start), member) for start, member in places]
    )


class NotFinite(InputError):
    """A forecast that blew up."""


@dataclasses.dataclass
class _Batch:
    """Forecasts that are sampled together; the last one may be padded by repetition."""

    places: list[tuple[int, int]]
    size: int

    @property
    def padded(self) -> list[tuple[int, int]]:
        return self.places + [self.places[-1]] * (self.size - len(self.places))


def write(
    forecaster: Forecaster,
    test: Sequences,
    forecast: Forecast,
    path: Path,
    label: str,
    *,
    overwrite: bool = False,
    given: int = 0,
) -> Path:
    """Streams a forecast to a store at `path`, or goes on with the one that was begun there.

    It starts where at least `given` frames lie before it, and no fewer than the window's context: two windows
    that are given the same number start at the same places.

    Memory does not grow with the number of frames. After each chunk the carry is saved beside the store; a
    run that was killed goes on from it to the identical store. A store of another forecast is replaced only
    where `overwrite` says so, and anything else never.
    """
    # Persistence, with which every forecast is compared, wants a frame even where the window is given none.
    before = max(forecaster.sampler.given, given, 1)
    starts = store.choose_starts(test, before, forecast.frames, forecast.starts)
    cycles = forecaster.cycles(forecast.frames, forecast.chunk)
    times = np.concatenate([test.times(s.sequence, s.frame - 1, s.frame) for s in starts])
    identity = {
        "forecast": codec.encode(forecast),
        **{f.name: codec.encode(getattr(forecaster.sampler, f.name)) for f in dataclasses.fields(Sampling)},
        "checkpoint": forecaster.step,
        "parameters": forecaster.fingerprint(),
        "starts": [[s.sequence, s.frame, str(time)] for s, time in zip(starts, times, strict=True)],
    }
    target = store.ForecastStore(path, forecaster.layout, identity)
    note = None
    if target.exists() and target.check_identity(overwrite=overwrite):
        if target.is_complete():
            return path
        note = target.load_note()
    if note is None:
        coordinates = store.skeleton(forecaster.layout, times, starts, forecast.members, forecast.frames)
        target.create(coordinates, forecaster.rollout(cycles).frames_per_chunk)
    _write_batches(forecaster, test, forecast, starts, cycles, target, note, label)
    target.complete()
    return path


def _write_batches(forecaster, test, forecast, starts, cycles, target, note, label):
    places = [(start, member) for start in range(len(starts)) for member in range(forecast.members)]
    size = min(forecast.batch, len(places))
    batches = [_Batch(places[i : i + size], size) for i in range(0, len(places), size)]
    first = 0 if note is None else int(note["batch"])
    done = sum(len(batch.places) for batch in batches[:first]) * forecast.frames
    if note is not None:
        done += int(note["lead"]) * len(batches[first].places)
    with Progress(label, len(places) * forecast.frames, unit="frame", done=done) as progress:
        for number in range(first, len(batches)):
            resume = None if note is None else _unpack(note, forecaster, size)
            note = None
            for lead, frames, carry in _sample_batch(
                forecaster, test, forecast, starts, cycles, batches[number], resume
            ):
                count = frames.shape[1]
                _check_finite(frames, batches[number].places, lead, starts, target.path)
                for (start, member), values in zip(batches[number].places, frames, strict=False):
                    target.write(start, member, lead, values)
                target.save_note(_pack(number, lead + count, carry))
                progress.update(count * len(batches[number].places))
            if number + 1 < len(batches):
                target.save_note({"batch": np.asarray(number + 1), "lead": np.asarray(0)})


def _sample_batch(forecaster, test, forecast, starts, cycles, batch, resume):
    n = forecaster.sampler.given
    chosen = [starts[start] for start, _ in batch.padded]
    given = np.stack([test.read(s.sequence, s.frame - n, s.frame) for s in chosen])
    times = [
        lambda first, count, s=s: test.times(s.sequence, s.frame - n + first, s.frame - n + first + count)
        for s in chosen
    ]
    keys = sequence_keys(forecast.seed, batch.padded)
    return forecaster.sample(given, times, keys, forecast.frames, cycles, resume)


def _check_finite(frames, places, lead, starts, path):
    """`frames [batch, time, ...]`: masked cells are NaN in all frames, anything else must be finite."""
    sane = np.isfinite(frames).any(axis=(2, 3, 4)) & ~np.isinf(frames).any(axis=(2, 3, 4))
    for (start, member), good in zip(places, sane, strict=False):
        if not good.all():
            bad = lead + int(np.argmin(good))
            raise NotFinite(
                f"the forecast from {starts[start]} (member {member}) is not finite at lead {bad + 1}; the"
                f" leads before it are in {path}: train longer, or give it more --calls-per-frame"
            )


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _pack(batch: int, lead: int, carry: Carry) -> dict[str, np.ndarray]:
    """A carry as arrays with names; keys as their bits."""
    leaves = [jax.random.key_data(leaf) if _is_key(leaf) else leaf for leaf in jax.tree.leaves(carry)]
    named = {f"carry{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    return {"batch": np.asarray(batch), "lead": np.asarray(lead), **named}


def _unpack(note: dict[str, np.ndarray], forecaster: Forecaster, size: int) -> tuple[int, Carry] | None:
    """The place and the carry of a note; None at the beginning of a batch."""
    if int(note["lead"]) == 0:
        return None
    sampler, shape = forecaster.sampler, forecaster.layout.shape
    frames = jax.ShapeDtypeStruct((size, sampler.window.size, *shape), jnp.float32)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), size))
    structure = []

    def begin(frames, keys):
        leaves, treedef = jax.tree.flatten(sampler.place(frames, keys, 0))
        structure.append(treedef)
        return leaves

    like = jax.eval_shape(begin, frames, keys)
    saved = [jnp.asarray(note[f"carry{i}"]) for i in range(len(like))]
    leaves = [jax.random.wrap_key_data(b) if _is_key(a) else b for a, b in zip(like, saved, strict=True)]
    if [leaf.shape for leaf in leaves] != [leaf.shape for leaf in like]:
        raise InputError("the saved carry belongs to another forecast: begin again with --overwrite")
    return int(note["lead"]), jax.tree.unflatten(structure[0], leaves)
