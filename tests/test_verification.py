"""Measures against closed forms, against the library `scores`, and against themselves in other blocks."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.metrics.anomalies import AnomalyCorrelation, PooledAnomalyCorrelation
from rolling.metrics.correlation import fall
from rolling.metrics.ensemble import (
    Bias,
    Coverage,
    Crps,
    FrameSpreadSkillRatio,
    MemberRmse,
    RankHistogram,
    Rmse,
    Spread,
    SpreadSkillRatio,
    StandardDeviation,
)
from rolling.metrics.protocol import EvaluationSetup, Metric, Sample, Unpaired
from rolling.physics.metrics import (
    Divergence,
    EnergyDrift,
    EnergySpectrum,
    SpectrumLogError,
    VorticityCorrelation,
    VorticityCorrelationTime,
)

METRICS = tuple(m for m in dict.fromkeys(FIELDS + FIELDS_LONG) if not isinstance(m, Unpaired | Coverage))
"""Of forecasts of any size beside their truth; see also `test_drift.py` and `test_simulation_metrics.py`."""


def layout(
    height=8, width=12, variables=("a", "b"), periodic=True, latitude=False, step=0.5, length=2 * np.pi
):
    if latitude:
        y = Axis(name="latitude", values=tuple(np.linspace(70, 20, height).tolist()), units="degrees_north")
        x = Axis(name="longitude", values=tuple(np.linspace(0, 30, width).tolist()), units="degrees_east")
    else:
        y, x = (
            Axis(
                name=n,
                values=tuple((np.arange(c) * length / c).tolist()),
                boundary="periodic" if periodic else "open",
            )
            for n, c in (("y", height), ("x", width))
        )
    return Layout(variables=tuple(Variable(name=n, units="K") for n in variables), axes=(y, x), step=step)


def starts(grid, members=4, leads=6, count=3, mask=None, seed=0, dtype=np.float32):
    """Random samples, one for each start, all leads in one block."""
    rng = np.random.default_rng(seed)
    hole = np.zeros(grid.shape) if mask is None else np.where(mask, 0.0, np.nan)
    draw = lambda *shape: (rng.normal(size=(*shape, *grid.shape)) + 3.0 + hole).astype(dtype)  # noqa: E731
    return [
        Sample(
            first=0,
            forecast=draw(members, leads),
            truth=draw(leads),
            climatology=draw(leads),
            given=draw()[None],
        )
        for _ in range(count)
    ]


def score(metric, setup, samples):
    state = metric.start(setup)
    assert state is not None
    for sample in samples:
        state = metric.update(state, sample)
    return metric.result(state)


def setting_of(grid, samples, mask=None, leads=None):
    members, found = samples[0].forecast.shape[:2]
    return EvaluationSetup(layout=grid, leads=leads or found, members=members, mask=mask)


def blocks(sample, sizes):
    """The same start in several blocks of leads."""
    first = 0
    for size in sizes:
        part = slice(first, first + size)
        yield dataclasses.replace(
            sample,
            first=first,
            forecast=sample.forecast[:, part],
            truth=sample.truth[part],
            climatology=sample.climatology[part],
        )
        first += size


def values(metric, setup, samples):
    """`[variable, ...]`."""
    return np.stack([s.values for s in score(metric, setup, samples)])


def as_arrays(samples):
    """All starts as `scores` wants them."""
    dims = ("time", "lead", "y", "x", "variable")
    forecast = np.stack([s.forecast for s in samples]).astype(np.float64)
    truth = np.stack([s.truth for s in samples]).astype(np.float64)
    return xr.DataArray(forecast, dims=(dims[0], "member", *dims[1:])), xr.DataArray(truth, dims=dims)


def land(grid, seed=1):
    return np.random.default_rng(seed).uniform(size=grid.shape) > 0.3


# Against the library `scores`.


@pytest.mark.parametrize("masked", [False, True])
def test_rmse_agrees_with_scores(masked):
    grid = layout(latitude=True)
    mask = land(grid) if masked else None
    samples = starts(grid, mask=mask)
    forecast, truth = as_arrays(samples)
    weights = xr.DataArray(grid.area_weights(), dims=("y", "x"))
    expected = pytest.importorskip("scores.continuous").rmse(
        forecast.mean("member"), truth, preserve_dims=("variable", "lead"), weights=weights
    )
    ours = values(Rmse(), setting_of(grid, samples, mask), samples)
    np.testing.assert_allclose(ours, expected.transpose("variable", "lead"), rtol=1e-6)


@pytest.mark.parametrize("fair", [True, False])
@pytest.mark.parametrize("members", [1, 2, 5])
@pytest.mark.parametrize("masked", [False, True])
def test_crps_agrees_with_scores(members, masked, fair):
    grid = layout(latitude=True)
    mask = land(grid) if masked else None
    samples = starts(grid, members=members, mask=mask)
    forecast, truth = as_arrays(samples)
    weights = xr.DataArray(grid.area_weights(), dims=("y", "x"))
    expected = pytest.importorskip("scores.probability").crps_for_ensemble(
        forecast,
        truth,
        "member",
        method="fair" if fair and members > 1 else "ecdf",  # the fair score of one member is 0 / 0 there
        preserve_dims=("variable", "lead"),
        weights=weights,
    )
    ours = values(Crps(fair=fair), setting_of(grid, samples, mask), samples)
    np.testing.assert_allclose(ours, expected.transpose("variable", "lead"), rtol=1e-5)


def one_cell(members, truth):
    """A start of one lead, `members [member, variable]` and `truth [variable]` in each of two cells."""
    grid = layout(1, 2)
    fields = np.array(members, float)[:, None, None, None], np.array(truth, float)[None, None, None]
    forecast, real = (np.broadcast_to(field, (*field.shape[:-3], 1, 2, 2)) for field in fields)
    return Sample(first=0, forecast=forecast, truth=real, climatology=real, given=real), grid


def test_the_spread_over_the_error_of_each_frame_by_hand():
    """Two variables are one: spreads 1 and 3 beside errors 2 and 4 have (1 + 9) / (4 + 16) in the square. Of
    two starts the ratios are averaged, not the squares."""
    first, grid = one_cell([[4, 1], [6, 7]], [3, 0])
    second, _ = one_cell([[-2, 0], [2, 0]], [0, 1])  # (4 + 0) / (0 + 1)
    setup = setting_of(grid, [first])
    np.testing.assert_allclose(values(FrameSpreadSkillRatio(), setup, [first]), [[np.sqrt(0.5)]])
    both = values(FrameSpreadSkillRatio(), setup, [first, second])
    np.testing.assert_allclose(both, [[(np.sqrt(0.5) + 2) / 2]])
    certain, _ = one_cell([[1, 1], [1, 1]], [1, 1])
    assert np.isnan(values(FrameSpreadSkillRatio(), setup, [certain])).all()


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_rank_histogram_agrees_with_scores(ties, masked):
    grid = layout(latitude=True)
    mask = land(grid) if masked else None
    samples = starts(grid, members=5, mask=mask)
    if ties:
        samples = [
            dataclasses.replace(s, forecast=np.round(s.forecast), truth=np.round(s.truth)) for s in samples
        ]
    forecast, truth = as_arrays(samples)
    weights = xr.DataArray(np.broadcast_to(grid.area_weights()[..., None], grid.shape), dims=truth.dims[-3:])
    if masked:
        forecast, truth, weights = (
            forecast.fillna(0.0),
            truth.fillna(0.0),
            weights * xr.DataArray(mask, dims=weights.dims),
        )
    expected = (
        pytest.importorskip("scores.probability")
        .rank_histogram(forecast, truth, "member", preserve_dims="variable", weights=weights)
        .transpose("variable", "rank")
    )
    found = score(RankHistogram(), setting_of(grid, samples, mask), samples)
    np.testing.assert_allclose([s.values for s in found], expected, rtol=1e-12)
    np.testing.assert_array_equal(found[0].coordinate, expected["rank"])
    np.testing.assert_allclose([s.values.sum() for s in found], 1.0)


def test_bias_agrees_with_scores():
    grid = layout(latitude=True)
    samples = starts(grid)
    forecast, truth = as_arrays(samples)
    weights = xr.DataArray(grid.area_weights(), dims=("y", "x"))
    expected = pytest.importorskip("scores.continuous").additive_bias(
        forecast.mean("member"), truth, preserve_dims=("variable", "lead"), weights=weights
    )
    ours = values(Bias(), setting_of(grid, samples), samples)
    np.testing.assert_allclose(ours, expected.transpose("variable", "lead"), atol=1e-7)


# Closed forms.


def gaussian(members, spread=1.0, offset=0.0, count=40):
    """Truth and members `signal + N(0, 1)`, the members' noise scaled by `spread`."""
    grid = layout(16, 16, variables=("a",))
    rng = np.random.default_rng(7)
    samples = []
    for _ in range(count):
        signal = 10 * rng.normal(size=(2, *grid.shape))
        truth = signal + rng.normal(size=signal.shape)
        forecast = signal + offset + spread * rng.normal(size=(members, *signal.shape))
        samples.append(
            Sample(first=0, forecast=forecast, truth=truth, climatology=np.zeros_like(truth), given=truth[:1])
        )
    return grid, samples


