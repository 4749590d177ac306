"""VRMSE, nRMSE and MSE: closed forms, and what independent lines of numpy give for persistence."""

import dataclasses

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.layout import Covariate, Layout, Variable, video
from rolling.metrics.protocol import EvaluationSetup
from rolling.metrics.scaled_errors import Mse, Nrmse, Vrmse
from tests.test_verification import blocks, score, setting_of, starts, values


def layout(latitudes=False):
    name, units = ("latitude", "degrees_north") if latitudes else ("y", "1")
    axes = (
        Axis(name=name, values=(-60.0, 0.0, 60.0, 80.0), units=units),
        Axis(name="x", values=(0.0, 1.0, 2.0)),
    )
    return Layout(variables=(Variable(name="a"), Variable(name="b")), axes=axes)


def test_forecasts_of_known_error():
    """The spatial mean of the truth has VRMSE sqrt((N - 1) / N), and zero has nRMSE 1, on any grid."""
    for grid in (layout(), layout(latitudes=True)):
        samples = starts(grid, count=3, members=2, leads=4)
        flat = [_forecast(s, lambda truth: truth.mean((1, 2), keepdims=True)) for s in samples]
        setup = setting_of(grid, samples)
        np.testing.assert_allclose(values(Vrmse(), setup, flat), np.sqrt(11 / 12), rtol=1e-6)
        none = [_forecast(s, np.zeros_like) for s in samples]
        np.testing.assert_allclose(values(Nrmse(), setup, none), 1.0, rtol=1e-12)


def test_one_member_and_the_mean_of_all():
    grid = layout()
    samples = starts(grid, count=5, members=3, leads=2)
    setup = setting_of(grid, samples)
    for metric, size in (
        (Vrmse, lambda y: np.std(y, ddof=1)),
        (Nrmse, lambda y: np.linalg.norm(y) / 12**0.5),
    ):
        for member in ("mean", "each"):
            truth = np.zeros((2, 2))
            for sample, lead, channel in np.ndindex(5, 2, 2):
                s = samples[sample]
                x, y = (
                    s.forecast[:, lead, ..., channel].astype(float),
                    s.truth[lead, ..., channel].astype(float),
                )
                some = [x.mean(0)] if member == "mean" else list(x)
                errors = [np.linalg.norm(each - y) / 12**0.5 / size(y) for each in some]
                truth[channel, lead] += np.mean(errors) / 5
            pieces = [block for s in samples for block in blocks(s, (1, 1))]
            np.testing.assert_allclose(values(metric(member=member), setup, pieces), truth, rtol=1e-6)


@pytest.mark.parametrize("member", ["mean", "each"])
def test_cells_in_an_obstacle_count_as_zeros(member):
    """A plain mean over all cells of what is left where both fields are set to zero there."""
    grid = dataclasses.replace(
        layout(latitudes=True), constants=(Covariate(name="depth"), Covariate(name="obstacle"))
    )
    solid = np.zeros((4, 3), bool)
    solid[1:3, 1] = solid[3, 2] = True
    constants = np.stack([np.full((4, 3), 7.0), ~solid], axis=-1)
    samples = [dataclasses.replace(s, constants=constants) for s in starts(grid, count=3, members=2, leads=2)]
    for metric, filled in (
        (Mse(member=member, obstacles="obstacle"), lambda x: np.where(solid[..., None], 0, x)),
        (Mse(member=member), lambda x: x),
    ):
        truth = np.zeros((2, 2))
        for s in samples:
            made = s.forecast.astype(float).mean(0)[None] if member == "mean" else s.forecast.astype(float)
            for x in made:
                error = filled(x) - filled(s.truth.astype(float))
                truth += (error**2).reshape(2, 12, 2).sum(1).T / 12 / len(made) / 3
        pieces = [block for s in samples for block in blocks(s, (1, 1))]
        np.testing.assert_allclose(values(metric, setting_of(grid, samples), pieces), truth, rtol=1e-6)
    with pytest.raises(InputError, match=r"mse\.obstacles is 'wall', and .* are depth, obstacle: choose one"):
        Mse(obstacles="wall").start(setting_of(grid, samples))
    kelvin = dataclasses.replace(grid, variables=(Variable(name="a", units="K"), Variable(name="b")))
    found = score(Mse(), setting_of(kelvin, samples), samples)
    assert [each.units for each in found] == ["(K)^2", "1"]


def test_where_they_make_no_sense():
    grid = layout()
    mask = np.ones(grid.shape, bool)
    mask[0, 0] = False
    for metric in (Vrmse(), Mse()):
        assert metric.start(EvaluationSetup(layout=grid, leads=1, members=1, mask=mask)) is None
    assert Vrmse().start(EvaluationSetup(layout=video(4, 4), leads=1, members=1)) is None
    with pytest.raises(InputError, match="is 'mean' or 'each', not 'some'"):
        Nrmse(member="some")
    assert {Vrmse().name, Vrmse(member="each").name} == {"vrmse", "vrmse_of_members"}
    assert score(Nrmse(), setting_of(grid, starts(grid)), starts(grid))[0].units == "1"


def _forecast(sample, of_truth):
    forecast = np.broadcast_to(of_truth(sample.truth.astype(float)), sample.truth.shape)[None]
    return dataclasses.replace(sample, forecast=np.repeat(forecast, 2, axis=0))
