"""What the report says: verdicts, units, times, places, experiments."""

import dataclasses
import io

import cftime
import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from rolling.common.counting import counted, in_unit
from rolling.geometry import Axis
from rolling.run.evaluation.lasting import how_long_they_last
from rolling.run.evaluation.scores import decoded, read
from rolling.run.evaluation.summary import summary_table
from rolling.run.report import drawings, figures, markup, plots, verdict
from rolling.run.report.experiment_parts import describe
from rolling.run.report.words import Words, pretty_units, short
from tests.fake_runs import LEADS, Trial, box, curve, evaluation_of, lasting, weather, write_rich


@pytest.mark.parametrize(
    ("wins", "said"),
    [
        ("111111", ("at every lead from 1 to 6", "")),
        ("111000", ("up to lead 3", "from lead 4 on")),
        ("001111", ("from lead 3 on", "up to lead 2")),
        ("000000", ("", "at every lead from 1 to 6")),
        ("100000", ("at lead 1", "from lead 2 on")),
        ("011001", ("at leads 2 to 3 and 6", "at leads 1 and 4 to 5")),
    ],
)
def test_verdict_says_where_a_baseline_is_beaten(wins, said):
    words = Words(dataclasses.replace(box().layout, step=1.0))
    score = curve(low=0.0) | {"low": [-0.5] * LEADS, "high": [0.5] * LEADS}
    score["persistence"] = [1.0 if w == "1" else -1.0 for w in wins]
    score["climatology"] = [None] * LEADS
    found = verdict.verdict(evaluation_of({"rmse": {"vorticity": score}}), 1, words)
    outcomes = zip(("beats", "is worse than"), said, strict=True)
    expected = [f"{outcome} persistence {place}" for outcome, place in outcomes if place]
    assert found == f"The forecast {'; it '.join(expected)}."


def verdict_on(score: dict, key="rmse", members=1) -> str:
    words = Words(dataclasses.replace(box().layout, step=1.0))
    return verdict.verdict(evaluation_of({key: {"vorticity": score}}), members, words)


def test_only_an_interval_that_excludes_the_baseline_beats_it():
    """Of 0.9 +- 0.2 nobody can say that it is less than 1."""
    score = curve(low=0.0) | {"model": [0.9] * LEADS, "persistence": [1.0] * LEADS}
    alike = score | {"low": [0.7] * LEADS, "high": [1.1] * LEADS}
    said = "The forecast is about as good as persistence at every lead from 1 to 6."
    assert verdict_on(alike) == said
    clear = alike | {"high": [0.95, 0.95, *[1.1] * (LEADS - 2)]}
    assert verdict_on(clear) == (
        "The forecast beats persistence up to lead 2; it is about as good as persistence from lead 3 on."
    )


def test_the_interval_of_the_difference_goes_before_that_of_the_score():
    """Both vary from start to start, yet their difference hardly; of a score to be high, upwards."""
    wide = curve(low=0.0) | {"persistence": [1.0] * LEADS, "low": [-9.0] * LEADS, "high": [9.0] * LEADS}
    margin = {"minus_persistence_low": [-1.2] * LEADS, "minus_persistence_high": [-0.8] * LEADS}
    assert verdict_on(wide | margin) == "The forecast beats persistence at every lead from 1 to 6."
    assert verdict_on(wide | margin, "psnr").endswith(
        "the forecast is worse than persistence at every lead from 1 to 6."
    )


def test_without_an_interval_there_are_numbers_and_no_judgement():
    baselines = {"persistence": [1.0] * LEADS, "climatology": [None, *[0.25] * (LEADS - 1)]}
    assert verdict_on(curve("K", **baselines)) == (
        "Root mean square error at lead 2 and lead 6: forecast 0.2 and 0.6 K, persistence 1 and 1 K,"
        " climatology 0.25 and 0.25 K. Without intervals nothing tells which of these differences are chance."
    )
    assert verdict_on(curve()) == ""  # with nothing beside it there is nothing to judge


