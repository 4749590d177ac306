"""Distances of sets of clips that need no weights: their features by another route, and what they see of
distortions that grow."""

import numpy as np
import pytest
import scipy.ndimage

from rolling.layout import video
from rolling.metrics.frechet import Gaussian, frechet_distance
from rolling.metrics.protocol import EvaluationSetup, Metric, Sample
from rolling.video.metrics.projection import PixelProjection, ProjectionFrechetDistance
from rolling.video.metrics.spectral_power import SpectralFrechetDistance, SpectralPower
from tests.test_verification import score

FRAMES, SIZE = 16, 24


def moving_discs(count, seed=0):
    """Discs of one colour each before a plain ground, each on a straight way that begins on the left."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    clips = np.empty((count, FRAMES, SIZE, SIZE, 3), np.float32)
    for clip in clips:
        clip[:] = rng.integers(20, 120, 3)
        for _ in range(4):
            at, pace = rng.uniform((0, 0), (SIZE, SIZE / 3)), rng.normal((0, 0.8), 0.4)
            radius, colour = rng.uniform(2, 5), rng.integers(0, 256, 3)
            for time, frame in enumerate(clip):
                row, column = at + pace * time
                frame[(y - row) ** 2 + (x - column) ** 2 < radius**2] = colour
    return clips


def each(clips, change):
    return np.stack([change(clip) for clip in clips])


def in_disorder(clips, frames):
    """So many frames of each clip change places."""
    rng = np.random.default_rng(1)

    def change(clip):
        order, moved = np.arange(FRAMES), rng.permutation(FRAMES)[:frames]
        order[moved] = np.roll(moved, 1)
        return clip[order]

    return each(clips, change)


def held(clips, frames):
    """The last frames repeat the one before."""
    return clips[:, np.minimum(np.arange(FRAMES), FRAMES - 1 - frames)]


def jittering(clips, pixels):
    rng = np.random.default_rng(1)
    step = lambda frame: np.roll(frame, rng.integers(-pixels, pixels + 1, 2), axis=(0, 1))  # noqa: E731
    return each(clips, lambda clip: each(clip, step))


def flickering(clips, size):
    return clips * np.random.default_rng(1).normal(1, size, (len(clips), FRAMES, 1, 1, 1))


DISTORTIONS = {
    "blur": (lambda clips, by: scipy.ndimage.gaussian_filter(clips, by, axes=(2, 3)), (0.5, 1, 2, 4)),
    "noise": (lambda clips, by: clips + np.random.default_rng(1).normal(0, by, clips.shape), (4, 8, 16, 32)),
    "shuffle": (in_disorder, (2, 4, 8, 16)),
    "freeze": (held, (2, 4, 8, 15)),
    "jitter": (jittering, (1, 2, 4)),
    "flicker": (flickering, (0.02, 0.05, 0.1, 0.2)),
}


def as_stored(clips):
    return np.clip(np.rint(clips), 0, 255).astype(np.float32)


def apart(space, real, fake):
    return frechet_distance(*(Gaussian.of(space(as_stored(clips))) for clips in (real, fake)))


@pytest.fixture(scope="module")
def clips():
    return moving_discs(48)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_the_spectral_distance_rises_with_a_distortion(clips, name):
    distort, sizes = DISTORTIONS[name]
    values = [apart(SpectralPower(), clips, distort(clips, size)) for size in sizes]
    assert values[0] > 1e-3
    assert (np.diff(values) > 0).all(), values


def test_the_projection_sees_flips_and_the_arrow_of_time_and_spectra_do_not():
    clips, others = moving_discs(128), moving_discs(128, seed=2)
    for changed in (clips[:, :, :, ::-1], clips[:, ::-1]):
        assert apart(SpectralPower(), clips, changed) < 0.01 * apart(SpectralPower(), clips, others)
        assert apart(PixelProjection(), clips, changed) > 1.5 * apart(PixelProjection(), clips, others)


@pytest.mark.parametrize("channels", [1, 3])
def test_powers_are_those_of_a_full_transform(channels):
    shape = (11, 18, 23)
    clip = np.random.default_rng(0).integers(0, 256, (*shape, channels)).astype(np.float32)
    grey = (clip @ [0.299, 0.587, 0.114] if channels == 3 else clip[..., 0]) / 255
    for axis, size in enumerate(shape):
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)
        grey = grey * np.expand_dims(hann, [other for other in range(3) if other != axis])
    power = np.abs(np.fft.fftn(grey)) ** 2 / np.prod([3 / 8 * size for size in shape])
    pace, y, x = np.meshgrid(*map(np.fft.fftfreq, shape), indexing="ij")
    band, ring = np.round(np.abs(pace) * 16), np.floor(np.hypot(y, x) * 24).clip(max=11)
    [found] = SpectralPower()(clip[None])
    for i in range(12):
        for j in range(9):
            there = power[(ring == i) & (band == j)]
            expected = there.mean() if len(there) else 0
            assert found[i * 9 + j] == pytest.approx(np.log(expected + 1e-4), abs=1e-4)


def test_the_power_of_noise_is_its_variance():
    noise = np.random.default_rng(0).normal(128, 20, (4, 16, 32, 32, 1))
    features = SpectralPower()(as_stored(noise)).reshape(4, 12, 9)[:, 2:]  # the mean is in two rings
    assert np.exp(features).mean() == pytest.approx((20 / 255) ** 2, rel=0.03)


def test_a_wave_is_found_in_its_bin():
    time, _, x = np.mgrid[:16, :48, :48]
    wave = np.rint(128 + 100 * np.cos(2 * np.pi * (x * 12 / 48 + time * 4 / 16)))
    [features] = SpectralPower()(wave[None, ..., None].astype(np.float32)).reshape(1, 12, 9)
    features[0] = -np.inf
    assert np.unravel_index(features.argmax(), features.shape) == (6, 4)


def test_projections_are_sums_of_pixels():
    clips = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 6, 3)).astype(np.float32)
    directions = np.random.RandomState(0).standard_normal((3 * 8 * 6 * 3, 96))
    pixels = np.moveaxis(clips / 255, -1, 2).reshape(2, -1)
    expected = pixels @ directions / np.sqrt(pixels.shape[1])
    np.testing.assert_allclose(PixelProjection()(clips), expected, atol=1e-5)


def test_large_pictures_are_averaged_down():
    clips = np.random.default_rng(0).integers(0, 256, (2, 3, 96, 32, 1)).astype(np.float32)
    small = clips.reshape(2, 3, 32, 3, 32, 1).mean(axis=3)
    np.testing.assert_allclose(PixelProjection()(clips), PixelProjection()(small), atol=1e-5)
    # Parts that cut a pixel in two: what is even everywhere stays so, and all of it counts.
    plain = np.full((1, 3, 45, 70, 1), 51, np.float32)
    np.testing.assert_allclose(PixelProjection()(plain), PixelProjection()(plain[:, :, :32, :32]), atol=1e-5)


@pytest.mark.parametrize(
    ("metric", "space"),
    [(SpectralFrechetDistance(), SpectralPower()), (ProjectionFrechetDistance(), PixelProjection())],
)
def test_the_measures_are_of_the_forecasts_and_the_given_frames(clips, metric, space):
    assert isinstance(metric, Metric)
    others = moving_discs(48, seed=2)
    samples = [
        Sample(first=0, forecast=fake[None, 2:], truth=real[2:], climatology=real[2:], given=real[:2])
        for real, fake in zip(clips, others, strict=True)
    ]
    setup = EvaluationSetup(layout=video(SIZE, SIZE), leads=FRAMES - 2, members=1, given=2)
    found = {one.variable: one for one in score(metric, setup, samples)}
    fakes = np.concatenate([clips[:, :2], others[:, 2:]], axis=1)
    assert found["clips"].values[-1] == pytest.approx(apart(space, clips, fakes), rel=1e-6)
