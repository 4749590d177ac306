"""What is set apart of the training data to validate on: by sequences and frames that are counted by hand."""

import dataclasses
import inspect

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.arrays import Arrays
from rolling.data.clip_past import ClipPast
from rolling.data.joint_sequences import JointSequences
from rolling.data.pipeline import clips, fixed_clips
from rolling.data.set_apart import set_apart
from rolling.data.source import Sequences, Stored
from rolling.data.statistics import Measured, measure
from rolling.geometry import Axis
from rolling.layout import Layout, Variable

CELLS = tuple(map(float, range(2)))
LAYOUT = Layout(
    variables=(Variable(name="a"),), axes=(Axis(name="y", values=CELLS), Axis(name="x", values=CELLS))
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Numbered(Arrays):
    """Frames with numbers of their own, that of the sequence times 1000 plus that of the frame."""

    names: tuple[str, ...] = ()

    def name(self, index):
        return self.names[index] if self.names else ""

    def conditioning(self, index, start, stop):
        return {"frame": np.arange(start, stop) + 1000 * index}


def numbered(*lengths, names=()):
    frames = [
        np.broadcast_to(1000.0 * i + np.arange(n)[:, None, None, None], (n, 2, 2, 1))
        for i, n in enumerate(lengths)
    ]
    return Numbered(layout=LAYOUT, frames=frames, names=names)


def numbers(part):
    """The frames of a part, by sequence."""
    return [part.read(i, 0, part.length(i))[:, 0, 0, 0].astype(int).tolist() for i in range(len(part))]


def test_whole_sequences_are_set_apart_evenly_where_there_are_enough():
    rest, apart = set_apart(numbered(*[6] * 20), 0.1, 4)
    assert numbers(apart) == [list(range(6)), list(range(19000, 19006))]
    assert numbers(rest) == [list(range(1000 * i, 1000 * i + 6)) for i in range(1, 19)]
    assert isinstance(rest, Sequences) and isinstance(apart, Sequences)
    assert len(set_apart(numbered(*[6] * 10), 0.1, 4)[1]) == 1  # however 0.1 is rounded
    assert len(set_apart(numbered(*[6] * 30), 0.3, 4)[1]) == 9


def test_sequences_of_one_name_stay_together():
    """Six videos in pieces, a third of them: the first and the last."""
    names = tuple("aabbccddeeff")
    rest, apart = set_apart(numbered(*[5] * 12, names=names), 0.34, 4)
    kept = [{part.name(i) for i in range(len(part))} for part in (rest, apart)]
    assert kept == [set("bcde"), set("af")]
    assert len(apart) == 4 and len(rest) == 8


def test_short_sequences_go_on_to_be_trained_on():
    """What is too short for a clip is no sequence to validate on, nor one of those that are counted."""
    rest, apart = set_apart(numbered(3, 8, 3, 8, 3, 3), 0.5, 4)
    assert [found[0] for found in numbers(apart)] == [1000]
    assert [found[0] for found in numbers(rest)] == [0, 2000, 3000, 4000, 5000]


@pytest.mark.parametrize("lengths", [(100,), (100, 8, 100)])
def test_of_few_sequences_the_last_frames_are_set_apart_behind_a_gap(lengths):
    rest, apart = set_apart(numbered(*lengths), 0.1, 7)
    long = [i for i, n in enumerate(lengths) if n == 100]
    assert numbers(apart) == [list(range(1000 * i + 90, 1000 * i + 100)) for i in long]
    expected = [range(1000 * i, 1000 * i + (83 if i in long else 8)) for i in range(len(lengths))]
    assert numbers(rest) == [list(each) for each in expected]


def test_one_long_sequence_among_many_short_ones_is_not_set_apart():
    """As a whole one, the first of these ten would be 84 % of the frames."""
    rest, apart = set_apart(numbered(500, *[10] * 9), 0.1, 5)
    assert numbers(apart) == [list(range(450, 500))]
    assert numbers(rest)[0] == list(range(445)) and len(rest) == 10


def test_parts_answer_for_their_frames_only():
    rest, apart = set_apart(numbered(100), 0.2, 5)
    assert apart.conditioning(0, 2, 4)["frame"].tolist() == [82, 83]
    assert apart.times(0, 18, 21).tolist() == [98, 99, 100]  # beyond the end, too, for forecasts
    assert rest.length(0) == 75
    for ask in (rest.read, rest.conditioning):
        with pytest.raises(IndexError, match="frames 70 to 76 of a sequence of 75"):
            ask(0, 70, 76)


class Bytes(Numbered):
    """As a store of clips has them, with statistics of all its frames."""

    path = "store"

    def raw(self, index, start, stop):
        return self.read(index, start, stop).astype(np.uint8)

    def statistics(self):
        raise AssertionError("these are of what is set apart, too")


def test_stored_frames_stay_bytes_and_statistics_are_those_of_the_rest():
    whole = Bytes(layout=LAYOUT, frames=numbered(40).frames)
    assert isinstance(whole, Stored) and isinstance(whole, Measured)
    rest, apart = set_apart(whole, 0.25, 5)
    assert isinstance(apart, Stored) and apart.path == "store"
    assert apart.raw(0, 0, 2)[:, 0, 0, 0].tolist() == [30, 31] and apart.raw(0, 0, 2).dtype == np.uint8
    statistics = measure(rest)
    np.testing.assert_allclose(statistics.mean, np.arange(25).mean())
    np.testing.assert_allclose(statistics.std, np.arange(25).std())


def test_no_frame_of_a_clip_or_its_reference_is_in_both():
    rest, apart = set_apart(numbered(60, 60), 0.2, 4)
    statistics = measure(rest)
    there = {number for found in numbers(apart) for number in found}
    assert there == {*range(48, 60), *range(1048, 1060)}

    def shown(batch):
        frames = np.concatenate([batch["x"][..., 0].ravel(), batch["reference"].ravel()])
        return set(np.rint(frames * statistics.std + statistics.mean).astype(int).tolist())

    settings = {"frames": 4, "batch": 4, "past": ClipPast(reference=1, reach=50)}
    fixed = fixed_clips(apart, statistics, least=32, **settings)
    seen = set().union(*(shown(fixed[i]) for i in range(len(fixed))))
    assert seen == there
    trained = clips(rest, statistics, seed=0, threads=0, **settings)
    seen = set().union(*(shown(next(trained)) for _ in range(60)))
    assert seen == {*range(44), *range(1000, 1044)}  # four frames between the two


def test_fixed_clips_are_spread_over_all_and_the_same_each_time():
    part = numbered(13, 13)  # ten clips of four frames each
    statistics = measure(part)
    first = lambda batch: np.rint(  # noqa: E731
        batch["x"][:, 0, 0, 0, 0] * statistics.std + statistics.mean
    ).astype(int)
    fixed = fixed_clips(part, statistics, frames=4, batch=2, least=3)
    assert [first(fixed[i]).tolist() for i in range(len(fixed))] == [[0, 1003], [6, 1009]]
    assert first(fixed[1]).tolist() == first(fixed[1]).tolist()
    few = fixed_clips(part, statistics, frames=4, batch=8, least=20)  # of which there are 20
    assert len(few) == 3
    counted = np.bincount(np.concatenate([first(few[i]) for i in range(3)]))
    assert (counted > 0).sum() == 20 and counted.max() == 2 and counted.sum() == 24


@pytest.mark.parametrize(
    ("lengths", "share", "advice"),
    [
        ((24,) * 4, 0.05, "give --validation.share 0.1667,"),
        ((9,) * 4, 0.1, "give --validation.share 0.25,"),
        ((11, 3), 0.3, "use more data,"),
        ((), 0.1, "use more data,"),
    ],
)
def test_too_little_is_refused_with_a_share_that_would_do(lengths, share, advice):
    with pytest.raises(InputError) as refused:
        set_apart(numbered(*lengths), share, 4)
    said = str(refused.value)
    assert said.startswith(f"validation.share = {share} of ") and "in clips of 4 frames" in said
    assert f": {advice} or 0 to train without validation" in said
    if "give" in advice:
        set_apart(numbered(*lengths), float(advice.split()[-1].rstrip(",")), 4)


def test_parts_have_all_methods_of_sequences():
    _, apart = set_apart(numbered(100), 0.2, 5)
    assert {name for name, _ in inspect.getmembers(Sequences) if not name.startswith("_")} <= set(dir(apart))


def together(*slots):
    """A slow part of a frame to a slot, and a fast one of four."""
    step = lambda size: dataclasses.replace(LAYOUT, step=size)  # noqa: E731
    return JointSequences(
        {
            "slow": dataclasses.replace(numbered(*slots), layout=step(4.0)),
            "fast": dataclasses.replace(numbered(*(4 * n for n in slots)), layout=step(1.0)),
        }
    )


def test_of_several_modalities_the_same_time_is_set_apart():
    rest, apart = set_apart(together(*[6] * 10), 0.1, 8)
    assert numbers(apart.parts["slow"]) == [list(range(6))]
    assert numbers(apart.parts["fast"]) == [list(range(24))]
    assert len(rest) == 9 and rest.length(0) == 24


def test_the_ends_of_long_ones_are_set_apart_in_whole_slots():
    """A third of 30 slots is ten; eight ticks, two slots, before them are in neither part. A share of 0.34 is
    40.8 ticks: rounded down to ten slots again."""
    for share in (1 / 3, 0.34):
        rest, apart = set_apart(together(30), share, 8)
        assert numbers(apart.parts["slow"]) == [list(range(20, 30))]
        assert numbers(apart.parts["fast"]) == [list(range(80, 120))]
        assert numbers(rest.parts["slow"]) == [list(range(18))]
        assert numbers(rest.parts["fast"]) == [list(range(72))]
        np.testing.assert_array_equal(apart.times(0, 0, 4)["slow"], [80.0])
        np.testing.assert_array_equal(apart.times(0, 0, 4)["fast"], [80.0, 81.0, 82.0, 83.0])


def test_too_little_of_several_modalities_is_told():
    with pytest.raises(InputError, match=r"validation\.share = 0\.1 of 1 training sequences"):
        set_apart(together(5), 0.1, 8)