@pytest.mark.parametrize(
    ("ages", "said"),
    [
        ([300.0] * 8, "All long rollouts, 8, stay in the range of the data for all of their 300 frames"),
        ([300.0, 34.0, 80.0], "2 of 3 long rollouts leave the range of the data, the first after 34 frames"),
        ([300.0, 12.5], "1 of 2 long rollouts leaves the range of the data, after 12 frames"),
        ([300.0], "The long rollout stays in the range of the data for all of its 300 frames"),
        ([1.0, 300.0], "1 of 2 long rollouts leaves the range of the data, after 1 frame"),
        ([0.0, 0.0], "2 of 2 long rollouts leave the range of the data, the first at once"),
    ],
)
def test_it_is_said_whether_long_rollouts_last(ages, said):
    evaluation = evaluation_of(lasting(ages, 300))
    assert how_long_they_last(evaluation) == said
    assert verdict.lasting_words(evaluation) == f"{said}: see Drift."
    assert verdict.lasting_words(evaluation_of({})) == ""
    printed = summary_table(evaluation)
    assert ("> 300" in printed) == (max(ages) == 300)


def test_verdict_names_units_and_each_of_several_variables(tmp_path):
    test = write_rich(tmp_path)
    text = verdict.verdict(read(tmp_path / "evaluation.json"), 3, Words(test.layout))
    assert text == (
        "The ensemble mean of 2 m temperature beats persistence up to 4 h and climatology at leads 1 and 3 h;"
        " it is about as good as persistence at 5 h; it is worse than persistence at 6 h and climatology"
        " from 4 h on. The ensemble mean of eastward wind is worse than persistence at every lead from 1 to"
        " 6 h and climatology at leads 1 and 3 to 6 h."
    )


def test_table_marks_the_best_of_each_lead():
    words = Words(weather().layout)
    score = decoded("t2m", curve(persistence=[0.05] * LEADS, climatology=[None] * LEADS))
    found = verdict.score_table(score, words, most=3)
    assert found.heads == ("lead time", "1 h", "3 h", "6 h")
    assert [name for name, _ in found.rows] == ["forecast", "persistence"]  # what has no value has no row
    assert [[cell.best for cell in cells] for _, cells in found.rows] == [[False] * 3, [True] * 3]
    higher = verdict.score_table(score, words, most=3, higher=True)
    assert [[cell.best for cell in cells] for _, cells in higher.rows] == [[True] * 3, [False] * 3]


def test_numbers_are_short_and_plain():
    told = [short(value) for value in (0.012345, 1.0, 503.4, 1571.0, -123456.0, 1.23e7)]
    assert told == ["0.0123", "1", "503", "1570", "-123000", "1.23e+07"]
    assert Words(box().layout).lead(0.4 * 12345) == "12345"  # leads are never rounded to one another


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
    found = drawings.ticks(Axis(name=name, values=tuple(values.tolist())))
    assert [value for _, value in found] == ticks


def test_times_and_places_are_told_as_people_do():
    words = Words(weather().layout)
    assert words.caption(3, np.datetime64("2019-03-01T05", "ns")) == "+3 h · 2019-03-01 05:00"
    assert words.caption(0, np.datetime64("2019-03-01T02", "ns")) == "given · 2019-03-01 02:00"
    assert [words.place(words.layout.y, v) for v in (52.5, 0.0, -30.0)] == ["52.5°N", "0°", "30°S"]
    assert [words.place(words.layout.x, v) for v in (-8, 352, 180, 20)] == ["8°W", "8°W", "180°", "20°E"]
    daily = Words(dataclasses.replace(weather().layout, step=36.0))
    assert daily.caption(2, np.datetime64("2019-03-01", "ns")) == "+3 d · 2019-03-01"
    monthly = Words(dataclasses.replace(weather().layout, step=1.0, time_units="months"))
    assert monthly.caption(2, cftime.datetime(2019, 2, 30, calendar="360_day")) == "+2 months · 2019-02"
    assert monthly.caption(1, cftime.datetime(2019, 1, 30, calendar="360_day")) == "+1 month · 2019-01"
    assert [monthly.duration(value) for value in (1, 3)] == ["1 month", "3 months"]
    assert [Words(box().layout).duration(value) for value in (0.4, 1.2)] == ["1 frame", "3 frames"]
    assert verdict.where([True, False], np.arange(1, 3), "months") == "at 1 month"
    assert Words(box().layout).caption(5, 2.4) == "lead 5 · t = 2.4"


