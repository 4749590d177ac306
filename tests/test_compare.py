"""Comparisons: estimates against closed forms, and the whole command on runs of seconds."""

import dataclasses
import json
import os
import re
import shutil

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from rolling.common import seal
from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.metrics import About, Ranking
from rolling.metrics.drift import Survival
from rolling.metrics.ensemble import Crps, Rmse, SpreadSkillRatio, StandardDeviation
from rolling.metrics.intervals import without_each
from rolling.physics.metrics import SpectrumLogError
from rolling.run import commands
from rolling.run.cli import main
from rolling.run.compare import estimates, page, results, run_scores, runs
from rolling.run.compare.comparison import Comparison
from rolling.run.compare.runs import Group, Run, grouped
from rolling.run.evaluation.evaluate import tally
from rolling.run.evaluation.scores import Drawn
from rolling.run.evaluation.tables import Cell, Table, with_interval
from rolling.run.experiment import presets as experiments, registry
from rolling.run.report import markup
from rolling.run.report.words import Words
from rolling.solvers import Heun
from tests.fake_runs import weather
from tests.run_tools import tree
from tests.test_evaluate import Walk, both, constant, plain, store_forecast

FAMILIES = ("--windows", "rolling,full_sequence", "--calls", "1")
SHORT = (
    *("--training.steps", "2", "--training.batch", "2", "--network.channels", "8", "--network.blocks", "1"),
    *("--forecast.starts", "3", "--forecast.frames", "4", "--forecast.batch", "6"),
    *("--long.starts", "3", "--long.members", "2", "--long.frames", "8", "--long.batch", "6"),
)


def curve_of(values):
    """The means of `values [start, lead]` over all starts, and without each."""
    weights = without_each(len(values))
    return weights @ values / weights.sum(axis=1, keepdims=True)


# Estimates.


def test_a_run_is_no_second_seed_of_itself(tmp_path):
    run = Run(folder=tmp_path / "a", experiment=debug)
    with pytest.raises(InputError, match="the same experiment with the same seed"):
        grouped([run, dataclasses.replace(run, folder=tmp_path / "b")])


def test_intervals_cover_seeds_and_starts():
    """Variances of a mean over seeds and starts add up, and so do their degrees of freedom as Welch's do."""
    rng = np.random.default_rng(4)
    starts, seeds = rng.normal(size=(30, 1)), rng.normal(size=3) * 0.2
    found = estimates.Estimate.over_seeds([curve_of(starts + seed) for seed in seeds])
    np.testing.assert_allclose(found.runs[:, 0], starts.mean() + seeds)
    np.testing.assert_allclose(found.value, starts.mean() + seeds.mean())
    welch = stats.ttest_ind(starts[:, 0], -seeds, equal_var=False).confidence_interval()
    np.testing.assert_allclose(found.interval[:, 0], welch, rtol=1e-9)
    alone = estimates.Estimate.over_seeds([curve_of(starts)])
    expected = stats.t.interval(0.95, 29, starts.mean(), stats.sem(starts[:, 0]))
    np.testing.assert_allclose(alone.interval[:, 0], expected, rtol=1e-9)


def test_seeds_in_folders_of_other_names_are_a_row_of_all_their_names(tmp_path):
    """And runs whose own code differs are not seeds of one experiment."""

    def run(name, seed, code=""):
        (tmp_path / name / "code").mkdir(parents=True)
        (tmp_path / name / "code" / "own.py").write_text(code)
        training = dataclasses.replace(debug.training, seed=seed)
        return Run(folder=tmp_path / name, experiment=dataclasses.replace(debug, training=training))

    a, b, c = run("first", 0), run("second", 1), run("third", 2, "changed = 1")
    assert [group.name for group in grouped([a, b, c])] == ["first, second", "third"]
    seeds = [run(f"rolling-{seed}", seed) for seed in (3, 4)]
    assert [group.name for group in grouped(seeds)] == ["rolling"]


