"""Experiments: presets, files, JSON and the options of the command line are one and the same value."""

import dataclasses
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.configs.kolmogorov_gpu import experiment as gpu
from rolling.data.clips.source import Clips
from rolling.data.clips.tracks import ClipsWithSound
from rolling.data.moving_shapes import MovingShapes
from rolling.data.simulations import Simulations
from rolling.data.together import Together
from rolling.denoisers import NO_PAST
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.physics.flow_past_a_cylinder import Wake
from rolling.physics.fourier_fields import Transient
from rolling.physics.simulators import KuramotoSivashinsky
from rolling.run import commands, model
from rolling.run.cli import main
from rolling.run.experiment import JointExperiment, codec, registry
from rolling.run.experiment.options import parse
from rolling.run.experiment.own_context import OwnContext
from rolling.run.experiment.presets import families, find, presets, save
from rolling.run.experiment.registry import snake
from rolling.run.training.step import first_state, make_step
from rolling.sampling.constraints import Units
from rolling.solvers import Ancestral, Ddim, DpmSolverPlusPlus2S
from rolling.video.uvit.network import VideoUViT
from rolling.windows import FullSequence, Rolling
from tests.run_tools import THIN

ROOT = Path(__file__).resolve().parent.parent


EVERY = [f"{base}{family}" for base in presets() for family in ("", *(f"_{name}" for name in families()))]
JOINT = [name for name in presets() if isinstance(find(name), JointExperiment)]
REFUSED = {f"{name}_{family}": f"{name} has several modalities" for name in JOINT for family in families()}
"""Presets that do not exist in a family, and what the refusal says."""


@pytest.mark.slow
def test_every_preset_in_every_family_survives_json(tmp_path):
    assert len(EVERY) == len(presets()) * 11 == len(set(EVERY))
    for name in EVERY:
        if name in REFUSED:
            with pytest.raises(InputError, match=REFUSED[name]):
                find(name)
            continue
        experiment = find(name)
        assert experiment.name == name
        save(experiment, tmp_path / "experiment.json")
        assert find(str(tmp_path / "experiment.json")) == experiment, name
        if name in presets():
            assert codec.differences(codec.encode(experiment), codec.encode(find(name))) == []


def small(experiment, levels=2, long=True):
    """The same experiment with few data, few steps and short forecasts."""
    changes = {"training": dataclasses.replace(experiment.training, steps=2, batch=2, checkpoint_every=2)}
    if isinstance(experiment.network, VideoUViT):  # each level of one block of a few channels
        levels = min(levels, len(experiment.network.channels))
        thin = {"channels": (16,) * levels, "blocks": (1,) * levels, "heads": 2, "embedding": 16}
        changes["network"] = dataclasses.replace(experiment.network, **thin)
    if hasattr(experiment.source, "simulator"):
        simulator = experiment.source.simulator
        if getattr(simulator, "spin_up", 0):
            simulator = dataclasses.replace(simulator, spin_up=1.0)
        if hasattr(simulator, "mode"):  # as coarse as its force allows
            coarse = {"resolution": 8, "grid": 16}
            simulator = dataclasses.replace(simulator, **coarse)
        if isinstance(simulator, Transient | Wake | KuramotoSivashinsky):
            simulator = dataclasses.replace(simulator, resolution=16, grid=32)
        if isinstance(simulator, MovingShapes):
            simulator = dataclasses.replace(simulator, resolution=16)
        # Both parts by the same compiled program, which makes ten frames at a time.
        few = {"train": 2, "frames": 10, "test": 2, "test_frames": 10}
        changes["source"] = dataclasses.replace(experiment.source, simulator=simulator, **few)
    if isinstance(experiment.objective, OwnContext):  # the cycles are as many copies of the network
        changes["objective"] = dataclasses.replace(experiment.objective, cycles=2)
    # Both of one shape, so that they are the same compiled programs.
    shape = {"starts": 1, "members": 2, "chunk": 1}
    changes["forecast"] = dataclasses.replace(experiment.forecast, frames=3, **shape)
    long = bool(long and experiment.long.frames)
    changes["long"] = dataclasses.replace(experiment.long, frames=6 * long, **shape)
    return dataclasses.replace(experiment, **changes)


def hourly(folder):
    import pandas as pd
    import xarray as xr

    values = np.random.default_rng(0).standard_normal((60, 12, 18)).astype(np.float32)
    dataset = xr.Dataset(
        {"t2m": (("time", "latitude", "longitude"), values, {"units": "K"})},
        coords={
            "time": pd.date_range("2019-03-01", periods=60, freq="h"),
            "latitude": ("latitude", np.linspace(60.0, 50.0, 12), {"units": "degrees_north"}),
            "longitude": ("longitude", np.linspace(0.0, 10.0, 18), {"units": "degrees_east"}),
        },
    )
    dataset.to_netcdf(folder / "data.nc", engine="h5netcdf")
    return dataset


