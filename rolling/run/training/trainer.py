"""Training: a jitted step over all local devices, in a loop that can be killed at any moment.

Each step's key is the run's key folded with the step, the input pipeline saves its position, and a checkpoint
holds both: a resumed run ends with the same bits as an uninterrupted one.
"""

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from rolling.common import signals
from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.data.lag_correlation import lag_correlation
from rolling.data.pipeline import clips
from rolling.data.source import Sequences, Split
from rolling.data.statistics import Statistics, measure
from rolling.run import model
from rolling.run.checkpoint import Checkpoints, fitted
from rolling.run.experiment import Experiment, codec
from rolling.run.training.initial_parameters import Initial, load_initial
from rolling.run.training.log import Log
from rolling.run.training.step import State, first_state, learning_rate, loss_inputs, make_step
from rolling.run.training.student import load_teacher

RESUMED = ("params", "ema", "optimiser", "progress", "statistics", "iterator", "layout", "lengths")
"""The items of every checkpoint that a resumed training reads."""


def measured(experiment: Experiment, sequences: Sequences) -> Statistics:
    """The statistics of training data, with the correlation of frames as far apart as those of a clip."""
    statistics = measure(sequences)
    lags = lag_correlation(sequences, experiment.clip_frames - 1)
    return dataclasses.replace(statistics, lag_correlation=lags)


@dataclasses.dataclass
class Shardings:
    """All local devices as one axis: batches are sharded along it, everything else is replicated."""

    batch: NamedSharding
    whole: NamedSharding

    @classmethod
    def over_local_devices(cls, batch: int) -> "Shardings":
        devices = jax.local_devices()
        if batch % len(devices):
            raise InputError(
                f"a batch of {batch} cannot be split over {len(devices)} devices: choose a multiple of"
                f" {len(devices)}"
            )
        mesh = jax.sharding.Mesh(np.asarray(devices), ("data",))
        return cls(NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec()))


