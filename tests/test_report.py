"""The report: what it says, what it draws, and that a browser plays it."""

import base64
import dataclasses
import io
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
import xarray as xr
from PIL import Image, ImageColor

from rolling.errors import InputError
from rolling.fields import Axis, Layout, Variable
from rolling.run.report import markup, plots, verdict
from rolling.run.report.clips import Budget, coarsen, read_clips, spaced, upright
from rolling.run.report.colours import LEVELS, Scale, field_scale
from rolling.run.report.describe import describe
from rolling.run.report.page import write_report
from rolling.run.report.pictures import aspect, poster
from rolling.run.report.player import manifest
from rolling.run.report.words import Words, pretty_units
from rolling.run.stored import open_forecast

HOUR = np.timedelta64(3600 * 10**9, "ns")
LEADS = 6


@dataclasses.dataclass(frozen=True)
class Held:
    """Held-out sequences in memory."""

    layout: Layout
    frames: list[np.ndarray]
    first: list
    step: object
    mask: np.ndarray | None = None

    def __len__(self):
        return len(self.frames)

    def length(self, index):
        return len(self.frames[index])

    def read(self, index, start, stop):
        return self.frames[index][start:stop]

    def times(self, index, start, stop):
        return np.array([self.first[index] + self.step * i for i in range(start, stop)])


def weather() -> Held:
    """Two variables on a map that rises to the north, with land; two sequences of twelve hours."""
    layout = Layout(
        variables=(
            Variable(name="t2m", units="K", long_name="2 m temperature"),
            Variable(name="u10", units="m s-1", long_name="eastward wind"),
        ),
        y=Axis(name="latitude", values=tuple(50 + 0.5 * i for i in range(12)), units="degrees_north"),
        x=Axis(name="longitude", values=tuple(-8 + 0.5 * i for i in range(16)), units="degrees_east"),
        step=1.0,
        time_units="hours",
    )
    y, x = np.meshgrid(layout.y.values, layout.x.values, indexing="ij")
    hour = np.arange(12)[:, None, None]
    temperature = 280 - 0.8 * (y - 50) + np.sin(x + 0.3 * hour)
    frames = np.stack([temperature, 5 * np.cos(x + y + 0.4 * hour)], axis=-1).astype(np.float32)
    mask = np.ones(layout.shape, bool)
    mask[:3, :4] = False
    frames[:, ~mask] = np.nan
    first = [np.datetime64("2019-03-01T00", "ns"), np.datetime64("2019-03-05T00", "ns")]
    return Held(layout, [frames, frames[::-1]], first, HOUR, mask)


def box() -> Held:
    """A vorticity in a periodic box, without a calendar."""
    axis = lambda name: Axis(name=name, values=tuple(np.arange(8) * np.pi / 4), periodic=True)  # noqa: E731
    layout = Layout(variables=(Variable(name="vorticity"),), y=axis("y"), x=axis("x"), step=0.4)
    y, x = np.meshgrid(layout.y.values, layout.x.values, indexing="ij")
    frames = np.stack([np.sin(x + 0.2 * i) * np.cos(y) for i in range(60)])[..., None].astype(np.float32)
    return Held(layout, [frames], [0.0], 0.4)


def write_store(path, test: Held, starts, members: int, leads: int) -> None:
    """A forecast that is the truth with an error of its own for each member."""
    layout, noise = test.layout, np.random.default_rng(0)
    truth = np.stack([test.frames[s][f : f + leads] for s, f in starts])[:, None]
    error = noise.normal(size=(len(starts), members, leads, *layout.shape)) * 0.2
    forecast = (truth + error).astype(np.float32)
    first = "time" if layout.has_calendar else "start"
    lead = np.arange(1, leads + 1) * layout.step
    last = np.array([test.times(s, f - 1, f)[0] for s, f in starts])
    coordinates = {
        first: last if layout.has_calendar else np.arange(len(starts)),
        "time": (first, last),
        "number": np.arange(members),
        "prediction_timedelta": (np.arange(1, leads + 1) * HOUR) if layout.has_calendar else lead,
        layout.y.name: list(layout.y.values),
        layout.x.name: list(layout.x.values),
        "sequence": (first, [s for s, _ in starts]),
        "frame": (first, [f for _, f in starts]),
    }
    dimensions = (first, "number", "prediction_timedelta", layout.y.name, layout.x.name)
    fields = {v.name: (dimensions, forecast[..., i]) for i, v in enumerate(layout.variables)}
    xr.Dataset(fields, coords=coordinates).to_zarr(path, mode="w", zarr_format=3, consolidated=False)


