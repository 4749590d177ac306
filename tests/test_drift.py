"""Whether rollouts stay in the range of real data: statistics in closed form, processes of known drift."""

import dataclasses

import numpy as np
import pytest

from rolling.configs._metrics import CLIPS_LONG, FIELDS_LONG
from rolling.data.arrays import Arrays
from rolling.geometry import Axis
from rolling.layout import Layout, Variable, video
from rolling.metrics import EvaluationSetup, Metric, Resampled, Sample
from rolling.metrics.drift import Drift, Lasts, Survival
from rolling.metrics.frame_statistics import (
    STATISTICS,
    Contrast,
    Frames,
    Gradient,
    Mean,
    Motion,
    RingPower,
    Saturation,
    ring_ends,
)
from rolling.metrics.intervals import quantile_interval
from rolling.metrics.lifetimes import survival
from rolling.metrics.protocol import Unpaired
from rolling.metrics.real_range import RealRange
from rolling.video.metrics.by_age import SpectralDistanceByAge

UNPAIRED = [
    metric
    for metric in dict.fromkeys(FIELDS_LONG + CLIPS_LONG)
    if isinstance(metric, Unpaired) and not isinstance(metric, SpectralDistanceByAge)
]
LENGTH = 20


def plane(size=16, *, periodic=True, names=("u",), step=0.5):
    y, x = (
        Axis(name=n, values=tuple(map(float, range(size))), boundary="periodic" if periodic else "open")
        for n in "yx"
    )
    return Layout(variables=tuple(Variable(name=n, units="K") for n in names), axes=(y, x), step=step)


def measured(statistic, values, layout, mask=None):
    """`[T, variable]` of frames `[1 + T, ...]`, the first of which only precedes the others."""
    measure = statistic.measure(EvaluationSetup(layout=layout, leads=1, members=1, mask=mask))
    values = np.asarray(values, np.float32)
    return measure.of(Frames(values=values[None, 1:], previous=values[None, 0]))[0]


def scored(metric, setup, rollouts, sizes=(1000,), blocks=None):
    """The scores of `rollouts [start, 1 + T, height, width, variable]`, whose first frame was given, in parts
    of `sizes` leads."""
    state = metric.start(setup)
    for start, frames in enumerate(rollouts):
        first, sizes_left = 0, list(sizes)
        while first < setup.horizon:
            stop = min(setup.horizon, first + (sizes_left.pop(0) if sizes_left else 1000))
            sample = Sample(
                first=first,
                forecast=frames[None, 1 + first : 1 + stop],
                truth=np.empty((0, *frames.shape[1:])),
                climatology=np.empty((0, *frames.shape[1:])),
                given=frames[:1],
                previous=frames[None, first],
                block=None if blocks is None else blocks[start],
            )
            state = metric.update(state, sample)
            first = stop
    return {score.variable: score for score in metric.result(state)}


def setup_for(real, layout, horizon, mask=None):
    return EvaluationSetup(
        layout=layout,
        leads=1,
        beyond=horizon - 1,
        members=1,
        mask=mask,
        real=Arrays(layout=layout, frames=list(real)),
    )


def ages(setup, rollouts, **options):
    return scored(Lasts(), setup, rollouts, **options)["each"].values


def walks(rng, count, frames, layout, a=0.9):
    """`[count, frames, ...]` of a stationary AR(1) of unit variance in every cell."""
    noise = rng.normal(size=(frames, count, *layout.shape)).astype(np.float32)
    found = [noise[0]]
    for each in noise[1:]:
        found.append(a * found[-1] + np.sqrt(1 - a**2) * each)
    return np.stack(found, axis=1)


# Statistics in closed form.


@pytest.mark.parametrize("wave", [1, 2, 3, 5, 7])
def test_a_wave_has_its_power_in_one_ring(wave):
    layout, x = plane(), np.arange(16) * 2 * np.pi / 16
    frames = np.broadcast_to(3 * np.sin(wave * x)[:, None] + 7, (2, 16, 16))[..., None]
    power = [measured(RingPower(ring=ring), frames, layout)[0, 0] for ring in range(1, 6)]
    ends = ring_ends(7)
    ring = int(np.searchsorted(ends, wave, side="right"))
    np.testing.assert_allclose(power, [9 / 4 * (i == ring) for i in range(1, 6)], atol=1e-9)


