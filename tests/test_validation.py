"""Validation: the loss on what is set apart, the parameters that it chooses, and where it ends a training."""

import contextlib
import dataclasses
import io
import json
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling import load
from rolling.common import signals
from rolling.common.errors import InputError
from rolling.data.statistics import Statistics
from rolling.run import commands, model
from rolling.run.checkpoint import Checkpoints, leaves_by_path, load_trained
from rolling.run.cli import main
from rolling.run.compare.runs import Run
from rolling.run.experiment import Reference, Validation, codec
from rolling.run.experiment.error_bank import ErrorBank
from rolling.run.experiment.few_steps import Consistency
from rolling.run.experiment.own_context import OwnContext
from rolling.run.other_runs import place_in_training
from rolling.run.report import page, plots
from rolling.run.training.initial_parameters import finetuned
from rolling.run.training.log import records
from rolling.run.training.student import student_of
from rolling.run.training.trainer import Trainer
from rolling.run.training.validation import DRAWS, KEY, Validator
from tests.run_tools import THIN, debug

pytestmark = pytest.mark.slow
NONE = dataclasses.replace(debug.forecast, frames=0)
ON = Validation(share=0.25, every=2, clips=6)
SHORT = dataclasses.replace(debug.training, steps=8, batch=4, log_every=3, checkpoint_every=3, keep=9)


def short(validation=ON, **changes):
    made = dataclasses.replace(debug, training=SHORT, forecast=NONE, long=NONE, validation=validation)
    return dataclasses.replace(made, **changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "valid"
    commands.train(short(), folder)
    return folder


def restored(run, *names, step=None):
    place = run / "checkpoints"
    if step is not None:  # as if it were the last one
        place = run.parent / f"{run.name}-until-{step}"
        shutil.copytree(run / "checkpoints" / str(step), place / str(step), dirs_exist_ok=True)
    checkpoints = Checkpoints(place)
    found = checkpoints.restore(names)
    checkpoints.close()
    return found


def logged(run, name="validation_loss"):
    return {record["step"]: record[name] for record in records(run) if name in record}


def assert_equal(found, expected):
    a, b = leaves_by_path(found), leaves_by_path(expected)
    assert a.keys() == b.keys() and a
    for path in a:
        np.testing.assert_array_equal(np.asarray(a[path]), np.asarray(b[path]), err_msg=path)


def test_the_loss_in_the_log_is_that_of_the_averaged_parameters_on_what_is_set_apart(run):
    """The loss of `VLoss` from its definition, on the first of four trajectories, by hand."""
    items = restored(run, "ema", "statistics")
    frames = debug.source.open().train
    held, rest = frames.read(0, 0, 24), np.concatenate([frames.read(i, 0, 24) for i in (1, 2, 3)])
    statistics = Statistics.from_arrays(items["statistics"])
    np.testing.assert_allclose(statistics.mean, rest.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(statistics.std, rest.std((0, 1, 2)), rtol=1e-4)
    # 21 clips of 4 frames; 8 of them, evenly spaced, in two batches of every other one.
    starts = [round(i * 20 / 7) for i in range(8)]
    batches = [np.stack([held[s : s + 4] for s in starts[place::2]]) for place in range(2)]
    apply, fresh = model.build(debug, frames.layout, None)
    params = jax.tree.unflatten(
        jax.tree.structure(fresh), [leaves_by_path(items["ema"])[path] for path in leaves_by_path(fresh)]
    )
    losses = []
    for place, clips in enumerate(batches):
        x = jnp.asarray((clips - statistics.mean) / statistics.std)
        root = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), KEY), place)
        for key in jax.random.split(root, DRAWS):
            times_key, noise_key, _ = jax.random.split(key, 3)
            times = debug.window.sample_times(times_key, len(x))
            moving = (times.rate > 0) & (times.tau > 0) & (times.tau < 1)
            logsnr = debug.schedule.logsnr(times.tau)
            alpha, sigma = (jnp.sqrt(jax.nn.sigmoid(s * logsnr))[..., None, None, None] for s in (1, -1))
            eps = jax.random.normal(noise_key, x.shape)
            v = apply(params, alpha * x + sigma * eps, logsnr, model.condition_of({}, None))
            error = jnp.mean((v - (alpha * eps - sigma * x)) ** 2, axis=(2, 3, 4))
            losses.append(float(jnp.mean(jnp.sum(jnp.where(moving, times.rate * error, 0), axis=1))))
    found = logged(run)
    assert list(found) == [2, 4, 6, 8]
    assert found[8] == pytest.approx(np.mean(losses), rel=1e-4)
    assert len(set(losses)) == 2 * DRAWS


