"""The report's page: what it holds, and that a browser plays it."""

import base64
import dataclasses
import io
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rolling.common.errors import InputError
from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.run.report.page import Page, write_report
from rolling.run.report.words import Words
from tests.browser_tools import seen as seen_in
from tests.fake_runs import (
    Film,
    Trial,
    curve,
    film,
    weather,
    write_film,
    write_plain,
    write_rich,
    write_scores,
)


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    run = tmp_path_factory.mktemp("rich")
    test = write_rich(run)
    commands = ["rolling run weather"]
    return run, test, write_report(run, experiment=Trial(), test=test, context=2, commands=commands)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    run = tmp_path_factory.mktemp("plain")
    test = write_plain(run)
    return run, test, write_report(run, experiment=Trial(name="plain"), test=test, context=2, commands=[])


SKIPPED = (("a <b>", "12 frames, and a clip wants 16"), ("c", "3 frames, and a clip wants 16"), ("d", "no"))


class Named(Film):
    """Clips with names that a file may have."""

    def name(self, index):
        return f"{'ab'[index > 0]}/<i>{index}{'-long' * 40}.mp4"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    run = tmp_path_factory.mktemp("pictures")
    test = write_film(run, Named(**vars(film())))
    trial = Trial(name="pictures")
    words = {"notices": ("classes: <a> 3", "only 3 clips held out"), "skipped": SKIPPED}
    return run, test, write_report(run, experiment=trial, test=test, context=2, commands=[], **words)


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


def test_units_and_names_of_others_stay_text(plain, tmp_path):
    """Neither markup, nor the end or the double escape of a script, nor matplotlib's mathematics."""
    attack = "K <!--<script>alert(1)</script> $x$ $\\frac{"
    test = write_plain(tmp_path)
    variable = dataclasses.replace(test.layout.variables[0], units=attack, long_name=attack)
    test = dataclasses.replace(test, layout=dataclasses.replace(test.layout, variables=(variable,)))
    write_scores(tmp_path / "evaluation.json", {"rmse": {"vorticity": curve(attack)}})
    page = write_report(tmp_path, experiment=Trial(name=attack), test=test, context=2, commands=[attack])
    text, harmless = page.read_text(), plain[2].read_text()
    for mark in ("<script", "</script", "<!--"):
        assert text.count(mark) == harmless.count(mark)
    assert "K &lt;!--&lt;script&gt;alert(1)" in text
    islands = re.findall(r'application/json">(.*?)</script>', text)
    assert islands and attack in json.dumps([json.loads(found) for found in islands]).replace("\\\\", "\\")


def test_page_shows_every_part_of_a_rich_run(rich):
    text = rich[2].read_text()
    for title in (
        "The forecast",
        "Skill",
        "Calibration",
        "Scales",
        "Further scores",
        "The long rollout",
        "Drift",
        "Training",
        "The experiment",
        "Make it again",
    ):
        assert f"<h2>{title}</h2>" in text
    assert text.count('class="player"') == 2 and "The lead counts" not in text  # times are dates
    assert "My own measure · 2 m temperature" in text
    assert "Lead at which the vorticity correlation falls below 0.8" in text and "<td>4.2 h</td>" in text
    assert "<td>0.6 K</td><td>0.5 K</td>" in text  # the cumulative deviation beside the truth's
    long = text[text.index("<h2>The long rollout") :]
    assert "Root mean square error" not in long[: long.index("<h2>Training")]


def test_page_says_first_whether_long_rollouts_last(rich, plain):
    text = rich[2].read_text()
    head, drift = text[: text.index("<section>")], text[text.index("<h2>Drift") : text.index("<h2>Training")]
    told = "2 of 4 long rollouts leave the range of the data, the first after 34 frames: see Drift."
    assert told in head and told not in plain[2].read_text()
    assert "97% last 3 h." in drift and "<td>&gt; 300 (34 to &gt; 300)</td>" in drift
    for words in (
        "range of real data",
        "power 1",
        "<h3>Contrast · 2 m temperature</h3>",
        "by each statistic",
    ):
        assert words in drift
    assert "range of real data" not in text[: text.index("<h2>Drift")].replace(told, "")


