"""What the report draws: clips of a store, colour scales, sprites, curves, the poster."""

import base64
import dataclasses
import io
import json
import re

import numpy as np
import pytest
from PIL import Image, ImageColor

from rolling.common.errors import InputError
from rolling.common.indices import spaced
from rolling.geometry import Axis
from rolling.layout import Layout
from rolling.run.evaluation.scores import decoded
from rolling.run.forecasting.zarr_reader import open_forecast
from rolling.run.report import plots
from rolling.run.report.colours import LEVELS, Scale, field_scale
from rolling.run.report.drawings import drawing
from rolling.run.report.player import manifest
from rolling.run.report.shown_clips import Budget, coarsen, read_clips
from rolling.run.report.stills import poster
from tests.fake_runs import LEADS, box, curve, film, weather, write_film, write_rich, write_store


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    run = tmp_path_factory.mktemp("rich")
    return run, write_rich(run)


def test_clip_puts_given_frames_in_front_and_north_on_top(rich):
    run, test = rich
    with open_forecast(run / "forecast.zarr", test.layout).dataset as dataset:
        forecast = open_forecast(run / "forecast.zarr", test.layout)
        clip, wind = read_clips(forecast, test, context=2, budget=Budget(starts=1))
        stored = dataset["t2m"].values[0]
    assert clip.lead.tolist() == [-1, 0, 1, 2, 3, 4, 5, 6] and wind.variable.name == "u10"
    assert clip.times[1] == np.datetime64("2019-03-01T01", "ns")
    assert list(clip.fields) == ["Truth", "Ensemble mean", "Member 1", "Member 2"]
    np.testing.assert_array_equal(clip.fields["Truth"], test.frames[0][:8, ::-1, :, 0])
    np.testing.assert_array_equal(clip.fields["Member 2"][2:], stored[1][:, ::-1])
    np.testing.assert_array_equal(clip.fields["Member 2"][:2], clip.fields["Truth"][:2])
    np.testing.assert_allclose(clip.spread[2:], stored.std(0, ddof=1)[:, ::-1], rtol=1e-5)
    assert np.nanmax(clip.spread[:2]) == 0 and np.isnan(clip.spread[0, -1, 0])


def test_long_clips_keep_the_last_lead_and_show_no_truth_beyond_its_end(tmp_path):
    test = box()
    write_store(tmp_path / "long.zarr", test, [(0, 2)], members=2, leads=50)
    short = dataclasses.replace(test, frames=[test.frames[0][:30]])
    forecast = open_forecast(tmp_path / "long.zarr", test.layout)
    (clip,) = read_clips(forecast, short, context=1, budget=Budget(frames=11, summary=False))
    assert clip.lead.tolist() == [0, *range(5, 51, 5)]
    assert list(clip.fields) == ["Truth", "Member 1", "Member 2"] and clip.spread is None
    known = np.isfinite(clip.fields["Truth"]).all((1, 2))
    assert known.tolist() == [frame + 1 < 30 for frame in clip.lead]


def test_large_grids_are_made_to_fit(rich):
    run, test = rich
    forecast = open_forecast(run / "forecast.zarr", test.layout)
    budget = Budget(pixels=31_000)
    shown = read_clips(forecast, test, context=2, budget=budget)
    size = sum(field.size for clip in shown for field in [*clip.fields.values(), clip.spread])
    assert 5_000 < size <= budget.pixels and len(shown) == 4  # two starts are left of three
    assert Budget().fitted(forecast, 2) == Budget()


def test_coarse_fields_keep_means_and_masks():
    field = np.arange(35.0).reshape(1, 5, 7)
    field[0, :2, :2] = np.nan
    coarse = coarsen(field, 2)
    assert coarse.shape == (1, 3, 4) and np.isnan(coarse[0, 0, 0])
    assert coarse[0, 0, 1] == field[0, :2, 2:4].mean() and coarse[0, 2, 3] == field[0, 4, 6]


