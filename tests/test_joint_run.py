"""Runs of several modalities: training, rollouts by any law, a store with a group for each, their scores."""

import dataclasses
import json
import re
import shutil
import signal

import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.common.signals import EXIT_CODES, Stopped, handled
from rolling.configs.lorenz96 import experiment as preset
from rolling.data.arrays import Arrays
from rolling.data.gridded import Gridded
from rolling.data.joint_sequences import JointSequences
from rolling.data.joint_statistics import JointStatistics, from_arrays
from rolling.data.statistics import measure
from rolling.data.together import NamedSource, Together
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.metrics.ensemble import Crps, Rmse
from rolling.run import commands, load, model
from rolling.run.cli import main
from rolling.run.experiment import Forecast, JointExperiment, Law, Training, Validation, codec, presets
from rolling.run.forecasting.init_times import choose_starts
from rolling.run.opened_run import open_run
from rolling.run.training.log import records
from rolling.video.uvit.joint import JointUViT, Tower
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Ahead, Rolling, Tasks
from tests.run_tools import thin_towers, tree

pytestmark = pytest.mark.slow
LAWS = ("forecast.zarr", "forecast-given-fast.zarr", "forecast-absent-fast.zarr")


def small(experiment: JointExperiment) -> JointExperiment:
    """The preset with few data, few steps, and forecasts of two chunks."""
    source = experiment.source
    parts = []
    for part, frames in zip(source.parts, (12, 48), strict=True):
        few = dataclasses.replace(part.source, train=4, frames=frames, test=3, test_frames=frames)
        parts.append(dataclasses.replace(part, source=few))
    return dataclasses.replace(
        experiment,
        source=dataclasses.replace(source, parts=tuple(parts)),
        network=thin_towers(experiment.network),
        calls_per_frame=0.25,
        training=dataclasses.replace(experiment.training, steps=3, batch=4, checkpoint_every=1),
        forecast=dataclasses.replace(experiment.forecast, starts=3, members=2, frames=12, batch=3, chunk=4),
        long=dataclasses.replace(experiment.long, frames=0),
        laws=tuple(law for law in experiment.laws if "fast" in law.given + law.absent),
        metrics=(Rmse(), Crps()),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint") / "run"
    commands.run(small(preset), folder)
    return folder


def test_stores_have_a_group_for_each_modality_with_its_own_leads(finished):
    assert sorted(path.name for path in finished.glob("*.zarr")) == sorted(LAWS)
    with xr.open_datatree(finished / "forecast.zarr", engine="zarr") as stored:
        assert sorted(stored.children) == ["fast", "slow"]
        slow, fast = stored["slow"].to_dataset(), stored["fast"].to_dataset()
        np.testing.assert_allclose(slow.prediction_timedelta, [0.2, 0.4, 0.6])
        np.testing.assert_allclose(fast.prediction_timedelta, 0.05 * np.arange(1, 13))
        assert slow.slow.dims == ("start", "number", "prediction_timedelta", "x")
        assert (slow.slow.shape, fast.fast.shape) == ((3, 2, 3, 8), (3, 2, 12, 64))
        # Both begin behind the same tick.
        np.testing.assert_array_equal(4 * slow.frame, fast.frame)
        np.testing.assert_array_equal(slow.sequence, fast.sequence)
        assert np.isfinite(slow.slow).all() and np.isfinite(fast.fast).all()
    for law in LAWS[1:]:  # what is given or absent is not made
        assert [path.name for path in (finished / law).iterdir() if path.is_dir()] == ["slow"]


def test_scores_are_those_of_each_modality_at_its_own_leads(finished):
    _, _, split = open_run(finished)
    for name, every in split.test.layout.every.items():
        scores = json.loads((finished / f"evaluation-{name}.json").read_text())
        store = xr.open_zarr(finished / "forecast.zarr", group=name)
        part, leads = split.test.parts[name], 12 // every
        places = list(zip(store.sequence.values.tolist(), store.frame.values.tolist(), strict=True))
        truth = np.stack([part.read(i, frame, frame + leads) for i, frame in places])[..., 0]
        last = np.stack([part.read(i, frame - 1, frame) for i, frame in places])[..., 0]
        expected = np.sqrt(np.square(truth - last).mean((0, 2)))
        np.testing.assert_allclose(scores["rmse"][name]["persistence"], expected, rtol=1e-5)
        mean = store[name].values.mean(1)
        errors = np.sqrt(np.square(mean - truth).mean((0, 2)))
        np.testing.assert_allclose(scores["rmse"][name]["model"], errors, rtol=1e-5)
    for law in ("given", "absent"):
        scores = json.loads((finished / f"evaluation-{law}-fast-slow.json").read_text())
        assert np.isfinite(scores["crps"]["slow"]["model"]).all()
    assert not (finished / "evaluation-given-fast-fast.json").exists()


def test_the_report_has_a_chapter_for_each_modality(finished, tmp_path, capsys):
    text = (finished / "report.html").read_text()
    heads = ["What is made of what", "Do they go together", "slow", "fast"]
    assert re.findall(r"<h2>(.*?)</h2>", text)[:4] == heads
    assert "What one explains of the other: slow by fast" in text
    scores = json.loads((finished / "evaluation-given-fast-slow.json").read_text())["crps"]["slow"]["model"]
    row = "".join(f"<td>{value:.4g}</td>" for value in scores)
    assert f"<tr><th>given fast</th>{row}</tr>" in text
    assert "fast is given and seen up to 8 ticks beyond the frames that are being made" in text
    assert f"rolling rollout {finished} --given fast" in text
    before = (finished / "report.html").stat().st_mtime_ns
    assert main(["report", str(finished), "--poster", str(tmp_path / "poster.png")]) == 2
    assert "a poster shows one modality, and this run has slow, fast" in capsys.readouterr().err
    assert (finished / "report.html").stat().st_mtime_ns == before


def test_each_modality_is_normalised_by_its_own_statistics(finished):
    _, forecaster, split = open_run(finished)
    assert isinstance(forecaster.statistics, JointStatistics)
    for name, part in split.train.parts.items():
        expected, found = measure(part), forecaster.statistics.of[name]
        np.testing.assert_array_equal(found.mean, expected.mean)
        np.testing.assert_array_equal(found.std, expected.std)
    again = from_arrays(forecaster.statistics.to_arrays())
    assert isinstance(again, JointStatistics) and again.of.keys() == forecaster.statistics.of.keys()


def test_a_rollout_by_another_law_says_what_it_makes(finished, tmp_path, capsys):
    words = ["rollout", finished, "--given", "slow", "--output", tmp_path / "out.zarr"]
    assert main([*map(str, words)]) == 0
    assert "fast given slow, seen 8 ticks further ahead" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out.zarr").iterdir() if path.is_dir()] == ["fast"]


def stopped_after(patch, count, label):
    """Sends a signal after so many pieces of work of a phase."""
    update, calls = Progress.update, []

    def updated(self, *arguments, **figures):
        calls.append(self.label.startswith(label))
        if sum(calls) == count and calls[-1]:
            signal.raise_signal(signal.SIGTERM)
        return update(self, *arguments, **figures)

    patch.setattr(Progress, "update", updated)


@pytest.mark.parametrize("law", ["", "fast"])
def test_a_stopped_rollout_goes_on_to_the_same_bytes(finished, tmp_path, monkeypatch, law):
    words = ["rollout", str(finished), *(["--given", law] if law else [])]
    for name, stops in (("whole", 0), ("stopped", 2)):
        command = [*words, "--output", str(tmp_path / name / "forecast.zarr")]
        if stops:
            with monkeypatch.context() as patch:
                stopped_after(patch, stops, "rollout")
                assert main(command) == EXIT_CODES[signal.SIGTERM]
            assert (tmp_path / name / "forecast.zarr.progress.npz").exists()
        assert main(command) == 0
    assert tree(tmp_path / "whole") == tree(tmp_path / "stopped")


def test_a_stopped_training_goes_on_to_the_same_parameters(finished, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stopped_after(patch, 1, "train")
        with handled(), pytest.raises(Stopped, match="stopped after step 2"):
            commands.train(small(preset), tmp_path / "run")
    with handled():
        commands.train(small(preset), tmp_path / "run", resume=True)
    assert load(tmp_path / "run").fingerprint() == load(finished).fingerprint()


def test_the_loss_of_what_is_set_apart_is_that_of_all_modalities(tmp_path):
    """The best average forecasts, and nothing of what is set apart is trained on."""
    validation = Validation(share=0.25, every=1, clips=4)
    experiment = dataclasses.replace(small(preset), validation=validation, laws=())
    commands.run(experiment, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["validation_loss"] for line in lines if "validation_loss" in line]
    assert len(losses) == 3 and np.isfinite(losses).all() and len(set(losses)) == 3
    split = experiment.split()
    assert (len(split.train), len(split.validation)) == (3, 1)
    seen = {split.train.parts["slow"].read(i, 0, 1).tobytes() for i in range(3)}
    assert split.validation.parts["slow"].read(0, 0, 1).tobytes() not in seen


@pytest.mark.parametrize("parts", [1, 2])
def test_the_loss_of_each_modality_is_logged(tmp_path, capsys, parts):
    """`loss = sum_m every_m loss_m` in each line, of a batch in accumulated parts, too."""
    few = dataclasses.replace(small(preset).training, steps=2, log_every=2, accumulate=parts)
    commands.train(dataclasses.replace(small(preset), training=few), tmp_path / "run")
    logged = list(records(tmp_path / "run"))
    assert [record["step"] for record in logged] == [1, 2]
    for record in logged:
        assert record["loss_slow"] != record["loss_fast"]
        expected = 4 * record["loss_slow"] + record["loss_fast"]
        np.testing.assert_allclose(record["loss"], expected, rtol=1e-5)
    assert re.search(r", loss [0-9.]+, loss_fast [0-9.]+, loss_slow [0-9.]+ ", capsys.readouterr().err)


def test_a_store_of_another_law_is_not_continued(finished, tmp_path, capsys):
    output = tmp_path / "forecast.zarr"
    shutil.copytree(finished / "forecast.zarr", output)
    assert main(["rollout", str(finished), "--output", str(output)]) == 0  # it is finished
    assert main(["rollout", str(finished), "--given", "fast", "--output", str(output)]) == 2
    err = capsys.readouterr().err
    assert "holds another forecast (there / here:" in err and "given: [] / ['fast']" in err
    assert main(["rollout", str(finished), "--seed", "1", "--output", str(output), "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--given", "sound"], "no modality sound: choose among slow, fast"),
        (["--given", "slow", "--absent", "fast"], "nothing to make"),
        (["--frames", "10"], "slots of 4 ticks"),
        (["--data", "x.nc"], "several modalities cannot be rolled out with --data yet"),
        (
            ["--window.inner.size", "14", "--window.inner.block", "2", "--calls-per-frame", "0.5"],
            "whole multiples of 4",
        ),
    ],
)
def test_rollouts_that_are_refused(finished, tmp_path, capsys, words, said):
    assert main(["rollout", str(finished), "--output", str(tmp_path / "out.zarr"), *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"forecast": dataclasses.replace(preset.forecast, frames=22)}, "forecast.frames counts ticks"),
        ({"given": ("fast",), "objective": preset.objective}, ""),
        ({"calls_per_frame": 0.25, "given": ("sound",)}, "no modality sound"),
    ],
)
def test_experiments_that_are_refused(changes, said):
    layout = preset.source.layout()
    experiment = dataclasses.replace(preset, **changes)
    if not said:
        return experiment.check_layout(layout)
    with pytest.raises(InputError, match=said):
        experiment.check_layout(layout)


