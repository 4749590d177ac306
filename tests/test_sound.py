"""Sound as frames: the transform against its definition and scipy's, and what is heard of frames."""

import dataclasses

import numpy as np
import pytest
import scipy.fft

from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.layout import Layout, Variable, video
from rolling.sound import (
    audible,
    companded,
    expanded,
    inverse_mdct,
    mdct,
    mdct_layout,
    waveform,
)


def noise(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, count)


def levels(*centres, step=0.05, **changes):
    made = {"variables": (Variable(name="level", units="dB"),), "step": step, "time_units": "s"}
    return Layout(**(made | {"axes": (Axis(name="frequency", values=centres, units="Hz"),)} | changes))


@pytest.mark.parametrize("hop", [2, 6, 64])
def test_the_transform_is_that_of_its_definition(hop):
    samples = noise(5 * hop)
    padded = np.concatenate([np.zeros(hop), samples])
    n, k = np.arange(2 * hop), np.arange(hop)
    basis = np.cos(np.pi / hop * np.outer(n + 0.5 + hop / 2, k + 0.5))
    window = np.sin(np.pi / (2 * hop) * (n + 0.5))
    expected = [np.sqrt(2 / hop) * (padded[j * hop : (j + 2) * hop] * window) @ basis for j in range(5)]
    np.testing.assert_allclose(mdct(samples, hop), expected, atol=1e-12)


def test_a_frame_is_a_cosine_transform_of_type_four():
    """Of the samples folded at the quarters of the window: `(-c_r - d, a - b_r)`."""
    hop = 32
    samples = noise(2 * hop, 1)
    window = np.sin(np.pi / (2 * hop) * (np.arange(2 * hop) + 0.5))
    a, b, c, d = np.split(samples * window, 4)
    folded = np.concatenate([-c[::-1] - d, a - b[::-1]])
    expected = scipy.fft.dct(folded, type=4, norm="ortho")
    np.testing.assert_allclose(mdct(samples, hop)[1], expected, atol=1e-12)


@pytest.mark.parametrize("hop", [2, 10, 256])
def test_samples_come_back_but_for_the_last_interval(hop):
    samples = noise(7 * hop, 2)
    back = inverse_mdct(mdct(samples, hop))
    assert back.shape == samples.shape
    np.testing.assert_allclose(back[:-hop], samples[:-hop], atol=1e-12)
    window = np.sin(np.pi / (2 * hop) * (np.arange(2 * hop) + 0.5))[hop:]
    last = samples[-hop:] * window
    np.testing.assert_allclose(back[-hop:], window * (last + last[::-1]), atol=1e-12)


def test_frames_from_the_middle_give_their_samples():
    samples = noise(8 * 16, 3)
    part = inverse_mdct(mdct(samples, 16)[3:6])
    np.testing.assert_allclose(part[:32], samples[48:80], atol=1e-12)


def test_energies_are_the_same():
    samples = noise(6 * 20, 4)
    samples[-20:] = 0
    assert np.square(mdct(samples, 20)).sum() == pytest.approx(np.square(samples).sum(), rel=1e-12)


def test_a_frame_knows_nothing_of_what_comes_after_it():
    samples = noise(60, 5)
    later = np.concatenate([samples[:30], noise(30, 6)])
    np.testing.assert_array_equal(mdct(samples, 10)[:3], mdct(later, 10)[:3])


def test_companding_is_undone():
    values = np.concatenate([-np.geomspace(1e-9, 30, 50), [0.0], np.geomspace(1e-9, 30, 50)])
    np.testing.assert_allclose(expanded(companded(values)), values, rtol=1e-9)
    assert companded(np.array(1e-3)) == pytest.approx(np.log(2))
    assert np.all(np.diff(companded(np.sort(values))) > 0)


def test_a_waveform_of_coefficients_is_the_sound_itself():
    layout, samples = mdct_layout(8000, 100), 0.9 * noise(1000, 7)
    assert audible(layout) and layout.step == 0.0125
    assert layout.x.values[:2] == (20.0, 60.0)
    heard, rate = waveform(layout, companded(mdct(samples, 100))[..., None].astype(np.float32))
    assert rate == 8000 and heard.dtype == np.float32
    np.testing.assert_allclose(heard[:-100], samples[:-100], atol=2e-5)