def test_experiment_is_told_in_its_own_words():
    window, settings = describe(Trial())
    assert (window.name, window.kind) == ("window", "Clocks")
    assert window.sentence == "Clocks that run from `a` to `b`."
    assert window.settings == (("size", "8"), ("rate", "0.1"), ("inner", "Clocks (size 3, rate 0.1)"))
    assert settings.settings == (("calls", "2"),)
    assert "<code>a</code>" in markup.experiment([window])


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.5, 3.2, [0.5, 1, 2]),
        (0.5, 99.6, [0.5, 1, 2, 5, 10, 20, 50]),
        (1e-3, 2.2, [1e-3, 1e-2, 0.1, 1]),
        (0.5, 2e6, [1, 10, 100, 1000, 1e4, 1e5, 1e6]),
        (0.5, 2e9, [1, 100, 1e4, 1e6, 1e8]),
        (1e-3, 2e20, [1e0, 1e4, 1e8, 1e12, 1e16, 1e20]),
    ],
)
def test_ticks_of_a_logarithm_are_few_and_round(low, high, ticks):
    assert plots.log_ticks(low, high, 7) == ticks


def test_energy_over_many_decades_has_ticks_that_can_be_read():
    found = decoded("u", {"wavenumber": [1, 2, 3], "model": [1, 1e3, 1e6], "reference": [1, 1, 1]})
    axes = plots.spectrum_ratios({"lead 1": found}).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["1", "10", "100", "1000", "10000", "10⁵", "10⁶"]
    assert [plots.plain_power(value) for value in (1e-5, 2e7, 0.05)] == ["10⁻⁵", "2 · 10⁷", "0.05"]


def test_bars_that_are_all_zero_are_said_and_not_drawn():
    words = Words(box().layout)
    found = {at: figures.plotted(evaluation_of(lasting(at, 300)), words) for at in ((0.0, 0.0), (0.0, 9.0))}
    empty, drawn = (
        [markup.figures([(p, "x")], words) for p in shown if p.about.title == "Frames that rollouts last"]
        for shown in found.values()
    )
    assert len(empty) == len(drawn) == 2
    assert all("<p>All 2 are 0.</p>" in html and "<svg" not in html for html in empty)
    assert all("<svg" in html and "are 0" not in html for html in drawn)


def test_dollars_in_names_and_units_are_no_mathematics():
    """Nor do they end the report; the powers of ten at a logarithmic axis stay powers."""

    @plots.styled
    def draw():
        figure = Figure()
        axes = figure.subplots()
        axes.semilogy([1, 2], [1e-3, 1e3], label="$\\frac{$")
        axes.set_title("US$ in $\\nothing$")
        axes.legend()
        return figure

    svg = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        draw().savefig(svg, format="svg")
    assert "US$ in $\\nothing$" in svg.getvalue() and "<tspan" in svg.getvalue()


def test_numbers_of_things_have_their_singular():
    assert [counted(n, "start") for n in (0, 1, 2)] == ["0 starts", "1 start", "2 starts"]
    assert [in_unit("1", unit) for unit in ("months", "h", "min", "ms")] == [
        "1 month",
        "1 h",
        "1 min",
        "1 ms",
    ]
    assert in_unit("1.5", "months") == "1.5 months"