def test_seeds_are_trained_in_turn_and_finished_runs_left_alone(monkeypatch, tmp_path):
    groups = runs.planned(debug, ["rolling", "fifo"], 2, tmp_path)
    seen, done = [], {"fifo-0"}
    monkeypatch.setattr(runs, "steps_done", lambda folder: 10**9 if folder.name in done else 0)
    monkeypatch.setattr(commands, "train", lambda experiment, folder, resume: seen.append(folder.name))
    runs.train_unfinished(groups)
    assert seen == ["rolling-0", "rolling-1", "fifo-1"]


def test_a_method_that_does_not_beat_climatology_is_named(invented):
    """Every interval of the difference that holds zero counts as not beaten."""
    flat = lambda *values: estimates.Estimate.over_seeds([np.array(values)])  # noqa: E731
    table = dataclasses.replace(
        invented.results[0],
        leads=np.arange(1.0, 4.0),
        estimates={
            "a": flat([1.0, 1.9, 3.0], [1.1, 1.9, 3.0], [0.9, 1.9, 3.0]),
            "b": flat([1.0, 1.0, 1.0], [1.1, 1.0, 1.0], [0.9, 1.0, 1.0]),
        },
        baselines={"climatology": flat([2.0, 2.0, 2.0], [2.1, 1.99, 2.0], [1.9, 2.01, 2.0])},
    )
    told = dataclasses.replace(invented, results=[table]).verdict()
    assert told.endswith("Climatology is not beaten by a from 2 h on.")


def test_a_constant_offset_is_certain():
    """Pairing: what all starts and seeds have in common leaves the difference alone."""
    rng = np.random.default_rng(5)
    runs_of_one = [curve_of(rng.normal(size=(6, 4)) + 9.0) for _ in range(3)]
    found_of = {
        "worse": estimates.Estimate.over_seeds([run + 0.125 for run in runs_of_one]),
        "best": estimates.Estimate.over_seeds(runs_of_one),
        "noisy": estimates.Estimate.over_seeds([run + rng.normal(size=run.shape) for run in runs_of_one]),
    }
    assert np.ptp(found_of["best"].interval, axis=0).min() > 0.1
    found = estimates.rank({name: found_of[name] for name in ("worse", "best")}, Crps().about)
    assert found.best == ["best"] * 4
    np.testing.assert_allclose(found.difference["worse"], 0.125, rtol=1e-9)
    assert not found.tied["worse"].any() and found.tied["best"].all()
    assert estimates.rank(found_of, Crps().about).tied["noisy"].all()


def test_ratios_are_ranked_by_their_distance_from_one():
    ratio = SpreadSkillRatio().about
    flat = lambda *values: estimates.Estimate.over_seeds([np.tile(values, (9, 1))])  # noqa: E731
    found = estimates.rank({"a": flat(2.0, 0.9, np.nan), "b": flat(0.6, 1.2, 1.0)}, ratio)
    assert found.best == ["b", "a", "b"] and not found.tied["a"][:1].any()


# Scores start by start.

FORECAST = (Crps(), Rmse(), SpreadSkillRatio())
LONG = (SpectrumLogError(cumulative=True), StandardDeviation(cumulative=True))
METRICS = {metric.name: metric for metric in (*FORECAST, *LONG)}
RATIOS = ("spread_skill_ratio", "cumulative_standard_deviation")


def test_the_metrics_that_rank_are_chosen_and_ordered_by_what_they_say():
    assert estimates.ranked(debug.metrics) == list(FORECAST)
    assert estimates.ranked(debug.long_metrics, long=True) == [*LONG, Survival(cumulative=True)]


