"""The actions of clips as a modality: the numbers of a picture stand beside it, from one prepared store."""

import dataclasses
from typing import Any

import numpy as np
import pytest

import rolling
from rolling.common.errors import InputError
from rolling.data.clips import Actions, Clips
from rolling.data.clips.collections import ArrayFiles
from rolling.data.source import Described, Source
from rolling.data.statistics import measure
from rolling.data.together import NamedSource, Together
from rolling.run.experiment import codec
from rolling.run.experiment.registry import alternatives
from tests.record_tools import SMALL

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (5, 12, 8, 8, 3), dtype=np.uint8)
ACTIONS = RNG.normal(size=(5, 12, 3)).astype(np.float32)


@pytest.fixture
def clips(tmp_path):
    np.savez(tmp_path / "a.npz", frames=FRAMES, actions=ACTIONS)
    place, cache = str(tmp_path / "a.npz"), str(tmp_path / "cache")
    return Clips(path=place, collection=ArrayFiles(), picture=SMALL, workers=0, cache=cache, actions=False)


def number(name: str) -> int:
    """Of a clip `a.npz/frames[3]`."""
    return int(name[-2])


def test_the_frames_are_the_actions_of_the_pictures(clips, tmp_path):
    pictures, actions = clips.open(), Actions(clips=clips).open()
    assert len(list((tmp_path / "cache").iterdir())) == 1  # prepared once
    for shown, told in ((pictures.train, actions.train), (pictures.test, actions.test)):
        assert len(shown) == len(told) > 0
        for i in range(len(told)):
            assert (told.name(i), told.length(i)) == (shown.name(i), shown.length(i))
            np.testing.assert_array_equal(told.read(i, 2, 9)[..., 0], ACTIONS[number(told.name(i)), 2:9])
            np.testing.assert_array_equal(told.times(i, 2, 9), shown.times(i, 2, 9))
            assert told.conditioning(i, 0, 5) == {} == shown.conditioning(i, 0, 5)
    layout = actions.train.layout
    assert layout.shape == (3, 1) and layout.space == (3,)
    assert (layout.step, layout.time_units) == (pictures.train.layout.step, pictures.train.layout.time_units)
    assert pictures.train.layout.actions == 0 == layout.actions
    used = np.stack([ACTIONS[number(actions.train.name(i))] for i in range(len(actions.train))])
    np.testing.assert_allclose(measure(actions.train).mean, [used.mean()], rtol=1e-5)
    np.testing.assert_allclose(measure(actions.train).std, [used.std()], rtol=1e-5)


def test_joined_with_the_pictures_each_stands_at_its_own_tick(clips):
    parts = (
        NamedSource(name="video", source=clips),
        NamedSource(name="actions", source=Actions(clips=clips)),
    )
    split = Together(parts=parts).open()
    layout: Any = split.train.layout
    assert layout.every == {"video": 1, "actions": 1}
    assert not any("left out" in notice for notice in split.notices)
    for joined in (split.train, split.test):
        for i in range(len(joined)):
            found, which = joined.read(i, 3, 7), number(joined.name(i))
            np.testing.assert_array_equal(found["video"], FRAMES[which, 3:7])
            np.testing.assert_array_equal(found["actions"][..., 0], ACTIONS[which, 3:7])


def test_one_path_is_that_of_both(clips):
    nowhere = dataclasses.replace(clips, path="")
    parts = tuple(
        NamedSource(name=name, source=source)
        for name, source in (("video", nowhere), ("actions", Actions(clips=nowhere)))
    )
    split = Together(parts=parts, paths=(clips.path,)).open()
    assert len(split.train) + len(split.test) == len(FRAMES)
    with pytest.raises(InputError, match=r"^video: no data were named: give --source\.paths, the place of"):
        Together(parts=parts).open()


def test_how_many_there_are_is_known_once_they_are_prepared(clips):
    source = Actions(clips=clips)
    assert isinstance(source, Described) and isinstance(source, Source)
    with pytest.raises(InputError, match="known once they are prepared"):
        source.layout()
    store = clips.open().train.path
    assert Actions(path=str(store), clips=clips).layout() == source.open().train.layout


def test_clips_without_actions_are_refused(clips, tmp_path):
    np.savez(tmp_path / "b.npz", frames=FRAMES)
    with pytest.raises(InputError, match=r"b\.npz have no actions: choose a collection that has") as caught:
        Actions(path=str(tmp_path / "b.npz"), clips=clips).open()
    assert "\n" not in str(caught.value)


def test_pictures_are_told_their_actions_unless_asked_not_to(clips):
    with_them = dataclasses.replace(clips, actions=True).open().train
    assert with_them.layout.actions == 3
    assert dataclasses.replace(with_them.layout, actions=0) == clips.open().train.layout


def test_it_is_a_source_by_name(clips):
    assert rolling.Actions is alternatives(Source)["actions"] is Actions
    source = Actions(clips=clips)
    assert codec.decode(codec.encode(source)) == source