class Trainer:
    """The training of one run, from its first step or from its last checkpoint."""

    def __init__(
        self, experiment: Experiment, folder: Path, split: Split, statistics: Statistics | None = None
    ):
        self.experiment, self.folder = experiment, folder
        self.sequences, self.layout = split.train, split.train.layout
        self.checkpoints = Checkpoints(folder / "checkpoints", experiment.training.keep)
        self.shardings = Shardings.over_local_devices(
            experiment.training.batch // experiment.training.accumulate
        )
        saved = self._restored()
        self.clip = experiment.clip_frames
        self.statistics = (
            Statistics.from_arrays(saved["statistics"])
            if saved
            else statistics or measured(experiment, split.train)
        )
        self.apply, params = model.build(experiment, self.layout, self.statistics.mask)
        self.parameters = model.count(params)
        self.iterator = clips(
            split.train,
            self.statistics,
            frames=self.clip,
            batch=experiment.training.batch,
            seed=experiment.training.seed,
            augment=experiment.augment,
            reference=experiment.reference.frames,
            reach=experiment.reference.reach,
            memory=experiment.clip_past,
            start_share=experiment.memory.start_share,
        )
        # A checkpoint has them all: it takes nothing from the run that this one began with.
        initial = Initial(params, ()) if saved else load_initial(experiment, folder, params, self.layout)
        self.notices = initial.notices
        finished = saved and saved["progress"]["step"] >= experiment.training.steps  # needs no teacher
        teacher = None if finished else load_teacher(experiment, folder, self.layout, self.statistics)
        self.frozen = jax.device_put(teacher, self.shardings.whole)
        # A student begins as its teacher, unless it is to begin with the parameters of another run.
        own = finished or (initial.notices and teacher is not None)
        trained = experiment.objective.start(initial.params, initial.params if own else teacher)
        units = model.units_of(self.layout, self.statistics)
        past = model.past_of(experiment, self.statistics)
        kept = experiment.objective.init(loss_inputs(experiment, self.apply, units, past))
        self.state = jax.device_put(first_state(experiment, trained, kept), self.shardings.whole)
        if saved:
            self._resume(saved)
        self.step = make_step(experiment, self.apply, units, past)

    def _restored(self) -> dict[str, Any] | None:
        """The latest checkpoint, checked against the present data; None where there is none yet."""
        if self.checkpoints.latest() is None:
            return None
        saved = self.checkpoints.restore(RESUMED)
        self._check_data(saved)
        return saved

    def _resume(self, saved: dict[str, Any]) -> None:
        where, like = f"the checkpoint in {self.checkpoints.folder}", self._trees()
        if own := tuple(name for name in like if name not in saved):
            saved = saved | self.checkpoints.restore(own)
        trees = {name: fitted(saved[name], tree, where) for name, tree in like.items()}
        state = State(
            params=trees["params"],
            ema=trees["ema"],
            optimiser=trees["optimiser"],
            step=jnp.asarray(trees["progress"]["step"]),
            key=jax.random.wrap_key_data(jnp.asarray(trees["progress"]["key"])),
            objective=trees.get("objective", self.state.objective),
        )
        self.state = jax.device_put(state, self.shardings.whole)
        self.iterator.set_state(saved["iterator"])

    def _data(self) -> dict[str, Any]:
        """The items that show whether the data are still those at the start of the training."""
        lengths = [self.sequences.length(i) for i in range(len(self.sequences))]
        return {"layout": codec.encode(self.layout), "lengths": lengths}

    def _check_data(self, then: dict[str, Any]) -> None:
        now = self._data()
        layout = codec.decode(then["layout"], where=f"the checkpoint in {self.checkpoints.folder}")
        changed = codec.differences(codec.encode(layout), now["layout"])
        if changed or then["lengths"] != now["lengths"]:
            changed += [f"frames: {sum(then['lengths'])} / {sum(now['lengths'])}"]
            raise InputError(
                f"the data have changed since {self.folder} was started (then / now: {'; '.join(changed)}):"
                " restore the old data, or start another run with --name"
            )

    def _trees(self) -> dict[str, Any]:
        state = self.state
        progress = {"step": state.step, "key": jax.random.key_data(state.key)}
        trees = {"params": state.params, "ema": state.ema, "optimiser": state.optimiser, "progress": progress}
        if jax.tree.leaves(state.objective):
            trees["objective"] = state.objective
        return jax.tree.map(np.asarray, trees)

    def save(self, step: int) -> None:
        self._check_there()
        self.checkpoints.save(
            step,
            self._trees()
            | {
                "statistics": self.statistics.to_arrays(),
                "iterator": self.iterator.get_state(),
                "experiment": codec.encode(self.experiment),
            }
            | self._data(),
        )

    def run(self) -> None:
        """Trains to the last step and saves a checkpoint of it.

        A signal is answered between two steps, by a checkpoint and `Stopped`.
        """
        step = int(self.state.step)
        with contextlib.closing(Log(self.folder, step)) as log, signals.deferred():
            try:
                self._train(log, step)
            finally:
                self.checkpoints.wait()

    def _train(self, log: Log, begin: int) -> None:
        training = self.experiment.training
        pending, since = [], time.monotonic()
        saved = since
        rate = learning_rate(training, self.experiment.optimiser.peak)
        with Progress("train", training.steps, done=begin, compiles=True) as progress:
            for step in range(begin + 1, training.steps + 1):
                pending.append(self._first_step() if step == begin + 1 else self._next_step())
                stop = signals.requested() is not None
                late = time.monotonic() - saved > 60 * training.checkpoint_minutes
                due = step % training.checkpoint_every == 0 or step == training.steps or late or stop
                logged = due or step % training.log_every == 0
                if logged or step == begin + 1:
                    self._check_there()
                    loss, norm = self._check(pending, step)
                    if logged:
                        seconds = time.monotonic() - since
                        frames = len(pending) * training.batch * self.clip
                        log.write(
                            step,
                            loss=loss,
                            gradient_norm=norm,
                            learning_rate=float(rate(step - 1)),
                            frames_per_second=frames / seconds,
                        )
                        pending, since = [], time.monotonic()
                    progress.update(step - progress.done, loss=loss)
                if due:
                    self.save(step)
                    saved = time.monotonic()
                if stop:
                    self.checkpoints.wait()
                    raise signals.Stopped(
                        f"stopped after step {step} of {training.steps}; its checkpoint is in"
                        f" {self.checkpoints.folder}: go on with --resume"
                    )

    def _next_step(self) -> jax.Array:
        batch = jax.device_put(next(self.iterator), self.shardings.batch)
        self.state, figures = self.step(self.state, batch, self.frozen)
        return figures

    def _first_step(self) -> jax.Array:
        """Compiles the program, which may take minutes, when nothing is new that a stop could lose."""
        with signals.nothing_to_save():
            return jax.block_until_ready(self._next_step())

    def close(self) -> None:
        self.checkpoints.close()

    def _check_there(self) -> None:
        """Raises `InputError` where somebody has removed the run: writing would make part of it anew."""
        if not self.checkpoints.folder.is_dir():
            raise InputError(f"{self.folder} was removed while it was trained: train it again from the start")

    def _check(self, pending: list[jax.Array], step: int) -> tuple[float, float]:
        """Means of the loss and of the gradient's norm since the last check; both must be finite."""
        figures = np.asarray(jax.device_get(pending), np.float64)
        if np.isfinite(figures).all():
            return float(figures[:, 0].mean()), float(figures[:, 1].mean())
        first = step - len(pending) + 1 + int(np.argmin(np.isfinite(figures).all(axis=1)))
        self.checkpoints.wait()
        last = self.checkpoints.latest()
        kept = f"the checkpoint of step {last} is intact" if last else "there is no checkpoint yet"
        raise InputError(
            f"the loss is not finite from step {first} on: {kept} in {self.checkpoints.folder}; lower"
            f" --optimiser.peak (now {self.experiment.optimiser.peak:g}), or check the data for outliers"
        )