def test_a_curve_has_the_scores_without_each_block(tmp_path):
    """The root mean square error without a start is the root of the mean over the others; a cumulative metric
    counts at its last lead, over the truth's."""
    test = Walk(plain())
    fields = store_forecast(tmp_path / "forecast.zarr", test)
    found = tally(tmp_path / "forecast.zarr", both(test), constant(test), list(METRICS.values()))
    places = ((0, 5), (0, 20), (1, 10))
    truth = np.stack([test.frames[s][f : f + 8] for s, f in places])
    square = ((fields.mean(1) - truth) ** 2).mean((2, 3))[..., 0]
    curve = lambda name: estimates.curve(found.scores["model"][name][0], METRICS[name].about)  # noqa: E731
    rows = [square.mean(0), *(np.delete(square, i, axis=0).mean(0) for i in range(3))]
    np.testing.assert_allclose(curve("rmse").values, np.sqrt(rows), rtol=1e-5)
    last = curve("cumulative_standard_deviation")
    expected = [np.delete(fields, i, 0).std() / np.delete(truth, i, 0).std() for i in range(3)]
    np.testing.assert_allclose(last.values[1:, 0], expected, rtol=1e-5)
    assert last.values.shape == (4, 1) and last.units == "1" and len(last.coordinate) == 1


# In words.


@pytest.mark.parametrize(
    ("value", "bounds", "told"),
    [
        (0.123456, (0.1192, 0.1276), "0.1235 ± 0.0042"),
        (12.3456, (2.0, 22.0), "12 ± 10"),
        (0.123456, None, "0.123"),
        (0.5, (0.5, 0.5), "0.5"),
        (7.2e-6, (6.1e-6, 8.3e-6), "(7.2 ± 1.1)e-06"),
        (-2e-8, (-3.2e-7, 2.8e-7), "(-0.2 ± 3.0)e-07"),
        (0.0, (-0.5, 0.5), "0.00 ± 0.50"),
        (7.2e-6, None, "7.2e-06"),
        (np.nan, None, "–"),
    ],
)
def test_a_number_is_told_as_far_as_it_is_sure(value, bounds, told):
    assert with_interval(value, bounds) == told


def test_a_table_in_text_and_markdown():
    cells = (Cell(text="1", best=True, tied=True), Cell(text="20", tied=True), Cell(text="3"))
    table = Table(caption="CRPS", heads=("", "a", "b", "c"), rows=(("one", cells),))
    assert table.plain().splitlines() == ["CRPS", "      a    b   c", "one  1*  20~  3"]
    assert table.markdown().splitlines()[-1] == "| one | **1** | ≈ 20 | 3 |"


def test_a_dash_is_explained_below_the_table_that_has_one():
    """And nowhere else."""
    table = Table(heads=("", "a"), rows=(("one", (Cell(text="–"),)),))
    told = "–: there is no value, or too little to compute it from."
    assert table.plain().splitlines()[-1] == table.markdown().splitlines()[-1] == told
    assert f"<p>{told}</p>" in markup.grid(table, Words(weather().layout))
    whole = dataclasses.replace(table, rows=(("one", (Cell(text="1"),)),))
    assert told not in whole.plain() + whole.markdown() + markup.grid(whole, Words(weather().layout))


def test_what_is_higher_is_better_where_a_metric_says_so():
    flat = lambda *values: estimates.Estimate.over_seeds([np.tile(values, (9, 1))])  # noqa: E731
    found = {"a": flat(20.0, -1.0), "b": flat(30.0, 0.5)}
    rank = lambda **words: estimates.rank(found, About(title="", ranking=Ranking(), **words)).best  # noqa: E731
    assert rank() == ["a", "a"] and rank(higher=True) == ["b", "b"] and rank(ideal=0.0) == ["a", "b"]


# The command.


def retold(run, change):
    """Changes the experiment of a finished run, and its checkpoints' seals with it."""
    for path in (run / "experiment.json", *run.glob("checkpoints/*/experiment/metadata")):
        described = json.loads(path.read_text())
        change(described)
        path.write_text(json.dumps(described))
        seals = path.parent.parent / seal.SEAL / "metadata"
        if seals.exists():
            sums = json.loads(seals.read_text()) | {"experiment": seal.checksum_of_json(described)}
            seals.write_text(json.dumps(sums))


