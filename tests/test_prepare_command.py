"""`rolling prepare`: what a user sees of the data of an experiment."""

import numpy as np
from PIL import Image

from rolling.data.reasons import by_reason
from rolling.run.cli import main
from tests.clip_tools import levels, write_video

MINE = """
import dataclasses
from rolling.configs.debug import experiment as debug
from rolling.data.clips.source import Clips

experiment = dataclasses.replace(debug, name="mine", source=Clips(workers=0))
"""


def test_clips_are_prepared_and_told(tmp_path, capsys):
    for number in range(4):
        write_video(tmp_path / "videos" / f"{number}.mkv", levels(20, 16, 16) + np.uint8(number))
    for name in "abcde":
        (tmp_path / "videos" / f"{name}.mp4").touch()
    (tmp_path / "mine.py").write_text(MINE)
    words = ["prepare", str(tmp_path / "mine.py"), "--source.path", str(tmp_path / "videos")]
    words += ["--source.cache", str(tmp_path / "cache"), "--source.test", "2", "--source.picture.rate", "5"]
    assert main(words) == 0
    told = capsys.readouterr()
    store, *lines = told.out.splitlines()
    made, picture = sorted((tmp_path / "cache").iterdir())
    assert store.startswith(f"{made}: ") and store.endswith("KiB")
    assert lines.pop(2).startswith("correlation of a frame with the next one: red 0.9")
    assert lines == [
        "train: 30 frames in 3 sequences, 6.0 s",
        "test: 10 frames in 1 sequence, 2.0 s",
        "only 1 clip held out: every score rests on so few",
        "frames a second found: 10 (4 clips)",
        "skipped: 5",
        "  5 x the file is empty: a.mp4, b.mp4, c.mp4, ...",
        f"thumbnails: {picture}",
    ]
    with Image.open(picture) as sheet:
        # Two columns of two clips, of five frames each, of a grey that rises; the first row of frames.
        row = np.asarray(sheet)[60, : sheet.width // 2, 0]
        assert sheet.width > 2 * 5 * 96 and np.diff(row[8::98][:5].astype(int)).min() > 0
    assert "prepare: done" in told.err
    long = [*words, "--window.size", "11"]  # longer than the clips of 10 frames
    assert main(long) == 0
    assert "train: 0 frames in 0 sequences, 0.0 s; 3 more are shorter than the 11" in capsys.readouterr().out
    assert main([*words, "--source.test", "3x"]) == 2
    assert "names '3x', and there is no such clip; the nearest is '3'" in capsys.readouterr().err


def test_any_source_can_be_prepared(capsys):
    assert main(["prepare", "debug"]) == 0
    assert capsys.readouterr().out.startswith("train: 96 frames in 4 sequences\ntest: 48 frames in 2")


def test_reasons_that_differ_in_numbers_are_one():
    skipped = [("a", "frame 3 is corrupt"), ("b", "it is empty"), ("c", "frame 4.5 is corrupt")]
    assert by_reason(skipped) == {"frame 3 is corrupt": ["a", "c"], "it is empty": ["b"]}
    assert by_reason([]) == {}