def test_a_law_needs_a_network_that_was_trained_on_it():
    tasks = Tasks(joint=0.9, apart=0.0, given=0.0, absent=0.1)
    never = dataclasses.replace(preset, objective=dataclasses.replace(preset.objective, tasks=tasks))
    with pytest.raises(InputError, match="was trained without any modality given"):
        never.check_trained(dataclasses.replace(preset.recipe, given=("fast",)))
    with pytest.raises(InputError, match=r"objective\.modalities names sound"):
        part = codec.decode({"type": "modality_loss", "name": "sound"})
        objective = dataclasses.replace(preset.objective, modalities=(part,))
        dataclasses.replace(preset, objective=objective).check_layout(preset.source.layout())


def test_one_modality_and_several_are_not_confused():
    several, one = preset.source.layout(), presets.find("debug")
    with pytest.raises(InputError, match="several modalities, slow, fast, and this experiment is of one"):
        one.check_layout(several)
    with pytest.raises(InputError, match="its data are of one: give it the source `together`"):
        preset.check_layout(one.source.layout())
    with pytest.raises(InputError, match="Denoising trains one modality"):
        dataclasses.replace(preset, objective=one.objective)


def numbered(frames: int, step: float) -> Arrays:
    """Frames whose values are their places, three sequences of them."""
    line = Axis(name="x", values=(0.0, 1.0))
    layout = Layout(variables=(Variable(name="a"),), axes=(line,), step=step)
    values = np.arange(frames, dtype=np.float32)[:, None, None] + np.zeros((1, 2, 1), np.float32)
    return Arrays(layout=layout, frames=[values + 1000 * i for i in range(3)])


