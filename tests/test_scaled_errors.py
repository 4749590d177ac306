"""VRMSE and nRMSE: closed forms, and what independent lines of numpy give for persistence."""

import dataclasses

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.layout import Layout, Variable, video
from rolling.metrics.protocol import EvaluationSetup
from rolling.metrics.scaled_errors import Nrmse, Vrmse
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


def test_where_they_make_no_sense():
    grid = layout()
    mask = np.ones(grid.shape, bool)
    mask[0, 0] = False
    assert Vrmse().start(EvaluationSetup(layout=grid, leads=1, members=1, mask=mask)) is None
    assert Vrmse().start(EvaluationSetup(layout=video(4, 4), leads=1, members=1)) is None
    with pytest.raises(InputError, match="is 'mean' or 'each', not 'some'"):
        Nrmse(member="some")
    assert {Vrmse().name, Vrmse(member="each").name} == {"vrmse", "vrmse_of_members"}
    assert score(Nrmse(), setting_of(grid, starts(grid)), starts(grid))[0].units == "1"


def _forecast(sample, of_truth):
    forecast = np.broadcast_to(of_truth(sample.truth.astype(float)), sample.truth.shape)[None]
    return dataclasses.replace(sample, forecast=np.repeat(forecast, 2, axis=0))
