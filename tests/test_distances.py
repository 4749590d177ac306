"""Distances between sets of clips: which clips are cut, what is computed once, halves, floors, intervals."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from rolling.common.errors import InputError
from rolling.layout import video
from rolling.metrics.frechet import Gaussian, Sampled, frechet_distance
from rolling.metrics.protocol import EvaluationSetup, Metric, Sample
from rolling.run.evaluation.evaluate import climatology, persistence
from rolling.run.experiment import codec
from rolling.video.metrics import distances
from rolling.video.metrics.distances import FrechetDistance, Halved, KernelDistance

LAYOUT = video(2, 3, rate=4.0)
SEEN = []


@dataclasses.dataclass(frozen=True)
class Pixels:
    """A few pixels of a few frames."""

    def __call__(self, clips):
        SEEN.append(clips)
        return clips[:, ::2, 0, :2].reshape(len(clips), -1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frechet(FrechetDistance):
    name = "frechet"

    def space(self, layout):
        return Pixels()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel(KernelDistance):
    name = "kernel"

    def space(self, layout):
        return Pixels()


@pytest.fixture(autouse=True)
def forget():
    SEEN.clear()
    distances.tell.cache_clear()


def setup(leads=4, members=1, given=1, layout=LAYOUT):
    return EvaluationSetup(layout=layout, leads=leads, members=members, given=given)


def fields(seed, *shape):
    return np.random.default_rng(seed).uniform(-20, 275, (*shape, 2, 3, 3)).astype(np.float32)


def samples(seed, setup, blocks=(3, 1)):
    """One start in blocks of leads."""
    truth, forecast = fields([seed, 0], setup.leads), fields([seed, 1], setup.members, setup.leads)
    given, first = fields([seed, 2], setup.given), 0
    for count in blocks:
        block = slice(first, first + count)
        yield Sample(
            first=first,
            forecast=forecast[:, block],
            truth=truth[block],
            climatology=truth[block] * 0 + 90,
            given=given,
        )
        first += count


def scores(metric, setup, starts, of=lambda sample: sample):
    state = metric.start(setup)
    for seed in range(starts):
        for sample in samples(seed, setup, (3, setup.leads - 3)):
            state = metric.update(state, of(sample))
    return metric.result(state)


def stored(frames):
    return np.clip(np.rint(frames), 0, 255)


def test_a_clip_begins_with_the_given_frames_and_has_whole_grey_levels():
    told = setup(leads=3, given=2, members=2)
    assert isinstance(Frechet(), Metric)
    scores(Frechet(frames=5), told, 2)
    real, fake = SEEN[:2]
    (sample,) = samples(0, told, (3,))
    given = np.broadcast_to(sample.given, (2, *sample.given.shape))
    np.testing.assert_array_equal(real[0], stored(np.concatenate([sample.given, sample.truth])))
    np.testing.assert_array_equal(fake, stored(np.concatenate([given, sample.forecast], axis=1)))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Frechet(frames=4), [3, 7, 11]),
        (Frechet(frames=4, with_given=False), [4, 8]),
        (Frechet(frames=5), [4, 9]),
        (Frechet(frames=1), list(range(1, 12))),  # no room for a given frame and a forecast
    ],
)
def test_a_long_forecast_has_a_clip_after_another(metric, expected):
    found = scores(metric, setup(leads=11), 3)
    np.testing.assert_array_equal(found[0].coordinate, np.array(expected) / 4)
    assert all(np.isfinite(score.values).all() for score in found)


def test_it_does_not_matter_how_leads_come_in_blocks():
    told, metric, found = setup(leads=7, members=2), Frechet(frames=4), []
    for blocks in ((7,), (1,) * 7, (5, 2)):
        state = metric.start(told)
        for seed in range(3):
            for sample in samples(seed, told, blocks):
                metric.update(state, sample)
        found.append(metric.result(state)[0].values)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_the_value_is_the_distance_of_all_forecasts_from_all_truths():
    told = setup(leads=3, members=2)
    (value, half) = scores(Frechet(frames=4), told, 5)
    real, fake = [Pixels()(np.concatenate(SEEN[i:10:2])) for i in (0, 1)]
    np.testing.assert_allclose(value.values, frechet_distance(Gaussian.of(real), Gaussian.of(fake)))
    assert (value.variable, half.variable) == ("clips", "half")
    assert value.reference is None and half.reference.shape == (1,)


def test_features_are_computed_once_for_all_measures_and_the_truth_once_for_all_forecasts():
    told, single = setup(leads=3, members=2), setup(leads=3)
    running = [
        (metric, metric.start(told if of is None else single), of)
        for of in (None, persistence, climatology)
        for metric in (Frechet(frames=4), Kernel(frames=4))
    ]
    for seed in range(2):
        for sample in samples(seed, told, (2, 1)):
            made = {of: sample if of is None else of(sample) for of in (None, persistence, climatology)}
            for metric, state, of in running:
                metric.update(state, made[of])
    assert sorted(len(clips) for clips in SEEN) == [1] * 2 + [1] * 4 + [2] * 2  # truth, baselines, members


def test_halves_have_no_start_in_common():
    real = Sampled(features=np.arange(7.0)[:, None], start=np.arange(7))
    fake = Sampled(features=np.arange(21.0)[:, None], start=np.tile(np.arange(7), 3))
    halved = Halved.of(real, fake)
    assert len(halved.first) == len(halved.second) == 3
    assert not set(halved.first.start) & set(halved.second.start)
    assert [len(part) for pair in halved.pairs for part in pair] == [3] * 8
    for part, half in halved.pairs:
        assert not set(part.start) & set(half.start) and len(set(part.start)) == 3
    assert Halved.of(real[:3], fake) is None


def test_a_forecast_of_the_same_law_is_at_the_floor():
    """Means over many experiments: the model in halves is as far as real clips are, all clips are nearer."""
    found, metric, everything = [], Frechet(frames=4), np.ones((1, 80))
    rng = np.random.default_rng(0)
    for _ in range(200):
        real = Sampled(features=rng.normal(size=(40, 3)), start=np.arange(40))
        fake = Sampled(features=rng.normal(size=(40, 3)), start=np.arange(40, 80))
        first, second, pairs = Halved.of(real, fake)
        distances = [metric.distance(*pair, everything)[0] for pair in pairs]
        whole, floor = (metric.distance(*pair, everything)[0] for pair in ((real, fake), (first, second)))
        found.append([whole, np.mean(distances), floor])
    clips, half, floor = np.mean(found, axis=0)
    np.testing.assert_allclose(half, floor, rtol=0.1)
    np.testing.assert_allclose(clips, half / 2, rtol=0.1)


def test_sets_of_real_clips_that_are_twice_as_many_give_the_floor_at_full_size():
    rng = np.random.default_rng(1)
    real, fake = rng.normal(size=(30, 3)), rng.normal(size=(12, 3))
    halved = Halved.of(
        *(Sampled(features=x, start=i + np.arange(len(x))) for x, i in ((real, 0), (fake, 30)))
    )
    assert [len(part) for pair in halved.pairs for part in pair] == [12] * 4


def test_intervals_cover_what_other_starts_would_have_given():
    """Over many experiments: the mean lies in most of the intervals, which err to the side of wide ones."""
    metric, rng = Frechet(frames=4), np.random.default_rng(2)
    found = []
    for _ in range(40):
        real, fake = rng.normal(size=(40, 4)), rng.normal(size=(40, 4)) * 1.5 + 0.5
        found.append(metric.between(real, fake)[0])
    values, low, high = (np.array([getattr(s, n)[0] for s in found]) for n in ("values", "low", "high"))
    assert np.mean((low <= values.mean()) & (values.mean() <= high)) >= 0.9
    assert 0.9 < np.mean(high - low) / (2 * 1.96 * np.std(values)) < 1.5


def test_few_starts_have_no_interval_and_one_has_no_distance(capsys):
    assert scores(Frechet(frames=4), setup(leads=3), 7)[0].low is None
    assert scores(Frechet(frames=4), setup(leads=3), 8)[0].low is not None
    assert [score.variable for score in scores(Frechet(frames=4), setup(leads=3), 3)] == ["clips"]
    assert scores(Frechet(frames=4), setup(leads=3), 1) == ()
    assert "at least 2 starts" in capsys.readouterr().err


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="frames >= 1, not 0"):
        Frechet(frames=0)


def test_starts_of_one_clip_are_left_out_and_halved_together():
    """Eight clips of three starts each: the interval is that of the clips, and no half has a part of one."""
    told, metric = setup(leads=3), Frechet(frames=4)
    state = metric.start(told)
    for seed in range(24):
        for sample in samples(seed, told, (3,)):
            state = metric.update(state, dataclasses.replace(sample, block=seed // 3))
    ((real, fake),) = state.sets()
    assert real.start.tolist() == fake.start.tolist() == np.repeat(np.arange(8), 3).tolist()
    halved = Halved.of(real, fake)
    assert not set(halved.first.start) & set(halved.second.start)
    assert len(halved.first) == len(halved.second) == 12
    (value, _) = metric.result(state)
    others = [
        frechet_distance(*(Gaussian.of(each.features[each.start != clip]) for each in (real, fake)))
        for clip in range(8)
    ]
    half = stats.t.ppf(0.975, 7) * np.sqrt(7 / 8 * np.sum((others - np.mean(others)) ** 2))
    np.testing.assert_allclose(value.high - value.values, half, rtol=1e-6)


def test_a_distance_saved_with_a_number_of_resamples_is_read():
    saved = {"type": "metric.fvd", "frames": 8, "with_given": True, "resamples": 100}
    assert codec.upgraded(saved) == {"type": "metric.fvd", "frames": 8, "with_given": True}


def test_a_measure_that_makes_no_sense_is_left_out(capsys):
    assert Frechet(frames=6).start(setup(leads=4)) is None
    assert (
        "frechet is left out: it compares clips of 6 frames, and the forecasts have 5"
        in capsys.readouterr().err
    )
    variables = tuple(dataclasses.replace(v, dtype="float32") for v in LAYOUT.variables)
    assert Frechet(frames=3).start(setup(layout=dataclasses.replace(LAYOUT, variables=variables))) is None