def test_what_is_given_is_told_at_its_ticks_and_to_its_end():
    sequences = JointSequences({"slow": numbered(10, 4.0), "fast": numbered(40, 1.0)})
    statistics = JointStatistics({name: measure(part) for name, part in sequences.parts.items()})
    known = model.Known(sequences, [(0, 8), (2, 32)], sequences.mask, model.Shown(("fast",), statistics))
    told = known(4, 8).of
    assert told["slow"].known is None
    frames = statistics.of["fast"].denormalise(np.asarray(told["fast"].known.frames))
    there = np.asarray(told["fast"].known.there)
    np.testing.assert_array_equal(there, [[True] * 8, [True] * 4 + [False] * 4])
    np.testing.assert_allclose(frames[0, :, 0, 0], np.arange(12, 20), atol=1e-3)
    np.testing.assert_allclose(frames[1, :4, 1, 0], 2000 + np.arange(36, 40), atol=1e-3)


def test_forecasts_begin_where_slots_do():
    sequences = JointSequences({"slow": numbered(10, 4.0), "fast": numbered(40, 1.0)})
    starts = choose_starts(sequences, 4, 12, 7, unit=4)
    assert len(starts) == 7
    assert all(start.frame % 4 == 0 and 4 <= start.frame <= 28 for start in starts)


