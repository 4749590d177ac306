"""A trained run from Python: `load` in one line, forecasts in the data's own names and units."""

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.physics.divergence_free import DivergenceFree
from rolling.run import load
from rolling.run.cli import main
from rolling.run.forecasting.init_times import InitTime, choose_starts
from rolling.sampling.constraints import ConservedMean, Limits
from rolling.sampling.guidance import Autoguidance, History, HistoryGuidance
from rolling.sampling.partitions import Blocks
from rolling.sampling.starts import FromClip, FromForecast, FromGuess
from rolling.sampling.sweeps import Picard
from rolling.solvers import Heun, UniPC
from rolling.windows import Pyramid, Rolling
from tests.run_tools import THIN
from tests.test_experiment import hourly

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a few steps on hourly data with a calendar, and the data."""
    folder = tmp_path_factory.mktemp("forecaster")
    dataset = hourly(folder)
    words = ["train", "gridded", "--source.path", folder / "data.nc", "--folder", folder]
    words += ["--training.steps", "3", "--window", "autoregressive", *THIN]
    assert main([str(word) for word in words]) == 0
    return folder / "gridded", dataset


def test_a_forecast_has_the_names_units_and_times_of_the_data(trained):
    run, dataset = trained
    forecaster = load(run)
    forecast = forecaster.forecast(dataset, frames=7, members=3, seed=1)
    assert forecast.t2m.dims == ("time", "number", "prediction_timedelta", "latitude", "longitude")
    assert forecast.t2m.shape == (1, 3, 7, 12, 18)
    assert forecast.t2m.attrs["units"] == "K"
    assert forecast.time.values[0] == dataset.time.values[-1]
    assert forecast.prediction_timedelta.values[6] == np.timedelta64(7, "h")
    np.testing.assert_allclose(forecast.latitude, dataset.latitude)
    assert np.isfinite(forecast.t2m).all()
    again = load(run).forecast(dataset, frames=7, members=3, seed=1)
    xr.testing.assert_identical(forecast, again)
    other = forecaster.forecast(dataset, frames=7, members=3, seed=2)
    assert not np.allclose(forecast.t2m, other.t2m)


@pytest.mark.parametrize(
    "ways",
    [
        {"window": Rolling(size=10, context=2), "partition": Blocks(size=4), "start": FromClip(frames=5)},
        {"window": Pyramid(size=6, context=0), "start": FromGuess(), "solver": Heun(), "calls_per_frame": 2},
        {"guidance": (Autoguidance(),), "sweep": Picard(), "truncate_tail": True},
        {
            "window": Rolling(size=4, context=0),
            "start": FromForecast(run="this one", frames=2),
            "guidance": (Autoguidance(),),
        },
    ],
    ids=["fifo", "pyramid from a guess", "guided", "guided from a forecast"],
)
def test_a_network_samples_in_ways_that_it_was_not_trained_for(trained, ways):
    """Queues longer than its window, guesses, guidance: with the hours of day that belong to the frames."""
    run, dataset = trained
    if "guidance" in ways:
        ways = ways | {"guidance": (Autoguidance(weak=str(run)),)}
    if isinstance(ways.get("start"), FromForecast):
        ways = ways | {"start": FromForecast(run=str(run), frames=2)}
    forecaster = load(run)
    forecaster.sample_with(dataclasses.replace(forecaster.experiment, **ways))
    forecast = forecaster.forecast(dataset, frames=5, members=2)
    assert forecast.t2m.shape == (1, 2, 5, 12, 18) and np.isfinite(forecast.t2m).all()
    assert forecast.time.values[0] == dataset.time.values[-1]


@pytest.mark.parametrize(
    ("ways", "says"),
    [
        ({"guidance": (HistoryGuidance(),)}, "what it makes of no context, and this one is never trained on"),
        (
            {"guidance": (HistoryGuidance(histories=(History(frames=1, level=0.5),)),)},
            "what it makes of no context",
        ),
        ({"start": FromForecast(run="{run}")}, "needs 2 given frames: say so with --start.frames 2"),
    ],
)
def test_what_a_network_was_not_trained_for_is_refused(trained, ways, says):
    run, dataset = trained
    if "start" in ways:  # a window without context, as ERDM has it
        ways = {"start": FromForecast(run=str(run)), "window": Rolling(size=4, context=0)}
    forecaster = load(run)
    forecaster.sample_with(dataclasses.replace(forecaster.recipe, **ways))
    with pytest.raises(InputError, match=says):
        forecaster.forecast(dataset, frames=2)


def test_a_forecast_obeys_the_constraints_that_it_is_made_with(trained):
    """In the units of the data, for a solver that extrapolates, too."""
    run, dataset = trained
    forecaster = load(run)
    forecaster.sample_with(dataclasses.replace(forecaster.recipe, solver=UniPC()))
    low, high = np.quantile(forecaster.forecast(dataset, frames=5, members=2).t2m, [0.4, 0.6])
    limits = Limits(variables=("t2m",), low=float(low), high=float(high))
    forecaster.sample_with(dataclasses.replace(forecaster.recipe, constraints=(limits,)))
    values = forecaster.forecast(dataset, frames=5, members=2).t2m
    np.testing.assert_allclose([values.min(), values.max()], [low, high], rtol=1e-4, atol=1e-7)
    means = (ConservedMean(), DivergenceFree())
    forecaster.sample_with(dataclasses.replace(forecaster.recipe, constraints=means))
    with pytest.raises(InputError, match="needs two velocities, and the data hold t2m"):
        forecaster.forecast(dataset, frames=2)


def test_members_do_not_depend_on_how_many_there_are(trained):
    run, dataset = trained
    few, many = (load(run).forecast(dataset, frames=4, members=m) for m in (2, 4))
    np.testing.assert_allclose(few.t2m.values, many.t2m.values[:, :2], rtol=1e-4)


def test_data_in_another_arrangement_give_the_same_forecast(trained):
    run, dataset = trained
    other = dataset.isel(latitude=slice(None, None, -1), time=slice(-2, None)).transpose("longitude", ...)
    other = other.assign(t2m=other.t2m.assign_attrs(units="kelvin"), extra=other.t2m * 2)
    forecaster = load(run)
    xr.testing.assert_identical(
        forecaster.forecast(other.rename(latitude="lat", time="valid_time"), frames=2, members=1),
        forecaster.forecast(dataset, frames=2, members=1),
    )


def test_a_file_is_forecast_from_its_last_frame(trained, tmp_path, capsys):
    run, dataset = trained
    other = dataset.isel(latitude=slice(None, None, -1), time=slice(40)).rename(longitude="lon")
    other.to_netcdf(tmp_path / "today.nc", engine="h5netcdf")
    words = ["rollout", str(run), "--data", str(tmp_path / "today.nc"), "--frames", "4", "--members", "2"]
    assert main(words) == 0
    path = run / "forecast-today.zarr"
    assert str(path) in capsys.readouterr().out
    forecaster = load(run)
    expected = forecaster.forecast(other, 4, 2, seed=forecaster.experiment.forecast.seed)
    with xr.open_zarr(path) as store:
        np.testing.assert_allclose(store.t2m, expected.t2m, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(store.time, dataset.time[39:40])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.rename(t2m="temperature"), "t2m of the training data is not in the data: it holds temp"),
        (lambda d: d.isel(time=slice(1)), "fewer than the 2 frames"),
        (lambda d: d.isel(time=slice(None, None, 3)), "must be one step"),
        (lambda d: d.isel(time=[-30, -1]), "must be one step"),
        (lambda d: d.where(d.latitude < 60), "not finite"),
        (lambda d: d.expand_dims(number=[0, 1]), "2 members"),
        (lambda d: d.t2m, "not a DataArray"),
    ],
)
def test_other_data_are_refused(trained, change, says):
    run, dataset = trained
    forecaster = load(run)
    with pytest.raises(InputError, match=says):
        forecaster.forecast(change(dataset), frames=2)


def test_the_store_opens_as_it_is(trained):
    run, dataset = trained
    assert main(["rollout", str(run), "--frames", "5", "--starts", "3", "--members", "2"]) == 0
    store = xr.open_zarr(run / "forecast.zarr")
    assert dict(store.sizes) == {
        "time": 3,
        "number": 2,
        "prediction_timedelta": 5,
        "latitude": 12,
        "longitude": 18,
    }
    assert store.t2m.attrs["units"] == "K"
    assert store.prediction_timedelta.dtype == "timedelta64[ns]"
    # The last given frame of each forecast is a frame of the file, in its last quarter.
    assert set(store.time.values) <= set(dataset.time.values[45:])
    assert main(["evaluate", str(run)]) == 0
    scores = json.loads((run / "evaluation.json").read_text())["rmse"]["t2m"]
    assert scores["unit"] == "K" and scores["leads"] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert {"model", "persistence", "climatology"} <= set(scores)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(trained, tmp_path, capsys):
    path = trained[0].parent / "data.nc"
    words = ["train", "gridded", "--source.path", path, "--folder", tmp_path, "--optimiser", "adamw"]
    words += ["--training.steps", "40", *THIN]
    words += ["--training.checkpoint-every", "1", "--training.warmup", "1", "--optimiser.peak", "1e25"]
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "the loss is not finite from step" in said and "is intact" in said
    load(tmp_path / "gridded")


@pytest.mark.parametrize("sizes", [{"frames": 0}, {"frames": 2, "members": 0}, {"frames": 3.5}])
def test_an_empty_forecast_is_refused(trained, sizes):
    run, dataset = trained
    with pytest.raises(InputError, match="needs whole numbers of frames and members"):
        load(run).forecast(dataset, **sizes)


class Lengths:
    """Sequences of which only the lengths matter."""

    def __init__(self, *lengths):
        self.lengths = lengths

    def __len__(self):
        return len(self.lengths)

    def length(self, index):
        return self.lengths[index]


def test_starts_are_spread_over_the_places_with_truth():
    starts = choose_starts(Lengths(12, 5, 12), context=2, frames=8, count=4)
    assert starts == [InitTime(sequence=0, frame=2), InitTime(sequence=0, frame=4), *starts[2:]]
    assert {start.sequence for start in starts} == {0, 2}
    assert all(start.frame + 8 <= 12 for start in starts)
    assert len(choose_starts(Lengths(11), context=2, frames=8, count=9)) == 2


def test_benchmarks_of_clips_begin_at_the_beginning():
    starts = choose_starts(Lengths(12, 5, 12, 30), context=2, frames=8, count=9, from_clip_start=True)
    assert [(start.sequence, start.frame) for start in starts] == [(0, 2), (2, 2), (3, 2)]


def test_a_forecast_longer_than_the_truth_begins_as_early_as_it_can():
    starts = choose_starts(Lengths(10, 20, 2, 30), context=2, frames=500, count=2)
    assert starts == [InitTime(sequence=1, frame=2), InitTime(sequence=3, frame=2)]
    starts = choose_starts(Lengths(10, 20, 2), context=2, frames=500, count=4)
    assert starts == [InitTime(sequence=0, frame=2), InitTime(sequence=1, frame=2)]


def test_no_start_at_all_is_told():
    with pytest.raises(InputError, match="no sequence longer than 2 frames"):
        choose_starts(Lengths(2, 1), context=2, frames=1, count=4)
