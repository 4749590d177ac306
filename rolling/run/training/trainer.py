"""Training: a jitted step over all local devices, in a loop that can be killed at any moment.

Each step's key is the run's key folded with the step, the input pipeline saves its position, and a checkpoint
holds both: a resumed run ends with the same bits as an uninterrupted one.
"""

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from rolling.common import signals
from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.data.joint_sequences import JointSequences
from rolling.data.joint_statistics import JointStatistics, from_arrays
from rolling.data.lag_correlation import lag_correlation
from rolling.data.pipeline import clips
from rolling.data.source import Sequences, Split
from rolling.data.statistics import Statistics, measure
from rolling.run import model
from rolling.run.checkpoint import Best, Checkpoints, fitted
from rolling.run.experiment import Experiment, codec
from rolling.run.training.initial_parameters import Initial, load_initial
from rolling.run.training.log import Log
from rolling.run.training.step import State, first_state, learning_rate, loss_inputs, make_step
from rolling.run.training.student import load_teacher
from rolling.run.training.validation import Validator

RESUMED = ("params", "ema", "optimiser", "progress", "statistics", "iterator", "layout", "lengths")
"""The items of every checkpoint that a resumed training reads."""


def measured(experiment: Experiment, sequences: Sequences | JointSequences) -> Statistics | JointStatistics:
    """The statistics of training data, with the correlation of frames as far apart as those of a clip."""
    if isinstance(sequences, JointSequences):
        every, ticks = sequences.layout.every, experiment.clip_frames
        return JointStatistics(
            {name: _measured(part, ticks // every[name]) for name, part in sequences.parts.items()}
        )
    return _measured(sequences, experiment.clip_frames)


def _measured(sequences: Sequences, frames: int) -> Statistics:
    statistics = measure(sequences)
    return dataclasses.replace(statistics, lag_correlation=lag_correlation(sequences, frames - 1))


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
    """The training of one run on the data of `Experiment.split`, from its first step or from its last
    checkpoint."""

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        split: Split,
        statistics: Statistics | JointStatistics | None = None,
    ):
        self.experiment, self.folder = experiment, folder
        self.sequences, self.layout = split.train, split.train.layout
        self.checkpoints = Checkpoints(folder / "checkpoints", experiment.training.keep)
        self.shardings = Shardings.over_local_devices(
            experiment.training.batch // experiment.training.accumulate
        )
        saved = self._restored()
        self.clip = experiment.clip_frames
        self.statistics: Any = (
            from_arrays(saved["statistics"]) if saved else statistics or measured(experiment, split.train)
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
            past=experiment.clip_past,
        )
        # A checkpoint has them all: it takes nothing from the run that this one began with.
        initial = Initial(params, ()) if saved else load_initial(experiment, folder, params, self.layout)
        self.notices = initial.notices
        self.best = Best(**saved["best"]) if saved and "best" in saved else None
        finished = saved and (self.ended or saved["progress"]["step"] >= experiment.training.steps)
        # What is finished needs no teacher.
        teacher = None if finished else load_teacher(experiment, folder, self.layout, self.statistics)
        self.frozen = jax.device_put(teacher, self.shardings.whole)
        # A student begins as its teacher, unless it is to begin with the parameters of another run.
        own = finished or (initial.notices and teacher is not None)
        trained = experiment.objective.start(initial.params, initial.params if own else teacher)
        units = model.units_of(self.layout, self.statistics)
        past = model.past_of(experiment, self.layout, self.statistics)
        inputs = loss_inputs(experiment, self.apply, units, past)
        kept = experiment.objective.init(inputs)
        self.state = jax.device_put(first_state(experiment, trained, kept), self.shardings.whole)
        self.validator = None
        if split.validation is not None:
            self.best = self.best or Best.none_yet(self.state.ema)
            self.validator = Validator(
                experiment, inputs, split.validation, self.statistics, self.shardings.batch
            )
        if saved:
            self._resume(saved)
        self.step = make_step(experiment, self.apply, units, past)

    @property
    def ended(self) -> bool:
        """Whether validation has ended the training."""
        return self.best is not None and self.best.ends(self.experiment.validation.patience)

    def outcome(self) -> list[str]:
        """What validation has brought, a sentence each."""
        if self.best is None:
            return []
        step, steps = int(self.state.step), self.experiment.training.steps
        early = (
            f"the training ended after step {step} of {steps}: the last"
            f" {counted(int(self.best.since), 'evaluation')} found no lower validation loss"
        )
        return [*([early] if step < steps else []), self.best.words()]

    def _restored(self) -> dict[str, Any] | None:
        """The latest checkpoint, checked against the present data; None where there is none yet."""
        if self.checkpoints.latest() is None:
            return None
        best = ("best",) if self.experiment.validation.share else ()
        saved = self.checkpoints.restore((*RESUMED, *best))
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
        self.best = trees.get("best")
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
        if self.best is not None:
            trees["best"] = self.best if self.best.step else Best.none_yet(state.ema)
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
        """Trains to the last step, or to where validation ends it, and saves a checkpoint of it.

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
        pending, since, validated = [], time.monotonic(), {}
        saved = since
        rate = learning_rate(training, self.experiment.optimiser.peak)
        last = begin if self.ended else training.steps
        with Progress("train", training.steps, done=begin, compiles=True) as progress:
            for step in range(begin + 1, last + 1):
                pending.append(self._first_step() if step == begin + 1 else self._next_step())
                stop = signals.requested() is not None
                late = time.monotonic() - saved > 60 * training.checkpoint_minutes
                due = step % training.checkpoint_every == 0 or step == last or late or stop
                validates = self._validates(step)
                logged = due or validates or step % training.log_every == 0
                if logged or step == begin + 1:
                    self._check_there()
                    figures = self._check(pending, step)
                    norm = figures.pop("gradient_norm")
                    seconds = time.monotonic() - since
                    found = self._validated(step) if validates else {}
                    if logged:
                        log.write(
                            step,
                            **figures,
                            gradient_norm=norm,
                            learning_rate=float(rate(step - 1)),
                            frames_per_second=len(pending) * training.batch * self.clip / seconds,
                            **found,
                        )
                        pending, since = [], time.monotonic()
                    validated |= found
                    progress.update(step - progress.done, **figures, **validated)
                if due or self.ended:
                    self.save(step)
                    saved = time.monotonic()
                if self.ended:
                    return
                if stop:
                    self._stopped(step)

    def _stopped(self, step: int) -> NoReturn:
        self.checkpoints.wait()
        raise signals.Stopped(
            f"stopped after step {step} of {self.experiment.training.steps}; its checkpoint is in"
            f" {self.checkpoints.folder}: go on with --resume"
        )

    def _validates(self, step: int) -> bool:
        """Whether there is an evaluation after a step."""
        last = step == self.experiment.training.steps
        return self.validator is not None and (last or step % self.experiment.validation.every == 0)

    def _validated(self, step: int) -> dict[str, float]:
        """The validation loss of the average, which is kept if no other one had a lower."""
        assert self.validator is not None and self.best is not None
        loss = self.validator.loss(self.state.ema, self.frozen)
        if not np.isfinite(loss):
            raise self._not_finite(f"the validation loss is not finite after step {step}")
        self.best = self.best.after(self.state.ema, loss, step)
        return {"validation_loss": loss}

    def _next_step(self) -> dict[str, jax.Array]:
        batch = jax.device_put(next(self.iterator), self.shardings.batch)
        self.state, figures = self.step(self.state, batch, self.frozen)
        return figures

    def _first_step(self) -> dict[str, jax.Array]:
        """Compiles the program, which may take minutes, when nothing is new that a stop could lose."""
        with signals.nothing_to_save():
            return jax.block_until_ready(self._next_step())

    def close(self) -> None:
        self.checkpoints.close()

    def _check_there(self) -> None:
        """Raises `InputError` where somebody has removed the run: writing would make part of it anew."""
        if not self.checkpoints.folder.is_dir():
            raise InputError(f"{self.folder} was removed while it was trained: train it again from the start")

    def _check(self, pending: list[dict[str, jax.Array]], step: int) -> dict[str, float]:
        """Means of the figures of the steps since the last check, the loss first; all must be finite."""
        found = jax.device_get(pending)
        names = sorted(found[0], key=lambda name: (name != "loss", name))
        figures = np.array([[each[name] for name in names] for each in found], np.float64)
        if np.isfinite(figures).all():
            return dict(zip(names, figures.mean(axis=0).tolist(), strict=True))
        first = step - len(pending) + 1 + int(np.argmin(np.isfinite(figures).all(axis=1)))
        raise self._not_finite(f"the loss is not finite from step {first} on")

    def _not_finite(self, what: str) -> InputError:
        self.checkpoints.wait()
        last = self.checkpoints.latest()
        kept = f"the checkpoint of step {last} is intact" if last else "there is no checkpoint yet"
        return InputError(
            f"{what}: {kept} in {self.checkpoints.folder}; lower"
            f" --optimiser.peak (now {self.experiment.optimiser.peak:g}), or check the data for outliers"
        )