def sown(run, other, seed):
    """A copy of a finished run that says that it has another seed: nothing more is trained."""
    shutil.copytree(run, other)

    def change(described):
        described["name"], described["training"]["seed"] = other.name, seed

    retold(other, change)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two families of two seeds, compared, of which the first was trained by a command that was stopped after
    the first run."""
    folder = tmp_path_factory.mktemp("compared")
    both = folder / "both"
    one = ["compare", "debug", *FAMILIES, *SHORT, "--folder", str(both)]
    words = [*one, "--seeds", "2"]
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.setenv("ROLLING_CACHE", str(folder / "cache"))
    train = commands.train

    def stop_at_the_second(experiment, run, **options):
        if run.name == "full_sequence-0":
            raise KeyboardInterrupt
        return train(experiment, run, **options)

    with pytest.MonkeyPatch.context() as stop:
        stop.setattr(commands, "train", stop_at_the_second)
        assert main(one) == 130
    first = tree(both / "rolling-0")
    with pytest.MonkeyPatch.context() as quick:  # its page is not looked at
        quick.setattr(page, "write_comparison", lambda comparison, output: None)
        assert main(one) == 0
    for family in ("rolling", "full_sequence"):
        sown(both / f"{family}-0", both / f"{family}-1", 1)
    assert main(words) == 0
    yield folder, words, first
    patch.undo()


@pytest.mark.slow
def test_a_stopped_comparison_keeps_what_was_finished(place, capsys):
    folder, words, first = place
    run = tree(folder / "both" / "rolling-0")
    assert len(first) > 10 and {name: run[name] for name in first} == first
    before = {name: tree(folder / "both" / name) for name in ("rolling-0", "full_sequence-1")}
    assert main(words) == 0
    assert {name: tree(folder / "both" / name) for name in before} == before
    said = capsys.readouterr()
    assert "train" not in said.err and "evaluate" not in said.err
    assert said.out.startswith("CRPS, 1 call per frame\nlead (frames)")
    assert "* the best of its column; ~ tied with it" in said.out and "3 independent starts" in said.out
    assert said.out.endswith("comparison.html\n") and "persistence" in said.out


@pytest.mark.slow
def test_all_numbers_are_in_the_json(place):
    folder = place[0] / "both"
    found = json.loads((folder / "comparison.json").read_text())
    assert found["intervals_cover"] == ["seeds", "starts"] and found["starts"] == found["long_starts"] == 3
    assert list(found["groups"]) == ["rolling", "full_sequence"]
    assert [run["seed"] for run in found["groups"]["rolling"]["runs"]] == [0, 1]
    assert found["groups"]["rolling"]["about"] == experiments.about("rolling") != ""
    assert all(run["training_seconds"] > 0 for run in found["groups"]["rolling"]["runs"])
    crps = next(board for board in found["forecast"] if board["measure"] == "crps")
    one = crps["groups"]["full_sequence"]
    evaluations = [
        json.loads((folder / f"full_sequence-{seed}" / "calls-1.json").read_text()) for seed in (0, 1)
    ]
    by_hand = [entry["crps"]["height"]["model"] for entry in evaluations]
    np.testing.assert_allclose(one["seeds"], by_hand, rtol=1e-6)
    np.testing.assert_allclose(one["value"], np.mean(by_hand, axis=0), rtol=1e-6)
    assert all(a < b < c for a, b, c in zip(one["low"], one["value"], one["high"], strict=True))
    assert {board["measure"] for board in found["long"]} == {metric.name for metric in LONG}
    assert np.isfinite(crps["persistence"]).all()


@pytest.mark.slow
def test_the_page_is_whole(place):
    folder = place[0] / "both"
    text = (folder / "comparison.html").read_text()
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings[:4] == ["Skill", "Further scores", "The long rollout", "What is compared"]
    assert "http:" not in text and "https:" not in text and "<link" not in text
    assert text.count("<svg") == 3 and text.count('class="best"') >= 8
    assert "$" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")
    markdown = (folder / "comparison.md").read_text()
    assert "| full_sequence |" in markdown and "rolling compare debug --windows" in markdown
    assert not list(folder.glob("*.tmp")) and not list(folder.glob(".*"))


@pytest.mark.slow
def test_finished_runs_are_grouped_by_method_and_start_alike(place, capsys):
    """Runs of one method are its seeds; a window with another context is given the same starts."""
    folder = place[0]
    words = [str(folder / "both" / name) for name in ("rolling-0", "rolling-1", "full_sequence-0")]
    assert main(["compare", *words, "--calls", "1", "--output", str(folder / "again")]) == 0
    assert "full_sequence-0" in capsys.readouterr().out
    found = json.loads((folder / "again" / "comparison.json").read_text())
    assert list(found["groups"]) == ["rolling", "full_sequence-0"]
    both = json.loads((folder / "both" / "comparison.json").read_text())
    assert (
        found["forecast"][0]["groups"]["rolling"]["value"]
        == both["forecast"][0]["groups"]["rolling"]["value"]
    )


OWN = """
import dataclasses
from typing import ClassVar