def test_it_is_logged_and_the_rest_of_the_log_is_as_before(run):
    assert list(logged(run, "loss")) == [2, 3, 4, 6, 8]
    events = b"".join(path.read_bytes() for path in (run / "tensorboard").iterdir())
    assert events.count(b"validation_loss") == 4


def test_evaluations_change_nothing_of_the_training(run, tmp_path):
    """A training on the same data that never evaluates reaches the same bits."""
    other = tmp_path / "other"
    plain = short(Validation())
    split = dataclasses.replace(short().split(), validation=None)
    trainer = Trainer(plain, other, split)
    trainer.run()
    trainer.close()
    for name in ("params", "ema", "optimiser", "progress", "statistics"):
        assert_equal(restored(other, name)[name], restored(run, name)[name])
    assert not any((other / "checkpoints").glob("*/best")) and not logged(other)
    assert load_trained(other).chosen == "" and load_trained(other).step == 8
    assert trainer.outcome() == []


class Told(list):
    """The validation losses that were told, of those that are to be."""

    def __init__(self, *losses):
        self.losses = iter(losses)

    def __call__(self):
        self.append(next(self.losses))
        return self[-1]


PATIENT = short(dataclasses.replace(ON, every=1, patience=2))


@pytest.fixture(scope="module")
def worse(tmp_path_factory):
    """A training whose validation loss is not lower after the second evaluation, and what it said."""
    run, told, said = tmp_path_factory.mktemp("runs") / "worse", Told(3.0, 2.0, 2.5, 2.0, 4.0), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(Validator, "loss", lambda self, params, frozen: told())
        commands.train(PATIENT, run)
    assert told == [3.0, 2.0, 2.5, 2.0]  # an equal one is no lower
    return run, said.getvalue()


def test_the_best_average_is_kept_and_patience_ends_the_training(worse, tmp_path, monkeypatch, capsys):
    (run, said), experiment = worse, PATIENT
    assert (
        "the training ended after step 4 of 8: the last 2 evaluations found no lower validation loss" in said
    )
    assert "with the average of step 2, whose validation loss was lowest (2)" in said
    best = restored(run, "best")["best"]
    assert (int(best["step"]), float(best["loss"]), int(best["since"])) == (2, 2.0, 2)

    # What a training of two steps ends with, whose learning rate is the same up to there.
    whole = tmp_path / "two"
    two = Trainer(experiment, whole, experiment.split())
    for _ in range(2):
        two._next_step()
    two.close()
    assert_equal(best["params"], two.state.ema)
    assert_equal(load(run).params, best["params"])
    assert load(run).step == 2 and any(
        (a != b).any()
        for a, b in zip(
            jax.tree.leaves(best["params"]), jax.tree.leaves(restored(run, "ema")["ema"]), strict=True
        )
    )

    # It is finished: nothing is evaluated or trained further, and nothing is taken for unfinished.
    monkeypatch.setattr(Validator, "loss", None)
    assert Run(folder=run, experiment=experiment).is_finished
    assert Run(folder=run, experiment=experiment).training_steps == 4
    commands.train(experiment, run, resume=True)
    assert "the training ended after step 4 of 8" in capsys.readouterr().out
    assert restored(run, "progress")["progress"]["step"] == 4
    longer = dataclasses.replace(experiment, validation=dataclasses.replace(ON, every=1))
    assert not Run(folder=run, experiment=longer).is_finished


def test_other_runs_begin_with_the_best(worse, tmp_path):
    run = worse[0]
    best = restored(run, "best")["best"]["params"]
    after = tmp_path / "after"
    experiment = dataclasses.replace(finetuned(run), validation=Validation())
    commands.prepare_folder(experiment, after, resume=False)
    copied = place_in_training("init", str(run), after)
    assert {"best", "ema"} & {path.name for path in copied.glob("checkpoints/4/*")} == {"best"}
    trainer = Trainer(experiment, after, experiment.split())
    trainer.close()
    assert_equal(trainer.state.params, best)
    assert "after step 2" in trainer.notices[0]


