"""What archives of simulations report: against scipy, scores and numpy, closed forms, and other blocks."""

import dataclasses
import itertools

import numpy as np
import pytest
import scipy.stats

from rolling.common.errors import InputError
from rolling.configs._metrics import SIMULATIONS
from rolling.geometry import Axis
from rolling.layout import Layout, Variable, video
from rolling.metrics.correlation import CorrelationTime, PearsonCorrelation
from rolling.metrics.distributions import HistogramDistance
from rolling.metrics.ensemble import Coverage, RankHistogram
from rolling.metrics.protocol import HORIZON, EvaluationSetup, Resampled, Sample
from rolling.metrics.spectral_bands import BANDS, SpectralBandError
from rolling.metrics.valid_time import ValidPredictionTime
from rolling.run.evaluation.evaluate import Running
from rolling.run.evaluation.scores import Evaluation, read, write
from rolling.run.report.figures import numbers, plotted
from rolling.run.report.words import Words
from tests.test_verification import as_arrays, blocks, land, layout, score, setting_of, starts, values

METRICS = (
    *(kind(member=member) for kind in (PearsonCorrelation, CorrelationTime) for member in ("mean", "each")),
    CorrelationTime(threshold=0.1, whole=True),
    ValidPredictionTime(threshold=1.3),
    ValidPredictionTime(threshold=1.3, member="each"),
    HistogramDistance(),
    *(SpectralBandError(band=band) for band in BANDS),
    SpectralBandError(band="high", member="each"),
    Coverage(share=0.5),
)


def grid_of(*counts, step=1.0, variables=("a",)):
    axes = tuple(
        Axis(name=name, values=tuple(map(float, range(count))), boundary="periodic")
        for name, count in zip("zyx"[-len(counts) :], counts, strict=True)
    )
    return Layout(variables=tuple(Variable(name=name) for name in variables), axes=axes, step=step)


def sample_of(forecast, truth, climatology=None):
    """Of `forecast [member, lead, *space]` and `truth [lead, *space]` of one variable."""
    truth = truth[..., None]
    climatology = np.zeros_like(truth) if climatology is None else climatology
    return Sample(
        first=0, forecast=forecast[..., None], truth=truth, climatology=climatology, given=truth[:1]
    )


def one(metric, grid, *samples, mask=None):
    """The values of the single variable."""
    (found,) = score(metric, setting_of(grid, samples, mask), samples)
    return found.values