@pytest.mark.parametrize("members", [2, 5, 20])
def test_a_perfect_ensemble(members):
    grid, samples = gaussian(members)
    setup = setting_of(grid, samples)
    one = lambda metric: values(metric, setup, samples).mean()  # noqa: E731
    np.testing.assert_allclose(one(SpreadSkillRatio()), 1.0, atol=0.02)
    np.testing.assert_allclose(one(Spread()), 1.0, atol=0.02)
    uncorrected = np.sqrt((members - 1) / (members + 1))
    np.testing.assert_allclose(one(FrameSpreadSkillRatio()), uncorrected, atol=0.02)
    np.testing.assert_allclose(one(Rmse()), np.sqrt(1 + 1 / members), atol=0.02)
    np.testing.assert_allclose(one(MemberRmse()), np.sqrt(2), atol=0.02)
    # The CRPS of N(0, 1), and of the fair score of any number of members drawn from it.
    np.testing.assert_allclose(one(Crps()), 1 / np.sqrt(np.pi), atol=0.01)
    np.testing.assert_allclose(one(Crps(fair=False)), (1 + 1 / members) / np.sqrt(np.pi), atol=0.01)
    ranks = values(RankHistogram(), setup, samples)
    np.testing.assert_allclose(ranks, 1 / (members + 1), atol=0.012)


