"""Scores as lines of text."""

from rolling.run.evaluation.summary import against_lead, single_values, summary_table
from rolling.run.evaluation.tables import columns
from tests.fake_runs import evaluation_of

LEADS = list(range(1, 7))
ENTRIES = {
    "psnr": {"frame": {"unit": "dB", "leads": LEADS, "model": [30.0, 29.0, 28.0, 27.0, 26.0, None]}},
    "crps": {"pixel": {"unit": "1", "leads": LEADS, "model": [1.0] * 6, "persistence": [2.0] * 6}},
    "fvd": {
        "clips": {"unit": "1", "leads": [6], "model": [123.456], "low": [100.0], "high": [150.0]},
        "half": {"unit": "1", "leads": [6], "model": [200.0], "reference": [50.0], "persistence": [999.0]},
    },
    "vorticity_correlation_time": {"vorticity": {"unit": "1", "threshold": [0.8], "model": [4.2]}},
}
EVALUATION = evaluation_of(ENTRIES)


def words(text):
    return [line.split() for line in text.splitlines()]


def test_columns_show_some_leads_and_the_last():
    found = words(columns({"lead": LEADS, "gone": None, "a_name_that_is_long": [0.5] * 6}).plain())
    assert found[0] == ["lead", "a_name_that_is_long"]
    assert [line[0] for line in found[1:]] == ["1", "2", "3", "5", "6"]


def test_lines_are_as_long_as_each_other():
    table = columns({"lead": LEADS, "a_name_that_is_long": [0.5] * 6})
    for text in (table.plain(), single_values(EVALUATION)):
        assert len(set(map(len, text.splitlines()))) == 1


def test_curves_stand_side_by_side():
    assert words(against_lead(EVALUATION, "model"))[0] == ["lead", "psnr", "crps"]
    assert words(against_lead(EVALUATION, "model"))[-1] == ["6", "-", "1"]
    assert words(against_lead(EVALUATION, "persistence"))[0] == ["lead", "crps"]
    assert against_lead(EVALUATION, "climatology") == ""


def test_single_values_stand_beside_their_interval_and_their_floor():
    _, clips, half = words(single_values(EVALUATION))
    assert clips == ["fvd,", "clips", "123.5", "100", "to", "150", "-", "-"]
    assert half == ["fvd,", "half", "200", "-", "50", "999"]
    assert single_values(evaluation_of({"psnr": ENTRIES["psnr"]})) == ""


def test_a_summary_without_errors_shows_what_there_is():
    shown = summary_table(EVALUATION)
    assert "psnr" in shown and "123.5" in shown
    assert summary_table(evaluation_of({})) == ""


def test_a_summary_of_pictures_has_their_quality_beside_the_errors():
    rmse = {"rmse": {"pixel": {"unit": "1", "leads": LEADS, "model": [1.0] * 6}}}
    lines = summary_table(evaluation_of(rmse | ENTRIES)).splitlines()
    assert lines[1].split() == ["frame", "lead", "ours", "psnr"]
    assert lines[-1].startswith("psnr: Peak signal-to-noise ratio. ")