def test_descending_longitudes_are_turned():
    axis = Axis(name="longitude", values=(3.0, 2.0, 1.0), units="degrees_east")
    layout = Layout(variables=(), axes=(Axis(name="latitude", values=(60.0, 50.0)), axis))
    np.testing.assert_array_equal(
        drawing(layout).picture(np.array([[3, 2, 1], [6, 5, 4]])), [[1, 2, 3], [4, 5, 6]]
    )


def test_regions_are_drawn_true_to_scale():
    assert drawing(weather().layout).aspect == pytest.approx(6 / (8 * np.cos(np.deg2rad(52.75))), rel=1e-3)
    assert drawing(box().layout).aspect == 1


def test_scales_are_symmetric_where_signs_balance():
    noise = np.random.default_rng(0).normal(size=(50, 50))
    both, warm = field_scale([noise]), field_scale([10 + 8 * noise.clip(-2, 2)])
    assert (both.palette, both.low) == ("RdBu_r", -both.high)
    assert warm.palette == "viridis" and warm.low == pytest.approx(-6)
    constant = field_scale([np.zeros((3, 3))])
    assert constant.low < constant.high
    assert field_scale([np.full((3, 3), np.nan)]).high == 1


def test_sprites_hold_every_value_to_one_level(rich):
    run, test = rich
    forecast = open_forecast(run / "forecast.zarr", test.layout)
    shown = read_clips(forecast, test, context=2, budget=Budget(starts=2))
    found = json.loads(manifest(shown, test.layout))
    width, height = found["tile"]
    assert len(found["reels"]) == 4 and (width, height) == (16, 12)
    for clip, reel in zip(shown, found["reels"], strict=True):
        image = Image.open(io.BytesIO(base64.b64decode(reel["sheets"][0].split(",")[1])))
        pixels = np.asarray(image.convert("RGB")).reshape(4, height, 8, width, 3).swapaxes(1, 2)
        scale = found["scales"][clip.variable.name][0]
        assert len(set(scale["colours"])) == LEVELS + 1
        codes = {ImageColor.getrgb(colour): level for level, colour in enumerate(scale["colours"])}
        levels = np.array([codes[tuple(p)] for p in pixels.reshape(-1, 3).tolist()]).reshape(
            pixels.shape[:-1]
        )
        step = (scale["high"] - scale["low"]) / (LEVELS - 1)
        truth = clip.fields["Truth"]
        masked = np.isnan(truth)
        values = scale["low"] + (levels[0] - 1.0) * step
        inside = ~masked & (truth > scale["low"]) & (truth < scale["high"])
        np.testing.assert_allclose(values[inside], truth[inside], atol=0.51 * step)
        assert (levels[0][masked] == 0).all()


def test_ticks_of_a_scale_lie_within_it():
    scale = Scale(palette="viridis", low=271.3, high=289.9)
    assert scale.ticks() == [275, 280, 285]


def test_curves_are_drawn_with_gaps_and_recoloured_by_the_page():
    score = decoded("t2m", curve(persistence=[1, None, 3, 4, 5, 6], climatology=[None] * LEADS))
    figure = plots.score_curves(score.coordinate, score.curves, x="lead", y="K", ideal=0.0)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["forecast", "persistence"]
    drawn = plots.svg(figure, "a")
    assert drawn.startswith("<svg viewBox=") and "var(--ours)" in drawn and plots.OURS not in drawn
    axes = figure.axes[0]
    axes.set_yticks([0.125])
    assert ">0.125<" in plots.svg(figure, "a")  # coordinates are cut short, words are not
    clips_a, clips_b = (set(re.findall(r'id="([^"]+)"', plots.svg(figure, name))) for name in "ab")
    assert clips_a and not clips_a & clips_b


def test_poster_shows_truth_above_one_member_beside_the_error(rich, tmp_path):
    run, test = rich
    figure = poster(run, test, columns=4)
    figure.savefig(tmp_path / "poster.png", dpi=50)
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == [
        "Truth", "Member 1", "2 m temperature (K)", "RMSE (K)",
    ]  # fmt: skip
    with pytest.raises(InputError, match="has starts 0 to 2, not 3"):
        poster(run, test, start=3)