HOURS = 200


def weather(folder, name, every, cells):
    """A file of a made field every so many hours, which is warmer by the hour."""
    times = np.datetime64("2020-01-01T00", "ns") + np.arange(0, HOURS + 1, every) * np.timedelta64(1, "h")
    rows, columns = (np.arange(count, dtype=float) for count in cells)
    rng = np.random.default_rng(every)
    values = 0.1 * np.arange(0, HOURS + 1, every)[:, None, None] + rng.normal(size=(len(times), *cells))
    coordinates = {"time": times, "y": rows, "x": columns}
    data = xr.Dataset({name: (("time", "y", "x"), values.astype(np.float32))}, coordinates)
    data.to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
    return data


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """A run on two files of one's own, 3-hourly and hourly, and their data."""
    folder = tmp_path_factory.mktemp("fields")
    data = {"field": weather(folder, "field", 3, (4, 6)), "stations": weather(folder, "stations", 1, (2, 2))}
    thin = VideoUViT(channels=(16,), blocks=(1,), heads=2, embedding=16, patch=1)
    experiment = JointExperiment(
        name="fields",
        source=Together(
            parts=tuple(
                NamedSource(name=name, source=Gridded(path=str(folder / f"{name}.nc"))) for name in data
            )
        ),
        network=JointUViT(towers=tuple(Tower(name=name, network=thin) for name in data)),
        window=Ahead(inner=Rolling(size=9, context=3, block=3), ahead=3),
        calls_per_frame=1 / 3,
        training=Training(steps=2, batch=2),
        forecast=Forecast(starts=2, members=2, frames=6, batch=2),
        metrics=(Rmse(),),
    )
    commands.train(experiment, folder / "run")
    return folder / "run", data


def before_and_behind(data, start, more=0):
    """The data up to a time, the stations for so many hours longer."""
    end = {"field": start, "stations": start + np.timedelta64(more, "h")}
    return {name: part.sel(time=slice(None, end[name])) for name, part in data.items()}