# All of them.


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_parts_of_the_data_add_up(metric):
    """In other blocks of leads, and as independent blocks of starts that are put together."""
    grid, mask = layout(), None if isinstance(metric, SpectralBandError) else land(layout())
    samples = starts(grid, members=5, leads=6, count=4, mask=mask)
    setup = setting_of(grid, samples, mask)
    whole = values(metric, setup, samples)
    assert np.isfinite(whole).all()
    pieces = [block for sample in samples for block in blocks(sample, (1, 3, 2))]
    np.testing.assert_allclose(values(metric, setup, pieces), whole, rtol=1e-12)
    running = Running([metric], setup, lambda sample: sample)
    for number, sample in enumerate(samples):
        running.update(dataclasses.replace(sample, block=number // 2))
    (found,) = running.result().values()
    np.testing.assert_allclose([each.values for each in found], whole, rtol=1e-12)
    if isinstance(metric, Resampled):
        assert len(found[0].without) == 2


@pytest.mark.parametrize("counts", [(16,), (6, 8), (4, 6, 8)])
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_axes_of_space(metric, counts):
    """The axes of space are no part of the equations but for wavenumbers: a copy along a new one changes
    nothing else."""
    grid = grid_of(*counts)
    samples = starts(grid, members=3, leads=2)
    found = one(metric, grid, *samples)
    assert np.isfinite(found).all()
    if len(counts) < 3 and not isinstance(metric, SpectralBandError):
        wider = grid_of(2, *counts)
        copied = [
            dataclasses.replace(
                s,
                **{
                    name: np.repeat(np.expand_dims(getattr(s, name), at), 2, axis=at)
                    for name, at in (("forecast", 2), ("truth", 1), ("climatology", 1), ("given", 1))
                },
            )
            for s in samples
        ]
        np.testing.assert_allclose(one(metric, wider, *copied), found, rtol=1e-12)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_no_pictures(metric):
    pictures = EvaluationSetup(layout=video(8, 8), leads=2, members=5)
    assert (metric.start(pictures) is None) is not isinstance(metric, Coverage)


def test_one_member_and_one_frame():
    """One member is its own mean, and no ensemble; a single lead is enough."""
    grid = layout(16, 16)
    samples = starts(grid, members=1, leads=1)
    setup = setting_of(grid, samples)
    for metric in METRICS:
        if isinstance(metric, Coverage):
            assert metric.start(setup) is None
            continue
        found = values(metric, setup, samples)
        assert found.shape == (2, 1)
        if hasattr(metric, "member"):
            each = dataclasses.replace(metric, member="each")
            np.testing.assert_allclose(values(each, setup, samples), found, rtol=1e-12)


def test_a_constant_truth_has_no_value():
    grid = layout()
    flat = np.full((3, *grid.shape), 0.1, np.float32)
    samples = [dataclasses.replace(s, truth=flat, climatology=flat) for s in starts(grid, leads=3)]
    setup = setting_of(grid, samples)
    for metric in METRICS:
        found = values(metric, setup, samples)
        if isinstance(metric, SpectralBandError | Coverage):
            assert np.isfinite(found).all()
        else:
            assert np.isnan(found).all(), metric.name


def test_frames_without_variation_do_not_count():
    """Of two starts, one of which has a constant truth, or forecast, the other alone gives the score."""
    grid = layout()
    first, second = starts(grid, count=2)
    flat = dataclasses.replace(second, truth=np.full_like(second.truth, 3.0))
    for metric in (PearsonCorrelation(), PearsonCorrelation(member="each"), HistogramDistance()):
        setup = setting_of(grid, [first])
        alone = values(metric, setup, [first])
        np.testing.assert_allclose(values(metric, setup, [first, flat]), alone, rtol=1e-12)
    flat = dataclasses.replace(second, forecast=np.full_like(second.forecast, 3.0))
    np.testing.assert_allclose(
        values(PearsonCorrelation(), setup, [first, flat]), values(PearsonCorrelation(), setup, [first])
    )


def test_wrong_settings_are_refused():
    for kind, settings, words in (
        (PearsonCorrelation, {"member": "all"}, "is 'mean' or 'each', not 'all'"),
        (CorrelationTime, {"threshold": 1.0}, "between -1 and 1, not 1"),
        (CorrelationTime, {"member": "all"}, "is 'mean' or 'each', not 'all'"),
        (ValidPredictionTime, {"threshold": 0.0}, "above 0, not 0"),
        (SpectralBandError, {"band": "top"}, "one of low, middle, high, not 'top'"),
        (Coverage, {"share": 1.0}, "between 0 and 1, not 1"),
    ):
        with pytest.raises(InputError, match=words):
            kind(**settings)


def test_names_differ():
    names = [metric.name for metric in (*METRICS, *SIMULATIONS)]
    assert len(set(names)) == len(set((*METRICS, *SIMULATIONS)))


# Correlation.


@pytest.mark.parametrize("masked", [False, True])
def test_correlation_agrees_with_numpy_and_scores(masked):
    grid = layout(latitude=True)  # cells count alike, whatever their areas
    mask = land(grid) if masked else None
    samples = starts(grid, mask=mask)
    setup = setting_of(grid, samples, mask)
    forecast, truth = as_arrays(samples)
    pearson = pytest.importorskip("scores.continuous.correlation").pearsonr
    for member, some in (("mean", forecast.mean("member")), ("each", forecast)):
        expected = pearson(some, truth, preserve_dims=[d for d in some.dims if d not in ("y", "x")])
        expected = expected.mean([d for d in expected.dims if d in ("member", "time")])
        found = values(PearsonCorrelation(member=member), setup, samples)
        np.testing.assert_allclose(found, expected.transpose("variable", "lead"), rtol=1e-9)
    x, y = samples[0].forecast[:, 2, ..., 1].mean(0, dtype=float), samples[0].truth[2, ..., 1]
    expected = np.corrcoef(x[np.isfinite(y)], y[np.isfinite(y)])[0, 1]
    alone = values(PearsonCorrelation(), setup, samples[:1])
    np.testing.assert_allclose(alone[1, 2], expected, rtol=1e-9)


def test_correlation_of_two_sines_is_the_cosine_of_their_phase():
    grid = grid_of(32, step=0.5)
    x, phase = 2 * np.pi * np.arange(32) / 32, 0.2 * np.arange(1, 9)
    sample = sample_of(3 + np.sin(x - phase[:, None])[None], np.broadcast_to(7 - 5 * -np.sin(x), (8, 32)))
    np.testing.assert_allclose(one(PearsonCorrelation(), grid, sample), np.cos(phase), rtol=1e-12)
    # cos 0.6 > 0.8 > cos 0.8: three whole steps, and a part of the fourth.
    (found,) = score(CorrelationTime(), setting_of(grid, [sample]), [sample])
    part = (np.cos(0.6) - 0.8) / (np.cos(0.6) - np.cos(0.8))
    np.testing.assert_allclose(found.values, [0.5 * (3 + part)])
    assert (found.axis, found.units, found.coordinate.tolist()) == (HORIZON, "1", [4.0])
    assert one(CorrelationTime(whole=True), grid, sample) == 1.5
    assert one(CorrelationTime(threshold=0.95, whole=True), grid, sample) == 0.5
    # Never below: censored at the horizon.
    (found,) = score(CorrelationTime(threshold=-0.5), setting_of(grid, [sample]), [sample])
    assert found.values == found.coordinate == 4.0
    assert found.censored(found.values[0])


def test_correlation_time_of_persistence_of_an_autoregressive_process():
    """`rho^k` at lead `k`: it falls below a threshold at `log threshold / log rho`."""
    rho, cells, leads = 0.95, 100_000, 8
    rng, grid = np.random.default_rng(0), grid_of(100_000)
    given = rng.normal(size=cells)
    frames = [given]
    for _ in range(leads):
        frames.append(rho * frames[-1] + np.sqrt(1 - rho**2) * rng.normal(size=cells))
    truth = np.stack(frames[1:])
    sample = sample_of(np.broadcast_to(given, (1, *truth.shape)), truth)
    np.testing.assert_allclose(one(CorrelationTime(), grid, sample), np.log(0.8) / np.log(rho), rtol=0.02)


def test_steps_are_counted_as_published():
    """The number of steps whose mean correlation over a batch is above a threshold, by other lines."""
    grid = grid_of(6, 6)
    rng, samples, curves = np.random.default_rng(1), [], []
    for _ in range(5):
        truth = rng.normal(size=(10, 6, 6))
        noise = np.linspace(0.1, 1.5, 10)[:, None, None] * rng.normal(size=(10, 6, 6))
        samples.append(sample_of((truth + noise)[None], truth))
        curves.append(
            [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(truth + noise, truth, strict=True)]
        )
    for threshold in (0.8, 0.9, 0.95):
        metric = CorrelationTime(threshold=threshold, whole=True, member="each")
        assert one(metric, grid, *samples) == (np.mean(curves, axis=0) > threshold).sum()


# Valid prediction time.


def exponential(first, rate, leads=20, cells=64, step=0.25, seed=0):
    """A forecast whose error is `first exp(rate lead)` standard deviations of a truth of variance 1."""
    sign = np.where(np.arange(cells) % 2, 1.0, -1.0)
    truth = np.random.default_rng(seed).permuted(np.tile(sign, (leads, 1)), axis=1)
    error = first * np.exp(rate * np.arange(1, leads + 1))[:, None] * sign
    return grid_of(cells, step=step), sample_of((3 * (truth + error))[None], 3 * truth)


@pytest.mark.parametrize("threshold", [0.4, 0.5])
def test_valid_prediction_time_of_an_exponential_error(threshold):
    rate = 0.31
    found = [exponential(first, rate) for first in (0.01, 0.02, 0.1, 0.3)]
    grid, samples = found[0][0], [sample for _, sample in found]
    metric = ValidPredictionTime(threshold=threshold)
    leads = [np.floor(np.log(threshold / first) / rate) for first in (0.01, 0.02, 0.1, 0.3)]
    for sample, lead in zip(samples, leads, strict=True):
        assert one(metric, grid, sample) == 0.25 * lead
    assert one(metric, grid, *samples) == 0.25 * sorted(leads)[1]
    (blocked,) = score(
        metric, setting_of(grid, samples), [dataclasses.replace(s, block=i) for i, s in enumerate(samples)]
    )
    assert blocked.low <= blocked.values <= blocked.high
    assert blocked.high == 0.25 * max(leads)


def test_a_trajectory_that_stays_valid_is_censored():
    grid, sample = exponential(1e-3, 0.0)
    (found,) = score(ValidPredictionTime(), setting_of(grid, [sample]), [sample])
    assert found.values == found.coordinate == 5.0
    assert found.censored(5.0)
    grid, sample = exponential(1.0, 0.0)  # above from the first lead on
    assert one(ValidPredictionTime(), grid, sample) == 0.0


def test_members_are_trajectories_of_their_own():
    grid, near = exponential(0.01, 0.31)
    _, far = exponential(0.1, 0.31)
    both = dataclasses.replace(near, forecast=np.concatenate([near.forecast, far.forecast, far.forecast]))
    assert one(ValidPredictionTime(member="each"), grid, both) == one(ValidPredictionTime(), grid, far)
    assert one(ValidPredictionTime(), grid, both) != one(ValidPredictionTime(), grid, far)


# Bands of wavenumbers.


@pytest.mark.parametrize("counts", [(32,), (16, 12), (12, 8, 10)])
def test_spectral_error_by_other_lines(counts):
    """A full transform, mode by mode, with the edges written out."""
    grid, rng = grid_of(*counts), np.random.default_rng(2)
    truth, forecast = rng.normal(size=(2, 3, *counts)) + 1.0
    frequency = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n) for n in counts), indexing="ij")
    k = np.sqrt(sum(f**2 for f in frequency))
    a, b = 2 * np.pi / max(counts), np.pi * np.sqrt(len(counts)) + 1e-6
    edges = [0, a * (b / a) ** (1 / 3), a * (b / a) ** (2 / 3), b]
    for band, (low, high) in zip(BANDS, itertools.pairwise(edges), strict=True):
        inside = (k >= low) & (k < high)
        expected = []
        for x, y in zip(forecast, truth, strict=True):
            error, power = (np.abs(np.fft.fftn(field))[inside] ** 2 / k.size**2 for field in (x - y, y))
            expected.append(error.sum() / (power.sum() + 1e-7))
        found = one(SpectralBandError(band=band), grid, sample_of(forecast[None], truth))
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_an_error_at_one_scale_is_in_its_band():
    grid = grid_of(32, 32)
    x = 2 * np.pi * np.arange(32) / 32
    waves = {n: np.sin(n * x) + np.sin(n * x)[:, None] for n in (1, 5, 14)}
    truth = sum(waves.values())[None]
    for band, n in zip(BANDS, waves, strict=True):
        sample = sample_of((truth + 0.3 * waves[n])[None], truth)
        errors = [one(SpectralBandError(band=each), grid, sample)[0] for each in BANDS]
        np.testing.assert_allclose(errors, [0.09 * (each == band) for each in BANDS], rtol=1e-6, atol=1e-12)