def test_a_training_that_gets_worse_by_itself_keeps_what_was_good(tmp_path):
    """Without a hand on the loss: a learning rate that destroys what there is."""
    run = tmp_path / "absurd"
    optimiser = dataclasses.replace(debug.optimiser, peak=20.0)
    training = dataclasses.replace(SHORT, steps=40, warmup=30, ema=0.3)
    commands.train(
        short(Validation(share=0.25, every=1, clips=4, patience=3), optimiser=optimiser, training=training),
        run,
    )
    losses = logged(run)
    best = min(losses, key=losses.__getitem__)
    assert max(losses) == best + 3 < 40 and losses[best + 3] > losses[best]
    assert load(run).step == best


def test_a_training_that_is_stopped_reaches_the_same_bits(run, tmp_path, monkeypatch):
    """The best so far, and the evaluations since: stopped before the first one, between two, and at one."""
    other, at = tmp_path / "other", []
    real = Trainer._next_step

    def step(self):
        figures = real(self)
        at.append(int(self.state.step))
        return figures

    for until in (1, 3, 4):
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_next_step", step)
            patch.setattr(signals, "requested", lambda until=until: 15 if at and at[-1] == until else None)
            with pytest.raises(signals.Stopped):
                commands.train(short(), other, resume=until > 1)
        assert restored(other, "progress")["progress"]["step"] == until
        if until == 1:  # the last parameters forecast
            assert_equal(load(other).params, restored(other, "ema")["ema"])
            assert load(other).chosen == "" and load(other).step == 1
    commands.train(short(), other, resume=True)
    for name in ("params", "ema", "optimiser", "progress", "best"):
        assert_equal(restored(other, name)[name], restored(run, name)[name])
    assert logged(other) == logged(run)


def test_a_kill_between_the_evaluation_and_its_checkpoint_changes_no_end(worse, tmp_path, monkeypatch):
    """The checkpoint of before is gone on from: the same evaluations end it at the same step."""
    run, told = shutil.copytree(worse[0], tmp_path / "killed"), Told(2.0)
    best = restored(run, "best")["best"]
    shutil.rmtree(run / "checkpoints" / "4")  # that of step 3 is left
    monkeypatch.setattr(Validator, "loss", lambda self, params, frozen: told())
    commands.train(PATIENT, run, resume=True)
    assert_equal(restored(run, "best")["best"], best)
    assert list(logged(run).values()) == [3.0, 2.0, 2.5, 2.0]


def begun(tmp_path, experiment):
    """The training of an experiment before its first step."""
    folder = tmp_path / f"begun-{len(list(tmp_path.iterdir()))}"
    trainer = Trainer(experiment, folder, experiment.split())
    trainer.close()
    return trainer


