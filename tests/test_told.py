"""Labels, tokens and actions on their way from a source to the network, in training and in forecasts."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
import zarr

from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.data import conditions
from rolling.data.arrays import Arrays
from rolling.data.pipeline import clips
from rolling.data.source import Split
from rolling.data.statistics import measure
from rolling.fields import Layout, video
from rolling.run import commands, load
from rolling.run.experiment import Forecast, registry
from rolling.run.experiment.optimisers import AdamW
from rolling.run.forecasting.zarr_reader import open_forecast
from rolling.sampling.guidance import ClassifierFree
from rolling.video.outputs import ContactSheet, Gif

pytestmark = pytest.mark.usefixtures("quick_compilation")
LAYOUT = video(8, 8, rate=4.0, labels=("left", "right"), tokens=3, actions=2)
FRAMES = 14


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PushedDots(Arrays):
    """A dot pushed about by its actions."""

    actions: np.ndarray = None
    prefix: str = "dot"

    def name(self, index):
        return f"{self.prefix}-{index}"

    def told(self, index, start, stop):
        assert 0 <= start < stop <= FRAMES
        return {
            "label": np.int32(index % 2),
            "tokens": np.full((2, 3), index, np.float32),
            "actions": self.actions[index, start:stop],
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pushed:
    seed: int = 0

    def open(self) -> Split:
        return Split(train=self._part(0, 6), test=self._part(1, 4))

    def _part(self, stream: int, count: int) -> PushedDots:
        rng = np.random.default_rng((self.seed, stream))
        actions = rng.integers(-1, 2, (count, FRAMES, 2)).astype(np.float32)
        place = (4 + np.cumsum(actions, axis=1)).astype(int) % 8
        frames = np.full((count, FRAMES, 8, 8, 3), 20, np.uint8)
        for i, j in np.ndindex(count, FRAMES):
            frames[i, j, place[i, j, 0], place[i, j, 1]] = 200
        return PushedDots(layout=LAYOUT, frames=frames, actions=actions)


registry.register(Pushed)
EXPERIMENT = dataclasses.replace(
    debug,
    name="pushed",
    source=Pushed(),
    # Long enough for the embeddings, which begin at zero, to move a grey level.
    training=dataclasses.replace(debug.training, steps=40, checkpoint_every=40, drop_condition=0.3),
    optimiser=AdamW(peak=2e-2),
    forecast=Forecast(starts=2, members=2, frames=5, batch=4, chunk=4),
    long=Forecast(frames=0),
    outputs=(Gif(starts=1),),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("told") / "pushed"
    commands.run(EXPERIMENT, folder, resume=False)
    return folder


def test_what_is_told_of_a_clip_goes_with_its_frames():
    train = Pushed().open().train
    batch = next(clips(train, measure(train), frames=5, batch=7, seed=0))
    assert batch["label"].shape == (7,) and batch["label"].dtype == np.int32
    assert batch["tokens"].shape == (7, 2, 3) and batch["vectors"].shape == (7, 5, 2)
    index = batch["tokens"][:, 0, 0].astype(int)
    np.testing.assert_array_equal(batch["label"], index % 2)
    for i, vectors in zip(index, batch["vectors"], strict=True):
        places = [np.array_equal(train.actions[i, s : s + 5], vectors) for s in range(FRAMES - 4)]
        assert sum(places) >= 1


def test_the_calendar_stands_before_the_actions():
    layout = dataclasses.replace(
        LAYOUT, time_units="hours", step=6.0, features=("hour_of_day",), labels=(), tokens=0
    )
    train = Pushed().open().train
    dated = dataclasses.replace(train, layout=layout, origins=np.full(6, "2020-01-01", "datetime64[ns]"))
    vectors = conditions.told(dated, 1, 2, 5)["vectors"]
    assert vectors.shape == (3, conditions.vector_size(layout)) == (3, 4)
    np.testing.assert_array_equal(vectors[:, 2:], train.actions[1, 2:5])
    np.testing.assert_allclose(vectors[:, :2], [[0, -1], [-1, 0], [0, 1]], atol=1e-6)


def test_the_last_action_goes_on_behind_the_end():
    train = Pushed().open().train
    vectors = conditions.told(train, 1, FRAMES - 2, FRAMES + 3)["vectors"]
    np.testing.assert_array_equal(vectors[:2], train.actions[1, -2:])
    np.testing.assert_array_equal(vectors[1:], np.repeat(train.actions[1, -1:], 4, axis=0))
    behind = conditions.told(train, 1, FRAMES + 1, FRAMES + 3)["vectors"]
    np.testing.assert_array_equal(behind, np.repeat(train.actions[1, -1:], 2, axis=0))


def test_a_run_that_is_told_trains_forecasts_and_keeps_grey_levels(run):
    group = zarr.open_group(run / "forecast.zarr", mode="r")
    red = group["red"]
    assert red.dtype == np.uint8 and red.shape == (2, 2, 5, 8, 8)
    assert (run / "report.html").exists()
    network = load(run).params["embedder"]
    for name in ("label", "tokens", "vectors"):
        assert np.abs(network[name]["kernel"]).max() > 0, f"the {name} were never trained"


def test_a_run_shows_its_forecasts_beside_the_truth(run, tmp_path):
    videos = run / "videos" / "forecast"
    assert [path.name for path in videos.iterdir()] == ["start-1-left.gif"]
    poster = tmp_path / "poster.png"
    wanted = {"outputs": (ContactSheet(),), "poster": str(poster)}
    page = commands.report(run, lambda own: dataclasses.replace(own, **wanted))
    assert [path.name for path in videos.iterdir()] == ["contact-sheet.png"] and poster.exists()
    assert '<option value="0">left, t = ' in page.read_text()
    with pytest.raises(InputError, match=r"a poster is a \.png"):
        commands.ReportOptions(poster="poster.bmp")


def test_forecasts_follow_what_they_are_told(run):
    forecaster = load(run)
    given = PushedDots.read(Pushed().open().test, 0, 0, 4)
    data = xr.Dataset(
        {v.name: (("time", "y", "x"), given[..., i]) for i, v in enumerate(LAYOUT.variables)},
        coords={"time": np.arange(4) / 4, "y": list(LAYOUT.y.values), "x": list(LAYOUT.x.values)},
    )
    still, moved = np.zeros((8, 2), np.float32), np.ones((8, 2), np.float32)
    base = forecaster.forecast(data, frames=4, members=1, actions=still)
    assert base.red.dtype == np.uint8
    assert not np.array_equal(base.red, forecaster.forecast(data, frames=4, members=1, actions=moved).red)
    other = forecaster.forecast(
        data, frames=4, members=1, actions=still, label="right", tokens=np.ones((1, 3))
    )
    assert other.red.shape == base.red.shape and not np.array_equal(base.red, other.red)
    with pytest.raises(InputError, match="no class 'up': choose one of left, right"):
        forecaster.forecast(data, frames=4, actions=still, label="up")
    with pytest.raises(InputError, match="told 2 actions, and they are known of 0 frames"):
        forecaster.forecast(data, frames=4)


def test_a_forecast_is_scored_by_the_clips_that_it_was_made_from(run):
    """Other clips of the same lengths would be taken for them by their places alone."""
    test = Pushed().open().test
    stored = open_forecast(run / "forecast.zarr", LAYOUT)
    assert stored.truth_leads(test) >= 1
    with pytest.raises(InputError, match="is in dot-0, but in these test data it would be in other-0"):
        stored.truth_leads(dataclasses.replace(test, prefix="other"))


def test_pictures_from_python_need_no_coordinates_but_grey_levels(run):
    given = PushedDots.read(Pushed().open().test, 0, 0, 4)
    data = xr.Dataset(
        {v.name: (("time", "y", "x"), given[..., i]) for i, v in enumerate(LAYOUT.variables)},
        coords={"time": np.arange(4) / 4},
    )
    actions = np.zeros((6, 2), np.float32)
    assert load(run).forecast(data, frames=2, members=1, actions=actions).red.shape == (1, 1, 2, 8, 8)
    with pytest.raises(InputError, match="grey levels from 0 to 255, and these lie between"):
        load(run).forecast(data / 255, frames=2, actions=actions)


def test_guidance_by_what_the_data_have_not_is_refused_before_the_training(tmp_path):
    wanted = dataclasses.replace(debug, guidance=(ClassifierFree(),))
    with pytest.raises(InputError, match="these data have none: leave it out, with --guidance none"):
        commands.train(wanted, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_classifier_free_guidance_leads_a_rollout(run, tmp_path):
    def roll(**parts):
        def choose(options):
            return dataclasses.replace(options, output=str(tmp_path / f"{len(parts)}.zarr"), **parts)

        return zarr.open_group(commands.rollout(run, choose), mode="r")["red"][:]

    plain, led = roll(), roll(guidance=(ClassifierFree(scale=20.0),))
    assert (tmp_path / "videos" / "0" / "start-1-left.gif").exists()  # beside the store
    assert plain.shape == led.shape and not np.array_equal(plain, led)


def test_no_forecast_beyond_the_actions_that_are_known(run, tmp_path):
    def choose(options):
        return dataclasses.replace(options, frames=40, output=str(tmp_path / "long.zarr"))

    with pytest.raises(InputError, match="they are known of 14 frames in a row, not of 41"):
        commands.rollout(run, choose)


def test_which_layouts_are_pictures():
    assert Layout(**{**vars(LAYOUT), "variables": LAYOUT.variables[:2]}).is_video is False
    assert LAYOUT.is_video and video(8, 8, colour=False).is_video


@pytest.mark.parametrize(("value", "stored"), [(-3.0, 0), (0.5, 0), (1.5, 2), (254.6, 255), (300.0, 255)])
def test_grey_levels_are_rounded_and_bounded(value, stored):
    assert LAYOUT.variables[0].stored(np.array([value], np.float32)).tolist() == [stored]