def test_spectral_error_where_it_makes_no_sense():
    grid = layout()
    mask = np.ones(grid.shape, bool)
    mask[0, 0, 0] = False
    samples = starts(grid, mask=mask)
    found = score(SpectralBandError(), setting_of(grid, samples, mask), samples)
    assert [each.variable for each in found] == ["b"]
    assert SpectralBandError().start(EvaluationSetup(layout=grid_of(2, 2), leads=1, members=1)) is None


# Distributions.


@pytest.mark.parametrize("masked", [False, True])
def test_histogram_distance_agrees_with_scipy(masked):
    grid = layout(latitude=True)
    mask = land(grid) if masked else None
    samples = starts(grid, mask=mask)
    expected = np.zeros((2, 6))
    for sample, member, lead, channel in np.ndindex(3, 4, 6, 2):
        s = samples[sample]
        x, y = (f[..., channel].ravel() for f in (s.forecast[member, lead], s.truth[lead]))
        x, y = x[np.isfinite(x)].astype(float), y[np.isfinite(y)].astype(float)
        expected[channel, lead] += scipy.stats.wasserstein_distance(x, y) / y.std() / 12
    found = values(HistogramDistance(), setting_of(grid, samples, mask), samples)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_histogram_distance_of_shifted_and_moved_fields():
    grid, rng = grid_of(8, 8), np.random.default_rng(3)
    truth = rng.normal(size=(1, 8, 8))
    shifted = truth + 0.7 * truth.std()
    np.testing.assert_allclose(one(HistogramDistance(), grid, sample_of(shifted[None], truth)), 0.7)
    moved = np.roll(truth, 3, axis=1)
    np.testing.assert_allclose(one(HistogramDistance(), grid, sample_of(moved[None], truth)), 0, atol=1e-12)