def test_parts_without_data_leave_nothing(plain):
    text = plain[2].read_text()
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings == ["The forecast", "Skill", "The experiment"]
    assert "The lead counts from the last given frame, t is the time in the data." in text
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
        (lambda run: (run / "evaluation.json").write_text("{"), "is not an evaluation"),
        (
            lambda run: (run / "evaluation.json").write_text('{"rmse": {"a": {"leads": [1], "model": []}}}'),
            "is not an evaluation",
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


@pytest.mark.parametrize(("context", "shown"), [(0, 1), (2, 2), (50, 8)])
def test_a_few_given_frames_are_shown_whatever_the_window(plain, tmp_path, context, shown):
    run = tmp_path / "run"
    shutil.copytree(plain[0], run)
    path = write_report(run, experiment=Trial(), test=plain[1], context=context, commands=[])
    manifest = json.loads(re.search(r'application/json">(.*?)</script>', path.read_text())[1])
    assert [reel["given"] for reel in manifest["reels"]] == [min(shown, first) for first in (2, 9)]


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


def test_a_page_of_pictures_has_no_colour_of_its_own(pictures):
    text = pictures[2].read_text()
    assert "red" not in re.findall(r'data-variable="(.*?)"', text) and 'class="chooser"' not in text
    assert "24 × 32 pixels in colour, 10 frames a second" in text
    assert (
        "By its peak signal-to-noise ratio a single member beats persistence from lead 2 on; it is worse than"
        " persistence at lead 1."
        " Spectral Fréchet distance of its clips: 3.1, of persistence 41." in text
    )
    assert "Peak signal-to-noise ratio (dB)" in text and '<td class="best">31</td>' in text
    assert re.findall(r"<h2>(.*?)</h2>", text) == [
        "The forecast", "Skill", "Calibration", "Realism", "The long rollout", "The experiment",
        "The data", "Left out",
    ]  # fmt: skip
    assert "<ul><li>classes: &lt;a&gt; 3</li><li>only 3 clips held out</li></ul>" in text
    assert "6 leads, from 3 of 3 clips that training never saw</p>" in text
    titles = re.findall(r"<h3>(.*?)</h3>", text)
    assert titles[0] == "Peak signal-to-noise ratio" and "Spectral Fréchet distance · all clips" in titles
    assert "<td>3.1 (2.2 to 4)</td><td>41</td>" in text and "real against real" in text
    players = [json.loads(found) for found in re.findall(r'application/json">(.*?)</script>', text)]
    assert [len(player["panels"]) for player in players] == [5, 2]
    assert players[0]["pace"] == [100, 100, 1200]


def test_the_player_of_clips_names_them(pictures):
    options = re.findall(r'<option value="\d+">(.*?)</option>', pictures[2].read_text())
    assert re.fullmatch("a/&lt;i&gt;0(-long){40}.mp4, to the right", options[0]) and not any(
        "t =" in name for name in options
    )
    test = pictures[1]
    page = Page(run=pictures[0], test=test, context=2, words=Words(test.layout), metrics=())
    clip = lambda name, start: SimpleNamespace(  # noqa: E731
        start=start, name=name, label="", variable="picture", lead=np.arange(2), times=np.arange(2) + start
    )
    assert page._starts([clip("a", 0), clip("b", 0)]) == ["a", "b"]
    assert page._starts([clip("a", 0), clip("a", 4)]) == ["a, t = 0 s", "a, t = 4 s"]
    assert page._starts([clip("", 0), clip("", 4)]) == ["t = 0 s", "t = 4 s"]
    assert page._starts([clip("a", 0), clip("a", 0)]) == ["1 (a, t = 0 s)", "1 (a, t = 0 s)"]


def test_what_was_left_out_is_counted_by_reason(pictures):
    text = pictures[2].read_text()
    left = text[text.index("<h2>Left out") :]
    assert "3 in all" in left
    assert "<th>… frames, and a clip wants …</th><td>2</td>" in left and "<th>no</th><td>1</td>" in left
    assert "<th>a &lt;b&gt;</th><td>12 frames, and a clip wants 16</td>" in left and "<details>" in left


BEFORE = """{
 "rmse": {"vorticity": {
  "unit": "1", "leads": [0.4, 0.8], "model": [0.1, 0.2], "persistence": [0.3, null], "climatology": [1.0, 1.0]
 }},
 "spread_skill_ratio": {"vorticity": {"unit": "1", "leads": [0.4, 0.8], "model": [0.7, 0.9]}},
 "rank_histogram": {"vorticity": {"unit": "1", "rank": [1, 2], "model": [0.25, 0.75]}},
 "energy_spectrum": {"vorticity": {
  "unit": "1", "wavenumber": [1, 2, 3], "model": [1.0, 0.5, 0.1], "reference": [1.0, 0.4, 0.2]
 }},
 "cumulative_standard_deviation": {"vorticity": {
  "unit": "1", "leads": [0.4, 0.8], "model": [0.5, 0.6], "reference": [0.5, 0.55]
 }},
 "largest_error": {"vorticity": {"unit": "1", "leads": [0.4, 0.8], "model": [2.0, 3.0]}}
}
"""
"""An `evaluation.json` as it was when metrics had no words of their own in it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored(Trial):
    metrics: tuple = FIELDS
    long_metrics: tuple = FIELDS_LONG


@pytest.mark.parametrize("experiment", [Scored(), Trial()], ids=["metrics", "no metrics"])
def test_an_evaluation_of_before_is_reported(plain, tmp_path, experiment):
    """Its metrics are those of the experiment; without, they stand under their names."""
    run = tmp_path / "run"
    shutil.copytree(plain[0], run)
    (run / "evaluation.json").write_text(BEFORE)
    text = write_report(run, experiment=experiment, test=plain[1], context=2, commands=[]).read_text()
    assert "at lead 1: forecast 0.1, persistence 0.3, climatology 1. Without intervals nothing tells" in text
    assert " beats " not in text
    headings = re.findall(r"<h2>(.*?)</h2>", text)[1:-1]
    titles = re.findall(r"<h3>(.*?)</h3>", text)
    if experiment.__class__ is Trial:
        assert headings == ["Further scores"] and "Spread skill ratio" in titles
    else:
        assert headings == ["Skill", "Calibration", "Scales", "Further scores"]
        assert "<h3>Spread over error</h3><p>1 for a calibrated ensemble; below," in text
        assert "<th>Standard deviation over all leads</th>" in text and "<td>0.6</td>" in text
    assert "Largest error" in titles


PROBE = Path(__file__).with_name("report_probe.js")


def browse(page, folder, *, spreads, width):
    """What the probe saw."""
    return seen_in(page, folder, PROBE.read_text().replace("SPREADS", str(spreads)), width=width)


@pytest.mark.slow
def test_browser_plays_an_ensemble(rich, tmp_path):
    seen = browse(rich[2], tmp_path, spreads=1, width=1280)
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


@pytest.mark.slow
def test_browser_plays_a_single_forecast_on_a_narrow_screen(plain, tmp_path):
    seen = browse(plain[2], tmp_path, spreads=0, width=500)
    assert seen["failures"] == [] and seen["hidden"] is False
    assert int(seen["played"][1]) > int(seen["played"][0])
    assert len(seen["colours"]) == 2 and seen["givenAlike"]
    assert seen["caption"] == "lead 1 · t = 0.8" and seen["otherStart"]
    assert seen["overflow"] <= 0


@pytest.mark.slow
def test_browser_plays_pictures(pictures, tmp_path):
    seen = browse(pictures[2], tmp_path, spreads=1, width=1280)
    assert seen["failures"] == [] and seen["hidden"] is False
    assert int(seen["played"][1]) > int(seen["played"][0])
    assert "given" in seen["home"][2].split() and seen["givenApart"] < 3
    assert min(seen["colours"][:-1]) > 20 and seen["colours"][-1] == 1  # given frames have no spread
    assert seen["caption"] == "lead 1 · t = 0.3 s" and seen["otherStart"] and seen["resumed"] == "true"
    assert seen["bars"] == ["Ensemble spread (grey levels)"] and seen["ticks"] == 0
    assert seen["overflow"] <= 0
    assert seen["values"][:-1] == [""] * 4 and re.fullmatch(r"[\d.]+", seen["values"][-1].strip())
    assert [name.replace("-long", "") for name in seen["starts"]] == [
        "a/<i>0.mp4, to the right", "b/<i>1.mp4, to the left", "b/<i>2.mp4, to the right",
    ]  # fmt: skip
    assert seen["overflow"] <= 0
