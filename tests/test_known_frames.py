"""Frames that are known before a forecast is made: they stand, are written as they are, and others follow."""

import dataclasses
import signal
from typing import Any

import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.common.signals import EXIT_CODES
from rolling.configs.lorenz96 import experiment as preset
from rolling.data.joint_sequences import JointSequences
from rolling.data.joint_statistics import JointStatistics
from rolling.data.statistics import measure
from rolling.denoisers import NOTHING
from rolling.run import commands
from rolling.run.cli import main
from rolling.run.experiment.joint_denoising import JointDenoising
from rolling.run.forecasting.init_times import InitTime
from rolling.run.forecasting.known_frames import KnownFrames, named_stores
from rolling.run.forecasting.stored_modalities import SeveralParts
from rolling.windows import Tasks
from tests.run_tools import tree
from tests.test_joint_run import numbered, small, stopped_after

pytestmark = pytest.mark.slow
KNOWN = [0, 1, 6, 11]  # leads


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with its first forecast: 3 starts, 2 members, 3 slow and 12 fast frames."""
    folder = tmp_path_factory.mktemp("known") / "run"
    commands.train(small(preset), folder)
    commands.rollout(folder, lambda own: own)
    return folder


@pytest.fixture
def told(run):
    """Of the fast frames some: another number at each, NaN for the others."""
    store = xr.open_zarr(run / "forecast.zarr", group="fast").load().drop_encoding()
    values = np.random.default_rng(0).normal(3, 2, store.fast.shape).astype(np.float32)
    lacking = np.setdiff1d(np.arange(12), KNOWN)
    values[:, :, lacking] = np.nan
    del store.attrs["rolling_seal"]
    return store.assign(fast=(store.fast.dims, values, store.fast.attrs))


def saved(dataset, path):
    if path.suffix == ".nc":
        dataset.to_netcdf(path, engine="h5netcdf")
    else:
        dataset.to_zarr(path, consolidated=False, zarr_format=3)
    return path


def rolled(run, *words):
    return main(["rollout", str(run), *map(str, words)])


def frames(store, group):
    return xr.open_zarr(store, group=group)[group].values


@pytest.mark.parametrize("file", ["fast.zarr", "fast.nc"])
def test_known_frames_are_written_as_they_are_and_others_follow(run, told, tmp_path, capsys, file):
    output = tmp_path / "out.zarr"
    place = saved(told, tmp_path / file)
    assert rolled(run, "--known", f"fast={place}", "--output", output) == 0
    assert f"slow and fast together, with known frames of fast from {place}" in capsys.readouterr().out
    found, plain = frames(output, "fast"), frames(run / "forecast.zarr", "fast")
    np.testing.assert_array_equal(found[:, :, KNOWN], told.fast.values[:, :, KNOWN])
    assert np.isfinite(found).all()
    lacking = np.setdiff1d(np.arange(12), KNOWN)
    assert (np.abs(found[:, :, lacking] - plain[:, :, lacking]).reshape(6, -1).max(1) > 0).all()


def test_a_file_without_members_and_with_few_leads_is_that_of_all(run, told, tmp_path):
    few = told.isel(number=0, prediction_timedelta=KNOWN).drop_vars(["number", "sequence", "frame", "time"])
    output = tmp_path / "out.zarr"
    place = saved(few.transpose("prediction_timedelta", "x", "start"), tmp_path / "few.nc")
    assert rolled(run, "--known", f"fast={place}", "--output", output) == 0
    found = frames(output, "fast")
    for member in range(2):
        np.testing.assert_array_equal(found[:, member][:, KNOWN], told.fast.values[:, 0][:, KNOWN])


def test_a_store_of_several_modalities_is_known_by_its_group(run, capsys):
    """Beside the run, by a name of its own, and scored and shown like any other."""
    assert rolled(run, "--known", f"fast={run / 'forecast.zarr'}") == 0
    store = run / "forecast-known-fast.zarr"
    np.testing.assert_array_equal(frames(store, "fast"), frames(run / "forecast.zarr", "fast"))
    assert main(["evaluate", str(run)]) == 0
    assert "known fast" in capsys.readouterr().out
    assert main(["report", str(run)]) == 0
    words = "slow and fast are made together, but for frames of fast that are known"
    assert words in (run / "report.html").read_text(encoding="utf-8")


def test_a_stopped_rollout_goes_on_to_the_same_bytes(run, told, tmp_path, monkeypatch):
    known = f"fast={saved(told, tmp_path / 'fast.zarr')}"
    for name, stops in (("whole", 0), ("stopped", 2)):
        words = ["--known", known, "--output", tmp_path / name / "forecast.zarr"]
        if stops:
            with monkeypatch.context() as patch:
                stopped_after(patch, stops, "rollout")
                assert rolled(run, *words) == EXIT_CODES[signal.SIGTERM]
        assert rolled(run, *words) == 0
    assert tree(tmp_path / "whole") == tree(tmp_path / "stopped")


def test_other_knowledge_does_not_continue_a_store(run, told, tmp_path, capsys):
    output = tmp_path / "out.zarr"
    assert rolled(run, "--known", f"fast={saved(told, tmp_path / 'a.nc')}", "--output", output) == 0
    # The same, elsewhere and in another kind of file.
    assert rolled(run, "--known", f"fast={saved(told, tmp_path / 'b.zarr')}", "--output", output) == 0
    other = saved(told + 1, tmp_path / "c.nc")
    assert rolled(run, "--known", f"fast={other}", "--output", output) == 2
    assert "holds another forecast (there / here: known.fast: " in capsys.readouterr().err
    assert rolled(run, "--output", output) == 2
    assert "holds another forecast (there / here: known: " in capsys.readouterr().err


def test_what_is_known_is_not_written_over(run, tmp_path, capsys):
    place = tmp_path / "forecast.zarr"
    assert rolled(run, "--output", place) == 0
    before = tree(tmp_path)
    for known in (place, place / "fast"):
        words = ["--known", f"fast={known}", "--output", place, "--overwrite"]
        assert rolled(run, *words) == 2
        assert "its frames are in" in capsys.readouterr().err
    assert tree(tmp_path) == before


def nowhere(data):
    return data.assign(fast=data.fast * np.nan)


def in_part(data):
    return data.assign(fast=data.fast.where(data.x < 5))


def of_units(data):
    leads = data.prediction_timedelta.assign_attrs(units="s")
    return data.assign_coords(prediction_timedelta=leads)


def as_durations(data):
    return data.assign_coords(prediction_timedelta=np.arange(1, 13) * np.timedelta64(1, "h"))


def between_steps(data):
    return data.assign_coords(prediction_timedelta=data.prediction_timedelta * 1.3)


def elsewhere(data):
    return data.assign_coords(frame=data.frame + 4)


def in_kelvin(data):
    return data.assign(fast=data.fast.assign_attrs(units="K"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (nowhere, "nothing is known in .*fast.nc: its frames are NaN"),
        (in_part, "has values in some cells only at start 0, member 0, lead 1"),
        (of_units, "the leads of .*fast.nc are in s, and those of the run in 1"),
        (as_durations, "are durations, and those of the run numbers"),
        (between_steps, "lead 1 of .*fast.nc is 1.3 steps after its start"),
        (
            lambda data: data.assign_coords(prediction_timedelta=np.zeros(12)),
            "are not times after its starts",
        ),
        (elsewhere, "start 0 is not in .*fast.nc: choose the same starts"),
        (in_kelvin, "is in K, and the run's in 1"),
        (lambda data: data.isel(start=[0, 1]), "start 2 is not in"),
        (lambda data: data.isel(x=slice(60)), "has other cells along x, 60 of them, and the run 64"),
        (lambda data: data.isel(x=0), "fast of .* lies over start, number, prediction_timedelta, not over"),
        (lambda data: data.rename(fast="quick"), "has no 'fast', only quick"),
        (lambda data: data.isel(number=[0, 1, 1]), "has 3 members and the forecast 2"),
    ],
)
def test_frames_that_cannot_be_known(run, told, tmp_path, capsys, changed, said):
    place = saved(changed(told), tmp_path / "fast.nc")
    refused(run, tmp_path, capsys, said, "--known", f"fast={place}")


def refused(run, tmp_path, capsys, said, *words):
    capsys.readouterr()
    assert rolled(run, *words, "--output", tmp_path / "out.zarr") == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rolling: ")]
    assert len(told) == 1
    with pytest.raises(InputError, match=said):
        raise InputError(told[0])
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--known", "sound=a.nc"], "sound is no modality: choose among those that are made, slow, fast"),
        (["--known", "fast=a.nc", "--given", "fast"], "fast is given or absent: .* made, slow"),
        (["--known", "fast=gone.nc"], "there is no gone.nc"),
        (["--known", "fast"], "--known is NAME=STORE, .* and not 'fast'"),
        (["--known", "fast=a.nc", "fast=b.nc"], "--known names fast twice"),
    ],
)
def test_names_that_cannot_be_known(run, tmp_path, capsys, words, said):
    refused(run, tmp_path, capsys, said, *words)


def test_a_damaged_or_unfinished_store_is_not_known(run, tmp_path, capsys, monkeypatch):
    (tmp_path / "fast.nc").write_bytes(b"nothing of the kind")
    refused(run, tmp_path, capsys, "fast.nc cannot be read", "--known", f"fast={tmp_path / 'fast.nc'}")
    with monkeypatch.context() as patch:
        stopped_after(patch, 1, "rollout")
        assert rolled(run, "--seed", 1, "--output", tmp_path / "half.zarr") == EXIT_CODES[signal.SIGTERM]
    refused(run, tmp_path, capsys, "is not finished", "--known", f"fast={tmp_path / 'half.zarr' / 'fast'}")


def test_a_changed_store_is_not_known_by_its_old_seal(run, tmp_path, capsys):
    store = xr.open_zarr(run / "forecast.zarr", group="fast").load().drop_encoding()
    place = saved(store.isel(start=[0, 1, 2]), tmp_path / "fast.zarr")
    said = "fast.zarr is damaged.*; if it was changed on purpose, leave out its attribute rolling_seal"
    refused(run, tmp_path, capsys, said, "--known", f"fast={place}")


def test_a_network_that_never_saw_clean_frames_is_not_told_any():
    for shares, trained in (
        ({"given": 0.0, "absent": 0.1}, False),
        ({"given": 0.1, "absent": 0.0}, True),
        ({"given": 0.0, "absent": 0.0, "frames": 0.1}, True),
        ({"given": 0.0, "absent": 0.0, "frames_apart": 0.1}, True),
    ):
        tasks = Tasks(joint=0.9, apart=0.0, **shares)
        experiment = dataclasses.replace(preset, objective=JointDenoising(tasks=tasks))
        experiment.check_known(())
        if trained:
            experiment.check_known(("fast",))
            continue
        with pytest.raises(InputError, match="frames of fast are to be known: train it with"):
            experiment.check_known(("fast",))


def test_the_network_is_told_of_known_frames_at_their_ticks():
    """Two starts at tick 8 of two sequences, with 4 given ticks: lead `k` is tick `4 + k` of a rollout."""
    sequences = JointSequences({"slow": numbered(10, 4.0), "fast": numbered(40, 1.0)})
    statistics = JointStatistics({name: measure(part) for name, part in sequences.parts.items()})
    values = np.full((2, 1, 6, 2), np.nan, np.float32)
    values[0, 0, 1:3], values[1, 0, 5] = 7.0, 9.0
    leads = {"prediction_timedelta": np.arange(1.0, 7.0), "x": [0.0, 1.0]}
    data = xr.Dataset({"a": (("start", "number", "prediction_timedelta", "x"), values)}, leads)
    parts = SeveralParts(sequences, preset.recipe)
    starts = [InitTime(sequence=0, frame=8), InitTime(sequence=2, frame=8)]
    known = KnownFrames.of({"fast": data}, parts, starts, members=3)
    standing = known.batch([(0, 0), (1, 2)], 4, statistics)
    told: Any = standing.conditions(lambda first, count: NOTHING)(4, 8).of
    there = np.asarray(told["fast"].known.there)
    np.testing.assert_array_equal(np.argwhere(there), [[0, 1], [0, 2], [1, 5]])
    shown = statistics.of["fast"].denormalise(np.asarray(told["fast"].known.frames))
    np.testing.assert_allclose(shown[there][..., 0], [[7, 7], [7, 7], [9, 9]], rtol=1e-5)
    earlier: Any = standing.conditions(lambda first, count: NOTHING)(0, 8).of
    np.testing.assert_array_equal(np.argwhere(np.asarray(earlier["fast"].known.there)), [[0, 5], [0, 6]])
    made = {"fast": np.zeros((2, 4, 2, 1), np.float32), "slow": np.zeros((2, 1, 2, 1), np.float32)}
    written = standing.written(4, made)
    np.testing.assert_array_equal(written["fast"][1, :, 0, 0], [0, 9, 0, 0])
    assert not written["fast"][0].any() and written["slow"] is made["slow"]


def test_stores_are_named():
    assert named_stores(("a=x=y.zarr", "b=z")) == {"a": "x=y.zarr", "b": "z"}