# Coverage.


@pytest.mark.parametrize("members", [3, 4, 7, 9, 19, 20, 39])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.9])
def test_coverage_is_exact_for_any_number_of_members(members, share):
    """A truth that takes every rank once is covered by the share, whatever the values are."""
    grid = grid_of(members + 1)
    numbers = np.sort(np.random.default_rng(members).exponential(size=members + 1))
    # In cell i the truth is the i-th number, and the members are the others.
    others = np.stack([np.delete(numbers, i) for i in range(members + 1)], axis=1)
    setup = EvaluationSetup(layout=grid, leads=1, members=members)
    metric = Coverage(share=share)
    if members < round(2 / (1 - share)) - 1:
        assert metric.start(setup) is None
    else:
        np.testing.assert_allclose(one(metric, grid, sample_of(others[:, None], numbers[None])), share)


@pytest.mark.parametrize(("members", "share"), [(19, 0.9), (39, 0.9), (9, 0.8), (7, 0.5), (11, 0.5)])
def test_coverage_between_order_statistics(members, share):
    """Where the quantiles fall on members, it is what they hold between them, by numpy and by sorting."""
    grid, rng = grid_of(40, 30), np.random.default_rng(4)
    forecast, truth = rng.normal(size=(members, 2, 40, 30)), 1.3 * rng.normal(size=(2, 40, 30))
    probabilities = ((1 - share) / 2, (1 + share) / 2)
    low, high = np.quantile(forecast, probabilities, axis=0, method="weibull")
    # Weibull's positions, (M + 1) p, are whole numbers here, but for rounding.
    first, last = (round((members + 1) * p) - 1 for p in probabilities)
    ordered = np.sort(forecast, axis=0)
    np.testing.assert_allclose([low, high], [ordered[first], ordered[last]])
    expected = ((ordered[first] < truth) & (truth < ordered[last])).mean((1, 2))
    found = one(Coverage(share=share), grid, sample_of(forecast, truth))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_coverage_of_a_calibrated_and_a_narrow_ensemble():
    grid, rng = grid_of(300, 200), np.random.default_rng(5)
    forecast, truth = rng.normal(size=(12, 1, 300, 200)), rng.normal(size=(1, 300, 200))
    sample = sample_of(forecast, truth)
    np.testing.assert_allclose(one(Coverage(share=0.8), grid, sample), 0.8, atol=0.006)
    assert one(Coverage(share=0.8), grid, sample_of(0.5 * forecast, truth)) < 0.6
    assert one(Coverage(share=0.8), grid, sample_of(0 * forecast + 9, truth)) == 0.0
    # The default of numpy covers less than it says, by about (M - 1) / (M + 1).
    low, high = np.quantile(forecast, (0.1, 0.9), axis=0)
    inside = ((low < truth) & (truth < high)).mean()
    np.testing.assert_allclose(inside, 0.8 * 11 / 13, atol=0.015)