def test_rings_cover_all_wavenumbers_but_the_mean():
    """Their powers add up to half of the variance; a small grid has fewer of them."""
    rng, layout = np.random.default_rng(0), plane(32)
    frames = rng.normal(size=(2, 32, 32, 1)) + 5
    power = sum(measured(RingPower(ring=ring), frames, layout)[0, 0] for ring in range(1, 7))
    assert power == pytest.approx(frames[1].astype(np.float32).var() / 2, rel=1e-5)
    assert ring_ends(15) == [1, 2, 3, 4, 6, 10, 16] and ring_ends(2) == [1, 2, 3] and not ring_ends(0)
    assert RingPower(ring=6).measure(EvaluationSetup(layout=plane(8), leads=1, members=1)) is None


@pytest.mark.parametrize("periodic", [True, False])
def test_gradient_of_a_checkerboard_and_of_a_ramp(periodic):
    layout = plane(periodic=periodic)
    i, j = np.mgrid[:16, :16]
    checkers, ramp = ((-1.0) ** (i + j), 3.0 * i + 4.0 * j)
    assert measured(Gradient(), np.stack([checkers] * 2)[..., None], layout)[0, 0] == pytest.approx(8**0.5)
    slope = measured(Gradient(), np.stack([ramp] * 2)[..., None], layout)[0, 0]
    assert slope > 5.1 if periodic else slope == pytest.approx(5)  # the jump across the ends


def test_moments_of_white_noise_and_of_a_frozen_sequence():
    rng, layout = np.random.default_rng(1), plane(64)
    noise = rng.normal(size=(9, 64, 64, 1)) * 2 + 1
    assert measured(Mean(), noise, layout).mean() == pytest.approx(1, abs=0.05)
    assert measured(Contrast(), noise, layout).mean() == pytest.approx(2, rel=0.02)
    assert measured(Motion(), noise, layout).mean() == pytest.approx(8, rel=0.03)
    assert not measured(Motion(), np.repeat(noise[:1], 5, axis=0), layout).any()


def test_saturated_pixels_of_pictures():
    frames = np.full((2, 10, 10, 3), 128.0)
    frames[1, :3, 0], frames[1, :2, 1, 0] = 254, 1
    assert measured(Saturation(), frames, video(10, 10))[0, 0] == pytest.approx((9 + 2) / 300)
    assert measured(Mean(), frames, video(10, 10)).shape == (1, 3)
    assert measured(Contrast(), frames, video(10, 10)).shape == (1, 1)
    assert Saturation().measure(EvaluationSetup(layout=plane(), leads=1, members=1)) is None


def test_masked_cells_do_not_count_and_cells_count_by_their_area():
    latitude = Axis(name="latitude", values=tuple(np.linspace(-60, 60, 16)), units="degrees_north")
    layout = dataclasses.replace(plane(), axes=(latitude, plane().x))
    mask = np.ones(layout.shape, bool)
    mask[3:6, 4:9] = False
    rng = np.random.default_rng(2)
    frames = rng.normal(size=(4, *layout.shape))
    rubbish = np.where(mask, frames, np.nan)
    weights = layout.area_weights() * mask[..., 0]
    for statistic in (Mean(), Contrast(), Motion(), Gradient()):
        found = measured(statistic, frames, layout, mask)
        np.testing.assert_array_equal(found, measured(statistic, rubbish, layout, mask))
    contrast = measured(Contrast(), frames, layout, mask)[:, 0]
    for frame, found in zip(np.float32(frames[1:, ..., 0]), contrast, strict=True):
        mean = np.average(frame, weights=weights)
        assert found == pytest.approx(np.average((frame - mean) ** 2, weights=weights) ** 0.5, rel=1e-5)
    assert RingPower(ring=1).measure(EvaluationSetup(layout=layout, leads=1, members=1, mask=mask)) is None


# How long rollouts last.


@pytest.fixture(scope="module")
def noise():
    """Real sequences of white noise, whose range is narrow."""
    layout = plane(names=("u", "v"))
    return layout, walks(np.random.default_rng(3), 24, 121, layout)