import numpy as np

from rolling.metrics import About, Ranking
from rolling.metrics.ensemble import PerVariable


@dataclasses.dataclass(frozen=True, kw_only=True)
class MedianError(PerVariable):
    name = "median_error"
    about: ClassVar[About] = About(
        title="Error of the median member",
        note="Mean of |median - truth|; <lower> is better.",
        section="robustness",
        order=1,
        column="median",
        ranking=Ranking(first=True),
    )

    def terms(self, tools, sample):
        return {"error": tools.mean(np.abs(np.median(sample.forecast, axis=0) - sample.truth))}

    def values(self, sums):
        return sums.mean("error")
"""


@pytest.fixture
def own(place, tmp_path, monkeypatch):
    """Two finished runs whose experiments have a metric of a user's own file, and its options."""
    monkeypatch.setattr(registry, "_own", {})
    (tmp_path / "own.py").write_text(OWN)
    for name in ("rolling-0", "full_sequence-0"):
        run = tmp_path / name
        shutil.copytree(place[0] / "both" / name, run)
        shutil.copytree(run / "calls-1.zarr", run / "forecast.zarr")
        (run / "calls-1.json").unlink()
        retold(run, lambda described: described["metrics"].append({"type": "metric.median_error"}))
    return tmp_path, ["--code", str(tmp_path / "own.py")]


@pytest.mark.slow
def test_a_metric_of_ones_own_is_shown_wherever_the_others_are(own, capsys):
    folder, code = own
    title, note = "Error of the median member", "Mean of |median - truth|; &lt;lower&gt; is better."
    run = folder / "rolling-0"
    store = xr.open_zarr(run / "forecast.zarr", consolidated=False)
    assert main(["evaluate", str(run), *code]) == 0
    told, _, *said = capsys.readouterr().out.splitlines()
    assert told == "3 independent starts."
    assert said[1].split()[-1] == "median"
    assert said[-1] == f"median: {title}. Mean of |median - truth|; <lower> is better."
    written = json.loads((run / "evaluation.json").read_text())
    test = experiments.find(str(run)).source.open().test
    places = zip(store["sequence"].values.tolist(), store["frame"].values.tolist(), strict=True)
    truth = np.stack([test.read(s, f, f + 4)[..., 0] for s, f in places])
    expected = np.abs(np.median(store["height"].values, axis=1) - truth).mean(axis=(0, 2, 3))
    np.testing.assert_allclose(written["median_error"]["height"]["model"], expected, rtol=1e-5)
    assert float(said[2].split()[-1]) == pytest.approx(expected[0], rel=1e-3)
    assert main(["report", str(run), *code]) == 0
    text = (run / "report.html").read_text()
    assert f"<h3>{title}</h3><p>{note}</p>" in text
    assert re.findall(r"<h2>(.*?)</h2>", text)[1:5] == ["Skill", "Calibration", "Scales", "Robustness"]
    capsys.readouterr()
    words = ["compare", str(run), str(folder / "full_sequence-0"), "--output", str(folder / "side"), *code]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith(f"{title}, 1 call per frame\n")
    text = (folder / "side" / "comparison.html").read_text()
    assert f"<h3>{title} at 1 call per frame</h3><p>{note}</p>" in text and f"the smallest {title}" in text
    found = json.loads((folder / "side" / "comparison.json").read_text())["forecast"]
    assert [result["measure"] for result in found] == ["median_error", *(m.name for m in FORECAST)]
    np.testing.assert_allclose(found[0]["groups"]["rolling-0"]["value"], expected, rtol=1e-5)
    assert np.isfinite(found[0]["persistence"]).all()