def test_a_tone_lies_at_its_frequency():
    layout = mdct_layout(8000, 100)
    tone = np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)
    energy = np.square(mdct(tone, 100)[5:]).sum(0)
    assert abs(layout.x.values[int(energy.argmax())] - 1000) <= 20


def test_what_is_no_number_is_silent_and_what_is_too_loud_is_cut_off():
    layout = mdct_layout(8000, 4)
    frames = np.zeros((5, 4, 1), np.float32)
    frames[2] = np.nan
    assert not waveform(layout, frames)[0].any()
    frames[2] = np.inf
    heard, _ = waveform(layout, frames)
    assert np.isfinite(heard).all() and np.abs(heard).max() <= 1
    bands = levels(440.0)
    assert not waveform(bands, np.full((4, 1, 1), np.nan, np.float32))[0].any()
    assert np.abs(waveform(bands, np.full((4, 1, 1), 90, np.float32))[0]).max() <= 1


def test_levels_are_sines():
    layout, step = levels(500.0, 2000.0), 0.05
    frames = np.full((10, 2, 1), -np.inf, np.float32)
    frames[:, 0] = -20.0
    heard, rate = waveform(layout, frames)
    assert rate == 8000 and len(heard) == 10 * step * rate
    expected = 0.1 * np.sin(2 * np.pi * 500 * np.arange(len(heard)) / rate)
    np.testing.assert_allclose(heard, expected, atol=1e-6)


def test_amplitudes_are_linear_between_the_middles_of_frames():
    frames = np.full((4, 1, 1), -np.inf, np.float32)
    frames[2:] = 0.0
    heard, rate = waveform(levels(1000.0), frames)
    time = np.arange(len(heard)) / rate
    amplitude = np.clip((time - 0.075) / 0.05, 0, 1)
    np.testing.assert_allclose(heard, amplitude * np.sin(2 * np.pi * 1000 * time), atol=1e-6)
    # From sample to sample no more than the sine itself moves: nothing clicks where frames meet.
    assert np.abs(np.diff(heard)).max() <= 2 * np.pi * 1000 / rate


def test_frames_of_any_length_and_rate():
    heard, rate = waveform(levels(9000.0, step=1 / 29.97), np.zeros((3, 1, 1), np.float32))
    assert rate == 22050 and len(heard) == round(3 * 22050 / 29.97)
    heard, _ = waveform(levels(440.0), np.zeros((0, 1, 1), np.float32))
    assert len(heard) == 0
    heard, _ = waveform(mdct_layout(8000, 4), np.zeros((0, 4, 1), np.float32))
    assert len(heard) == 0


@pytest.mark.parametrize(
    "layout",
    [
        video(8, 8),
        levels(440.0, time_units="1"),
        levels(440.0, variables=(Variable(name="level"),)),
        levels(440.0, variables=(Variable(name="speed", units="dB"),)),
        levels(-1.0, 440.0),
        levels(440.0, 40_000.0),
        levels(440.0, axes=(Axis(name="x", values=(440.0,), units="Hz"),)),
        levels(440.0, axes=(Axis(name="frequency", values=(440.0,), units="kHz"),)),
        levels(440.0, step=0.0),
        dataclasses.replace(mdct_layout(8000, 4), step=0.01),
        dataclasses.replace(mdct_layout(8000, 4), time_units="hours"),
        levels(10.0, 30.0, 50.0, variables=(Variable(name="mdct"),), step=0.025),  # an odd number
    ],
)
def test_others_are_not_audible(layout):
    assert not audible(layout)
    with pytest.raises(InputError, match="cannot be heard: sound is mdct, or level in dB, along frequency"):
        waveform(layout, np.zeros((1, *layout.shape), np.float32))


def test_frames_of_samples():
    for hop in (0, 3):
        with pytest.raises(InputError, match=f"an even number of samples, not {hop}"):
            mdct(noise(12), hop)
        with pytest.raises(InputError, match="an even number"):
            mdct_layout(8000, hop)
    with pytest.raises(InputError, match="10 samples are no whole number of frames of 4"):
        mdct(noise(10), 4)