def test_the_band_by_hand():
    """Frames of constant mean 0 to 200, and of contrast 1 to 201: quantiles 1 and 199, and 2 and 200, widened
    by a tenth of 198, and by a tenth of the decades between."""
    layout, level = plane(8), np.arange(201.0)[:, None, None, None, None]
    checkers = (-1.0) ** np.indices((8, 8)).sum(axis=0)[..., None]
    for statistic, real, band in (
        (Mean(), level + 0 * checkers, [1 - 19.8, 199 + 19.8]),
        (Contrast(), (level + 1) * checkers, [2 / 100**0.1, 200 * 100**0.1]),
    ):
        found = RealRange.of(setup_for(np.repeat(real, 61, axis=1), layout, 200))
        found.measure(statistic)
        np.testing.assert_allclose(found.band(statistic)[:, 0], band, rtol=1e-6)
    conserved = RealRange.of(setup_for(np.repeat(0 * level + checkers, 61, axis=1), layout, 200))
    for statistic, band in ((Mean(), [-0.05, 0.05]), (Gradient(), [8**0.5 / 1.05, 8**0.5 * 1.05])):
        conserved.measure(statistic)
        np.testing.assert_allclose(conserved.band(statistic)[:, 0], band, rtol=1e-6)


def test_truth_lasts_and_what_is_frozen_or_broken_does_not(noise):
    layout, real = noise
    setup = setup_for(real, layout, 120)
    frozen, blurred, broken, jumping = (real[0].copy() for _ in range(4))
    frozen[:] = frozen[0]
    blurred[61:] *= 0.7
    broken[1 + 33, 2, 3, 0] = np.nan
    jumping[1 + 77, 2, 3, 1] = 11.5
    found = ages(setup, [real[0], frozen, blurred, broken, jumping])
    assert found[0] == 120 and found[1] == 0
    assert found[2] == pytest.approx(60, abs=LENGTH / 2)
    assert found[3:].tolist() == [33, 77]
    scores = scored(Lasts(), setup, [frozen, frozen])
    alone = dict(zip(scores["by_statistic"].coordinate, scores["by_statistic"].values, strict=True))
    assert alone["motion"] == 0 and alone["mean"] == 120 and len(alone) == 4 + len(ring_ends(7)) - 1
    assert scores["median"].coordinate.tolist() == [120]


@pytest.mark.parametrize("slope", [0.005, -0.003])
def test_a_drifting_mean_leaves_when_it_crosses_the_band(noise, slope):
    layout, real = noise
    setup = setup_for(real, layout, 120)
    still = real[1] - real[1].mean(axis=(1, 2), keepdims=True)
    drifting = still + slope * np.arange(121, dtype=np.float32)[:, None, None, None]
    bounds = RealRange.of(setup)
    bounds.measure(Mean())
    band = bounds.band(Mean())[int(slope > 0), 0]
    (found,) = ages(setup, [drifting])
    assert found == pytest.approx(band / slope, abs=LENGTH / 4 + 2)


def test_a_stationary_process_is_a_forecast_of_itself():
    """Real sequences judged by the others and other draws of the same process last alike."""
    layout, rng = plane(8), np.random.default_rng(4)
    setup = setup_for(walks(rng, 32, 201, layout, a=0.95), layout, 200)
    draws = walks(rng, 64, 201, layout, a=0.95)
    curve = scored(Survival(), setup, draws)["rollouts"]
    assert curve.values[-1] >= 0.95
    last = np.flatnonzero(np.isfinite(curve.reference))[-1]
    assert curve.reference[last] >= 0.9 and curve.coordinate[last] >= 0.8 * 100
    mean = scored(Survival(cumulative=True), setup, draws)["rollouts"].values[-1]
    assert 190 < mean <= 200
    biased = draws + 0.004 * np.arange(201, dtype=np.float32)[:, None, None, None]
    known = RealRange.of(setup)
    lasted = scored(Lasts(), setup, biased)["median"].values[0]
    assert lasted == pytest.approx(known.band(Mean())[1, 0] / 0.004, abs=0.25 * lasted)


def test_a_sequence_is_not_judged_by_a_band_of_its_own(noise):
    """One real sequence unlike the others widens the band of rollouts, and leaves that of the others."""
    layout, real = noise
    odd = real.copy()
    odd[5] += 3
    setup = setup_for(odd, layout, 120)
    assert ages(setup, odd[5:6]) == [120]
    judge = setup.share_real("judge of the test", lambda: Lasts().start(setup).judge)
    lasted, _ = judge.of_real()
    assert lasted[5, 0] == 0 and np.isinf(np.delete(lasted[:, 0], 5)).mean() > 0.9


def test_share_that_lasts_by_hand():
    """Kaplan and Meier's own example: deaths at 0.8, 3.1, 5.4, 9.2 and losses at 1.0, 2.7, 7.0, 12.1."""
    ages = np.array([0.8, np.inf, np.inf, 3.1, 5.4, np.inf, 9.2, np.inf])
    seen = np.array([0.8, 1.0, 2.7, 3.1, 5.4, 7.0, 9.2, 12.1])
    found = survival(ages, seen, np.array([0.8, 0.9, 4.0, 6.0, 10.0, 12.1, 12.2]))
    expected = [1, 7 / 8, 7 / 8 * 4 / 5, 7 / 8 * 3 / 5, 7 / 8 * 3 / 10, 7 / 8 * 3 / 10, np.nan]
    np.testing.assert_allclose(found, expected)


