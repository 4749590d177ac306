"""Films, GIFs, contact sheets and lossless videos, read back by the libraries that read them anywhere."""

import dataclasses
import os
import sys

import numpy as np
import pytest
from PIL import Image

from rolling.common.errors import InputError
from rolling.outputs import Output, Shown
from rolling.run.experiment.options import parse
from rolling.run.report.video_files import write_outputs
from rolling.video.outputs import ContactSheet, Gif, Lossless, Mp4
from rolling.video.outputs.montage import GIVEN, MADE, MISSING, PAGE, REST
from tests.fake_runs import Film, box, film, write_store

av = pytest.importorskip("av")
LEADS, CONTEXT = 6, 3


def shown(name="start-1", *, members=2, truth=LEADS, colour=True) -> Shown:
    """Members are brighter than the truth by 20 grey levels each."""
    test = film(colour=colour)
    frames = test.frames[0]
    future = frames[CONTEXT : CONTEXT + LEADS]
    forecast = np.stack([future + 20 * (member + 1) for member in range(members)])
    given = frames[:CONTEXT]
    return Shown(name=name, layout=test.layout, given=given, truth=future[:truth], forecast=forecast)


def decoded(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return np.stack(frames), stream.average_rate, stream.codec_context


def played(path):
    with Image.open(path) as image:
        frames, durations = [], []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
        return np.stack(frames), durations, image.info["loop"]


def picture(stage, frame, panel):
    """The middle pixel of every cell of a panel, and the colour of its border."""
    y, x = stage.place(panel)
    height, width = stage.tile
    inside = frame[y : y + height, x : x + width]
    half = stage.factor // 2
    return inside[half :: stage.factor, half :: stage.factor], frame[y - 2, x + width // 2]


def check_film(frames, stage, one, tolerance):
    """Given frames and then forecasts, within `tolerance` grey levels and in their borders."""
    count = len(one.given)
    for i, frame in enumerate(frames):
        wanted = [one.given[i]] * 3 if i < count else [one.truth[i - count], *one.forecast[:2, i - count]]
        borders = [GIVEN] * 3 if i < count else [REST, MADE, MADE]
        for panel in range(3):
            cells, border = picture(stage, frame, panel)
            assert np.abs(cells - np.clip(wanted[panel], 0, 255)).mean() < tolerance
            assert np.abs(border.astype(int) - borders[panel]).max() <= 5 * tolerance


def test_mp4_plays_the_given_frames_and_then_the_forecasts(tmp_path):
    one, output = shown(), Mp4()
    (path,) = output.write([one], tmp_path)
    frames, rate, codec = decoded(path)
    stage = output.stage(one)
    assert path.name == "start-1.mp4" and len(frames) == CONTEXT + LEADS and rate == 10
    assert frames.shape[1:3] == stage.shape and stage.factor == 8 and not (np.array(stage.shape) % 2).any()
    assert path.read_bytes().index(b"moov") < path.read_bytes().index(b"mdat")  # plays while it is loaded
    assert codec.name == "h264" and codec.pix_fmt == "yuv420p"
    check_film(frames, stage, one, tolerance=5)
    assert list(tmp_path.iterdir()) == [path]


def test_gif_has_one_palette_and_rests_at_its_end(tmp_path):
    one, output = shown(), Gif(rest=2.0)
    (path,) = output.write([one], tmp_path)
    frames, durations, loop = played(path)
    assert durations == [100] * (CONTEXT + LEADS - 1) + [2000] and loop == 0
    check_film(frames, output.stage(one), one, tolerance=4)
    # Without dither what is flat stays flat: no more colours in a cell than one.
    y, x = output.stage(one).place(0)
    factor = output.stage(one).factor
    assert (frames[:, y : y + factor, x : x + factor] == frames[:, y, x][:, None, None]).all()


@pytest.mark.parametrize(("rate", "hundredths"), [(1.0, 20), (25.0, 4), (60.0, 3)])
def test_films_are_no_slower_and_no_faster_than_can_be_watched(tmp_path, rate, hundredths):
    one = shown()
    one = dataclasses.replace(one, layout=dataclasses.replace(one.layout, step=1 / rate))
    (path,) = Gif(members=1).write([one], tmp_path)
    assert played(path)[1][0] == 10 * hundredths
    (path,) = Mp4(rate=rate, members=1).write([one], tmp_path)
    assert decoded(path)[1] == rate  # whatever is asked for


def test_only_the_first_frames_and_members_are_shown(tmp_path):
    (path,) = Gif(frames=2, members=1, size=1).write([shown()], tmp_path)
    frames = played(path)[0]
    assert len(frames) == CONTEXT + 2 and frames.shape[2] < 4 * 64


def test_frames_are_read_in_blocks(tmp_path, monkeypatch):
    """However long a forecast is, a film never asks for more of it than a block at a time."""
    asked = []

    class Lazy:
        def __init__(self, frames):
            self.frames = frames

        def __len__(self):
            return len(self.frames)

        def __getitem__(self, span):
            asked.append(span.stop - span.start)
            return self.frames[span]

    one = shown()
    whole = Mp4().write([one], tmp_path)[0].read_bytes()
    lazy = dataclasses.replace(one, truth=Lazy(one.truth), forecast=[Lazy(member) for member in one.forecast])
    monkeypatch.setattr("rolling.video.outputs.montage.BLOCK_VALUES", 2 * np.prod(one.layout.shape))
    assert Mp4().write([lazy], tmp_path)[0].read_bytes() == whole
    assert set(asked) == {2}


def test_a_truth_that_ends_becomes_grey_and_one_that_is_missing_leaves_no_panel(tmp_path):
    ended, without = shown(truth=2), shown(truth=0)
    (path,) = Gif().write([ended], tmp_path)
    cells, _ = picture(Gif().stage(ended), played(path)[0][-1], 0)
    assert (np.abs(cells.astype(int) - MISSING) <= 4).all()
    assert list(Gif().stage(without).cast.panels) == ["Member 1", "Member 2"]
    single = dataclasses.replace(ended, forecast=ended.forecast[:1])
    assert list(Gif().stage(single).cast.panels) == ["Truth", "Forecast"]


@pytest.mark.parametrize("colour", [True, False])
def test_lossless_videos_hold_every_grey_level(tmp_path, colour):
    one = shown(truth=4, colour=colour)
    paths = Lossless().write([one], tmp_path)
    assert [path.name for path in paths] == [
        "start-1-truth.mkv", "start-1-member-1.mkv", "start-1-member-2.mkv",
    ]  # fmt: skip
    for path, future in zip(paths, [one.truth, *one.forecast], strict=True):
        frames, rate, codec = decoded(path)
        wanted = np.clip(np.concatenate([one.given, future[:4]]), 0, 255)
        np.testing.assert_array_equal(frames, np.broadcast_to(wanted, frames.shape))
        assert rate == 10 and codec.name == "ffv1"
    (bare, *_) = Lossless(given=False, members=1).write([one], tmp_path)
    assert len(decoded(bare)[0]) == 4


def test_contact_sheet_shows_starts_below_each_other(tmp_path):
    sheet = ContactSheet(given=2, leads=3, size=64)
    (path,) = sheet.write([shown("start-1"), shown("start-2")], tmp_path)
    image = np.asarray(Image.open(path).convert("RGB"))
    alone = sheet.block(shown("start-1"))
    assert path.name == "contact-sheet.png" and image.shape[1] == alone.width
    assert image.shape[0] == pytest.approx(2 * alone.height, abs=30)
    marked = lambda colour: (image == colour).all(-1)  # noqa: E731
    # A row across the first truth meets two given frames and three later ones, each between two borders.
    row = int(np.flatnonzero(marked(GIVEN).any(1))[0]) + 30
    for colour, count in ((GIVEN, 2), (REST, 3)):
        edges = np.diff(np.concatenate([[False], marked(colour)[row], [False]]).astype(int))
        assert (edges == 1).sum() == 2 * count
    assert marked(MADE).any(1).sum() > 2 * 2 * 48  # two members of two starts


def test_contact_sheet_is_empty_where_there_is_no_truth():
    sheet = ContactSheet(given=1, leads=LEADS, size=64)
    whole, short, none = (np.asarray(sheet.block(shown(truth=truth))) for truth in (LEADS, 1, 0))
    row = int(np.flatnonzero((whole == GIVEN).all(-1).any(1))[0]) + 30  # across the first row of pictures
    filled = lambda image: (image[row] != PAGE).any(-1)  # noqa: E731
    half = whole.shape[1] // 2
    assert filled(whole)[half:].mean() > 0.7
    assert filled(short)[:half].any() and not filled(short)[half:].any()
    below = row + 70
    assert (whole[below] == MADE).all(-1).any()
    np.testing.assert_array_equal(short[below], whole[below])
    assert none.shape[0] < whole.shape[0]  # no row for the truth


def test_what_cannot_be_shown_is_refused(monkeypatch):
    layout = film().layout
    for output in (Mp4(), Gif(), ContactSheet(), Lossless()):
        assert isinstance(output, Output)
        output.check(layout)
        with pytest.raises(InputError, match=r"these data hold vorticity: leave `outputs` empty"):
            output.check(box().layout)
    for spoilt in (lambda: Mp4(quality=60), lambda: Gif(members=0), lambda: ContactSheet(leads=0)):
        with pytest.raises(InputError):
            spoilt()
    monkeypatch.setattr("av.codec.Codec", lambda *_: (_ for _ in ()).throw(ValueError("unknown codec")))
    with pytest.raises(InputError, match="libx264, which this PyAV was built without"):
        Mp4().check(layout)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match="PyAV, which is not installed"):
        Lossless().check(layout)


def test_a_film_that_fails_leaves_nothing(tmp_path):
    one = dataclasses.replace(shown(), forecast=[np.zeros((LEADS, 3, 3, 3))])
    with pytest.raises(Exception, match="dimension 1"):
        Mp4().write([one], tmp_path)
    assert not list(tmp_path.iterdir())


def test_outputs_are_options():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Options:
        outputs: tuple[Output, ...] = (Gif(), Mp4())

    found = parse(Options(), ["--outputs", "contact_sheet,gif", "--outputs.1.members", "1"], "test")
    assert found.outputs == (ContactSheet(), Gif(members=1))
    with pytest.raises(InputError, match="there are gif, mp4, lossless, contact_sheet"):
        parse(Options(), ["--outputs", "avi"], "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failing:
    """An output whose disk is full."""

    starts: int = 1

    def check(self, layout):
        pass

    def write(self, shown, folder):
        (folder / "half").write_text("")
        raise OSError(28, "No space left on device")


@dataclasses.dataclass(frozen=True)
class Named(Film):
    """Pictures of clips that have names, two of them alike but for what is no part of a file's name."""

    def name(self, index):
        return ("to the right/a b.mp4", "../walk/1.mkv", "to the right/a-b.mp4")[index]


def test_files_are_named_by_their_clip(tmp_path):
    test = film()
    test = Named(test.layout, test.frames, test.first, test.step)
    write_store(tmp_path / "forecast.zarr", test, [(0, 3), (0, 5), (1, 3), (2, 3)], members=1, leads=LEADS)
    write_outputs((Gif(starts=0),), tmp_path / "forecast.zarr", test)
    assert {path.name for path in (tmp_path / "videos" / "forecast").iterdir()} == {
        "to-the-right-a-b-1-frame-3.gif", "to-the-right-a-b-1-frame-5.gif", "walk-1-frame-3.gif",
        "to-the-right-a-b-3-frame-3.gif",
    }  # fmt: skip


def test_a_forecast_beyond_its_data_is_shown_alone(tmp_path):
    test = film()
    write_store(tmp_path / "forecast.zarr", test, [(0, 8)], members=2, leads=LEADS)
    cut = dataclasses.replace(test, frames=[frames[:8] for frames in test.frames])
    write_outputs((Lossless(),), tmp_path / "forecast.zarr", cut)
    names = {path.name.removeprefix("start-1-to-the-right-") for path in tmp_path.rglob("*.mkv")}
    assert names == {"member-1.mkv", "member-2.mkv"}


def test_a_store_is_shown_by_some_of_its_starts(tmp_path):
    test = film()
    starts = [(0, 3), (0, 5), (1, 3), (2, 3)]
    write_store(tmp_path / "forecast.zarr", test, starts, members=2, leads=LEADS)
    store, folder = tmp_path / "forecast.zarr", tmp_path / "videos" / "forecast"
    write_outputs((), store, test)
    assert not folder.parent.exists()
    write_outputs((Gif(starts=2), Lossless(starts=1)), store, test)
    assert {path.name for path in folder.iterdir()} == {
        "start-1-to-the-right.gif", "start-4-to-the-right.gif", "start-1-to-the-right-truth.mkv",
        "start-1-to-the-right-member-1.mkv", "start-1-to-the-right-member-2.mkv",
    }  # fmt: skip
    frames, _, _ = decoded(folder / "start-1-to-the-right-truth.mkv")
    np.testing.assert_array_equal(frames, test.frames[0][2:9])  # one given frame and six of the truth
    with pytest.raises(InputError, match=r"videos/forecast cannot be written .*No space left"):
        write_outputs((Failing(),), store, test)
    assert len(list(folder.iterdir())) == 5  # those of before, and no half of others
    assert [path.name for path in folder.parent.iterdir()] == ["forecast"]
    half = folder.parent / ".0123456789abcdef.tmp"  # what a killed command leaves
    half.mkdir()
    (half / "one.gif").write_text("")
    os.utime(half, (0, 0))
    write_outputs((ContactSheet(),), store, test)
    assert [path.name for path in folder.parent.iterdir()] == ["forecast"]
    assert [path.name for path in folder.iterdir()] == ["contact-sheet.png"]
    with pytest.raises(InputError, match="leave `outputs` empty"):
        write_outputs((ContactSheet(),), store, box())