def test_coverage_is_a_part_of_the_rank_histogram():
    grid, mask = layout(), land(layout())
    samples = starts(grid, members=9, mask=mask)
    setup = setting_of(grid, samples, mask)
    ranks = values(RankHistogram(), setup, samples)
    found = values(Coverage(share=0.8), setup, samples).mean(axis=1)
    np.testing.assert_allclose(found, ranks[:, 1:-1].sum(axis=1))


# Intervals of what is censored.


def test_no_interval_where_the_horizon_cuts():
    """The bounds end at the horizon, and where leaving a block out reaches it nothing is said."""

    def found(rates):
        running = None
        for number, rate in enumerate(rates):
            phase = rate * np.arange(1, 9)
            x = 2 * np.pi * np.arange(32) / 32
            sample = sample_of(np.sin(x - phase[:, None])[None], np.broadcast_to(np.sin(x), (8, 32)))
            running = running or Running([CorrelationTime()], setting_of(grid_of(32), [sample]), lambda s: s)
            running.update(dataclasses.replace(sample, block=number))
        assert running is not None
        ((score,),) = running.result().values()
        return score

    fast = found((0.1, 0.2, 0.3))
    assert 0 <= fast.low < fast.values < fast.high <= 8
    slow = found((0.01, 0.02, 0.03))
    assert slow.values == 8
    assert slow.low is slow.high is None