def test_an_overconfident_and_biased_ensemble():
    grid, samples = gaussian(10, spread=0.5, offset=0.3)
    setup = setting_of(grid, samples)
    one = lambda metric: values(metric, setup, samples).mean()  # noqa: E731
    error = np.sqrt(1 + 0.25 / 10 + 0.09)
    np.testing.assert_allclose(one(Bias()), 0.3, atol=0.02)
    np.testing.assert_allclose(one(SpreadSkillRatio()), np.sqrt(1.1) * 0.5 / error, atol=0.01)
    ranks = values(RankHistogram(), setup, samples)[0]
    assert ranks[0] > 2 * ranks[5]
    assert ranks[-1] > ranks[5]


def test_persistence_of_an_autoregressive_sequence():
    """`y_t = r y_{t-1} + sqrt(1 - r^2) e_t`: persistence has error `sqrt(2 (1 - r^l))` at lead `l`, anomaly
    correlation `r^l`; climatology has error 1."""
    grid, rng, r, leads = layout(24, 24, variables=("a",)), np.random.default_rng(3), 0.8, 5
    persistence, climatology = [], []
    for _ in range(60):
        frames = [rng.normal(size=grid.shape)]
        for _ in range(leads):
            frames.append(r * frames[-1] + np.sqrt(1 - r**2) * rng.normal(size=grid.shape))
        initial, truth = frames[0], np.stack(frames[1:])
        sample = Sample(
            first=0,
            forecast=np.broadcast_to(initial, (1, *truth.shape)),
            truth=truth,
            climatology=np.zeros_like(truth),
            given=initial[None],
        )
        persistence.append(sample)
        climatology.append(dataclasses.replace(sample, forecast=sample.climatology[None]))
    setup = setting_of(grid, persistence)
    power = r ** np.arange(1, leads + 1)
    np.testing.assert_allclose(values(Rmse(), setup, persistence)[0], np.sqrt(2 * (1 - power)), rtol=0.02)
    np.testing.assert_allclose(values(AnomalyCorrelation(), setup, persistence)[0], power, atol=0.02)
    np.testing.assert_allclose(values(Rmse(), setup, climatology)[0], 1.0, rtol=0.02)
    assert np.isnan(values(AnomalyCorrelation(), setup, climatology)).all()


