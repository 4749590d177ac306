"""Training: a jitted step over all local devices, in a loop that can be killed at any moment.

Each step's key is the run's key folded with the step, the input pipeline saves its position, and a checkpoint
holds both: a resumed run ends with the same bits as an uninterrupted one.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

from rolling.common import signals
from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.data.lag_correlation import lag_correlation
from rolling.data.pipeline import clips
from rolling.data.source import Sequences, Split
from rolling.data.statistics import Statistics, measure
from rolling.denoisers import Apply, Past, denoiser
from rolling.run import model
from rolling.run.checkpoint import Checkpoints, fitted
from rolling.run.experiment import Experiment, Training, codec
from rolling.run.experiment.objectives import LossInputs
from rolling.run.training.log import Log
from rolling.run.training.student import load_teacher
from rolling.sampling.constraints import Units

RESUMED = ("params", "ema", "optimiser", "progress", "statistics", "iterator", "layout", "lengths")
"""The items of a checkpoint that a resumed training reads."""


class State(NamedTuple):
    params: Any
    ema: Any
    optimiser: Any
    step: jax.Array
    key: jax.Array


def learning_rate(training: Training, peak: float) -> Callable[..., jax.Array]:
    """Rises over `warmup` steps, stays, falls to zero over the last fraction `decay` of the steps."""

    def rate(step):
        rise = (step + 1) / max(training.warmup, 1)
        fall = (training.steps - step) / max(training.decay * training.steps, 1)
        return peak * jnp.clip(jnp.minimum(rise, fall), 0.0, 1.0)

    return rate


def transformation(experiment: Experiment) -> optax.GradientTransformation:
    training, optimiser = experiment.training, experiment.optimiser
    rate = learning_rate(training, optimiser.peak)
    return optax.chain(optax.clip_by_global_norm(training.clip), optimiser.transform(rate))


def first_state(experiment: Experiment, params: Any) -> State:
    return State(
        params=params,
        ema=jax.tree.map(jnp.copy, params),
        optimiser=transformation(experiment).init(params),
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key(experiment.training.seed),
    )


def measured(experiment: Experiment, sequences: Sequences) -> Statistics:
    """The statistics of training data, with the correlation of frames as far apart as those of a clip."""
    statistics = measure(sequences)
    lags = lag_correlation(sequences, experiment.clip_frames - 1)
    return dataclasses.replace(statistics, lag_correlation=lags)


def make_loss(experiment: Experiment, apply: Apply, units: Units, past: Past) -> Callable:
    """`(params, frozen, batch, key) -> loss`, the mean over a batch of clips."""

    def of(params, dropout_key):
        network = partial(apply, params, dropout_key=dropout_key)
        return denoiser(network, experiment.prediction, past)

    def condition(batch, dropout_key):
        known = model.condition_of(batch, units.mask)
        if experiment.training.drop_condition == 0 or dropout_key is None:
            return known
        chance = jax.random.uniform(jax.random.fold_in(dropout_key, 1), (len(batch["x"]),))
        return known.dropped(chance < experiment.training.drop_condition)

    inputs = LossInputs(of, condition, experiment, experiment.weighting, units)
    return partial(experiment.objective.loss, inputs)


def make_step(experiment: Experiment, apply: Apply, units: Units, past: Past) -> Callable:
    """The jitted `(state, batch, frozen) -> (state, (loss, norm of the gradient))`.

    The state is donated. `frozen` are the parameters of the objective's teacher, if there is one.
    """
    training = experiment.training
    gradient = jax.value_and_grad(make_loss(experiment, apply, units, past))
    optimiser = transformation(experiment)

    def mean_gradient(params, frozen, batch, key):
        parts = training.accumulate
        if parts == 1:
            return gradient(params, frozen, batch, key)
        # Unrolled: inside a loop the gradient of a convolution loses its fast path. A part takes every
        # `parts`-th clip, so that on several devices each clip stays on its own.
        results = [
            gradient(
                params,
                frozen,
                jax.tree.map(lambda leaf, i=i: leaf[i::parts], batch),
                jax.random.fold_in(key, i),
            )
            for i in range(parts)
        ]
        return jax.tree.map(lambda *leaves: sum(leaves) / parts, *results)

    def step(state, batch, frozen=None):
        key = jax.random.fold_in(state.key, state.step)
        loss, gradients = mean_gradient(state.params, frozen, batch, key)
        updates, optimiser_state = optimiser.update(gradients, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        # The average forgets the first steps faster than with its final decay.
        decay = jnp.minimum(training.ema, (1 + state.step) / (10 + state.step))
        ema = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, state.ema, params)
        after = State(params, ema, optimiser_state, state.step + 1, state.key)
        return after, jnp.stack([loss, optax.tree.norm(gradients)])

    return jax.jit(step, donate_argnums=0)


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
        )
        finished = saved and saved["progress"]["step"] >= experiment.training.steps  # needs no teacher
        teacher = None if finished else load_teacher(experiment, folder, self.layout, self.statistics)
        self.frozen = jax.device_put(teacher, self.shardings.whole)
        trained = experiment.objective.start(params, params if finished else teacher)
        self.state = jax.device_put(first_state(experiment, trained), self.shardings.whole)
        if saved:
            self._resume(saved)
        units = model.units_of(self.layout, self.statistics)
        past = model.past_of(experiment, self.statistics)
        self.step = make_step(experiment, self.apply, units, past)

    def _restored(self) -> dict[str, Any] | None:
        """The latest checkpoint, checked against the present data; None where there is none yet."""
        if self.checkpoints.latest() is None:
            return None
        saved = self.checkpoints.restore(RESUMED)
        self._check_data(saved)
        return saved

    def _resume(self, saved: dict[str, Any]) -> None:
        where = f"the checkpoint in {self.checkpoints.folder}"
        trees = {name: fitted(saved[name], tree, where) for name, tree in self._trees().items()}
        state = State(
            params=trees["params"],
            ema=trees["ema"],
            optimiser=trees["optimiser"],
            step=jnp.asarray(trees["progress"]["step"]),
            key=jax.random.wrap_key_data(jnp.asarray(trees["progress"]["key"])),
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

    def _train(self, log: Log, step: int) -> None:
        training = self.experiment.training
        pending, since = [], time.monotonic()
        saved = since
        rate = learning_rate(training, self.experiment.optimiser.peak)
        with Progress("train", training.steps, done=step, compiles=True) as progress:
            while step < training.steps:
                batch = jax.device_put(next(self.iterator), self.shardings.batch)
                self.state, figures = self.step(self.state, batch, self.frozen)
                pending.append(figures)
                step += 1
                stop = signals.requested() is not None
                late = time.monotonic() - saved > 60 * training.checkpoint_minutes
                due = step % training.checkpoint_every == 0 or step == training.steps or late or stop
                if due or step % training.log_every == 0:
                    self._check_there()
                    loss, norm = self._check(pending, step)
                    seconds = time.monotonic() - since
                    frames = len(pending) * training.batch * self.clip
                    log.write(
                        step,
                        loss=loss,
                        gradient_norm=norm,
                        learning_rate=float(rate(step - 1)),
                        frames_per_second=frames / seconds,
                    )
                    progress.update(len(pending), loss=loss)
                    pending, since = [], time.monotonic()
                if due:
                    self.save(step)
                    saved = time.monotonic()
                if stop:
                    self.checkpoints.wait()
                    raise signals.Stopped(
                        f"stopped after step {step} of {training.steps}; its checkpoint is in"
                        f" {self.checkpoints.folder}: go on with --resume"
                    )

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
