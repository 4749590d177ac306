"""Evaluation of stores that are whole, and of stores that are not."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from rolling.common.errors import InputError
from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.data import calendar
from rolling.data.source import Split
from rolling.data.statistics import Statistics, measure
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.metrics.drift import Drift, Lasts, Survival
from rolling.metrics.ensemble import Bias, Crps, MemberRmse, Rmse, SpreadSkillRatio
from rolling.metrics.frame_statistics import Motion
from rolling.run.evaluation import climatology
from rolling.run.evaluation.climatology import Climate
from rolling.run.evaluation.evaluate import evaluate
from rolling.run.evaluation.scores import CURVES, encoded, read
from rolling.run.evaluation.summary import summary_table

START = np.datetime64("2019-03-01T00", "ns")


@dataclasses.dataclass
class Walk:
    """Test sequences in memory: an autoregressive walk of every cell, NaN where masked."""

    layout: Layout
    mask: np.ndarray | None = None
    lengths: tuple[int, ...] = (40, 30)

    def __post_init__(self):
        rng = np.random.default_rng(0)
        self.frames = []
        for length in self.lengths:
            frames = [rng.normal(size=self.layout.shape)]
            for _ in range(length - 1):
                frames.append(0.9 * frames[-1] + np.sqrt(0.19) * rng.normal(size=self.layout.shape))
            frames = np.float32(frames)
            self.frames.append(frames if self.mask is None else np.where(self.mask, frames, np.nan))

    def __len__(self):
        return len(self.lengths)

    def length(self, index):
        return self.lengths[index]

    def read(self, index, start, stop):
        assert 0 <= start <= stop <= self.lengths[index]
        return self.frames[index][start:stop]

    def times(self, index, start, stop):
        steps = np.arange(start, stop) + 100 * index
        if self.layout.has_calendar:
            return START + steps * np.timedelta64(round(3600 * self.layout.step), "s")
        return steps * self.layout.step


def constant(test, value=0.0):
    """The statistics of a training part whose climatology is one number."""
    shape = test.layout.shape
    return Statistics(
        mean=np.zeros(shape[2], np.float32),
        std=np.ones(shape[2], np.float32),
        climatology=np.full((calendar.phases(test.layout), *shape), value, np.float32),
        mask=test.mask,
    )


def both(test):
    """A data set whose training part is the test part, too."""
    return Split(train=test, test=test)


def plain(names=("vorticity",)):
    y, x = (
        Axis(name=n, values=tuple((np.arange(c) * 2 * np.pi / c).tolist()), boundary="periodic")
        for n, c in (("y", 12), ("x", 16))
    )
    return Layout(variables=tuple(Variable(name=n) for n in names), axes=(y, x), step=0.4)


def weather():
    return Layout(
        variables=(Variable(name="t2m", units="K"), Variable(name="u10", units="m s-1")),
        axes=(
            Axis(name="latitude", values=tuple(np.linspace(60, 50, 9).tolist()), units="degrees_north"),
            Axis(name="longitude", values=tuple(np.linspace(-5, 5, 11).tolist()), units="degrees_east"),
        ),
        step=1.0,
        time_units="hours",
        phase="hour_of_day",
    )


def store_forecast(path, test, members=4, leads=8, starts=((0, 5), (0, 20), (1, 10)), noise=0.3):
    """A store of the truth with noise that grows; returns its fields `[start, member, lead, ...]`."""
    layout, rng = test.layout, np.random.default_rng(1)
    shape = (len(starts), members, leads, *layout.shape)
    fields = (
        rng.normal(size=shape).astype(np.float32)
        * noise
        * np.sqrt(np.arange(1, leads + 1))[:, None, None, None]
    )
    for i, (sequence, frame) in enumerate(starts):
        truth = test.frames[sequence][frame : frame + leads]
        fields[i, :, : len(truth)] += truth
    if test.mask is not None:
        fields = np.where(test.mask, fields, np.nan)
    times = np.array([test.times(s, f - 1, f)[0] for s, f in starts])
    lead = np.arange(1, leads + 1) * layout.step
    first = "time" if layout.has_calendar else "start"
    if layout.has_calendar:
        lead = (lead * 3600).astype("timedelta64[s]").astype("timedelta64[ns]")
    dims = (first, "number", "prediction_timedelta", layout.y.name, layout.x.name)
    dataset = xr.Dataset(
        {v.name: (dims, fields[..., c], {"units": v.units}) for c, v in enumerate(layout.variables)},
        coords={
            "time": (first, times),
            "sequence": (first, [s for s, _ in starts]),
            "frame": (first, [f for _, f in starts]),
            "number": np.arange(members),
            "prediction_timedelta": lead,
            layout.y.name: list(layout.y.values),
            layout.x.name: list(layout.x.values),
        },
    )
    if not layout.has_calendar:
        dataset = dataset.assign_coords(start=np.arange(len(starts)))
    chunks = (1, members, min(4, leads), *layout.shape[:2])
    encoding = {name: {"chunks": chunks} for name in layout.names}
    dataset.to_zarr(path, zarr_format=3, consolidated=False, encoding=encoding)
    return fields.astype(np.float64)


def test_scores_by_hand(tmp_path):
    test = Walk(plain())
    fields = store_forecast(tmp_path / "forecast.zarr", test)
    metrics = (Rmse(), MemberRmse(), SpreadSkillRatio(), Bias())
    found = evaluate(
        tmp_path / "forecast.zarr", both(test), constant(test, 0.5), metrics, tmp_path / "evaluation"
    )
    truth = np.stack([test.frames[s][f : f + 8] for s, f in ((0, 5), (0, 20), (1, 10))]).astype(float)
    initial = np.stack([test.frames[s][f - 1] for s, f in ((0, 5), (0, 20), (1, 10))]).astype(float)
    root = lambda error: np.sqrt((error**2).mean((0, 2, 3))[:, 0])  # noqa: E731
    score = found.score("rmse", "vorticity")
    np.testing.assert_allclose(score.coordinate, 0.4 * np.arange(1, 9))
    np.testing.assert_allclose(score.values, root(fields.mean(1) - truth), rtol=1e-5)
    np.testing.assert_allclose(score.baselines["persistence"], root(initial[:, None] - truth), rtol=1e-5)
    np.testing.assert_allclose(score.baselines["climatology"], root(0.5 - truth), rtol=1e-5)
    assert score.units == "1" and score.axis == "lead"
    # Three starts with noise of one size: an ensemble that is right but for the truth, which has no noise.
    assert found.score("spread_skill_ratio", "vorticity").baselines == {}
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert set(written["spread_skill_ratio"]["vorticity"]) == {"unit", "leads", "model", "low", "high"}
    # The interval of a mean over three independent starts is Student's.
    bias, single = found.score("bias", "vorticity"), (fields.mean(1) - truth).mean((2, 3))[..., 0]
    expected = stats.t.interval(0.95, 2, single.mean(0), stats.sem(single, axis=0))
    np.testing.assert_allclose([bias.low, bias.high], expected, rtol=1e-5)
    # So is that of the difference from persistence, over the same starts.
    less = single - (initial[:, None] - truth).mean((2, 3))[..., 0]
    expected = stats.t.interval(0.95, 2, less.mean(0), stats.sem(less, axis=0))
    np.testing.assert_allclose(bias.margins["persistence"], expected, rtol=1e-5)
    back = read(tmp_path / "evaluation.json").score("bias", "vorticity")
    np.testing.assert_array_equal(back.margins["persistence"], bias.margins["persistence"])
    assert written["independent"] == {"starts": 3, "blocks": 3, "clips": 0}
    assert read(tmp_path / "evaluation.json").drawn.words() == "3 independent starts"
    assert written["rmse"]["vorticity"]["model"] == score.values.tolist()
    assert written["about"]["rmse"]["title"] == "Root mean square error"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("metrics", "names"),
    [(FIELDS, ("u", "v", "t")), (FIELDS_LONG, ("vorticity",))],
    ids=["forecast", "rollout"],
)
def test_both_files_say_the_same(tmp_path, metrics, names):
    test = Walk(plain(names))
    store_forecast(tmp_path / "forecast.zarr", test)
    found = evaluate(
        tmp_path / "forecast.zarr", both(test), constant(test), metrics, tmp_path / "evaluation-0.5"
    )
    with xr.open_dataset(tmp_path / "evaluation-0.5.nc", engine="h5netcdf") as dataset:
        assert dataset.sizes["forecast"] == len(CURVES)
        assert dataset.attrs["starts"] == 3
        count = 0
        for metric, variables in encoded(found).items():
            for variable, entry in variables.items():
                array = dataset[f"{metric}_{variable}"]
                assert array.attrs["units"] == entry["unit"]
                axis = array.dims[1]
                key = "leads" if axis == "lead" else axis
                assert dataset[axis].values.tolist() == pytest.approx(entry[key])
                for curve in dataset["forecast"].values:
                    expected = np.array(entry.get(curve, [None] * array.shape[1]), float)
                    np.testing.assert_array_equal(array.sel(forecast=curve), expected)
                count += 1
        assert count == len(dataset.data_vars)
    assert "kinetic_energy" in found.scores["energy_drift"]
    assert ("divergence" in found.scores) == ("u" in names)
    back = read(tmp_path / "evaluation-0.5.json")
    assert encoded(back) == encoded(found) and back.abouts == found.abouts
    assert list(back.scores) == list(found.scores) == list(found.abouts)


def test_weather_with_land(tmp_path):
    layout = weather()
    mask = np.ones(layout.shape, bool)
    mask[:3, :4, 0] = False
    test = Walk(layout, mask=mask)
    fields = store_forecast(tmp_path / "forecast.zarr", test, members=1)
    found = evaluate(tmp_path / "forecast.zarr", both(test), constant(test), FIELDS, tmp_path / "evaluation")
    assert "spread" not in found.scores
    assert "rank_histogram" not in found.scores
    assert set(found.scores["energy_spectrum"]) == {"u10"}
    truth = np.stack([test.frames[s][f : f + 8] for s, f in ((0, 5), (0, 20), (1, 10))])
    weights = layout.area_weights()[..., None] * mask
    square = np.nansum((fields[:, 0] - truth) ** 2 * weights, axis=(2, 3)).mean(0) / weights.sum((0, 1))
    for c, name in enumerate(layout.names):
        np.testing.assert_allclose(found.score("rmse", name).values, np.sqrt(square[:, c]), rtol=1e-5)
        assert found.score("rmse", name).units == layout.variables[c].units
    with xr.open_dataset(tmp_path / "evaluation.nc") as dataset:
        assert dataset["lead"].values.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_any_block_gives_the_same(tmp_path):
    test = Walk(plain(("u", "v")))
    store_forecast(tmp_path / "forecast.zarr", test)
    arguments = (tmp_path / "forecast.zarr", both(test), constant(test), FIELDS, tmp_path / "evaluation")
    whole = evaluate(*arguments)
    for leads in (1, 3):  # less than a chunk, and a part of one
        parts = evaluate(*arguments, read_bytes=leads * 4 * 4 * 12 * 16 * 2)
        assert whole.scores.keys() == parts.scores.keys()
        for metric, score in whole.all():
            other = parts.score(metric, score.variable)
            np.testing.assert_array_equal(score.coordinate, other.coordinate)
            assert score.curves.keys() == other.curves.keys()
            for curve, values in score.curves.items():
                np.testing.assert_allclose(values, other.curves[curve], rtol=1e-9, atol=1e-12)


def test_only_leads_with_truth_count(tmp_path):
    test = Walk(plain())
    store_forecast(tmp_path / "long.zarr", test, leads=25, starts=((0, 5), (1, 12)))
    found = evaluate(
        tmp_path / "long.zarr", both(test), constant(test), (Rmse(),), tmp_path / "evaluation-long"
    )
    assert len(found.score("rmse", "vorticity").values) == 18


def test_rollouts_longer_than_truth_are_judged_over_all_frames(tmp_path):
    """What is beyond the end of truth is zero here; one of the starts has truth for 18 leads only."""
    test = Walk(plain(), lengths=(80, 80, 30))
    store_forecast(tmp_path / "long.zarr", test, members=2, leads=60, starts=((0, 5), (2, 12)), noise=0.0)
    metrics = (Rmse(), Lasts(), Drift(of=Motion()), Survival())
    place = tmp_path / "long.zarr", both(test), constant(test), metrics
    small = evaluate(*place, tmp_path / "small", read_bytes=1)
    found = evaluate(*place, tmp_path / "evaluation")
    assert np.isfinite(found.score("rmse", "vorticity").values).sum() == 18
    motion = found.score("drift_motion", "vorticity")
    # Windows of 8 frames; the second rollout, of two, is 0 from lead 18 on.
    np.testing.assert_allclose(motion.coordinate, 0.4 * (4 + 8 * np.arange(7)))
    assert motion.baselines["persistence"].tolist() == [0] * 7
    np.testing.assert_allclose(motion.values[3:] / motion.values[0], 0.5, rtol=0.2)
    np.testing.assert_array_equal(found.score("lasts", "each").values[:2], 60)
    np.testing.assert_allclose(found.score("lasts", "each").values[2:], 18, atol=4)
    assert found.score("lasts", "median").baselines["persistence"] == [0]
    left = found.score("survival", "rollouts")
    assert left.values[0] == 1 and left.values[-1] == 0.5 and (left.low[-1], left.high[-1]) == (0, 1)
    for metric, score in found.all():
        for name, curve in score.curves.items():
            again = small.score(metric, score.variable).curves[name]
            np.testing.assert_allclose(curve, again, rtol=1e-9, err_msg=f"{metric} {name}")


def test_climatology_by_hour_of_day(tmp_path):
    """A cycle of the day is all that the climatology knows, and here all that there is to know."""

    class Day(Walk):
        def read(self, index, start, stop):
            hours = np.arange(start, stop) + 100 * index
            cycle = np.sin(2 * np.pi * hours / 24).astype(np.float32)[:, None, None, None]
            return super().read(index, start, stop) * 0 + cycle

    test = Day(weather(), lengths=(60, 30))
    store_forecast(tmp_path / "forecast.zarr", test)
    found = evaluate(
        tmp_path / "forecast.zarr", both(test), measure(test), (Rmse(),), tmp_path / "evaluation"
    )
    np.testing.assert_allclose(found.score("rmse", "t2m").baselines["climatology"], 0.0, atol=1e-6)
    assert min(found.score("rmse", "t2m").baselines["persistence"]) > 0.1


@dataclasses.dataclass
class Noise(Walk):
    """Independent numbers with the deviation `sigma`; on dates, around a daily cycle far larger than that."""

    sigma: float = 2.0
    seed: int = 0

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        shapes = [(length, *self.layout.shape) for length in self.lengths]
        self.frames = [np.float32(self.sigma * rng.normal(size=shape)) for shape in shapes]
        for index, frames in enumerate(self.frames):
            if self.layout.has_calendar:
                hours = (self.times(index, 0, len(frames)) - START) / np.timedelta64(1, "h")
                frames += 30 * np.sin(2 * np.pi * hours / 24).astype(np.float32)[:, None, None, None]


@pytest.mark.parametrize("layout", [plain(), weather()], ids=["all fields", "hour of the day"])
def test_climatology_is_scored_as_a_distribution(tmp_path, layout, monkeypatch):
    """For N(0, s) the CRPS of the distribution is s / sqrt(pi), of its mean as a point s sqrt(2 / pi); the
    root mean square error is that of the mean, s."""
    train, test = Noise(layout, lengths=(480, 240), seed=1), Noise(layout)
    store_forecast(tmp_path / "forecast.zarr", test)
    split, seen = Split(train=train, test=test), []
    fields = Climate.fields

    def remembered(self, times):
        seen.append(fields(self, times))
        return seen[-1]

    monkeypatch.setattr(Climate, "fields", remembered)
    found = evaluate(
        tmp_path / "forecast.zarr", split, measure(train), (Rmse(), Crps()), tmp_path / "evaluation"
    )
    crps, rmse = (
        found.score(name, layout.names[0]).baselines["climatology"].mean() for name in ("crps", "rmse")
    )
    np.testing.assert_allclose(crps, 2 / np.sqrt(np.pi), rtol=0.03)
    np.testing.assert_allclose(rmse, 2.0, rtol=0.03)
    # The same draws, scored by another library.
    drawn = np.concatenate(seen, axis=1)[..., 0]
    truth = np.concatenate([test.frames[s][f : f + 8] for s, f in ((0, 5), (0, 20), (1, 10))])[..., 0]
    expected = pytest.importorskip("scores.probability").crps_for_ensemble(
        xr.DataArray(drawn, dims=("member", "frame", "y", "x")),
        xr.DataArray(truth, dims=("frame", "y", "x")),
        "member",
        method="fair",
        weights=xr.DataArray(layout.area_weights(), dims=("y", "x")),
    )
    np.testing.assert_allclose(crps, expected, rtol=1e-5)


def test_draws_from_a_climatology_are_bounded(monkeypatch):
    """The fewest frames of a phase where they are large, and no more phases kept than fit."""
    train = Noise(weather(), lengths=(480,))
    frame = 4 * np.prod(train.layout.shape)
    hours = train.times(0, 0, 6)
    assert Climate(train).fields(hours).shape == (20, 6, *train.layout.shape)  # twenty days
    monkeypatch.setattr(climatology, "DRAWN_BYTES", 10 * frame)
    monkeypatch.setattr(climatology, "KEPT_BYTES", 25 * frame)
    bounded = Climate(train)
    assert bounded.fields(hours).shape == (10, 6, *train.layout.shape)
    assert len(bounded._kept) == 2
    again = Climate(train).fields(hours)
    np.testing.assert_array_equal(again, bounded.fields(hours))
    # Hours never seen in training have the frames of all.
    short = Noise(weather(), lengths=(4,))
    assert Climate(short).fields(hours).shape[:2] == (4, 6)


def test_summary_table(tmp_path):
    test = Walk(weather())
    store_forecast(tmp_path / "forecast.zarr", test)
    metrics = (Rmse(), Crps(), SpreadSkillRatio())
    found = evaluate(tmp_path / "forecast.zarr", both(test), constant(test), metrics, tmp_path / "evaluation")
    first, empty, *lines = summary_table(found).splitlines()
    assert (first, empty, lines[0]) == ("3 independent starts.", "", "rmse of t2m (K)")
    assert lines[1].split() == ["frame", "lead", "ours", "±", "persistence", "climatology", "spread/skill"]
    assert [line.split()[0] for line in lines[2:7]] == ["1", "2", "3", "5", "8"]
    assert float(lines[2].split()[2]) == pytest.approx(found.score("rmse", "t2m").values[0], rel=1e-3)
    assert lines[8] == "rmse of u10 (m s-1)"


# Stores that cannot be scored.


def other_step(test, path):
    test.layout = dataclasses.replace(test.layout, step=0.5)


def other_variable(test, path):
    test.layout = dataclasses.replace(test.layout, variables=(Variable(name="height"),))


def other_grid(test, path):
    test.layout = plain()
    shorter = dataclasses.replace(test.layout.x, values=(0.0, 1.0))
    test.layout = dataclasses.replace(test.layout, axes=(test.layout.y, shorter))


def moved_grid(test, path):
    x = test.layout.x
    moved = dataclasses.replace(x, values=tuple(v + 0.1 for v in x.values))
    test.layout = dataclasses.replace(test.layout, axes=(test.layout.y, moved))


def other_dimensions(test, path):
    y, x = (dataclasses.replace(a, name=n) for a, n in ((test.layout.y, "row"), (test.layout.x, "column")))
    test.layout = dataclasses.replace(test.layout, axes=(y, x))


def fewer_sequences(test, path):
    test.lengths = test.lengths[:1]


def shorter_sequences(test, path):
    test.lengths = (20, 30)


def other_times(test, path):
    test.times = lambda index, start, stop: np.arange(start, stop) * 0.4 + 7.0


def gone(test, path):
    shutil.rmtree(path)


def no_metadata(test, path):
    (path / "zarr.json").unlink()


def broken_metadata(test, path):
    (path / "vorticity" / "zarr.json").write_text("{")


def cut_chunk(test, path):
    chunk = sorted((path / "vorticity" / "c").rglob("*"))[-1]
    chunk.write_bytes(chunk.read_bytes()[:10])


def missing_chunk(test, path):
    sorted(p for p in (path / "vorticity" / "c").rglob("*") if p.is_file())[-1].unlink()


def unfinished(test, path):
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"]["rolling_forecast"] = "{}"
    (path / "zarr.json").write_text(json.dumps(metadata))


def of_the_future(test, path):
    shutil.rmtree(path / "sequence")


def missing_coordinate(test, path):
    shutil.rmtree(path / "frame")


DAMAGE = {
    other_step: "lead times",
    other_variable: "no 'height'",
    other_grid: "16 cells along x, the data have 2",
    moved_grid: "the x of the forecast",
    other_dimensions: "dimensions",
    fewer_sequences: "test sequence 1",
    shorter_sequences: "no frame of truth",
    other_times: "at time",
    gone: "there is no forecast",
    no_metadata: "cannot be read",
    broken_metadata: "cannot be read",
    cut_chunk: "damaged at start 2",
    missing_chunk: "start 2, member 0, lead 5",
    missing_coordinate: "no 'frame'",
    unfinished: "not finished",
    of_the_future: "no truth for it",
}


@pytest.mark.parametrize(("damage", "words"), DAMAGE.items(), ids=[d.__name__ for d in DAMAGE])
def test_what_cannot_be_scored(tmp_path, damage, words):
    test = Walk(plain())
    path = tmp_path / "forecast.zarr"
    store_forecast(path, test)
    (tmp_path / "evaluation.json").write_text("before")
    damage(test, path)
    with pytest.raises(InputError, match=words) as error:
        evaluate(path, both(test), constant(test), (Rmse(),), tmp_path / "evaluation")
    assert "\n" not in str(error.value)
    # Nothing is lost and nothing is left behind.
    assert (tmp_path / "evaluation.json").read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir() if p != path) == ["evaluation.json"]


def test_a_folder_that_does_not_exist(tmp_path):
    test = Walk(plain())
    store_forecast(tmp_path / "forecast.zarr", test)
    with pytest.raises(InputError, match="cannot be written"):
        evaluate(
            tmp_path / "forecast.zarr", both(test), constant(test), (Rmse(),), tmp_path / "no" / "evaluation"
        )


def test_two_metrics_of_one_name(tmp_path):
    with pytest.raises(InputError, match="same name"):
        evaluate(
            tmp_path / "f.zarr",
            Walk(plain()),
            constant(Walk(plain())),
            (Rmse(), Rmse()),
            tmp_path / "evaluation",
        )