def curve(unit="1", low=0.1, **more) -> dict:
    leads = np.arange(1, LEADS + 1)
    return {"unit": unit, "leads": leads.tolist(), "model": (low * leads).tolist()} | more


def spectrum() -> dict:
    energy = [1.0, 0.5, 0.1, 0.01]
    return {"unit": "1", "wavenumber": [1, 2, 3, 4], "model": energy, "reference": energy[::-1]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clocks:
    """Clocks that run from `a` to `b`. A second sentence."""

    size: int = 8
    rate: float = 0.1
    inner: object = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    name: str = "weather <b>"
    window: object = Clocks(inner=Clocks(size=3))
    calls: int = 2


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """A run with everything: members, two variables, a long rollout, a log with a torn last line."""
    run, test = tmp_path_factory.mktemp("rich"), weather()
    write_store(run / "forecast.zarr", test, [(0, 2), (0, 4), (1, 3)], members=3, leads=LEADS)
    write_store(run / "long.zarr", test, [(0, 2)], members=1, leads=9)
    baselines = {"persistence": [0.5] * LEADS, "climatology": [0.35, None, 0.35, 0.35, 0.35, 0.35]}
    evaluation = {
        "rmse": {"t2m": curve("K", **baselines), "u10": curve("m s-1", 0.9, **baselines)},
        "member_rmse": {"t2m": curve("K", 0.14)},
        "crps": {"t2m": curve("K", 0.05)},
        "spread_skill_ratio": {"t2m": curve(low=0.3), "u10": curve(low=0.2)},
        "rank_histogram": {"t2m": {"unit": "1", "rank": [1, 2, 3, 4], "model": [0.2, 0.3, 0.3, 0.2]}},
        "energy_spectrum": {"t2m": spectrum(), "kinetic_energy": spectrum()},
        "energy_spectrum_leads_1_to_2": {"t2m": spectrum()},
        "energy_spectrum_leads_6_to_6": {"t2m": spectrum()},
        "vorticity_correlation_time": {"vorticity": {"unit": "hours", "threshold": [0.8], "model": [4.2]}},
        "my_own_measure": {"t2m": curve()},
    }
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    long = {
        "standard_deviation": {"t2m": curve("K", reference=[1.0] * LEADS)},
        "cumulative_standard_deviation": {"t2m": curve("K", reference=[0.5] * LEADS)},
        "rmse": {"t2m": curve("K")},
    }
    (run / "evaluation-long.json").write_text(json.dumps(long))
    log = [json.dumps({"step": i, "loss": 1 / i}) for i in range(1, 40)]
    (run / "log.jsonl").write_text("\n".join([*log, '{"phase": "done"}', '{"step": 40, "lo']))
    options = {"experiment": Trial(), "test": test, "context": 2, "commands": ["rolling run weather"]}
    return run, test, write_report(run, **options)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run with as little as there can be: one variable, one member, one measure."""
    run, test = tmp_path_factory.mktemp("plain"), box()
    write_store(run / "forecast.zarr", test, [(0, 2), (0, 9)], members=1, leads=LEADS)
    (run / "evaluation.json").write_text(json.dumps({"rmse": {"vorticity": curve()}}))
    path = write_report(run, experiment=Trial(name="plain"), test=test, context=2, commands=[])
    return run, test, path


# What the page holds


def test_page_loads_nothing_and_is_small(rich):
    text = rich[2].read_text()
    assert "http:" not in text and "https:" not in text and "<link" not in text
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', text))
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', text))
    assert len(text) < 1e6
    assert "$" not in re.sub(
        r"<script.*?</script>", "", text, flags=re.DOTALL
    )  # all of the template is filled


def test_page_escapes_what_users_write(rich):
    text = rich[2].read_text()
    assert "weather &lt;b&gt;" in text and "weather <b>" not in text


def test_page_shows_every_part_of_a_rich_run(rich):
    text = rich[2].read_text()
    for title in (
        "The forecast",
        "Skill",
        "Calibration",
        "Scales",
        "Further measures",
        "The long rollout",
        "Training",
        "The experiment",
        "Make it again",
    ):
        assert f"<h2>{title}</h2>" in text
    assert text.count('class="player"') == 2
    assert "My own measure · 2 m temperature" in text
    assert "Lead at which the vorticity correlation falls below 0.8" in text and "<td>4.2 h</td>" in text
    assert "<td>0.6 K</td><td>0.5 K</td>" in text  # the cumulative deviation beside the truth's
    long = text[text.index("<h2>The long rollout") :]
    assert "Root mean square error" not in long[: long.index("<h2>Training")]


def test_parts_without_data_leave_nothing(plain):
    text = plain[2].read_text()
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings == ["The forecast", "Skill", "The experiment"]
    assert 'class="chooser"' not in text and "Ensemble" not in text and "Member" not in text
    assert not re.findall(r'<div class="plots"></div>|<section>\s*</section>', text)


def test_still_picture_stands_in_until_the_script_runs(plain):
    text = plain[2].read_text()
    assert '<div class="player" hidden>' in text
    still = re.search(r'<img class="still"[^>]*src="data:image/webp;base64,([^"]+)"', text)
    width, height = Image.open(io.BytesIO(base64.b64decode(still[1]))).size
    assert width > 600 and height > 200


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: (run / "evaluation.json").unlink(), "rolling evaluate"),
        (lambda run: (run / "evaluation.json").write_text("{"), "is no evaluation"),
        (
            lambda run: (run / "evaluation.json").write_text('{"rmse": {"a": {"leads": [1], "model": []}}}'),
            "is no evaluation",
        ),
        (lambda run: shutil.rmtree(run / "forecast.zarr"), "rolling rollout"),
    ],
)
def test_what_is_missing_or_damaged_is_named(plain, tmp_path, spoil, said):
    run = tmp_path / "run"
    shutil.copytree(plain[0], run)
    spoil(run)
    with pytest.raises(InputError, match=said):
        write_report(run, experiment=Trial(), test=plain[1], context=2, commands=[])


def test_data_of_another_run_are_refused(plain):
    with pytest.raises(InputError, match=r"forecast\.zarr"):
        write_report(plain[0], experiment=Trial(), test=weather(), context=2, commands=[])


def test_a_full_disk_leaves_the_old_page(plain, monkeypatch):
    run, test, path = plain
    before = path.read_text()

    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(InputError, match=r"report\.html cannot be written .*No space left"):
        write_report(run, experiment=Trial(), test=test, context=2, commands=[])
    assert path.read_text() == before


# What is drawn


def test_clip_puts_given_frames_in_front_and_north_on_top(rich):
    run, test, _ = rich
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
    run, test, _ = rich
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
    layout = Layout(variables=(), y=Axis(name="latitude", values=(60.0, 50.0)), x=axis)
    np.testing.assert_array_equal(upright(np.array([[3, 2, 1], [6, 5, 4]]), layout), [[1, 2, 3], [4, 5, 6]])


def test_regions_are_drawn_true_to_scale():
    assert aspect(weather().layout) == pytest.approx(6 / (8 * np.cos(np.deg2rad(52.75))), rel=1e-3)
    assert aspect(box().layout) == 1


def test_scales_are_symmetric_where_signs_balance():
    noise = np.random.default_rng(0).normal(size=(50, 50))
    both, warm = field_scale([noise]), field_scale([10 + 8 * noise.clip(-2, 2)])
    assert (both.palette, both.low) == ("RdBu_r", -both.high)
    assert warm.palette == "viridis" and warm.low == pytest.approx(-6)
    constant = field_scale([np.zeros((3, 3))])
    assert constant.low < constant.high
    assert field_scale([np.full((3, 3), np.nan)]).high == 1


def test_sprites_hold_every_value_to_one_level(rich):
    run, test, _ = rich
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
    score = curve(persistence=[1, None, 3, 4, 5, 6], climatology=[None] * LEADS)
    figure = plots.lead_curves(score, range(1, LEADS + 1), x="lead", y="K", ideal=0.0)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["forecast", "persistence"]
    drawn = plots.svg(figure, "a")
    assert drawn.startswith("<svg viewBox=") and "var(--ours)" in drawn and plots.OURS not in drawn
    clips_a, clips_b = (set(re.findall(r'id="([^"]+)"', plots.svg(figure, name))) for name in "ab")
    assert clips_a and not clips_a & clips_b


def test_poster_shows_truth_above_one_member_beside_the_error(rich, tmp_path):
    run, test, _ = rich
    figure = poster(run, test, columns=4)
    figure.savefig(tmp_path / "poster.png", dpi=50)
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == [
        "Truth", "Member 1", "2 m temperature (K)", "RMSE (K)",
    ]  # fmt: skip
    with pytest.raises(InputError, match="has starts 0 to 2, not 3"):
        poster(run, test, start=3)


# What is said


@pytest.mark.parametrize(
    ("wins", "said"),
    [
        ("111111", "at every lead from 1 to 6"),
        ("111000", "up to lead 3"),
        ("001111", "from lead 3 on"),
        ("000000", "at no lead"),
        ("011001", "at leads 2 to 3 and 6"),
    ],
)
def test_verdict_says_where_a_baseline_is_beaten(wins, said):
    words = Words(dataclasses.replace(box().layout, step=1.0))
    score = curve(low=0.0) | {"persistence": [1.0 if w == "1" else -1.0 for w in wins]}
    score["climatology"] = [None] * LEADS
    found = verdict.verdict({"vorticity": score}, 1, words)
    expected = f"persistence {said}"
    expected += " and climatology at no lead" if said != "at no lead" else ""
    expected = "persistence and climatology at no lead" if said == "at no lead" else expected
    assert found == f"The forecast beats {expected}."


def test_verdict_names_units_and_each_of_several_variables(rich):
    text = re.search(r'class="verdict">(.*?)</p>', rich[2].read_text())[1]
    assert text == (
        "The ensemble mean of 2 m temperature beats persistence up to 4 h and climatology at leads 1 and 3 h."
        " The ensemble mean of eastward wind beats persistence and climatology at no lead."
    )


def test_table_marks_the_best_of_each_lead():
    words = Words(weather().layout)
    rows = verdict.table(curve(persistence=[0.05] * LEADS, climatology=[None] * LEADS), words, most=3)
    assert [(row.lead, row.best) for row in rows] == [
        ("1 h", "persistence"), ("3 h", "persistence"), ("6 h", "persistence"),
    ]  # fmt: skip
    assert "<td>–</td>" not in markup.summary("t2m", rows, words)  # no row for what has no value at all


@pytest.mark.parametrize(
    ("given", "pretty"),
    [("m s-1", "m s⁻¹"), ("m s**-1", "m s⁻¹"), ("m2 s-2", "m² s⁻²"), ("degC", "°C"), ("1", ""), ("K", "K"),
     ("m/s", "m/s"), ("kg m^-2", "kg m⁻²")],
)  # fmt: skip
def test_units_are_set_as_in_print(given, pretty):
    assert pretty_units(given) == pretty


@pytest.mark.parametrize(
    ("name", "values", "ticks"),
    [
        ("longitude", np.linspace(-10, 2, 49), [-10, -5, 0]),
        ("longitude", np.arange(0, 360, 2), [0, 90, 180, 270]),
        ("latitude", np.linspace(58, 50, 33), [51, 54, 57]),
        ("x", np.arange(8) * np.pi / 4, [0, 3]),
    ],
)
def test_ticks_are_round_coordinates_within_the_picture(name, values, ticks):
    found = markup.ticks(Axis(name=name, values=tuple(values.tolist())))
    assert [value for _, value in found] == ticks


def test_times_and_places_are_told_as_people_do():
    words = Words(weather().layout)
    assert words.caption(3, np.datetime64("2019-03-01T05", "ns")) == "+3 h · 2019-03-01 05:00"
    assert words.caption(0, np.datetime64("2019-03-01T02", "ns")) == "given · 2019-03-01 02:00"
    assert [words.place(words.layout.y, v) for v in (52.5, 0.0, -30.0)] == ["52.5°N", "0°", "30°S"]
    assert [words.place(words.layout.x, v) for v in (-8, 352, 180, 20)] == ["8°W", "8°W", "180°", "20°E"]
    monthly = Words(dataclasses.replace(weather().layout, step=730.0))
    assert monthly.caption(2, np.datetime64("2019-03-01", "ns")) == "+60.8 d · 2019-03-01"
    assert Words(box().layout).caption(5, 2.4) == "lead 5 · t = 2.4"


def test_experiment_is_told_in_its_own_words():
    window, settings = describe(Trial())
    assert (window.name, window.kind) == ("window", "Clocks")
    assert window.sentence == "Clocks that run from `a` to `b`."
    assert window.settings == (("size", "8"), ("rate", "0.1"), ("inner", "Clocks (size 3, rate 0.1)"))
    assert settings.settings == (("calls", "2"),)
    assert "<code>a</code>" in markup.experiment([window])


def test_indices_are_spread_evenly():
    assert spaced(20, 5) == [0, 5, 10, 14, 19] and spaced(3, 5) == [0, 1, 2] and spaced(9, 1) == [0]


# What a browser makes of it

PROBE = """
<pre id="probe"></pre>
<script>
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const failures = [];
window.addEventListener("error", (event) => failures.push(event.message));
const colours = (canvas) => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return Array.from({ length: data.length / 4 }, (_, i) => data.slice(4 * i, 4 * i + 4).join());
};
(async () => {
  while (!("ready" in document.documentElement.dataset)) await wait(100);
  const seen = { failures };
  const player = document.querySelector(".player");
  const stage = player.querySelector(".stage");
  const canvases = () => [...player.querySelectorAll(".frame canvas")].map(colours);
  const press = (key) => stage.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const set = (selector, value, kind) => {
    const element = document.querySelector(selector);
    element.value = value;
    element.dispatchEvent(new Event(kind, { bubbles: true }));
  };
  seen.hidden = player.hidden;
  seen.still = getComputedStyle(document.querySelector(".still")).display;
  seen.played = [player.dataset.frame];
  await wait(2500);
  seen.played.push(player.dataset.frame);
  press("Home");
  seen.home = [player.dataset.frame, player.dataset.playing, player.className];
  const given = canvases();
  seen.givenAlike = given.slice(1, given.length - SPREADS).every((c) => c.join() === given[0].join());
  seen.colours = given.map((c) => new Set(c).size);
  press("ArrowRight");
  press("ArrowRight");
  seen.stepped = player.dataset.frame;
  seen.changed = canvases()[0].join() !== given[0].join();
  seen.caption = player.querySelector(".caption").textContent;
  set(".lead-slider", "5", "input");
  seen.slid = player.dataset.frame;
  const before = canvases()[0].join();
  set(".start", "1", "change");
  while (!player.dataset.shown.endsWith(" 1")) await wait(100);
  seen.otherStart = canvases()[0].join() !== before;
  const canvas = player.querySelector(".frame canvas");
  const box = canvas.getBoundingClientRect();
  const at = { bubbles: true, clientX: box.left + box.width * 0.5, clientY: box.top + box.height * 0.5 };
  canvas.dispatchEvent(new PointerEvent("pointermove", at));
  seen.values = [...player.querySelectorAll("output")].map((o) => o.textContent);
  seen.bars = [...player.querySelectorAll(".bar p")].map((p) => p.textContent);
  press(" ");
  seen.resumed = player.dataset.playing;
  const chooser = document.querySelector(".chooser select");
  if (chooser) {
    set(".chooser select", "u10", "change");
    while (!player.dataset.shown.startsWith("u10")) await wait(100);
    seen.shown = [...document.querySelectorAll(".plot h3")].filter((h) => h.checkVisibility())
      .map((h) => h.textContent);
    seen.windBar = player.querySelector(".bar p").textContent;
  }
  seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  document.getElementById("probe").textContent = JSON.stringify(seen);
})();
</script>
"""


@pytest.fixture(scope="module")
def chromium():
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next((path for path in map(shutil.which, filter(None, names)) if path), None)
    if found is None:
        pytest.skip("no Chromium here: install one, or set the environment variable CHROMIUM to its path")
    return found


def browse(chromium, page, folder, *, spreads, width):
    """What the probe saw: a copy of the page in which it is appended, opened without a window."""
    copy = folder / "probed.html"
    copy.write_text(page.read_text().replace("</body>", PROBE.replace("SPREADS", str(spreads)) + "</body>"))
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
        " --disable-component-update --disable-sync --virtual-time-budget=600000 --dump-dom"
    )
    command = [
        chromium,
        *flags.split(),
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},900",
    ]
    done = subprocess.run([*command, copy.as_uri()], capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<pre id="probe">(.+?)</pre>', done.stdout, re.DOTALL)
    trouble = re.search(r'<html[^>]*data-error="([^"]*)"', done.stdout)
    assert found, f"the page's script did not finish: {trouble and trouble[1]} {done.stderr[-2000:]}"
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def test_browser_plays_an_ensemble(rich, chromium, tmp_path):
    seen = browse(chromium, rich[2], tmp_path, spreads=1, width=1280)
    assert seen["failures"] == [] and seen["hidden"] is False and seen["still"] == "none"
    assert int(seen["played"][1]) > int(seen["played"][0])
    assert seen["home"][:2] == ["0", "false"] and "given" in seen["home"][2].split()
    assert seen["givenAlike"] and min(seen["colours"][:-1]) > 20
    assert seen["stepped"] == "2" and seen["changed"]
    assert seen["caption"] == "+1 h · 2019-03-01 02:00"
    assert seen["slid"] == "5" and seen["otherStart"] and seen["resumed"] == "true"
    assert len(seen["values"]) == 5 and all(re.fullmatch(r"[\d.]+ K", value) for value in seen["values"])
    assert seen["bars"] == ["2 m temperature (K)", "Ensemble spread of 2 m temperature (K)"]
    assert seen["windBar"] == "eastward wind (m s⁻¹)"
    assert "Root mean square error · eastward wind" in seen["shown"]
    assert "Root mean square error · 2 m temperature" not in seen["shown"]
    assert "Energy spectrum · kinetic energy" in seen["shown"]  # it belongs to no variable
    assert seen["overflow"] <= 0


def test_browser_plays_a_single_forecast_on_a_narrow_screen(plain, chromium, tmp_path):
    seen = browse(chromium, plain[2], tmp_path, spreads=0, width=500)
    assert seen["failures"] == [] and seen["hidden"] is False
    assert int(seen["played"][1]) > int(seen["played"][0])
    assert len(seen["colours"]) == 2 and seen["givenAlike"]
    assert seen["caption"] == "lead 1 · t = 0.8" and seen["otherStart"]
    assert seen["overflow"] <= 0
