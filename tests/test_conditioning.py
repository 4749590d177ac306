"""Labels, tokens, actions and forcings on their way from a source to the network."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import xarray as xr
import zarr

from rolling.common.errors import InputError
from rolling.data import conditions
from rolling.data.arrays import Arrays
from rolling.data.augment import Mirror
from rolling.data.pipeline import clips
from rolling.data.source import Sequences, Split
from rolling.data.statistics import measure
from rolling.layout import Layout, video
from rolling.run import commands, load, model
from rolling.run.experiment import Forecast, registry
from rolling.run.experiment.optimisers import AdamW
from rolling.run.forecasting.zarr_reader import open_forecast
from rolling.run.forecasting.zarr_writer import ForecastStore
from rolling.run.model import Known
from rolling.sampling.guidance import ClassifierFree
from rolling.video.outputs import ContactSheet, Gif
from tests.run_tools import debug

LAYOUT = video(8, 8, rate=4.0, labels=("left", "right"), tokens=3, actions=2, forcings=1)
FRAMES = 14


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PushedDots(Arrays):
    """A dot pushed about by its actions; the forcing is its row, on all cells of it."""

    actions: np.ndarray = None
    prefix: str = "dot"

    def name(self, index):
        return f"{self.prefix}-{index}"

    def conditioning(self, index, start, stop):
        assert 0 <= start < stop <= FRAMES
        return {
            "label": np.int32(index % 2),
            "tokens": np.full((2, 3), index, np.float32),
            "actions": self.actions[index, start:stop],
            "fields": rows_of(self.frames[index][start:stop]),
        }


def rows_of(frames):
    """`[..., height, width, 1]`: 1 in the row of the dot."""
    row = frames[..., :1].max(axis=-2, keepdims=True) > 100
    return np.broadcast_to(row, frames[..., :1].shape).astype(np.float32)


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
    folder = tmp_path_factory.mktemp("conditioning") / "pushed"
    commands.train(EXPERIMENT, folder)
    commands.rollout(folder, lambda own: own)
    commands.evaluate(folder)
    return folder


def test_what_is_known_of_a_clip_goes_with_its_frames():
    train = Pushed().open().train
    statistics = measure(train)
    batch = next(clips(train, statistics, frames=5, batch=7, seed=0))
    assert batch["label"].shape == (7,) and batch["label"].dtype == np.int32
    assert batch["tokens"].shape == (7, 2, 3) and batch["vectors"].shape == (7, 5, 2)
    assert batch["fields"].shape == (7, 5, 8, 8, 1) and batch["fields"].dtype == np.float32
    assert batch["fields"].sum() == 7 * 5 * 8
    np.testing.assert_array_equal(batch["fields"], rows_of(statistics.denormalise(batch["x"])))
    index = batch["tokens"][:, 0, 0].astype(int)
    np.testing.assert_array_equal(batch["label"], index % 2)
    for i, vectors in zip(index, batch["vectors"], strict=True):
        places = [np.array_equal(train.actions[i, s : s + 5], vectors) for s in range(FRAMES - 4)]
        assert sum(places) >= 1


def test_the_calendar_stands_before_the_actions():
    layout = dataclasses.replace(
        LAYOUT, time_units="hours", step=6.0, features=("hour_of_day",), labels=(), tokens=0, forcings=0
    )
    train = Pushed().open().train
    dated = dataclasses.replace(train, layout=layout, origins=np.full(6, "2020-01-01", "datetime64[ns]"))
    vectors = conditions.conditioning(dated, 1, 2, 5)["vectors"]
    assert vectors.shape == (3, conditions.vector_size(layout)) == (3, 4)
    np.testing.assert_array_equal(vectors[:, 2:], train.actions[1, 2:5])
    np.testing.assert_allclose(vectors[:, :2], [[0, -1], [-1, 0], [0, 1]], atol=1e-6)


def test_the_last_action_and_field_go_on_after_the_end():
    train = Pushed().open().train
    vectors = conditions.conditioning(train, 1, FRAMES - 2, FRAMES + 3)["vectors"]
    np.testing.assert_array_equal(vectors[:2], train.actions[1, -2:])
    np.testing.assert_array_equal(vectors[1:], np.repeat(train.actions[1, -1:], 4, axis=0))
    after = conditions.conditioning(train, 1, FRAMES + 1, FRAMES + 3)
    np.testing.assert_array_equal(after["vectors"], np.repeat(train.actions[1, -1:], 2, axis=0))
    np.testing.assert_array_equal(after["fields"], np.repeat(rows_of(train.frames[1, -1:]), 2, axis=0))


def test_what_is_known_of_forecasts_is_counted_from_their_first_given_frame():
    test = Pushed().open().test
    known = Known(test, [(3, 2), (0, 5)], None)(1, 4)
    np.testing.assert_array_equal(known.label, [1, 0])
    np.testing.assert_array_equal(known.tokens[:, 0, 0], [3, 0])
    np.testing.assert_array_equal(known.vectors, [test.actions[3, 3:7], test.actions[0, 6:10]])
    np.testing.assert_array_equal(
        known.fields, rows_of(np.stack([test.frames[3, 3:7], test.frames[0, 6:10]]))
    )
    assert known.static is None
    mask = np.ones(LAYOUT.shape, bool)
    np.testing.assert_array_equal(Known(test, [(0, 0)], mask)(0, 1).static, mask)


def test_of_plain_sequences_nothing_else_is_known():
    plain = Arrays(layout=video(8, 8), frames=Pushed().open().train.frames)
    assert isinstance(plain, Sequences) and plain.name(0) == "" == conditions.label(plain, 0)
    assert conditions.conditioning(plain, 0, 3, 20) == {}
    assert conditions.label(Pushed().open().train, 1) == "right"


def test_an_augmentation_would_leave_the_forcings_behind():
    train = Pushed().open().train
    with pytest.raises(InputError, match="Mirror would change frames, but not the 1 forcings beside them"):
        clips(still(train), measure(train), frames=5, batch=1, seed=0, augment=(Mirror(),))


def still(train):
    """Without actions, which a mirror would have to turn."""
    return dataclasses.replace(train, layout=dataclasses.replace(LAYOUT, actions=0))


@pytest.mark.slow
def test_a_conditioned_run_trains_forecasts_and_keeps_grey_levels(run):
    group = zarr.open_group(run / "forecast.zarr", mode="r")
    red = group["red"]
    assert red.dtype == np.uint8 and red.shape == (2, 2, 5, 8, 8)
    forecaster = load(run)
    inputs = model.network_inputs(forecaster.experiment, forecaster.layout, None)
    assert (inputs.labels, inputs.tokens, inputs.vectors, inputs.fields) == (2, 3, 2, 1)
    network = forecaster.params["embedder"]
    for name in ("label", "tokens", "vectors"):
        assert np.abs(network[name]["kernel"]).max() > 0, f"the {name} were never trained"


@pytest.mark.slow
def test_a_run_shows_its_forecasts_beside_the_truth(run, tmp_path):
    videos = run / "videos" / "forecast"
    assert [path.name for path in videos.iterdir()] == ["dot-0-frame-1.gif"]
    poster = tmp_path / "poster.png"
    wanted = {"outputs": (ContactSheet(),), "poster": str(poster)}
    page = commands.report(run, lambda own: dataclasses.replace(own, **wanted))
    assert [path.name for path in videos.iterdir()] == ["contact-sheet.png"] and poster.exists()
    assert re.search(r'<option value="0">dot.0, left', page.read_text())
    with pytest.raises(InputError, match=r"a poster is a \.png"):
        commands.ReportOptions(poster="poster.bmp")


@pytest.mark.slow
def test_forecasts_follow_what_they_are_conditioned_on(run):
    forecaster = load(run)
    given = PushedDots.read(Pushed().open().test, 0, 0, 4)
    data = xr.Dataset(
        {v.name: (("time", "y", "x"), given[..., i]) for i, v in enumerate(LAYOUT.variables)},
        coords={"time": np.arange(4) / 4, "y": list(LAYOUT.y.values), "x": list(LAYOUT.x.values)},
    )
    still, moved = np.zeros((8, 2), np.float32), np.ones((8, 2), np.float32)
    low, high = np.zeros((8, 8, 8, 1), np.float32), np.ones((8, 8, 8, 1), np.float32)

    def forecast(actions, forcings, **rest):
        return forecaster.forecast(data, frames=4, members=1, actions=actions, forcings=forcings, **rest)

    base = forecast(still, low)
    assert base.red.dtype == np.uint8
    assert not np.array_equal(base.red, forecast(moved, low).red)
    assert not np.array_equal(base.red, forecast(still, high).red)
    other = forecast(still, low, label="right", tokens=np.ones((1, 3)))
    assert other.red.shape == base.red.shape and not np.array_equal(base.red, other.red)
    with pytest.raises(InputError, match="no class 'up': choose one of left, right"):
        forecast(still, low, label="up")
    with pytest.raises(InputError, match="2 actions and 1 forcings of each frame, and they are known of 0"):
        forecaster.forecast(data, frames=4, forcings=low)
    with pytest.raises(InputError, match="known of 3 frames in a row, not of"):
        forecast(still, low[:3])


@pytest.mark.slow
def test_a_forecast_is_scored_by_the_clips_that_it_was_made_from(run):
    """Other clips of the same lengths would be taken for them by their places alone."""
    test = Pushed().open().test
    stored = open_forecast(run / "forecast.zarr", LAYOUT)
    assert stored.truth_leads(test) >= 1
    with pytest.raises(InputError, match="is in dot-0, but in these test data it would be in other-0"):
        stored.truth_leads(dataclasses.replace(test, prefix="other"))


@pytest.mark.slow
def test_pictures_from_python_need_no_coordinates_but_grey_levels(run):
    given = PushedDots.read(Pushed().open().test, 0, 0, 4)
    data = xr.Dataset(
        {v.name: (("time", "y", "x"), given[..., i]) for i, v in enumerate(LAYOUT.variables)},
        coords={"time": np.arange(4) / 4},
    )
    known = {"actions": np.zeros((6, 2)), "forcings": np.zeros((6, 8, 8, 1))}
    assert load(run).forecast(data, frames=2, members=1, **known).red.shape == (1, 1, 2, 8, 8)
    with pytest.raises(InputError, match="grey levels from 0 to 255, and these lie between"):
        load(run).forecast(data / 255, frames=2, **known)


def test_guidance_by_what_the_data_have_not_is_refused_before_the_training(tmp_path):
    wanted = dataclasses.replace(debug, guidance=(ClassifierFree(),))
    with pytest.raises(InputError, match="these data have none: leave it out, with --guidance none"):
        commands.train(wanted, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_classifier_free_guidance_leads_a_rollout(run, tmp_path):
    def roll(**parts):
        def choose(options):
            return dataclasses.replace(options, output=str(tmp_path / f"{len(parts)}.zarr"), **parts)

        return zarr.open_group(commands.rollout(run, choose), mode="r")["red"][:]

    plain, led = roll(), roll(guidance=(ClassifierFree(scale=20.0),))
    assert (tmp_path / "videos" / "0" / "dot-0-frame-1.gif").exists()  # beside the store
    assert plain.shape == led.shape and not np.array_equal(plain, led)


@pytest.mark.slow
def test_no_forecast_beyond_the_actions_that_are_known(run, tmp_path):
    def choose(options):
        return dataclasses.replace(options, frames=40, output=str(tmp_path / "long.zarr"))

    with pytest.raises(InputError, match="they are known of 14 frames in a row, not of 41"):
        commands.rollout(run, choose)


def former(value):
    """Encoded parts as they were once written: classes with their modules, and other names of fields."""
    homes = {
        "window.rolling": "rolling.windows.rolling.Rolling",
        "schedule.cosine": "rolling.noise.cosine.Cosine",
        "solver.ddim": "rolling.solvers.first_order.Ddim",
        "partition.whole": "rolling.views.Whole",
        "layout": "rolling.fields.Layout",
        "axis": "rolling.fields.Axis",
    }
    names = {"partition": "view", "truncate_tail": "drain", "from_clip_start": "beginnings"}
    if isinstance(value, list):
        return [former(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {names.get(name, name): former(item) for name, item in value.items() if name != "forcings"}
    return found | ({"type": homes.get(value["type"], value["type"])} if "type" in value else {})


def rewrite(path, change):
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def age(store):
    """As an earlier version would have left it."""

    def change(metadata):
        identity = json.loads(metadata["attributes"]["rolling_forecast"])
        metadata["attributes"]["rolling_forecast"] = json.dumps(former(identity))
        del metadata["attributes"]["rolling_seal"]
        return metadata

    rewrite(store / "zarr.json", change)
    assert "rolling.views.Whole" in (store / "zarr.json").read_text()


@pytest.mark.slow
def test_a_forecast_that_an_earlier_version_began_goes_on(run, tmp_path, monkeypatch):
    def roll(name, **parts):
        wanted = {"output": str(tmp_path / name), "frames": 8, "chunk": 2, "starts": 1} | parts
        return commands.rollout(run, lambda own: dataclasses.replace(own, **wanted))

    whole = roll("whole.zarr")
    age(whole)
    before = whole.stat().st_mtime_ns
    assert roll("whole.zarr") == whole and whole.stat().st_mtime_ns == before
    with pytest.raises(InputError, match=r"holds another forecast \(there / here: window.context: "):
        roll("whole.zarr", window=dataclasses.replace(EXPERIMENT.window, context=0))

    noted = []

    def stop(store, note, save=ForecastStore.save_note):
        save(store, note)
        noted.append(int(note["lead"]))
        if len(noted) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ForecastStore, "save_note", stop)
        roll("half.zarr")
    age(tmp_path / "half.zarr")
    write, leads = ForecastStore.write, []
    monkeypatch.setattr(
        ForecastStore, "write", lambda store, *place: (leads.append(place[2]), write(store, *place))
    )
    roll("half.zarr")
    assert noted == [2, 4] and min(leads) == 4
    stores = [zarr.open_group(path, mode="r")["red"][:] for path in (whole, tmp_path / "half.zarr")]
    np.testing.assert_array_equal(*stores)


@pytest.mark.slow
def test_a_training_that_an_earlier_version_began_goes_on(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (layout,) = (folder / "checkpoints").glob("*/layout/metadata")
    shutil.rmtree(layout.parent.parent / "seal")
    rewrite(layout, former)
    assert "rolling.fields.Axis" in layout.read_text() and "forcings" not in layout.read_text()
    with pytest.raises(InputError, match=r"have changed since .* forcings: 0 / 1"):
        commands.train(EXPERIMENT, folder, resume=True)
    rewrite(layout, lambda old: old | {"forcings": 1})
    commands.train(EXPERIMENT, folder, resume=True)


def test_which_layouts_are_pictures():
    assert Layout(**{**vars(LAYOUT), "variables": LAYOUT.variables[:2]}).is_video is False
    assert LAYOUT.is_video and video(8, 8, colour=False).is_video


@pytest.mark.parametrize(("value", "stored"), [(-3.0, 0), (0.5, 0), (1.5, 2), (254.6, 255), (300.0, 255)])
def test_grey_levels_are_rounded_and_bounded(value, stored):
    assert LAYOUT.variables[0].stored(np.array([value], np.float32)).tolist() == [stored]