def test_anomaly_correlation_of_one_start_by_hand():
    grid = layout(3, 4, variables=("a",), latitude=True)
    (sample,) = starts(grid, count=1, leads=1)
    area = grid.area_weights()[..., None]
    forecast = sample.forecast.mean(0)[0] - sample.climatology[0]
    truth = sample.truth[0] - sample.climatology[0]
    expected = (area * forecast * truth).sum() / np.sqrt((area * forecast**2).sum() * (area * truth**2).sum())
    ours = values(AnomalyCorrelation(), setting_of(grid, [sample]), [sample])
    np.testing.assert_allclose(ours, [[expected]], rtol=1e-5)


def test_pooled_anomaly_correlation_is_pearsons_of_all_centred_anomalies():
    """Against numpy's, with an offset of a whole field, which it does not see, and of the forecast's size."""
    grid = layout(6, 8, variables=("a",))
    samples = starts(grid, leads=3)
    samples = [dataclasses.replace(s, forecast=s.forecast * (i + 1) + i) for i, s in enumerate(samples)]
    anomalies = [
        [x - s.climatology.astype(float) for x in (s.forecast.mean(0, dtype=float), s.truth)] for s in samples
    ]
    centred = np.array(anomalies) - np.mean(anomalies, axis=(3, 4), keepdims=True)
    expected = [np.corrcoef(*centred[:, :, lead].swapaxes(0, 1).reshape(2, -1))[0, 1] for lead in range(3)]
    ours = values(PooledAnomalyCorrelation(), setting_of(grid, samples), samples)
    np.testing.assert_allclose(ours[0], expected, rtol=1e-6)
    assert len({metric.about.title for metric in (AnomalyCorrelation(), PooledAnomalyCorrelation())}) == 2


def test_a_start_without_anomalies_does_not_count():
    grid = layout(variables=("a",))
    samples = starts(grid)
    calm = dataclasses.replace(samples[0], truth=samples[0].climatology)
    setup = setting_of(grid, samples)
    for metric in (AnomalyCorrelation(), PooledAnomalyCorrelation()):
        assert np.isfinite(values(metric, setup, [calm, *samples[1:]])).all()
        assert np.isnan(values(metric, setup, [calm])).all()
    found = values(AnomalyCorrelation(), setup, [calm, *samples[1:]])
    np.testing.assert_allclose(found, values(AnomalyCorrelation(), setup, samples[1:]))


def test_standard_deviation_of_a_warm_field():
    """A small variance beside a large mean survives, in float32 input too."""
    grid = layout(32, 32, variables=("a",))
    samples = [
        dataclasses.replace(s, forecast=s.forecast / 10 + 288, truth=s.truth / 20 + 288)
        for s in starts(grid, count=4)
    ]
    for cumulative in (False, True):
        (found,) = score(StandardDeviation(cumulative=cumulative), setting_of(grid, samples), samples)
        stack = lambda name: np.stack([getattr(s, name) for s in samples]).astype(np.float64)  # noqa: E731
        forecast, truth = stack("forecast"), stack("truth")
        upto = lambda i: slice(0 if cumulative else i, i + 1)  # noqa: B023, E731
        np.testing.assert_allclose(found.values, [forecast[:, :, upto(i)].std() for i in range(6)], rtol=1e-7)
        np.testing.assert_allclose(found.reference, [truth[:, upto(i)].std() for i in range(6)], rtol=1e-7)