@pytest.mark.slow
def test_scores_are_kept_for_one_forecast_and_these_metrics(place, monkeypatch):
    """Whatever the files' times are."""
    folder, seen = place[0] / "both" / "rolling-0", []
    run, tally = Run(folder=folder, experiment=experiments.find(str(folder))), run_scores.tally
    monkeypatch.setattr(run_scores, "tally", lambda *a, **k: seen.append(a[0].name) or tally(*a, **k))
    kept = folder / "calls-1.scores.json"
    written = kept.read_text()
    os.utime(kept, (0, 0))
    before = run_scores.score_run(run, (1,), 1).kept[1]
    assert seen == []
    changes = [
        written.replace('"checkpoint', '"checkpoints'),
        written.replace('"metric.crps"', '"metric.rmse"'),
        written[:100],
    ]
    for damaged in changes:
        assert damaged != written
        kept.write_text(damaged)
        after = run_scores.score_run(run, (1,), 1).kept[1]
        assert seen.pop() == "calls-1.zarr" and not seen
        assert kept.read_text() == written
    for forecast, metrics in before.curves.items():
        for name, found in metrics.items():
            for one, other in zip(found, after.curves[forecast][name], strict=True):
                np.testing.assert_array_equal(one.values, other.values)
    assert before.drawn == after.drawn


@pytest.mark.slow
def test_forecasts_begin_where_they_are_given_frames(place):
    from rolling.run.forecasting.streaming import write_forecast

    experiment, forecaster, split = commands.open_run(place[0] / "both" / "rolling-0")
    path = place[0] / "given.zarr"
    store = write_forecast(forecaster, split.test, experiment.forecast, path, "given", given=5)
    assert int(xr.open_zarr(store)["frame"].min()) == 5
    without = xr.open_zarr(place[0] / "both" / "rolling-0" / "calls-1.zarr")
    assert int(without["frame"].min()) == experiment.window.context < 5


@pytest.mark.slow
def test_what_cannot_run_is_left_out_with_a_note(place):
    class TwoCalls:
        experiment = dataclasses.replace(experiments.find("debug"), solver=Heun(), calls_per_frame=2)

    note = run_scores._forecast(TwoCalls(), None, 1, None, place[0] / "none.zarr", 0)
    assert "choose a whole multiple of 2" in note and not (place[0] / "none.zarr").exists()


