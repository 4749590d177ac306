"""`rolling prepare`: what a user sees of the data of an experiment."""

import numpy as np

from rolling.run.cli import main
from rolling.run.report.data_summary import by_reason
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
    (made,) = (tmp_path / "cache").iterdir()
    assert store.startswith(f"{made}: ") and store.endswith("KiB")
    assert lines == [
        "train: 30 frames in 3 sequence(s), 6.0 s",
        "test: 10 frames in 1 sequence(s), 2.0 s",
        "skipped: 5",
        "  5 x the file is empty: a.mp4, b.mp4, c.mp4, ...",
    ]
    assert "prepare: done" in told.err
    assert main([*words, "--source.test", "3x"]) == 2
    assert "names '3x', and there is no such clip; the nearest is '3'" in capsys.readouterr().err


def test_any_source_can_be_prepared(capsys):
    assert main(["prepare", "debug"]) == 0
    assert capsys.readouterr().out.startswith("train: 96 frames in 4 sequence(s)\ntest: 48 frames in 2")


def test_reasons_that_differ_in_numbers_are_one():
    skipped = [("a", "frame 3 is corrupt"), ("b", "it is empty"), ("c", "frame 4.5 is corrupt")]
    assert by_reason(skipped) == {"frame 3 is corrupt": ["a", "c"], "it is empty": ["b"]}
    assert by_reason([]) == {}
