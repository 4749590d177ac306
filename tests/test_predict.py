"""Forecasts of plain arrays from Python: pictures in, pictures of the same kind out, without coordinates."""

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import rolling
from rolling.common.errors import InputError
from rolling.data.arrays import Arrays
from rolling.data.clips.decode import read_video
from rolling.data.clips.protocol import Picture
from rolling.data.other import read_other
from rolling.data.statistics import Statistics
from rolling.layout import video
from rolling.run import model
from rolling.run.forecasting import initial_frames
from rolling.run.forecasting.forecaster import Forecaster
from rolling.sampling.guidance import ClassifierFree
from tests.clip_tools import levels, write_video
from tests.run_tools import debug

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parent.parent / "docs" / "data.md"
GIVEN = 1  # frames, of the window of debug


def untrained(colour: bool = True, **known) -> Forecaster:
    layout = video(8, 8, rate=4, colour=colour, **known)
    channels = layout.shape[-1]
    statistics = Statistics(
        mean=np.full(channels, 90.0),
        std=np.full(channels, 60.0),
        climatology=np.full((1, *layout.shape), 90.0),
        mask=None,
    )
    _, params = model.build(debug, layout, None)
    return Forecaster(debug, layout, statistics, params, 0)


@pytest.fixture(scope="module")
def colours():
    return untrained(labels=("left", "right"), actions=2)


@pytest.fixture(scope="module")
def grey():
    return untrained(colour=False)


def clips(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


ACTIONS = np.zeros((GIVEN + 3, 2))


def test_pictures_in_pictures_out(colours):
    given = clips(5, 8, 8, 3)
    made = colours.predict(given, frames=3, members=2, label="left", actions=ACTIONS)
    assert made.shape == (2, 3, 8, 8, 3) and made.dtype == np.uint8
    assert not np.array_equal(made[0], made[1])
    # Only the last given frames count, and the same numbers as floats are the same frames.
    floats = colours.predict(given[-GIVEN:].astype(float), 3, members=2, label="left", actions=ACTIONS)
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(np.clip(np.rint(floats), 0, 255), made)
    others = colours.predict(given, 3, members=2, seed=1, label="left", actions=ACTIONS)
    assert not np.array_equal(others, made)


def test_several_clips_at_once_each_with_what_is_known_of_it(colours):
    given = clips(3, 2, 8, 8, 3)
    actions = np.random.default_rng(1).normal(size=(3, *ACTIONS.shape))
    made = colours.predict(given, 3, members=2, label=["left", "right", ""], actions=actions)
    assert made.shape == (3, 2, 3, 8, 8, 3)
    first = colours.predict(given[0], 3, members=2, label="left", actions=actions[0])
    np.testing.assert_allclose(made[0].astype(int), first, atol=1)


def test_an_array_agrees_with_a_dataset_whatever_its_times(colours):
    given = clips(4, 8, 8, 3)
    names = ("red", "green", "blue")
    data = xr.Dataset({name: (("time", "y", "x"), given[..., i]) for i, name in enumerate(names)})
    known = {"members": 2, "label": "left", "actions": ACTIONS}
    made = colours.predict(given, 3, **known)
    for times in (None, 10 + np.arange(4) / 4):
        timed = data if times is None else data.assign_coords(time=times)
        found = colours.forecast(timed, 3, **known)
        np.testing.assert_array_equal(np.stack([found[n].values[0] for n in names], -1), made)
        assert found.time.values[0] == (0.75 if times is None else 10.75)
    days = np.datetime64("2020-01-01", "ns") + np.arange(4)
    for times in (np.arange(4), days, ["a", "b", "c", "d"]):
        with pytest.raises(InputError, match=r"numbers that are 0.25 apart.*or leave the coordinate out"):
            moment = dataclasses.replace(debug, window=rolling.Rolling(size=4, context=2))
            colours.sample_with(moment)
            try:
                colours.forecast(data.assign_coords(time=times), 3, **known | {"actions": np.zeros((5, 2))})
            finally:
                colours.sample_with(debug)


def test_grey_pictures_need_no_axis_of_channels(grey):
    given = clips(2, 8, 8)
    made = grey.predict(given, 3, members=2)
    assert made.shape == (2, 3, 8, 8) and made.dtype == np.uint8
    assert grey.predict(given[..., None], 3, members=2).shape == (2, 3, 8, 8, 1)
    dark = grey.predict(np.zeros((1, 1, 8, 8), np.uint8), 3, members=2)  # bytes are grey levels, dark or not
    assert dark.shape == (1, 2, 3, 8, 8)


@pytest.mark.parametrize(
    ("given", "more", "says"),
    [
        (clips(2, 16, 16, 3), {}, r"shape \(2, 16, 16, 3\), not \[t, 8, 8, 3\].*bring them to the size"),
        (clips(2, 3, 8, 8), {}, "put the axis of the channels last"),
        (clips(0, 8, 8, 3), {}, "is given 1 frames, and these are 0"),
        (clips(2, 8, 8, 3) / 255, {}, "grey levels from 0 to 255, and these lie between"),
        (np.full((2, 8, 8, 3), np.nan), {}, "lie between nan and nan"),
        (["a.mp4"], {}, "an array of numbers, not list of"),
        (clips(2, 8, 8, 3), {"label": "up"}, "no class 'up': choose one of left, right"),
        (clips(2, 8, 8, 3), {"label": 0}, "label is the name of a class"),
        (clips(2, 8, 8, 3), {"actions": np.zeros((4, 3))}, r"actions have the shape \(4, 3\): give \[any, 2"),
        (clips(2, 8, 8, 3), {"actions": None}, "actions of each frame"),
        (clips(2, 8, 8, 3), {"tokens": np.zeros((1, 2))}, "trained without tokens"),
        (clips(2, 8, 8, 3), {"members": 0}, "whole numbers of frames and members"),
    ],
)
def test_what_is_no_clip_is_refused(colours, given, more, says):
    with pytest.raises(InputError, match=says):
        colours.predict(given, **{"frames": 3, "actions": ACTIONS} | more)


def test_guidance_by_a_condition_that_was_never_dropped_is_refused(colours):
    wanted = dataclasses.replace(debug, guidance=(ClassifierFree(),))
    with pytest.raises(InputError, match=r"never trained to do without them.*--training.drop-condition 0.1"):
        wanted.check_layout(colours.layout)  # before the training
    colours.sample_with(wanted)
    try:
        with pytest.raises(InputError, match="never trained to do without them"):
            colours.predict(clips(1, 8, 8, 3), 3, label="left", actions=ACTIONS)
    finally:
        colours.sample_with(debug)
    training = dataclasses.replace(debug.training, drop_condition=0.1)
    dataclasses.replace(wanted, training=training).check_layout(colours.layout)


def test_the_example_of_the_page_runs(monkeypatch):
    (example,) = (
        block for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S) if "predict(" in block
    )
    mine = untrained()
    monkeypatch.setattr(rolling, "load", lambda path: mine)
    monkeypatch.setattr(np, "load", lambda path: clips(40, 8, 8, 3))
    names = {}
    exec(example, names)
    assert names["forecast"].shape == (4, 20, 8, 8, 3) and names["forecast"].dtype == np.uint8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Films:
    """A source of one's own, which reads files of its own kind."""

    def open(self):
        raise AssertionError("training data are not needed")

    def read_like(self, layout, mask, data):
        return Arrays(layout=layout, frames=np.full((1, 2, *layout.shape), 7.0))