@pytest.fixture
def invented(tmp_path):
    """Two variables, seven groups, two numbers of calls, of which one group cannot do the first."""
    layout, rng = weather().layout, np.random.default_rng(6)
    names, calls, leads = [f"method {i}" for i in range(6)] + ["a <b>"], (1, 2), np.arange(1.0, 21.0)
    experiment = experiments.find("debug")
    groups = [Group(name=n, runs=(Run(folder=tmp_path, experiment=experiment),) * 3) for n in names]

    def result(metric, variable, k):
        ratio, last = metric.name in RATIOS, metric in LONG
        curve = np.full(20, 0.9) if ratio else np.sqrt(leads)
        curve = curve[-1:] if last else curve / (k or 1) ** 0.3
        noise = lambda: curve * (1 + 0.03 * rng.normal(size=(9, 1)) + 0.01 * rng.normal())  # noqa: E731
        return results.Result(
            metric=metric.name,
            about=metric.about,
            variable=variable,
            units="K" if variable == "t2m" else "m s-1",
            calls=k,
            leads=leads[-1:] if last else leads,
            estimates={
                name: estimates.Estimate.over_seeds([noise() for _ in range(3)])
                for name in (names[1:] if k == 1 else names)
            },
            baselines={}
            if ratio or last
            else {"persistence": estimates.Estimate.over_seeds([np.tile(np.linspace(2, 5, 20), (9, 1))])},
        )

    kinds = [(k, metric) for k in calls for metric in FORECAST] + [(None, metric) for metric in LONG]
    kept = {
        1: run_scores.Kept(drawn=Drawn(starts=12, blocks=8), curves={}),
        None: run_scores.Kept(drawn=Drawn(starts=1, blocks=1), curves={}),
    }
    each = run_scores.Scored(layout=layout, parameters=1_234_567, kept=kept, notes=["one is left out"])
    return Comparison(
        title="invented",
        command="rolling compare runs/a runs/b",
        groups=groups,
        scored={name: [each] * 3 for name in names},
        results=[result(metric, v, k) for k, metric in kinds for v in ("t2m", "u10")],
        words=Words(layout),
    )


@pytest.mark.slow
def test_a_page_of_many_methods(invented, tmp_path):
    page.write_comparison(invented, tmp_path / "page")
    text = (tmp_path / "page" / "comparison.html").read_text()
    assert "a &lt;b&gt;" in text and "a <b>" not in text
    # Each score of each variable at two numbers of calls, the first two also against calls.
    assert text.count("<svg") == 2 * (3 * 2 + 2)
    assert 'class="chooser"' in text and text.count('data-variable="u10"') >= 16
    assert "one is left out" in text and "CRPS of eastward wind (m s⁻¹), mean over 20 leads" in text
    found = json.loads((tmp_path / "page" / "comparison.json").read_text())
    assert "method 0" not in found["forecast"][0]["groups"] and len(found["forecast"]) == 2 * 3 * 2
    assert found["groups"]["a <b>"]["runs"][0]["training_seconds"] is None
    markdown = (tmp_path / "page" / "comparison.md").read_text()
    assert (
        "| method 0 | – | " in markdown and "| lead time | 1 h | 3 h | 5 h | 8 h | 12 h | 20 h |" in markdown
    )
    told = "\n".join(table.plain() for table in invented.main_tables())
    assert told.count("CRPS of 2 m temperature (K)") == 3


def test_one_seed_and_one_start_are_told(invented):
    few = dataclasses.replace(
        invented,
        groups=[dataclasses.replace(group, runs=group.runs[:1]) for group in invented.groups],
    )
    assert few.covers() == ["starts"] and "They cover starts only." in few.method()
    uneven = dataclasses.replace(invented, groups=[few.groups[0], *invented.groups[1:]])
    assert "1 to 3 seeds" in uneven.method() and "with one seed covers starts only" in uneven.method()
    assert few.covers(long=True) == [] and "±" not in few.tables()[-1].plain()


def test_a_full_disk_leaves_the_old_comparison(invented, tmp_path, monkeypatch):
    (tmp_path / "comparison.json").write_text("{}")

    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(InputError, match=r"comparison\.json cannot be written .*No space left"):
        page.write_comparison(invented, tmp_path)
    assert tree(tmp_path) == {"comparison.json": b"{}"}


# Bad input.


