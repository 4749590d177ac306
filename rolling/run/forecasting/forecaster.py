"""A trained run as a forecaster."""

import dataclasses
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.common.forecast_schema import dimensions
from rolling.data.conditions import check_actions
from rolling.data.source import SequencesBase
from rolling.data.statistics import Statistics
from rolling.denoisers import NO_LABEL
from rolling.fields import Axis, Layout
from rolling.run import model
from rolling.run.checkpoint import check_shapes, load_trained
from rolling.run.experiment import Experiment
from rolling.run.experiment.user_code import load_code
from rolling.run.forecasting import zarr_writer
from rolling.sampling import Carry, Conditions, Denoisers, Rollout, Sampler, Sampling


class Forecaster:
    """A network with everything it needs: its experiment, layout, statistics and parameters."""

    def __init__(
        self, experiment: Experiment, layout: Layout, statistics: Statistics, params: Any, step: int
    ):
        self.experiment, self.layout, self.statistics, self.step = experiment, layout, statistics, step
        apply, shapes = model.abstract(experiment, layout, statistics.mask)
        check_shapes(params, shapes, "the checkpoint")
        self.params = jax.device_put(params)
        self.bind = model.binder(experiment, apply)
        self.recipe = experiment.recipe
        self._rollouts: dict[int, Rollout] = {}
        self._weak: Forecaster | None = None

    def fingerprint(self) -> str:
        """A checksum of the parameters, so that forecasts of two networks are never confused."""
        total = 0
        for leaf in jax.tree.leaves(self._networks()):
            total = zlib.crc32(np.asarray(leaf).tobytes(), total)
        return f"{total:08x}"

    def sample_with(self, sampling: Sampling) -> None:
        """Changes the way of sampling from now on."""
        if sampling.recipe != self.recipe:  # compiled programs stay valid for an equal recipe
            self.recipe = sampling.recipe
            self._rollouts, self._weak = {}, None

    def _networks(self) -> tuple[Any, Any]:
        """The parameters of the network and, for autoguidance, of the weaker one.

        The weaker one is loaded here: a run whose weaker network is gone can still forecast without it.
        """
        if self._weak is None:
            self._weak = _weak_network(self.recipe, self.layout)
        return self.params, self._weak and self._weak.params

    def rollout(self, cycles: int) -> Rollout:
        """The compiled loop whose chunks hold `cycles` cycles."""

        def bind(params):
            strong, weak = params
            return Denoisers(self.bind(strong), self._weak and self._weak.bind(weak))

        if cycles not in self._rollouts:
            self._rollouts[cycles] = Rollout(Sampler(self.recipe), bind, cycles=cycles)
        return self._rollouts[cycles]

    def cycles(self, frames: int, chunk: int) -> int:
        """Cycles in a chunk of about `chunk` frames, no more than `frames` require."""
        stride = self.recipe.window.stride
        return max(1, min(chunk // stride, -(-frames // stride)))

    def sample(
        self,
        given: np.ndarray,
        known: Conditions,
        keys: jax.Array,
        frames: int,
        cycles: int,
        resume: tuple[int, Carry] | None = None,
    ) -> Iterator[tuple[int, np.ndarray, Carry]]:
        """`(first lead, frames, carry)` for `given [batch, n, height, width, variable]` in physical units."""
        clean = jnp.asarray(self.statistics.normalise(given), jnp.float32)
        chunks = self.rollout(cycles).chunks(self._networks(), clean, keys, frames, known, resume=resume)
        for chunk in chunks:
            yield chunk.start, self.statistics.denormalise(np.asarray(chunk.frames)), chunk.carry

    def forecast(
        self,
        data: xr.Dataset,
        frames: int,
        members: int = 4,
        seed: int = 0,
        *,
        label: str = "",
        tokens: np.ndarray | None = None,
        actions: np.ndarray | None = None,
        forcings: np.ndarray | None = None,
    ) -> xr.Dataset:
        """`members` forecasts of the `frames` frames after the last frame of `data`.

        `data` holds the variables that the network was trained on, in the same units and on the same grid,
        with a dimension `time` of at least as many frames as a rollout is given. `label` names a class, and
        `tokens [n, d]` describe the sequence; both may be left out.
        `actions [given + frames, a]` and `forcings [given + frames, height, width, f]`, of the given and the
        forecast frames, are required where the network was trained with them.
        """
        if frames < 1 or members < 1:
            raise InputError(f"a forecast needs frames >= 1 and members >= 1, not {frames} and {members}")
        self._check_taken(label=label or None, tokens=tokens, actions=actions, forcings=forcings)
        given = self._given(data)
        n = self.recipe.given
        step = self.layout.step
        if self.layout.has_calendar:
            step = np.timedelta64(round(step * 3.6e12), "ns")
        last = _last_time(data["time"].values, step, n)
        times_of = lambda steps: last + step * (steps - (n - 1))  # noqa: E731
        sequence = _Sequence(self.layout, given, times_of, label, tokens, actions, forcings)
        check_actions(sequence, 0, n + frames)
        known = model.Known(sequence, [(0, 0)] * members, self.statistics.mask)
        given = np.broadcast_to(given[None], (members, *given.shape))
        keys = sequence_keys(seed, [(0, member) for member in range(members)])
        chunks = self.sample(given, known, keys, frames, self.cycles(frames, 32))
        values = np.concatenate([block for _, block, _ in chunks], axis=1)
        result = zarr_writer.skeleton(self.layout, np.asarray([last]), None, members, frames)
        for channel, variable in enumerate(self.layout.variables):
            attributes = zarr_writer.attributes(variable)
            stored = variable.stored(values[None, ..., channel])
            result[variable.name] = (dimensions(self.layout), stored, attributes)
        return result

    def _check_taken(self, **known: Any) -> None:
        """Raises `InputError` for conditioning that the network does not take."""
        taken = dataclasses.asdict(self.layout) | {"label": self.layout.labels}
        for name, value in known.items():
            if value is not None and not taken[name]:
                raise InputError(f"the network was trained without {name}: leave {name}= out")

    def _given(self, data: xr.Dataset) -> np.ndarray:
        """The given frames `[n, height, width, variable]`, checked against the layout."""
        layout, n = self.layout, self.recipe.given
        if not isinstance(data, xr.Dataset):
            raise InputError(f"a forecast needs an xarray.Dataset, not a {type(data).__name__}")
        missing = [name for name in layout.names if name not in data]
        if missing:
            raise InputError(f"the data lack {', '.join(missing)}; they hold {', '.join(map(str, data))}")
        for axis in (layout.y, layout.x):
            self._check_axis(axis, data)
        for variable in layout.variables:
            units = data[variable.name].attrs.get("units", variable.units)
            if units != variable.units:
                raise InputError(
                    f"{variable.name} is in {units}, the training data in {variable.units}: convert it"
                )
        if "time" not in data.coords or data["time"].ndim != 1 or data.sizes["time"] < max(n, 1):
            raise InputError(
                f"the data have fewer than the {n} frames along a coordinate `time` that a rollout needs:"
                " give more"
            )
        order = ("time", layout.y.name, layout.x.name)
        recent = data.isel(time=slice(data.sizes["time"] - n, None))
        frames = [recent[name].transpose(*order).values for name in layout.names]
        given = np.stack(frames, axis=-1).astype(np.float32)
        mask = self.statistics.mask
        if not (np.isfinite(given) | (False if mask is None else ~mask)).all():
            raise InputError(f"the last {n} frames have values that are not finite: fill or drop them")
        if layout.is_video and n and not (given.min() >= 0 and 1 < given.max() <= 255):
            raise InputError(
                f"pictures are given in grey levels from 0 to 255, and these lie between {given.min():g} and"
                f" {given.max():g}: scale them"
            )
        return given

    def _check_axis(self, axis: Axis, data: xr.Dataset) -> None:
        """Pixels need no coordinates (row 0 is on top); any other axis must have its training coordinates."""
        if self.layout.is_video and data.sizes.get(axis.name, 0) == len(axis):
            return
        found = data[axis.name].values if axis.name in data.coords else np.empty(0)
        if len(found) != len(axis) or not np.allclose(found, axis.values):
            raise InputError(
                f"the data's {axis.name} is not that of the training data, {len(axis)} values from"
                f" {axis.values[0]:g} to {axis.values[-1]:g}: put the data on that grid"
            )


def _last_time(times: np.ndarray, step: Any, n: int) -> Any:
    """The time of the last of `n` given frames, which must be `step` apart."""
    gaps = np.diff(times[len(times) - max(n, 1) :])
    # The step of monthly data is a mean month, from which months differ by up to a tenth.
    if not all(abs(gap / step - 1) < 0.12 for gap in gaps):
        raise InputError(
            f"the last {n} frames of the data must be one step ({step}) apart, as in training, not"
            f" {', '.join(map(str, gaps))}"
        )
    return times[-1]


@dataclasses.dataclass(frozen=True)
class _Sequence(SequencesBase):
    """One sequence in memory: its first frames, and the conditioning of the given and later ones."""

    layout: Layout
    given: np.ndarray
    times_of: Callable[[np.ndarray], np.ndarray]
    label: str
    embeddings: np.ndarray | None
    actions: np.ndarray | None
    forcings: np.ndarray | None
    mask = None

    def __len__(self):
        return 1

    def read(self, index, start, stop):
        return self.given[start:stop]

    def length(self, index):
        """Frames for which all conditioning that the layout requires is known."""
        given = ((self.layout.actions, self.actions), (self.layout.forcings, self.forcings))
        return min((0 if part is None else len(part) for count, part in given if count), default=0)

    def times(self, index, start, stop):
        return self.times_of(np.arange(start, stop))

    def conditioning(self, index, start, stop):
        found, layout = {}, self.layout
        if layout.labels:
            if self.label and self.label not in layout.labels:
                raise InputError(f"no class {self.label!r}: choose one of {', '.join(layout.labels)}")
            found["label"] = np.int32(layout.labels.index(self.label) if self.label else NO_LABEL)
        if layout.tokens:
            none = np.zeros((1, layout.tokens), np.float32)
            found["tokens"] = none if self.embeddings is None else np.asarray(self.embeddings, np.float32)
        if layout.actions:
            found["actions"] = np.asarray(self.actions, np.float32)[start:stop]
        if layout.forcings:
            found["fields"] = np.asarray(self.forcings, np.float32)[start:stop]
        return found


def _weak_network(recipe: Sampling, layout: Layout) -> Forecaster | None:
    """The weaker network of autoguidance. Raises `InputError` where the guidance does not suit the data."""
    recipe.check_layout(layout)
    names = {part.weak for part in recipe.guidance if part.weak}
    if not names:
        return None
    if len(names) > 1:
        raise InputError(
            "autoguidance takes one weaker network, the folder of its run: give --guidance.0.weak runs/NAME"
        )
    weak = load(names.pop())
    if weak.layout != layout:
        raise InputError("the weaker network of autoguidance was trained on other data: choose another run")
    return weak


def load(path: str | Path, *, code: str | Path | None = None) -> Forecaster:
    """The forecaster of a run: `load("runs/kolmogorov").forecast(dataset, frames=20)`.

    `code` is the Python file that defines parts of one's own, if the run has any; it is executed.
    """
    if code is not None:
        load_code(Path(code))
    return Forecaster(*load_trained(Path(path)))


def sequence_keys(seed: int, places: list[tuple[int, int]]) -> jax.Array:
    """A key for each `(start, member)`, independent of the batch in which it is sampled."""
    base = jax.random.key(seed)
    return jnp.stack(
        [jax.random.fold_in(jax.random.fold_in(base, start), member) for start, member in places]
    )
