"""What docs/data.md shows works: its commands name options that there are, its collection is read."""

import dataclasses
import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from rolling.data.clips.source import Clips
from rolling.data.clips.tracks import ClipsWithSound
from rolling.run.experiment.options import parse

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "data.md").read_text()
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.S)).replace("\\\n", " ")
COMMANDS = [line for line in BLOCKS.splitlines() if line.startswith("rolling")]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_a_command_are_known(command):
    _, _, preset, *options = shlex.split(command, comments=True)
    experiment = importlib.import_module(f"rolling.configs.{preset}").experiment
    changed = parse(experiment, options, "rolling")
    assert changed != experiment
    assert isinstance(changed.source, Clips | ClipsWithSound) and changed.source.path


def test_each_collection_and_each_kind_of_table_is_one_that_there_is():
    table = PAGE.split("## Supported layouts")[1].split("\n\n")[2]
    names = re.findall(r"^\| `(\w+)` \|", table, re.M)
    experiment = importlib.import_module("rolling.configs.clips").experiment
    chosen = [parse(experiment, ["--source.collection", name], "rolling").source.collection for name in names]
    assert len({type(collection) for collection in chosen}) == len(names) == 8


def test_the_collection_of_the_page_is_the_source_of_an_experiment(tmp_path, monkeypatch):
    (mine,) = re.findall(r"```python\n(# mine.py.*?)```", PAGE, re.S)
    (tmp_path / "recorded.py").write_text(mine)
    monkeypatch.syspath_prepend(tmp_path)
    source = importlib.import_module("recorded").experiment.source
    frames = np.random.default_rng(0).integers(0, 256, (10, 240, 320, 3), dtype=np.uint8)
    place = tmp_path / "recordings"
    place.mkdir()
    for name, count in (("a.rgb", 10), ("b.rgb", 6)):
        frames[:count].tofile(place / name)
    (place / "c.rgb").write_bytes(b"cut")
    split = dataclasses.replace(
        source, path=str(place), test=("b",), workers=0, cache=str(tmp_path / "cache")
    ).open()
    assert (split.train.length(0), split.test.length(0)) == (5, 3)  # 30 frames a second, 15 of them kept
    assert split.skipped == (("c.rgb", "it is cut short"),)