def stirred(params, key=0):
    """Other parameters: those of before the first step predict nothing, whatever is dropped of them."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(key), len(leaves))
    moved = [p + 0.1 * jax.random.normal(k, p.shape) for p, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, moved)


def loss_of(trainer):
    """Of some parameters, twice, with one program."""
    params = stirred(trainer.state.ema)
    first, second = (trainer.validator.loss(params, trainer.frozen) for _ in range(2))
    assert first == second and np.isfinite(first)
    assert trainer.validator._loss._cache_size() == 1
    return first


def test_every_objective_is_validated_or_refused(run, tmp_path):
    plain = loss_of(begun(tmp_path, short()))
    assert loss_of(begun(tmp_path, short(objective=ErrorBank()))) == plain  # on clean context
    loss_of(begun(tmp_path, short(objective=OwnContext())))
    student = dataclasses.replace(student_of(run, "consistency", 1), training=SHORT)
    assert student.validation == ON
    assert begun(tmp_path, student).frozen is not None
    loss_of(begun(tmp_path, student))
    loss_of(begun(tmp_path, short(objective=Consistency(training=True))))
    loss_of(begun(tmp_path, short(reference=Reference(frames=1))))
    with pytest.raises(InputError, match="the loss of MomentMatching does not tell which parameters are"):
        student_of(run, "moment_matching", 1)


def test_nothing_is_dropped_and_nothing_depends_on_the_seed_but_the_parameters(tmp_path):
    network = dataclasses.replace(debug.network, dropout=0.5)
    plain = begun(tmp_path, short())
    assert loss_of(begun(tmp_path, short(network=network))) == loss_of(plain)
    other = begun(tmp_path, short(training=dataclasses.replace(SHORT, seed=5)))
    params = stirred(plain.state.ema)
    assert other.validator.loss(params, None) == loss_of(plain)
    assert other.validator.loss(stirred(params, 1), None) != loss_of(plain)


def test_a_loss_that_is_not_finite_ends_the_training_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(Validator, "loss", lambda self, params, frozen: float("nan"))
    with pytest.raises(InputError, match=r"the validation loss is not finite after step 2: there is no"):
        commands.train(short(), tmp_path / "run")


def test_a_checkpoint_without_its_best_is_damaged(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    shutil.rmtree(copy / "checkpoints" / "8" / "best")
    with pytest.raises(InputError, match="damaged"):
        load(copy)


def test_the_report_draws_it_and_says_which_average_forecasts(run, tmp_path):
    steps = range(1, 31)
    validation = {5: 0.9, 10: 0.5, 15: 0.5, 20: 0.7}
    figure = plots.loss_curve({step: 1 / step for step in steps}, validation)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["validation"].get_xydata().tolist() == [[step, loss] for step, loss in validation.items()]
    assert [10.0, 0.5] in [
        line.get_xydata()[0].tolist() for line in lines.values() if len(line.get_xdata()) == 1
    ]
    assert "validation" not in {line.get_label() for line in plots.loss_curve({1: 2.0, 2: 1.0}).axes[0].lines}

    lines = [
        {"step": step, "loss": 1.0} | ({"validation_loss": validation[step]} if step in validation else {})
        for step in steps
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    shown = page.Page(run=tmp_path, test=debug.source.open().test, context=1, words=None, metrics=())
    assert "the average of step 10, whose loss on the data set apart" in shown.training()
    assert "lowest (0.5)" in shown.training()
    (tmp_path / "log.jsonl").write_text("".join(json.dumps({"step": s, "loss": 1.0}) + "\n" for s in steps))
    assert "average of step" not in shown.training()


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--validation.share", "0.25", "--validation.every", "2", "--validation.clips", "4"]
    assert main(["show", "debug", *options]) == 0
    assert "validation.share: 0.25" in capsys.readouterr().out
    assert main(["prepare", "debug", *options]) == 0
    said = capsys.readouterr().out
    assert "train: 72 frames in 3 sequences" in said and "validation: 24 frames in 1 sequence" in said
    small = ["--training.steps", "3", "--forecast.starts", "1", "--forecast.members", "1", *THIN]
    small += ["--long.frames", "0", "--metrics", "rmse"]
    assert main(["run", "debug", "--name", "on", *options, *small]) == 0
    said = capsys.readouterr()
    losses = logged(tmp_path / "runs" / "on")
    assert list(losses) == [2, 3]
    best = min(losses, key=losses.__getitem__)
    sentence = f"forecasts are made with the average of step {best}, whose validation loss was lowest"
    assert sentence in said.out and re.search(
        r"72 frames in 3 sequences to train on; 24 .* to validate on", said.out
    )
    assert f"average of step {best}" in (tmp_path / "runs" / "on" / "report.html").read_text()
    assert "validation_loss" in said.err
    assert main(["rollout", "runs/on", "--frames", "2", "--starts", "1", "--output", "new.zarr"]) == 0
    assert sentence in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--validation.patience", "3"),
            "validation.patience ends training by a loss on data that are set apart",
        ),
        (("--validation.share", "0.7"), "validation.share must be a finite number from 0 to 0.5, not 0.7"),
        (("--validation.share", "0.1", "--validation.every", "0"), "validation.every must be"),
        (
            ("--validation.share", "0.1"),
            "validation.share = 0.1 of 4 training sequences, the longest of 24 frames,",
        ),
        (
            ("--validation.share", "0.25", "--objective", "moment_matching"),
            "the loss of MomentMatching does not",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(options, said, tmp_path, capsys):
    assert main(["train", "debug", "--folder", str(tmp_path), *options]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("rolling: "))
    assert said in line
    assert not list(tmp_path.iterdir())


def test_experiments_of_before_load_without():
    encoded = codec.encode(debug)
    assert encoded["validation"]["share"] == 0.0
    assert codec.decode({name: item for name, item in encoded.items() if name != "validation"}) == debug