# Flows and spectra.


def swirl(grid, scale=1.0, speed=0.0, leads=4, members=2):
    """Velocities of the stream function `cos(x - speed t) + cos(y)`, times `scale`: `(u, v)` frames."""
    y, x = np.meshgrid(grid.y.values, grid.x.values, indexing="ij")
    t = np.arange(1, leads + 1)[:, None, None]
    u = np.broadcast_to(np.sin(y), (leads, *y.shape))
    v = -np.sin(x - speed * t)
    truth = np.stack([u, v], axis=-1)
    initial = np.stack([np.sin(y), -np.sin(x)], axis=-1)
    return Sample(
        first=0,
        forecast=np.repeat(scale * truth[None], members, axis=0),
        truth=truth,
        climatology=np.zeros_like(truth),
        given=initial[None],
    )


def test_a_flow_that_is_too_strong():
    grid = dataclasses.replace(
        layout(16, 16), variables=tuple(Variable(name=n, units="m s-1") for n in ("u", "v"))
    )
    sample = swirl(grid, scale=1.1)
    setup = setting_of(grid, [sample])
    (drift,) = score(EnergyDrift(), setup, [sample])
    np.testing.assert_allclose(drift.values, 0.21)
    np.testing.assert_allclose(drift.reference, 0.0, atol=1e-12)
    assert (drift.variable, drift.units) == ("kinetic_energy", "1")
    (divergence,) = score(Divergence(), setup, [sample])
    np.testing.assert_allclose(divergence.values, 0.0, atol=1e-12)
    (correlation,) = score(VorticityCorrelation(), setup, [sample])
    np.testing.assert_allclose(correlation.values, 1.0)
    u, v, kinetic = score(EnergySpectrum(), setup, [sample])
    assert [s.variable for s in (u, v, kinetic)] == ["u", "v", "kinetic_energy"]
    assert kinetic.units == "(m s-1)^2"
    np.testing.assert_allclose(kinetic.values[0], 0.5 * 1.21)
    np.testing.assert_allclose(kinetic.reference[0], 0.5)
    assert kinetic.coordinate.tolist() == list(range(1, 8))


def test_divergence_of_a_known_flow():
    grid = layout(16, 16, variables=("u", "v"))
    sample = swirl(grid)
    turned = dataclasses.replace(sample, forecast=sample.forecast[..., ::-1] * np.array([1.0, 1.0]))
    # (v, u) = (-sin x, sin y) has the divergence -cos x + cos y, of mean square 1.
    (found,) = score(Divergence(), setting_of(grid, [turned]), [turned])
    np.testing.assert_allclose(found.values, 1.0)
    np.testing.assert_allclose(found.reference, 0.0, atol=1e-12)


def test_energy_of_a_vorticity_on_a_torus():
    grid = layout(16, 16, variables=("vorticity",))
    velocity_grid = layout(16, 16, variables=("u", "v"))
    velocity = swirl(velocity_grid, scale=0.9)
    y, x = np.meshgrid(grid.y.values, grid.x.values, indexing="ij")
    vorticity = (-np.cos(x) - np.cos(y))[..., None]
    truth = np.repeat(vorticity[None], 4, axis=0)
    sample = Sample(
        first=0, forecast=0.9 * truth[None], truth=truth, climatology=0 * truth, given=vorticity[None]
    )
    for metric in (EnergyDrift(), EnergySpectrum()):
        ours = score(metric, setting_of(grid, [sample]), [sample])[-1]
        theirs = score(metric, setting_of(velocity_grid, [velocity]), [velocity])[-1]
        assert ours.variable == theirs.variable == "kinetic_energy"
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-12)