def test_they_are_written_and_read(tmp_path):
    """With their descriptions, censored or not."""
    grid = layout()
    samples = starts(grid, members=3, leads=2)
    setup = setting_of(grid, samples)
    running = Running(SIMULATIONS, setup, lambda sample: sample)
    for sample in samples:
        running.update(sample)
    found = Evaluation.of({"model": running.result()}, SIMULATIONS)
    write(found, tmp_path / "evaluation.json")
    again = read(tmp_path / "evaluation.json")
    for metric, each in found.all():
        other = again.score(metric, each.variable)
        assert other is not None
        assert other.axis == each.axis
        np.testing.assert_allclose(other.values, each.values)
        assert again.about(metric) == found.about(metric)


def test_how_a_report_shows_them():
    """Bands and coverages share a figure for each variable; times have units, and may be "more than"."""
    grid = layout(variables=("a", "b"))
    samples = starts(grid, members=19, leads=4)
    exact = [dataclasses.replace(s, forecast=np.repeat(s.truth[None], 19, axis=0)) for s in samples]
    shown = []
    for some in (samples, exact):
        running = Running(SIMULATIONS, setting_of(grid, some), lambda sample: sample)
        for sample in some:
            running.update(sample)
        shown.append(Evaluation.of({"model": running.result()}, SIMULATIONS))
    plots = [(plot.about.title, plot.variable) for plot in plotted(shown[0], Words(grid))]
    for title in ("Coverage of central parts", "Spectral error by scale", "Correlation"):
        assert [variable for name, variable in plots if name == title] == ["a", "b"]
    assert not [title for title, _ in plots if "central 90" in title or "at large scales" in title]
    (figure,) = (
        plot.draw()
        for plot in plotted(shown[0], Words(grid))
        if plot.about.title == "Coverage of central parts" and plot.variable == "a"
    )
    ideals = {line.get_ydata()[0] for line in figure.axes[0].lines if len(line.get_ydata()) == 2}
    assert ideals == {0.5, 0.8, 0.9}
    for evaluation, time in zip(shown, ("0 frames", "> 4 frames"), strict=True):
        found = {(n.title, n.variable): n.values["model"] for n in numbers(evaluation, Words(grid))}
        assert found["Valid prediction time, to 0.4 standard deviations", "a"] == time
    assert found["Lead at which the correlation of one member falls below 0.8", "b"] == "> 4 frames"