ALIKE = ("kolmogorov", "kuramoto_sivashinsky", "decaying_turbulence", "swift_hohenberg", "gray_scott")
"""Periodic planes with the metrics of `kolmogorov_viscosity`, whose long rollout and report have nothing that
those of that one, and of the two variables of `burgers`, do not have."""
TWO_LEVELS = ("kolmogorov_viscosity", "moving_shapes")
"""The others run in networks of one block, of which those of several levels on every kind of axes are made
(`tests.test_axes`)."""


def run_through(experiment, folder):
    """Trains, rolls out, evaluates and reports a small version of it, on the CPU in seconds; its own network
    is only built."""
    model.abstract(experiment, experiment.source.layout(), None)
    if experiment.name in ALIKE:
        commands.train(small(experiment, levels=1, long=False), folder)
        commands.rollout(folder, lambda own: own)
        commands.evaluate(folder)
    else:
        commands.run(small(experiment, levels=1 + (experiment.name in TWO_LEVELS)), folder)
        assert (folder / "report.html").stat().st_size > 10_000
    assert scores_are_finite(folder)


def scores_are_finite(folder):
    scores = json.loads((folder / "evaluation.json").read_text())["rmse"]
    return scores and all(np.isfinite(scores[variable]["model"]).all() for variable in scores)


# `debug` in its own family is tests.test_bad_input's, `kolmogorov_gpu` is too large, clips want collections,
# which tests.test_video_presets makes, and simulations archives: tests.test_simulations_run; those of several
# modalities are tests.test_joint_run's and tests.test_sound_tracks's.
ELSEWHERE = Clips | ClipsWithSound | Simulations | Together
OWN_LOOPS = [
    name
    for name in presets()
    if name not in ("debug", "kolmogorov_gpu") and not isinstance(find(name).source, ELSEWHERE)
]


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_LOOPS)
def test_every_preset_runs_its_real_loop(name, tmp_path, monkeypatch):
    experiment = find(name)
    if hasattr(experiment.source, "path"):
        monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "cache"))
        hourly(tmp_path)
        source = dataclasses.replace(experiment.source, path=str(tmp_path / "data.nc"))
        experiment = dataclasses.replace(experiment, source=source)
    run_through(experiment, tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("family", families())
def test_every_family_runs_its_real_loop(family, tmp_path):
    """In a network of one block, as what differs is around it; reports are for the presets."""
    folder = tmp_path / family
    commands.train(small(find(f"debug_{family}"), levels=1), folder)
    commands.rollout(folder, lambda own: own)
    commands.evaluate(folder)
    assert scores_are_finite(folder)


@pytest.mark.slow
def test_the_large_preset_fits_its_shapes():
    """Parameters and one training step, without the numbers: nothing is computed."""
    axis = Axis(name="x", values=tuple(map(float, range(64))), boundary="periodic")
    layout = Layout(variables=(Variable(name="vorticity"),), axes=(axis, axis))
    shapes = jax.eval_shape(lambda: model.build(gpu, layout, None)[1])
    size = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))
    assert 20e6 < size < 40e6
    apply, _ = model.build(debug, layout, None)  # the step is the same code for each network
    state = jax.eval_shape(lambda: first_state(debug, model.build(debug, layout, None)[1]))
    batch = {"x": jax.ShapeDtypeStruct((4, 4, 64, 64, 1), np.float32)}
    after, figures = jax.eval_shape(make_step(debug, apply, Units.standard(layout), NO_PAST), state, batch)
    assert {name: figure.shape for name, figure in figures.items()} == {"loss": (), "gradient_norm": ()}
    assert jax.tree.map(lambda leaf: leaf.shape, after) == jax.tree.map(lambda leaf: leaf.shape, state)


def test_options_replace_fields_and_parts():
    words = ["--window.size", "6", "--solver", "ddim", "--solver.eta", "0.5", "--training.steps", "7"]
    changed = parse(debug, words, "test")
    assert changed == dataclasses.replace(
        debug,
        window=dataclasses.replace(debug.window, size=6),
        solver=Ddim(eta=0.5),
        training=dataclasses.replace(debug.training, steps=7),
    )
    assert type(changed) is type(debug) and type(changed.window) is Rolling


def test_another_part_keeps_the_fields_that_both_have():
    changed = parse(debug, ["--window", "full_sequence"], "test")
    assert changed.window == FullSequence(size=debug.window.size, context=debug.window.context)