def test_vorticity_correlation_falls_with_the_phase():
    """Half of the vorticity stands and half moves by the phase `a`: the correlation is `(1 + cos a) / 2`."""
    grid = layout(16, 16, variables=("u", "v"), step=0.5)
    sample = swirl(grid, speed=0.3, leads=8)
    still = dataclasses.replace(sample, forecast=np.broadcast_to(sample.initial, sample.forecast.shape))
    setup = setting_of(grid, [still])
    (correlation,) = score(VorticityCorrelation(), setup, [still])
    curve = (1 + np.cos(0.3 * np.arange(1, 9))) / 2
    np.testing.assert_allclose(correlation.values, curve)
    (time,) = score(VorticityCorrelationTime(thresholds=(0.8, 0.0)), setup, [still])
    assert curve[2] > 0.8 > curve[3]
    np.testing.assert_allclose(time.values[0], 0.5 * (3 + (curve[2] - 0.8) / (curve[2] - curve[3])))
    assert np.isnan(time.values[1])
    assert (time.axis, time.units) == ("threshold", "1")


def test_fall():
    assert fall(np.array([0.9, 0.7, 0.9]), 0.8) == pytest.approx(1.5)
    assert fall(np.array([0.6]), 0.8) == pytest.approx(0.5)
    assert np.isnan(fall(np.array([0.9, 0.85]), 0.8))
    assert np.isnan(fall(np.array([np.nan, 0.5]), 0.8))


def test_spectrum_log_error_is_the_distance_in_decades():
    grid = layout(24, 24, variables=("a",))
    samples = [
        dataclasses.replace(s, forecast=s.truth[None] * 10**0.1) for s in starts(grid, dtype=np.float64)
    ]
    setup = setting_of(grid, samples)
    for cumulative in (False, True):
        (found,) = score(SpectrumLogError(cumulative=cumulative), setup, samples)
        np.testing.assert_allclose(found.values, 0.2)  # 10^0.1 in amplitude is 10^0.2 in energy


def test_cumulative_error_forgives_what_averages_out():
    """Energy too high at one lead and too low at the next: wrong at each, right over both."""
    grid = layout(24, 24, variables=("a",))
    (sample,) = starts(grid, count=1, leads=1, dtype=np.float64)
    truth = np.repeat(sample.truth, 2, axis=0)
    factors = np.sqrt(np.array([1.5, 0.5]))[:, None, None, None]
    sample = dataclasses.replace(sample, truth=truth, forecast=(factors * truth)[None], climatology=truth)
    setup = setting_of(grid, [sample])
    (each,) = score(SpectrumLogError(), setup, [sample])
    (all_,) = score(SpectrumLogError(cumulative=True), setup, [sample])
    np.testing.assert_allclose(each.values, [np.log10(1.5), np.log10(2)])
    np.testing.assert_allclose(all_.values, [np.log10(1.5), 0.0], atol=1e-12)


def test_spectrum_of_some_leads():
    grid = layout(variables=("a",))
    samples = starts(grid)
    setup = setting_of(grid, samples)
    (early,) = score(EnergySpectrum(leads=(1, 2)), setup, samples)
    cut = [next(blocks(s, [2])) for s in samples]
    (expected,) = score(EnergySpectrum(), setting_of(grid, cut), cut)
    np.testing.assert_allclose(early.values, expected.values)
    assert EnergySpectrum(leads=(1, 2)).name == "energy_spectrum_leads_1_to_2"
    assert EnergySpectrum(leads=(1, 7)).start(setup) is None