def test_pictures_of_other_files_are_read_by_a_source_that_can():
    """By the same code from Python and from the command line."""
    own = untrained(colour=False)
    own.experiment = dataclasses.replace(own.experiment, source=Films())
    mask = own.statistics.mask
    assert (read_other(Films(), own.layout, mask, "new.film").read(0, 0, 2) == 7.0).all()
    assert (own._given(xr.Dataset())[0] == 7.0).all()


def test_a_film_is_continued_as_its_frames_are(tmp_path):
    """A file and a folder of one clip; the frames are those that training would have made of it."""
    own = untrained(colour=False)
    frames = levels(6)
    film = write_video(tmp_path / "films" / "new.avi", frames, codec="ffv1", rate=8)
    read = lambda path: read_other(debug.source, own.layout, None, str(path))  # noqa: E731
    expected = np.concatenate(
        [block.frames for block in read_video(film, Picture(height=8, width=8, rate=4, colour=False))]
    )
    for path in (film, film.parent):
        found = read(path)
        assert len(found) == 1 and len(expected) == found.length(0) == 3  # half of the frames
        np.testing.assert_array_equal(found.read(0, 0, 3), expected)
    after = initial_frames.after_last(read(film), GIVEN)
    assert [(start.sequence, start.frame) for start in after] == [(0, 3)]
    np.save(tmp_path / "frames.npy", expected)
    np.testing.assert_array_equal(read(tmp_path / "frames.npy").read(0, 0, 3), expected)


def test_of_a_dataset_only_the_given_frames_are_read_and_checked(tmp_path):
    own = untrained(colour=False)
    values = np.full((4, 8, 8), 100.0)
    values[0] = np.nan
    name, times = own.layout.names[0], [0.0, 7.0, 7.25, 7.5]
    data = xr.Dataset({name: (("time", "y", "x"), values)}, {"time": times})
    given, last = own._given(data)
    assert (given == 100.0).all() and last == 7.5
    with pytest.raises(InputError, match="have values that are not finite"):
        own._given(data.isel(time=slice(0, 1)))


def test_what_is_known_of_a_film_is_at_most_its_class(tmp_path):
    layout = video(8, 8, rate=4, labels=("left", "right"), tokens=3)
    for label, index in (("right", 1), ("up", -1)):
        write_video(tmp_path / label / label / "a.avi", levels(4), codec="ffv1", rate=8)
        known = read_other(debug.source, layout, None, str(tmp_path / label)).conditioning(0, 0, 2)
        assert known["label"] == index and known["tokens"].shape == (1, 3)


def test_what_is_no_film_to_continue_is_told(tmp_path):
    layout = video(8, 8, rate=4)
    read = lambda path, layout=layout: read_other(debug.source, layout, None, str(path))  # noqa: E731
    film = write_video(tmp_path / "one" / "a.avi", levels(4), codec="ffv1", rate=8)
    with pytest.raises(InputError, match="conditioned on the actions of every frame"):
        read(film, dataclasses.replace(layout, actions=2))
    with pytest.raises(InputError, match="there is no"):
        read(tmp_path / "none.mp4")
    shutil.copy(film, film.with_name("b.avi"))
    with pytest.raises(InputError, match="holds 2 clips, and a forecast continues one"):
        read(tmp_path / "one")
    film.write_bytes(film.read_bytes()[:100])
    with pytest.raises(InputError, match=r"a\.avi cannot be read to its end.* decoded"):
        read(film)