def test_forecasts_from_python_are_those_of_the_store(fields):
    run, data = fields
    commands.rollout(run, lambda own: own)
    stored = {name: xr.open_zarr(run / "forecast.zarr", group=name) for name in data}
    start = stored["field"].time.values[0]
    assert stored["stations"].time.values[0] == start  # the field of 03:00 and the stations of 01:00 to 03:00
    forecaster = load(run)
    made = forecaster.forecast(before_and_behind(data, start), 6, members=2)
    for name, hours in (("field", [3, 6]), ("stations", range(1, 7))):
        found = made[name]
        np.testing.assert_allclose(found[name][0], stored[name][name][0], atol=1e-4)
        np.testing.assert_array_equal(found.time, [start])
        expected = start + np.array(hours) * np.timedelta64(1, "h")
        np.testing.assert_array_equal(found.valid_time[0], expected)
        np.testing.assert_array_equal(found.y, data[name].y)


@pytest.mark.parametrize(("law", "more"), [(Law(given=("stations",)), 12), (Law(absent=("stations",)), 0)])
def test_forecasts_from_python_by_another_law(fields, law, more):
    run, data = fields
    commands.rollout(run, law.of)
    forecaster = load(run)
    forecaster.sample_with(law.of(forecaster.recipe))
    stored = xr.open_zarr(run / f"forecast-{forecaster.recipe.law_name}.zarr", group="field")
    there = before_and_behind(data, stored.time.values[0], more)
    made = forecaster.forecast({name: there[name] for name in data if name not in law.absent}, 6, members=2)
    assert list(made) == ["field"]
    np.testing.assert_allclose(made["field"].field[0], stored.field[0], atol=1e-4)


def test_known_frames_from_python(fields):
    """Of a forecast the first hours are known: they stay, by their dates, and the others are made."""
    run, data = fields
    forecaster, start = load(run), data["field"].time.values[-10]
    there = before_and_behind(data, start)
    plain = forecaster.forecast(there, 6, members=2)
    known = plain["stations"].isel(prediction_timedelta=slice(4)) + 100
    made = forecaster.forecast(there, 6, members=2, known={"stations": known})
    np.testing.assert_array_equal(made["stations"].stations[:, :, :4], known.stations)
    assert (abs(made["stations"].stations[:, :, 4:] - plain["stations"].stations[:, :, 4:]) > 0).any()
    other = known.assign_coords(time=known.time + np.timedelta64(1, "D"))
    with pytest.raises(InputError, match=r"the start at 2020-.* is not in the known frames of stations"):
        forecaster.forecast(there, 6, members=2, known={"stations": other})


def test_forecasts_from_python_that_are_refused(fields):
    run, data = fields
    forecaster = load(run)
    with pytest.raises(InputError, match="a dataset of each of field, stations, and these are of field"):
        forecaster.forecast({"field": data["field"]}, 6)
    with pytest.raises(InputError, match="whole slots of 3 ticks"):
        forecaster.forecast(data, 7)
    with pytest.raises(InputError, match="give `forecast` a dict"):
        forecaster.predict(np.zeros((4, 4, 6)), 3)
    late = {"field": data["field"], "stations": data["stations"].isel(time=slice(-2, None))}
    with pytest.raises(InputError, match="never cover the same time: field from 2020-01-01T00:00"):
        forecaster.forecast(late, 6)


@pytest.mark.parametrize("command", ["drift", "benchmark"])
def test_commands_for_one_modality_say_so(finished, capsys, command):
    words = ["--protocols", "the_well"] if command == "benchmark" else []
    assert main([command, str(finished), *words]) == 2
    assert f"`rolling {command}` is for runs of one modality" in capsys.readouterr().err


def test_a_comparison_of_several_modalities_is_refused(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "other")
    assert main(["compare", str(finished), str(tmp_path / "other")]) == 2
    assert "`rolling compare` is for runs of one modality" in capsys.readouterr().err


def test_what_is_prepared_is_told_of_each_modality(fields, capsys, monkeypatch):
    run, _ = fields
    capsys.readouterr()
    assert main(["prepare", str(run)]) == 0
    said = capsys.readouterr().out
    assert "train: " in said and " ticks in 1 sequence" in said
    assert said.count("correlation of a frame with the next one") == 2


def test_an_unfinished_store_names_the_run(finished, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    with monkeypatch.context() as patch:
        stopped_after(patch, 2, "rollout")
        assert main(["rollout", str(run), "--seed", "5", "--overwrite"]) == EXIT_CODES[signal.SIGTERM]
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 2
    assert f"is not finished: finish it with `rolling rollout {run}`" in capsys.readouterr().err