def one_sentence(words, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].startswith("rolling: ")
    return said[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs at least two runs"),
        (["runs/a"], "needs at least two runs"),
        (["runs/a", "runs/b"], "runs/a is not a run"),
        (["debug", "--windows", "rollin,full_sequence"], "no family 'rollin': the nearest is 'rolling'"),
        (["debug", "--windows", ""], "at least two runs"),
        (["debug", "--windows", "rolling"], "at least two runs"),
        (
            ["debug", "--windows", "rolling,full_sequence", "--seeds", "0"],
            "--seeds must be a whole number of at least 1",
        ),
        (["debug", "--windows", "rolling,full_sequence", "--calls", "1,x"], "--calls takes whole numbers"),
        (["debug", "--windows", "rolling,full_sequence", "--calls", "0"], "--calls takes whole numbers"),
        (["debug", "--windows", "rolling", "--seed", "3"], "no option --seed; the nearest is --seeds"),
        (["debug", "--windows", "rolling,full_sequence", "--folder", "file"], "file is a file"),
        (["debug", *FAMILIES, "--forecast.frames", "0"], "debug has no forecasts to compare"),
        (["dbug", "--windows", "rolling"], "did you mean 'debug'"),
    ],
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert said in one_sentence(["compare", *words], capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def altered(place, tmp_path, change):
    """A copy of a finished run whose experiment was changed afterwards."""
    run = tmp_path / "altered"
    shutil.copytree(place[0] / "both" / "rolling-1", run)
    experiments.save(change(experiments.find(str(run))), run / "experiment.json")
    return str(run)


def part(name, **changes):
    return lambda experiment: dataclasses.replace(
        experiment, **{name: dataclasses.replace(getattr(experiment, name), **changes)}
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (part("training", steps=9), "is not finished, 2 of 9 steps"),
        (part("source", test=3), "have different data (source.test: 2 / 3)"),
        (part("forecast", starts=4), "make different forecasts (forecast.starts: 3 / 4)"),
        (part("long", frames=9), "make different forecasts (long.frames: 8 / 9)"),
    ],
)
def test_runs_that_cannot_be_compared(place, tmp_path, capsys, change, said):
    first = str(place[0] / "both" / "rolling-0")
    output = tmp_path / "output"
    found = one_sentence(
        ["compare", first, altered(place, tmp_path, change), "--output", str(output)], capsys
    )
    assert said.replace("source.test", "test") in found.replace("source.test", "test")
    assert not output.exists()
    assert "is named twice" in one_sentence(["compare", first, first], capsys)


def test_runs_that_are_told_other_things_of_the_same_data_compare(tmp_path):
    names = ("kolmogorov_viscosity", "simulations", "gridded")
    simulated, archive, fields = (experiments.find(name).source for name in names)
    for source, told in (
        (simulated, {"tell": False}),
        (archive, {"parameters": ("none",), "constants": False}),
        (fields, {"features": ()}),
    ):
        made = [
            runs.Run(
                folder=tmp_path / name,
                experiment=dataclasses.replace(experiments.find("debug"), source=source),
            )
            for name in ("a", "b")
        ]
        other = dataclasses.replace(made[1].experiment, source=dataclasses.replace(source, **told))
        runs.check_comparable([made[0], dataclasses.replace(made[1], experiment=other)])
    with pytest.raises(InputError, match=r"b have different data \(every"):
        other = dataclasses.replace(made[1].experiment, source=dataclasses.replace(source, every=2))
        runs.check_comparable([made[0], dataclasses.replace(made[1], experiment=other)])


@pytest.mark.slow
def test_a_run_of_another_experiment_is_not_taken_up(place, capsys):
    folder, words, _ = place
    before = tree(folder / "both" / "rolling-0")
    assert "holds another experiment" in one_sentence([*words, "--training.ema", "0.5"], capsys)
    assert tree(folder / "both" / "rolling-0") == before


def test_a_family_changes_the_method_only(monkeypatch, tmp_path):
    def longer(experiment):
        return part("training", steps=7)(experiment)

    monkeypatch.setattr(experiments, "families", lambda: {"longer": longer})
    with pytest.raises(InputError, match="family longer changes training"):
        runs.planned(experiments.find("debug"), ["longer"], 2, tmp_path)


def test_help_names_the_families(capsys):
    assert main(["compare", "--help"]) == 0
    said = capsys.readouterr().out
    for name in experiments.families():
        assert re.search(rf"^  {name} +\S.*$", said, flags=re.MULTILINE)