# What all measures have in common.


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
@pytest.mark.parametrize("masked", [False, True])
def test_blocks_and_order_do_not_matter(metric, masked):
    grid = layout(variables=("u", "v", "t"), latitude=masked)
    mask = np.ones(grid.shape, bool)
    if masked:
        mask[:2, :3] = False
    samples = starts(grid, leads=20, mask=mask)
    setup = setting_of(grid, samples, mask if masked else None)
    if metric.start(setup) is None:
        assert masked
        return
    whole = score(metric, setup, samples)
    parts = [block for sample in samples for block in blocks(sample, [8, 1, 11])]
    for again in (score(metric, setup, parts), score(metric, setup, parts[::-1])):
        for a, b in zip(whole, again, strict=True):
            np.testing.assert_allclose(a.values, b.values, rtol=1e-9, atol=1e-12)
            assert (a.variable, a.axis, a.units) == (b.variable, b.axis, b.units)
            assert len(a.coordinate) == len(a.values)
    assert isinstance(metric, Metric)
    for one in whole:
        expected = np.isnan(one.values) if one.axis == "threshold" else np.zeros_like(one.values, bool)
        np.testing.assert_array_equal(np.isnan(one.values), expected)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_masked_cells_carry_no_score(metric):
    """Whatever stands in a masked cell, the score is the same."""
    grid = layout(variables=("u", "v", "t"))
    mask = np.ones(grid.shape, bool)
    mask[2:4, 3:6, :2] = False
    samples = starts(grid, leads=18, mask=mask)
    setup = setting_of(grid, samples, mask)
    state = metric.start(setup)
    if state is None:
        assert metric.name == "energy_drift"  # a Fourier transform has no holes
        return
    rubbish = [
        dataclasses.replace(s, forecast=np.where(mask, s.forecast, 1e3).astype(np.float32)) for s in samples
    ]
    for a, b in zip(score(metric, setup, samples), score(metric, setup, rubbish), strict=True):
        np.testing.assert_allclose(a.values, b.values, rtol=1e-6)
        if "spectrum" in metric.name:
            assert a.variable == "t"


def test_what_measures_share_belongs_to_one_setting():
    """The same samples scored with other masks, one after another."""
    grid = layout(variables=("vorticity",))
    samples = starts(grid)
    for seed in range(3):
        mask = land(grid, seed)
        fresh = [dataclasses.replace(sample) for sample in samples]
        for metric in (StandardDeviation(), VorticityCorrelation()):
            again, first = (values(metric, setting_of(grid, s, mask), s) for s in (samples, fresh))
            np.testing.assert_array_equal(again, first)


def test_measures_share_what_they_can(monkeypatch):
    calls = []
    terms = SpectrumLogError.terms
    monkeypatch.setattr(SpectrumLogError, "terms", lambda *a: calls.append(1) or terms(*a))
    grid = layout(variables=("a",))
    (sample,) = starts(grid, count=1)
    setup = setting_of(grid, [sample])
    for metric in (SpectrumLogError(), SpectrumLogError(cumulative=True)):
        metric.update(metric.start(setup), sample)
    assert len(calls) == 1


def test_one_member():
    grid = layout()
    samples = starts(grid, members=1)
    setup = setting_of(grid, samples)
    for metric in (Spread(), SpreadSkillRatio(), RankHistogram()):
        assert metric.start(setup) is None
    absolute = np.mean([np.abs(s.forecast[0] - s.truth).mean((1, 2)) for s in samples], axis=0)
    np.testing.assert_allclose(values(Crps(), setup, samples), absolute.T, rtol=1e-5)
    np.testing.assert_allclose(
        values(Rmse(), setup, samples), values(MemberRmse(), setup, samples), rtol=1e-6
    )


def test_no_flow_no_flow_measures():
    setup = EvaluationSetup(layout=layout(variables=("temperature",)), leads=3, members=2)
    for metric in (VorticityCorrelation(), VorticityCorrelationTime(), Divergence(), EnergyDrift()):
        assert metric.start(setup) is None


def test_a_lead_without_a_start_has_no_value():
    grid = layout()
    samples = starts(grid, leads=4)
    found = values(Rmse(), setting_of(grid, samples, leads=6), samples)
    assert np.isfinite(found[:, :4]).all()
    assert np.isnan(found[:, 4:]).all()


def test_several_levels_have_names_of_their_own():
    grid = layout(variables=("u_500", "v_500", "u10", "v10"))
    samples = starts(grid)
    found = score(Divergence(), setting_of(grid, samples), samples)
    assert [s.variable for s in found] == ["divergence_500", "divergence_10"]