def test_names_of_parts_are_plain():
    kinds = (Ddim, Ancestral, DpmSolverPlusPlus2S, FullSequence)
    assert [snake(kind.__name__) for kind in kinds] == [
        "ddim",
        "ancestral",
        "dpm_solver_plus_plus_2s",
        "full_sequence",
    ]


def test_help_lists_options_and_parts(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["show", "debug", "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert "--window.size" in said and "dpm_solver_plus_plus_2s" in said and "--training.steps" in said


def test_the_list_tells_of_every_preset(capsys):
    assert main(["list"]) == 0
    bases, _, others = capsys.readouterr().out.partition("\n\n")
    made = others.splitlines()[1:]
    assert [line.split()[0] for line in bases.splitlines()] == presets()
    assert [line.split()[0] for line in made] == list(families())
    assert all(len(line.split()) > 4 for line in (*bases.splitlines(), *made))


def test_show_prints_every_field(capsys):
    assert main(["show", "debug", "--window.size", "5"]) == 0
    said = capsys.readouterr().out
    assert "window.size: 5" in said and "solver: solver.ancestral" in said


def test_infinite_numbers_survive_json():
    from rolling.oracle import UNCLIPPED

    text = json.dumps(codec.encode(UNCLIPPED), allow_nan=False)
    assert codec.decode(json.loads(text)) == UNCLIPPED


@pytest.mark.parametrize(
    "bad", ["os.system", "rolling.run.cli.main", "subprocess.Popen", "rolling.nothing.X"]
)
def test_only_known_classes_are_made(bad):
    with pytest.raises(InputError, match=re.escape(bad)):
        codec.decode({"type": bad, "args": "true"})


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(InputError, match="no field 'sise'; the nearest is 'size'"):
        codec.decode({"type": "rolling.windows.Rolling", "sise": 3})


@pytest.mark.slow
def test_an_experiment_of_ones_own_file(tmp_path, monkeypatch, capsys):
    """The window of docs/extending.md, trained from its file and rolled out with `--code`."""
    words = (ROOT / "docs" / "extending.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", words, re.S)
    (tmp_path / "curved.py").write_text(blocks[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "cache"))
    thin = [*THIN, "--training.batch", "2"]
    assert main(["train", "curved.py", "--training.steps", "2", *thin]) == 0
    monkeypatch.setattr(registry, "_own", {})  # as in a new process
    assert main(["rollout", "runs/curved"]) == 2
    assert "--code runs/curved/code/curved.py" in capsys.readouterr().err  # named, not run
    assert (tmp_path / "runs/curved/code/curved.py").read_text() == blocks[0]
    few = ["--starts", "1", "--members", "1"]
    assert main(["rollout", "runs/curved", "--code", "runs/curved/code/curved.py", *few]) == 0

    (tmp_path / "waves.py").write_text(blocks[2])  # the source of the page
    assert main(["train", "waves.py", "--training.steps", "1", *thin]) == 0

    names = {}
    exec(blocks[0] + blocks[1] + blocks[3], names)
    printed = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[-3:]]
    assert printed[0] > 2.5 * printed[1] > 6 * printed[2]  # first order


def test_the_readme_is_true():
    readme = (ROOT / "README.md").read_text()
    test_line = re.search(r"^python3 -m venv .*pytest$", readme, re.M).group()
    assert test_line in (ROOT / ".ci" / "run").read_text().splitlines()
    for path, place in re.findall(r"\]\((docs/[^)#]+)(?:#([^)]+))?\)", readme):
        headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(), re.M) if place else []
        assert (ROOT / path).exists(), path
        assert not place or place in {title.lower().replace(" ", "-") for title in headings}, place
    for words in re.findall(r"`rolling/\w+(?:\.py|/)`|`video/\w+\.py`", readme):
        assert (ROOT / words.strip("`")).exists(), words
    for name in re.findall(r"^rolling (?:run|train|show) (\w+)(?=\s)", readme, re.M):
        assert name in presets()


def test_the_readme_s_examples_print_what_they_say():
    import doctest

    blocks = re.findall(r"```python\n(>>>.*?)```", (ROOT / "README.md").read_text(), re.S)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "README", "README.md", 0)
    assert doctest.DocTestRunner().run(example) == (0, 3)


def test_long_lists_that_differ_are_told_by_their_lengths():
    starts = [[0, frame, "0.4"] for frame in range(30)]
    assert codec.differences({"starts": starts}, {"starts": starts[:9]}) == ["starts: 30 of them / 9 of them"]
    assert codec.differences({"type": "source.one"}, {"type": "source.two"}) == ["source.one / source.two"]
    assert codec.differences({"sizes": [1, 2]}, {"sizes": [1]}) == ["sizes: [1, 2] / [1]"]