def test_interval_of_a_quantile():
    """Of independent values about that of order statistics; blocks that repeat one value count once."""
    values = np.random.default_rng(5).permutation(np.arange(100.0))
    low, high = quantile_interval(values, np.arange(100), 0.5)
    assert 36 <= low <= 44 and 55 <= high <= 63  # 39 and 60 by the binomial law
    wide = quantile_interval(np.repeat(values[:8], 10), np.repeat(np.arange(8), 10), 0.5)
    assert np.ptp(wide) > 40
    assert np.isnan(quantile_interval(values, np.zeros(100, int), 0.5)).all()


def test_distance_of_clips_by_age():
    """It is that of real clips as long as rollouts are real, and grows with the age at which they blur."""
    layout, rng = video(12, 12), np.random.default_rng(7)
    real = 128 + 30 * walks(rng, 40, 64, layout)
    rollouts = 128 + 30 * walks(rng, 8, 321, layout)
    rollouts[:, 161:] = 128 + 0.5 * (rollouts[:, 161:] - 128)
    metric, setup = SpectralDistanceByAge(), setup_for(real, layout, 320)
    found = scored(metric, setup, rollouts, (7, 100))["clips"]
    # 8 clips at each place: windows of 8 places, 128 frames, every 64 frames.
    np.testing.assert_allclose(found.coordinate * 1.0, [64, 128, 192, 256])
    assert found.values[0] == pytest.approx(found.reference[0], rel=0.3)
    assert (np.diff(found.values) > 0).all() and found.values[-1] > 3 * found.reference[0]
    assert metric.start(setup_for(real[:20], layout, 320)) is None
    assert scored(metric, setup_for(real, layout, 64), rollouts[:, :65]) == {}


# What all have in common.


@pytest.mark.parametrize("metric", UNPAIRED, ids=lambda m: m.name)
def test_blocks_do_not_matter(metric):
    layout = video(32, 32)
    rng = np.random.default_rng(6)
    real = 128 + 30 * walks(rng, 6, 61, layout)
    real[:, :, 5:] *= 0.8
    setup, rollouts = setup_for(real[:4], layout, 60), real[4:] + np.arange(61)[:, None, None, None]
    whole, parts = (scored(metric, setup, rollouts, sizes) for sizes in ((60,), (7, 1, 13)))
    assert isinstance(metric, Metric) and whole
    for name, one in whole.items():
        np.testing.assert_allclose(one.values, parts[name].values, rtol=1e-12, equal_nan=False)
        assert len(one.coordinate) == len(one.values) and one.axis == parts[name].axis
        if isinstance(metric, Drift):
            assert (one.least <= one.reference).all() and (one.reference <= one.most).all()
    if isinstance(metric, Resampled):
        states = [metric.start(setup) for _ in rollouts]
        (both,) = metric.resample(states, np.ones((1, 2)))
        assert type(both) is type(states[0])


def test_without_real_data_or_with_too_few_nothing_is_said():
    layout = plane()
    for frames in (None, [np.zeros((9, *layout.shape))], []):
        real = None if frames is None else Arrays(layout=layout, frames=frames)
        setup = EvaluationSetup(layout=layout, leads=100, members=1, real=real)
        assert all(metric.start(setup) is None for metric in UNPAIRED)


def test_real_data_are_read_once_for_all(noise):
    layout, frames = noise
    read = []

    class Counted(Arrays):
        def read(self, index, start, stop):
            read.append((index, start))
            return super().read(index, start, stop)

    setup = EvaluationSetup(
        layout=layout, leads=120, members=1, real=Counted(layout=layout, frames=list(frames))
    )
    setups = setup, dataclasses.replace(setup, members=2)
    states = [(metric, metric.start(s)) for s in setups for metric in (Lasts(), *map(drift, STATISTICS))]
    rest = {"truth": frames[0, 1:], "climatology": frames[0, 1:], "given": frames[0, :1]}
    sample = Sample(first=0, forecast=frames[None, 0, 1:], **rest)
    for metric, state in states:
        if state is not None:
            metric.result(metric.update(state, sample))
    assert len(set(read)) == len(read)


def drift(statistic):
    return Drift(of=statistic)
