"""A trained run as a forecaster."""

import dataclasses
import zlib
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.common.forecast_schema import dimensions
from rolling.data import calendar
from rolling.data.conditions import check_actions
from rolling.data.other import read_other
from rolling.denoisers import Denoiser
from rolling.joint_layout import JointLayout
from rolling.layout import Layout
from rolling.run import model, other_runs
from rolling.run.checkpoint import check_shapes, load_trained
from rolling.run.experiment import Experiment, JointExperiment
from rolling.run.experiment.user_code import load_code
from rolling.run.forecasting import from_modalities, given_arrays, in_memory, initial_frames, zarr_writer
from rolling.run.forecasting.init_times import InitTime
from rolling.run.forecasting.known_frames import KnownFrames, Source, Standing
from rolling.run.forecasting.stored_modalities import SeveralParts
from rolling.sampling import (
    Carry,
    Conditions,
    Denoisers,
    JointSampling,
    Rollout,
    Sampler,
    Sampling,
    first_guess,
    sampler_of,
)


class Forecaster:
    """A network with everything it needs: its experiment, layout, statistics and parameters, and the folder
    of its run, where the copies of other runs are that its experiment names."""

    def __init__(
        self,
        experiment: Experiment,
        layout: Layout | JointLayout,
        statistics: Any,
        params: Any,
        step: int,
        chosen: str = "",
        run: Path | None = None,
    ):
        self.run = run
        self.chosen = chosen
        """Which parameters these are, where validation has chosen them."""
        self.experiment, self.statistics, self.step = experiment, statistics, step
        self.layout: Any = layout
        self.apply, shapes = model.abstract(experiment, layout, statistics.mask)
        check_shapes(params, shapes, "the checkpoint")
        self.params = jax.device_put(params)
        self.recipe = experiment.recipe
        self._rollouts: dict[int, Rollout] = {}
        self._others: Others | None = None

    def fingerprint(self) -> str:
        """A checksum of the parameters, so that forecasts of two networks are never confused."""
        total = 0
        for leaf in jax.tree.leaves(self.networks()):
            total = zlib.crc32(np.asarray(leaf).tobytes(), total)
        return f"{total:08x}"

    def sample_with(self, sampling: Sampling) -> None:
        """Changes the way of sampling from now on."""
        if sampling.recipe != self.recipe:  # compiled programs stay valid for an equal recipe
            self.recipe = sampling.recipe
            self._rollouts, self._others = {}, None

    @property
    def others(self) -> "Others":
        """The runs that the way of sampling asks, loaded when they are first asked: a run whose weaker
        network, say, is gone can still forecast without it. Raises `InputError` where one does not suit."""
        if self._others is None:
            self.experiment.check_trained(self.recipe)
            self.recipe.check_layout(self.layout)
            self._others = Others.of(self)
        return self._others

    def networks(self) -> tuple[Any, ...]:
        """The parameters of the network and those of the other runs."""
        return self.params, *(other and other.params for other in self.others)

    def bind(self, params: Any, recipe: Sampling) -> Denoiser:
        """The network as the denoiser of a way of sampling."""
        return model.binder(self.experiment, self.apply, model.past_of(recipe, self.layout, self.statistics))(
            params
        )

    def denoisers(self, params: tuple[Any, ...]) -> Denoisers:
        """What a sampler asks, with the parameters of `networks`."""
        own, weak, guess = params
        units, others = model.units_of(self.layout, self.statistics), self.others
        begin = others.guess and first_guess(
            Sampler(others.guess.recipe),
            Denoisers(others.guess.bind(guess, others.guess.recipe), units=units),
        )
        weaker = others.weak and others.weak.bind(weak, self.recipe)
        return Denoisers(self.bind(own, self.recipe), weaker, begin, units)

    def rollout(self, cycles: int) -> Rollout:
        """The compiled loop whose chunks hold `cycles` cycles."""
        if cycles not in self._rollouts:
            sampler = sampler_of(self.recipe, self.layout)
            self._rollouts[cycles] = Rollout(sampler, self.denoisers, cycles=cycles)
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
        standing: Standing | None = None,
    ) -> Iterator[tuple[int, np.ndarray, Carry]]:
        """`(first lead, frames, carry)` for `given [batch, n, *space, variable]` in physical units; with
        `standing`, some of the frames are known."""
        normalised = self.statistics.normalise(given)
        clean = jax.tree.map(lambda part: jnp.asarray(part, jnp.float32), normalised)
        if beginning := self.experiment.reference.frames:
            known = model.with_reference(known, clean[:, :beginning])
        known = standing.conditions(known) if standing else known
        chunks = self.rollout(cycles).chunks(self.networks(), clean, keys, frames, known, resume=resume)
        for chunk in chunks:
            made: Any = self.statistics.denormalise(jax.tree.map(np.asarray, chunk.frames))
            made = standing.written(chunk.start, made) if standing else made
            yield chunk.start, made, chunk.carry

    def forecast(
        self,
        data: Any,
        frames: int,
        members: int = 4,
        seed: int = 0,
        *,
        label: str = "",
        tokens: np.ndarray | None = None,
        actions: np.ndarray | None = None,
        forcings: np.ndarray | None = None,
        parameters: Mapping[str, float] | None = None,
        constants: np.ndarray | None = None,
        known: Mapping[str, Source] | None = None,
    ) -> Any:
        """`members` forecasts of the `frames` frames after the last frame of `data`, as a dataset.

        `data` holds the variables that the network was trained on, as `xarray.open_dataset` opens them.
        Fields are read as those of training were: units are converted, axes may run in another order or be
        called otherwise, and the grid may be part of a larger one. At the end there are at least as many
        frames, a step apart, as a rollout is given. `label` names a class, and `tokens [n, d]` describe the
        sequence; both may be left out.
        `actions [given + frames, a]` and `forcings [given + frames, *space, f]`, of the given and the
        forecast frames, are required where the network was trained with them, and so are `parameters` by
        their names and `constants [*space, f]`, in the units of the data.

        Of several modalities `data` and the forecasts are dicts by name, and `frames` counts ticks. The
        forecasts begin where the data of the modalities that are made end; those that are given
        (`sample_with`) go on, as far as they are to be seen. `known` are frames of some that are made, as
        datasets like the forecasts, or where they are stored: they stay, and those that are NaN or not there
        are made.
        """
        _check_size(frames, members)
        if isinstance(self.layout, JointLayout):
            return self._forecast_modalities(data, frames, members, seed, known or {})
        if known:
            raise InputError("known frames are those of one of several modalities: leave known= out")
        self._check_taken(label=label or None, tokens=tokens, actions=actions, forcings=forcings)
        given, last = self._given(data)
        n = self.recipe.given_frames
        last = np.asarray([last])
        times_of = lambda steps: calendar.after(self.layout, last, steps - (n - 1))  # noqa: E731
        always = in_memory.Always.of(self.layout, parameters, constants)
        sequence = in_memory.InMemory(self.layout, given, times_of, always, label, tokens, actions, forcings)
        check_actions(sequence, 0, n + frames)
        values = self._members(in_memory.Joined([sequence]), range(1), frames, members, seed)
        valid = times_of(np.arange(n, n + frames))[None]
        result = zarr_writer.skeleton(self.layout, last, valid, None, members)
        for channel, variable in enumerate(self.layout.variables):
            attributes = zarr_writer.attributes(variable)
            stored = variable.stored(values[..., channel])
            result[variable.name] = (dimensions(self.layout), stored, attributes)
        return result

    def _forecast_modalities(
        self,
        data: Mapping[str, xr.Dataset],
        ticks: int,
        members: int,
        seed: int,
        known_frames: Mapping[str, Source],
    ) -> dict[str, xr.Dataset]:
        """Forecasts of the modalities that are made."""
        layout, recipe, mask = self.layout, cast(JointSampling, self.recipe), self.statistics.mask
        sequences = from_modalities.begun(cast(Any, self.experiment.source), layout, mask, recipe, data)
        recipe.sampler(layout).check_ticks(ticks)
        n, places = recipe.given_frames, [(0, member) for member in range(members)]
        given = jax.tree.map(lambda part: np.repeat(part[None], members, 0), sequences.read(0, 0, n))
        shown = model.shown_modalities(recipe, self.statistics)
        known = model.Known(sequences, [(0, 0)] * members, mask, shown)
        standing = None
        if known_frames:
            parts, starts = SeveralParts(sequences, recipe), [InitTime(sequence=0, frame=n)]
            found = self.known_frames(known_frames, parts, starts, members, placed=False)
            standing = found.batch(places, n, self.statistics)
        keys, cycles = sequence_keys(seed, places), self.cycles(ticks, 32)
        chunks = self.sample(given, known, keys, ticks, cycles, standing=standing)
        blocks = [cast(Any, frames) for _, frames, _ in chunks]
        values = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *blocks)
        return {
            name: from_modalities.dataset(sequences.parts[name], n // layout.every[name], found)
            for name, found in values.items()
        }

    def known_frames(self, known: Mapping[str, Source], *where: Any, **how: Any) -> KnownFrames:
        """As `KnownFrames.of`. Raises `InputError` also where the network was not trained on such a law."""
        cast(JointExperiment, self.experiment).check_known(known)
        return KnownFrames.of(known, *where, **how)

    def predict(
        self,
        given: Any,
        /,
        frames: int,
        members: int = 4,
        seed: int = 0,
        *,
        label: str | Sequence[str] = "",
        tokens: np.ndarray | None = None,
        actions: np.ndarray | None = None,
        forcings: np.ndarray | None = None,
        parameters: Mapping[str, float] | None = None,
        constants: np.ndarray | None = None,
    ) -> np.ndarray:
        """`members` forecasts `[member, frame, *space, channel]` of the `frames` frames after the last
        one of `given`, for pictures and other frames without a calendar, without times or coordinates.

        `given [t, *space, channel]` holds at least as many frames as a rollout is given, or is
        `[t, *space]` where there is one channel; a further first axis is for several clips, and then
        the forecasts have it, too. Pictures are grey levels from 0 to 255; the forecasts are uint8 if `given`
        are whole numbers, else float32. `label`, `tokens [n, d]`, `actions [given + frames, a]` and
        `forcings` are as in `forecast`, the same for all clips or one for each; `parameters` and `constants`
        are the same for all.
        """
        _check_size(frames, members)
        if isinstance(self.layout, JointLayout):
            raise InputError("several modalities are forecast from datasets: give `forecast` a dict of them")
        self._check_taken(label=label or None, tokens=tokens, actions=actions, forcings=forcings)
        layout, n = self.layout, self.recipe.given_frames
        if layout.has_calendar:
            raise InputError("these frames have a calendar: give `forecast` an xarray.Dataset with times")
        plain = given_arrays.GivenArray.of(given, layout, n)
        initial_frames.check_given(plain.frames, self.statistics.mask)
        clips = len(plain.frames)
        known = (
            given_arrays.labels_of(label, clips),
            given_arrays.per_clip("tokens", tokens, clips, (None, layout.tokens)),
            given_arrays.per_clip("actions", actions, clips, (None, layout.actions)),
            given_arrays.per_clip("forcings", forcings, clips, (None, *layout.space, layout.forcings)),
        )
        steps = lambda index: layout.step * (index - (n - 1))  # noqa: E731
        told: Any = zip(plain.frames, *known, strict=True)
        always = in_memory.Always.of(layout, parameters, constants)
        parts = [in_memory.InMemory(layout, clip, steps, always, *rest) for clip, *rest in told]
        sequences = in_memory.Joined(parts)
        for clip in range(clips):
            check_actions(sequences, clip, n + frames)
        at_once = max(1, self.experiment.forecast.batch // members)
        made = [
            self._members(sequences, range(first, min(first + at_once, clips)), frames, members, seed)
            for first in range(0, clips, at_once)
        ]
        return plain.alike(np.concatenate(made))

    def _members(
        self, sequences: in_memory.Joined, clips: range, frames: int, members: int, seed: int
    ) -> np.ndarray:
        """Forecasts `[clip, member, frame, ...]` of the first given frames of some sequences, together."""
        n, places = self.recipe.given_frames, [(clip, member) for clip in clips for member in range(members)]
        known = model.Known(sequences, [(clip, 0) for clip, _ in places], self.statistics.mask)
        given = np.stack([sequences.read(clip, 0, n) for clip, _ in places])
        chunks = self.sample(given, known, sequence_keys(seed, places), frames, self.cycles(frames, 32))
        values = np.concatenate([block for _, block, _ in chunks], axis=1)
        return values.reshape(len(clips), members, *values.shape[1:])

    def _check_taken(self, **known: Any) -> None:
        """Raises `InputError` for conditioning that the network does not take."""
        taken = dataclasses.asdict(self.layout) | {"label": self.layout.labels}
        for name, value in known.items():
            if value is not None and not taken[name]:
                raise InputError(f"the network was trained without {name}: leave {name}= out")

    def _given(self, data: xr.Dataset) -> tuple[np.ndarray, Any]:
        """The given frames `[n, *space, variable]` and the time of the last one."""
        layout, n = self.layout, self.recipe.given_frames
        if not isinstance(data, xr.Dataset):
            kind = type(data).__name__
            raise InputError(f"a forecast needs an xarray.Dataset, not a {kind}: `predict` takes arrays")
        source, mask = self.experiment.source, self.statistics.mask
        return initial_frames.last_frames(read_other(source, layout, mask, data), n)


def _check_size(frames: int, members: int) -> None:
    if not all(isinstance(count, Integral) and count >= 1 for count in (frames, members)):
        raise InputError(
            f"a forecast needs whole numbers of frames and members, 1 or more, not {frames} and {members}"
        )


class Others(NamedTuple):
    """The other runs of a forecast: autoguidance's weaker network, and the one that makes the first guess."""

    weak: Forecaster | None
    guess: Forecaster | None

    @classmethod
    def of(cls, forecaster: Forecaster) -> "Others":
        recipe = forecaster.recipe
        places = {
            role: other_runs.place_of(role, name, forecaster.experiment, forecaster.run)
            for role, name in other_runs.named(recipe).items()
        }
        weak, guess = (
            _alike(places[role], forecaster) if role in places else None for role in ("weak", "start")
        )
        if weak and weak.experiment.memory.ages not in ((), recipe.memory.ages):
            raise InputError(
                f"the weaker network is shown old frames of the ages {weak.experiment.memory.ages} and this"
                f" one of {recipe.memory.ages}: choose one that was trained with the same, or with none"
            )
        if guess:
            other_runs.check_guess(guess.recipe, recipe)
        return cls(weak, guess)


def _alike(folder: Path, forecaster: Forecaster) -> Forecaster:
    """Another run, on the same data: its network is asked about frames that are normalised alike."""
    other = load(folder)
    same_frames = other.layout.same_frames(forecaster.layout)
    if not (same_frames and other.statistics.same_scale(forecaster.statistics)):
        raise InputError(f"the run {folder} was trained on other data: choose one that was trained on these")
    if other.experiment.reference.frames > forecaster.experiment.reference.frames:
        raise InputError(
            f"the network of {folder} is shown the first frames of a rollout, and this one is not: choose one"
            " that was trained with --reference.frames 0"
        )
    return other


def load(path: str | Path, *, code: str | Path | None = None) -> Forecaster:
    """The forecaster of a run: `load("runs/kolmogorov").forecast(dataset, frames=20)`.

    `code` is the Python file that defines parts of one's own, if the run has any; it is executed.
    """
    if code is not None:
        load_code(Path(code))
    return Forecaster(*load_trained(Path(path)), run=Path(path))


def sequence_keys(seed: int, places: list[tuple[int, int]]) -> jax.Array:
    """A key for each `(start, member)`, independent of the batch in which it is sampled."""
    base = jax.random.key(seed)
    return jnp.stack(
        [jax.random.fold_in(jax.random.fold_in(base, start), member) for start, member in places]
    )
