"""Training that begins with the parameters of another run: `--training.init` and `rolling finetune`."""

import dataclasses
import json
import re
import shlex
import shutil

import jax
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.clips.source import Clips
from rolling.denoisers import Residual
from rolling.run import commands, model
from rolling.run.checkpoint import Checkpoints, leaves_by_path
from rolling.run.cli import main
from rolling.run.evaluation.side_by_side import side_by_side
from rolling.run.experiment import Reference, presets
from rolling.run.experiment.few_steps import Consistency
from rolling.run.experiment.options import parse
from rolling.run.experiment.own_context import OwnContext
from rolling.run.training.initial_parameters import finetuned, load_initial
from rolling.run.training.trainer import Trainer
from tests.run_tools import ROOT, debug, tree

SHORT = dataclasses.replace(debug.training, steps=4, batch=2, checkpoint_every=2, log_every=2)
NONE = dataclasses.replace(debug.forecast, frames=0)


def short(experiment, **changes):
    training = dataclasses.replace(SHORT, init=experiment.training.init)
    return dataclasses.replace(
        experiment, **{"training": training, "forecast": NONE, "long": NONE, **changes}
    )


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A trained run without forecasts, whose average is not what its last step left."""
    folder = tmp_path_factory.mktemp("runs") / "before"
    commands.train(short(debug), folder)
    return folder


def restored(run, *names):
    """What is in the latest checkpoint, as orbax has it."""
    checkpoints = Checkpoints(run / "checkpoints")
    found = checkpoints.restore(names or ("params", "ema", "optimiser", "progress"))
    checkpoints.close()
    return found


def averaged(run):
    return leaves_by_path(restored(run, "ema")["ema"])


def begun(experiment, folder):
    """The training of an experiment before its first step."""
    commands.prepare_folder(experiment, folder, resume=False)
    trainer = Trainer(experiment, folder, experiment.source.open())
    trainer.close()
    return trainer


def assert_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.slow
def test_a_training_begins_with_the_averaged_parameters(before, tmp_path):
    trainer = begun(short(finetuned(before)), tmp_path / "after")
    expected, last = averaged(before), leaves_by_path(restored(before, "params")["params"])
    assert any((expected[path] != last[path]).any() for path in expected)
    assert_equal(leaves_by_path(trainer.state.params), expected)
    assert_equal(leaves_by_path(trainer.state.ema), expected)
    plain = begun(short(debug), tmp_path / "plain")
    assert_equal(trainer.state.optimiser, plain.state.optimiser)
    assert int(trainer.state.step) == 0 and plain.notices == ()
    (told,) = trainer.notices
    assert told.endswith(
        f"{before} after step 4: {len(expected)} of {len(expected)} arrays, 100 % of the parameters"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "listed"),
    [
        ({"reference": Reference(frames=1)}, {"stem.kernel (3 x 3 x 8 x 16, there 3 x 3 x 4 x 16)"}),
        (
            {"network": dataclasses.replace(debug.network, blocks=(2,))},
            {"level.before.1 (13 arrays)"},
        ),
        (
            {"network": dataclasses.replace(debug.network, embedding=24)},
            {"embedder (4 arrays)", "norm.film.kernel (24 x 32, there 16 x 32)"},
        ),
    ],
)
def test_what_fits_is_taken_and_the_rest_is_listed(changes, listed, before, tmp_path):
    experiment = short(finetuned(before), **changes)
    trainer = begun(experiment, tmp_path / "after")
    fresh = leaves_by_path(model.build(experiment, trainer.layout, None)[1])
    there, here = averaged(before), leaves_by_path(trainer.state.params)
    same = {path for path in fresh if path in there and there[path].shape == fresh[path].shape}
    assert 0 < len(same) < len(fresh) == len(here)
    for path, leaf in here.items():
        np.testing.assert_array_equal(leaf, there[path] if path in same else fresh[path])
    told = "\n".join(trainer.notices)
    assert f"{len(same)} of {len(fresh)} arrays" in told
    entries = told.split("fresh, ")[1].split("\n")[0].split(": ")[1].split("; ")
    assert listed <= set(entries)
    counts = [int(entry.split("(")[1].split()[0]) if entry.endswith("arrays)") else 1 for entry in entries]
    assert sum(counts) == len(fresh) - len(same)


@pytest.mark.slow
def test_a_network_of_which_nothing_fits_is_refused(before, tmp_path):
    layout = debug.source.open().train.layout
    with pytest.raises(InputError, match=r"nothing of the network of .*before fits this one"):
        load_initial(finetuned(before), tmp_path, {"stem": {"weight": np.zeros((3, 3, 4, 16))}}, layout)


@pytest.mark.slow
def test_another_prediction_and_arrays_without_use_are_told(before, tmp_path):
    network = dataclasses.replace(debug.network, transformer_levels=0)
    trainer = begun(short(finetuned(before), prediction=Residual(), network=network), tmp_path / "after")
    told = "\n".join(trainer.notices)
    assert "before was trained otherwise (there / here): prediction" in told and "residual" in told
    assert (
        f"not used: {len(averaged(before).keys() - leaves_by_path(trainer.state.params).keys())} arrays"
        in told
    )


@pytest.mark.slow
def test_a_student_may_go_on_from_its_own_parameters(before, tmp_path):
    """The teacher stays what it is; without the other run the student begins as the teacher."""
    teacher, own = tmp_path / "teacher", averaged(before)
    commands.train(short(debug, training=dataclasses.replace(SHORT, steps=1, seed=3)), teacher)
    objective = Consistency(teacher=str(teacher))
    trainer = begun(short(finetuned(before), objective=objective), tmp_path / "after")
    assert_equal(leaves_by_path(trainer.state.params), own)
    assert_equal(leaves_by_path(trainer.frozen), averaged(teacher))
    trainer = begun(short(debug, objective=objective), tmp_path / "student")
    assert_equal(leaves_by_path(trainer.state.params), averaged(teacher))


@pytest.mark.slow
def test_a_training_that_is_killed_reaches_the_same_bits(before, tmp_path, capsys):
    gone, whole = shutil.copytree(before, tmp_path / "gone"), tmp_path / "whole"
    experiment = short(finetuned(gone))
    commands.train(experiment, whole)
    expected = restored(whole)
    assert any((a != b).any() for a, b in zip(averaged(gone).values(), averaged(whole).values(), strict=True))
    shutil.rmtree(gone)
    runs = {name: shutil.copytree(whole, tmp_path / name) for name in ("first", "later", "lost")}
    shutil.rmtree(runs["first"] / "checkpoints")  # before the first checkpoint: from the copy
    shutil.rmtree(runs["later"] / "checkpoints" / "4")  # after it: from that alone
    shutil.rmtree(runs["later"] / "others")
    for name in ("first", "later"):
        capsys.readouterr()
        commands.train(experiment, runs[name], resume=True)
        assert_equal(restored(runs[name]), expected)
        assert ("begins with the parameters" in capsys.readouterr().out) == (name == "first")
    shutil.rmtree(runs["lost"] / "checkpoints")
    shutil.rmtree(runs["lost"] / "others")
    with pytest.raises(InputError, match=r"the run that this one begins with, .*gone, is not there: restore"):
        commands.train(experiment, runs["lost"], resume=True)


@pytest.mark.slow
def test_other_data_are_measured_anew(before, tmp_path):
    source = dataclasses.replace(debug.source, seed=debug.source.seed + 1)
    trainer = begun(short(finetuned(before), source=source), tmp_path / "other")
    plain = begun(short(debug, source=source), tmp_path / "plain")
    assert_equal(trainer.statistics.to_arrays(), plain.statistics.to_arrays())
    assert (trainer.statistics.mean != restored(before, "statistics")["statistics"]["mean"]).any()
    assert_equal(leaves_by_path(trainer.state.params), averaged(before))


@pytest.mark.slow
def test_finetuning_from_the_command_line(before, tmp_path, capsys):
    run = shutil.copytree(before, tmp_path / "before")
    words = [
        "finetune",
        str(run),
        "--objective",
        "own_context",
        "--objective.cycles",
        "2",
        "--objective.whole",
    ]
    words += ["--name", "after", "--training.steps", "3"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "begins with the parameters of" in said and "after/evaluation.json to compare with" not in said
    after = presets.find(str(tmp_path / "after"))
    assert after.objective == OwnContext(cycles=2, whole=True) and after.training.init == str(run)
    assert int(restored(tmp_path / "after", "progress")["progress"]["step"]) == 3
    kept = tree(tmp_path / "after" / "checkpoints")
    assert main([*words, "--resume"]) == 0
    assert tree(tmp_path / "after" / "checkpoints") == kept
    assert main(words) == 2
    assert "add --resume to continue it" in capsys.readouterr().err


@pytest.mark.slow
def test_the_experiment_is_that_of_the_run_shortened(before, tmp_path):
    found, own = finetuned(before), presets.find(str(before))
    assert (found.name, found.training.steps, found.training.init) == ("before-finetuned", 1, str(before))
    assert found.optimiser.peak == pytest.approx(2e-4)
    undone = dataclasses.replace(found, name=own.name, training=own.training, optimiser=own.optimiser)
    assert undone == own
    # What it began with itself is not where the next one begins.
    folder = tmp_path / "next"
    folder.mkdir()
    presets.save(dataclasses.replace(found, name="next"), folder / "experiment.json")
    assert finetuned(folder).training.init == str(folder)


@pytest.mark.parametrize("command", [["finetune"], ["train", "debug", "--name", "mine", "--training.init"]])
@pytest.mark.parametrize("kind", ["nowhere", "no run", "not trained", "no checkpoint"])
def test_what_is_no_trained_run_is_refused_before_anything_is_made(kind, command, tmp_path, capsys):
    run = tmp_path / "run"
    if kind != "nowhere":
        run.mkdir()
    if kind in ("not trained", "no checkpoint"):
        presets.save(debug, run / "experiment.json")
    if kind == "no checkpoint":
        (run / "checkpoints").mkdir()
    there = tree(tmp_path)
    assert main([*command, str(run), "--folder", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1 and str(run) in said and "train" in said
    assert tree(tmp_path) == there and not (tmp_path / "runs").exists()


def test_the_commands_of_the_page_name_options_that_there_are():
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    section = page.split("## Going on from a trained run")[1].split("\n## ")[0]
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", section, re.S)).replace("\\\n", " ")
    changed = []
    for line in filter(None, blocks.splitlines()):
        _, command, run, *options = shlex.split(line)
        assert command == "finetune"
        changed.append(parse(presets.find(run.removeprefix("runs/")), options, "rolling finetune"))
    own, thicker, clips = changed
    assert own.objective == OwnContext(cycles=4, whole=True) and thicker.source.simulator.viscosity == 0.02
    # The simulation's number of test sequences is no name of a clip.
    assert isinstance(clips.source, Clips) and clips.source.test == Clips().test


def written(folder, experiment, **scores):
    """A run with an evaluation of these scores, each of leads and values."""
    folder.mkdir()
    presets.save(experiment, folder / "experiment.json")
    encoded = {
        metric: {"height": {"unit": unit, "leads": leads, "model": values}}
        for metric, (unit, leads, values) in scores.items()
    }
    (folder / "evaluation.json").write_text(json.dumps(encoded))
    return folder


def test_scores_stand_side_by_side_at_the_leads_that_both_have(tmp_path):
    a = written(tmp_path / "a", debug, crps=("m", [0.5, 1.0, 1.5], [4.0, 5.0, 6.0]))
    b = written(tmp_path / "b", debug, crps=("m", [1.0, 1.5, 2.0], [1.0, 2.0, 3.0]))
    lines = [line.split() for line in side_by_side({"before": a, "after": b}).splitlines()]
    assert lines == [
        ["crps", "of", "height"],
        ["lead", "before", "after"],
        ["1", "5", "1"],
        ["1.5", "6", "2"],
    ]
    source = dataclasses.replace(debug.source, seed=5)
    c = written(tmp_path / "c", dataclasses.replace(debug, source=source), crps=("km", [1.0], [1.0]))
    assert side_by_side({"before": a, "after": c}) == "Each was scored on the held-out part of its own data."
    (c / "evaluation.json").unlink()
    assert side_by_side({"before": a, "after": c}).startswith(f"no {c / 'evaluation.json'} to compare with")