@pytest.mark.parametrize("colour", [True, False])
def test_pictures_keep_their_colours_on_the_sheet(tmp_path, monkeypatch, colour):
    test = film(colour=colour)
    write_store(tmp_path / "forecast.zarr", test, [(0, 3)], members=2, leads=LEADS)
    forecast = open_forecast(tmp_path / "forecast.zarr", test.layout)
    (clip,) = read_clips(forecast, test, context=2, budget=Budget(starts=1))
    assert list(clip.fields) == ["Truth", "Member 1", "Member 2"] and clip.label == "to the right"
    np.testing.assert_array_equal(clip.fields["Truth"], test.frames[0][1:9])
    stored = forecast.read(0, 0, LEADS)
    np.testing.assert_array_equal(clip.fields["Member 2"][2:], stored[1])
    np.testing.assert_allclose(clip.spread[2:], stored.std(0, ddof=1).mean(-1), rtol=1e-5)
    found = json.loads(manifest([clip], test.layout))
    assert found["scales"]["picture"][0] is None and found["scales"]["picture"][1]["colours"]
    image = Image.open(io.BytesIO(base64.b64decode(found["reels"][0]["sheets"][0].split(",")[1])))
    tiles = np.asarray(image.convert("RGB")).reshape(3, 24, 8, 32, 3).swapaxes(1, 2)
    np.testing.assert_array_equal(tiles[0], np.broadcast_to(test.frames[0][1:9], tiles[0].shape))
    monkeypatch.setattr("rolling.run.report.player.LARGEST", 1000)
    lossy = json.loads(manifest([clip], test.layout))["reels"][0]["sheets"]
    assert lossy[0].startswith("data:image/jpeg") and lossy[1].startswith("data:image/webp")
    image = Image.open(io.BytesIO(base64.b64decode(lossy[0].split(",")[1])))
    tiles = np.asarray(image.convert("RGB")).reshape(3, 24, 8, 32, 3).swapaxes(1, 2)
    assert np.abs(tiles[0] - test.frames[0][1:9]).mean() < 4
    coarse = read_clips(forecast, test, context=2, budget=Budget(starts=1, cells=16))[0]
    np.testing.assert_allclose(
        coarse.fields["Truth"][0, 0, 0], test.frames[0][1][:2, :2].mean((0, 1)), rtol=1e-6
    )


def test_poster_of_pictures_shows_their_signal_to_noise_ratio(tmp_path):
    test = write_film(tmp_path)
    figure = poster(tmp_path, test, columns=3)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert labels == ["Truth", "Member 1", "PSNR (dB)"]
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown, test.frames[0][2])
    (tmp_path / "evaluation.json").write_text(json.dumps({"ssim": {"frame": curve()}}))
    with pytest.raises(InputError, match="neither psnr nor rmse"):
        poster(tmp_path, test)


def test_intervals_are_drawn_as_a_band():
    bounds = {"low": [0.5] * LEADS, "high": [7.0] * LEADS, "reference": [1.0] * LEADS}
    score = decoded("clips", curve(low=1.0) | bounds)
    labels = {"reference": "real against real"}
    figure = plots.score_curves(score.coordinate, score.curves, x="lead", y="", labels=labels)
    (band,) = figure.axes[0].collections
    assert band.get_datalim(figure.axes[0].transData).extents.tolist() == [1, 0.5, LEADS, 7]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["forecast", "real against real"]
    flat = {"model": np.full(LEADS, 30.0)}
    high = plots.score_curves(np.arange(LEADS), flat, x="", y="dB", zero=False)
    assert high.axes[0].get_ylim()[0] > 20


def test_indices_are_spread_evenly():
    assert spaced(20, 5) == [0, 5, 10, 14, 19] and spaced(3, 5) == [0, 1, 2] and spaced(9, 1) == [0]
