"""Simulations whose settings differ between trajectories, against exact solutions."""

import dataclasses

import jax
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data import cache
from rolling.data.moving_shapes import MovingShapes
from rolling.data.simulated import Simulated
from rolling.physics.burgers_waves import Burgers
from rolling.physics.convection_rolls import SwiftHohenberg
from rolling.physics.flow_past_a_cylinder import Wake
from rolling.physics.flow_with_probes import KolmogorovTracer
from rolling.physics.front_on_a_line import KuramotoSivashinsky1D
from rolling.physics.parameter_ranges import Range, read_ranges
from rolling.physics.reacting_spots import GrayScott
from rolling.physics.simulators import Kolmogorov, roll
from rolling.physics.turbulent_cube import Kolmogorov3D
from rolling.physics.two_scales_on_a_ring import Lorenz96
from rolling.physics.unforced_turbulence import DecayingTurbulence

FLOW = Kolmogorov(resolution=16, grid=16, mode=4, dt=0.05, interval=0.1, spin_up=0.2)


def test_vortices_decay_at_rates_of_their_own():
    """Taylor-Green vortices of wavenumber 2 decay as exp(-(8 nu + drag) t)."""
    flow = dataclasses.replace(FLOW, forcing=0.0, interval=0.5)
    place = np.arange(16) * 2 * np.pi / 16
    vortices = np.cos(2 * place)[:, None] * np.cos(2 * place)[None]
    values = {"viscosity": np.array([0.01, 0.05, 0.2]), "drag": np.array([0.3, 0.0, 0.1])}
    with jax.enable_x64(True):
        _, frames = roll(flow, np.stack([vortices] * 3), 4, values)
    rates = 8 * values["viscosity"] + values["drag"]
    decay = np.exp(-rates[:, None] * 0.5 * np.arange(1, 5))
    np.testing.assert_allclose(frames[..., 0], decay[..., None, None] * vortices, atol=1e-12)


def test_settings_are_drawn_evenly_in_their_logarithm_and_read():
    values = Range.read("viscosity=0.005:0.02").draw(np.random.default_rng(0), 4000)
    assert values.min() >= 0.005 and values.max() <= 0.02
    quarters = np.array([0.25, 0.5, 0.75])
    np.testing.assert_allclose(np.quantile(values, quarters), 0.005 * 4**quarters, rtol=0.02)
    even = Range.read("drag=0:1").draw(np.random.default_rng(0), 4000)
    assert abs(even.mean() - 0.5) < 0.02
    assert Range.read("forcing=-2:1e0") == Range(name="forcing", low=-2.0, high=1.0)


@pytest.mark.parametrize(
    ("simulator", "words", "reason"),
    [
        (FLOW, ["viscosity"], "NAME=LOW:HIGH"),
        (FLOW, ["viscosity=0.1"], "NAME=LOW:HIGH"),
        (FLOW, ["viscosity=0.2:0.1"], "NAME=LOW:HIGH"),
        (FLOW, ["viscosity=0:inf"], "NAME=LOW:HIGH"),
        (FLOW, ["viscosity=a:b"], "NAME=LOW:HIGH"),
        (FLOW, ["domain=1:2"], "Kolmogorov has no parameter 'domain' .* it has viscosity, drag, forcing"),
        (FLOW, ["drag=-1:1"], "drag must be a finite number of at least 0"),
        (FLOW, ["drag=0:1", "drag=0:2"], "has two ranges"),
        (MovingShapes(), ["speed=1:2"], "it has none"),
        (KuramotoSivashinsky1D(), ["viscosity=0.01:1"], "does not resolve fronts"),
    ],
)
def test_ranges_that_cannot_be(simulator, words, reason):
    with pytest.raises(InputError, match=reason):
        read_ranges(simulator, words)


STEADY = (Kolmogorov, KolmogorovTracer, KuramotoSivashinsky1D, Kolmogorov3D, Wake, Lorenz96)
TRANSIENT = (DecayingTurbulence, Burgers, GrayScott, SwiftHohenberg)


@pytest.mark.parametrize("simulator", [kind() for kind in (*STEADY, *TRANSIENT)])
def test_only_the_stepper_looks_at_what_varies(simulator):
    """With other values of them, first states and frames are the same."""
    other = {name: 1.5 * getattr(simulator, name) for name in simulator.varying}
    changed = dataclasses.replace(simulator, **other)
    state = simulator.initial(jax.random.key(0))
    np.testing.assert_array_equal(changed.initial(jax.random.key(0)), state)
    np.testing.assert_array_equal(changed.frame(state), simulator.frame(state))
    assert changed.layout == simulator.layout and changed.spin_up_frames == simulator.spin_up_frames


def test_a_source_tells_the_network_what_it_drew(tmp_path):
    vary = ("viscosity=0.01:0.5",)
    source = Simulated(
        simulator=FLOW, train=5, frames=3, test=3, test_frames=4, vary=vary, cache=str(tmp_path)
    )
    split = source.open()
    assert split.train.layout == source.layout() == split.test.layout
    (told,) = source.layout().parameters
    assert told.name == "viscosity" and told.log
    shown = np.stack([split.train.conditioning(i, 0, 2)["parameters"] for i in range(5)])
    assert shown.shape == (5, 2, 1) and shown.dtype == np.float32
    np.testing.assert_allclose([shown[:, 0].mean(), shown[:, 0].std()], [0, 1], atol=1e-6)
    withheld = dataclasses.replace(source, tell=False).open().train
    assert withheld.layout.parameters == () and withheld.conditioning(0, 0, 1) == {}
    np.testing.assert_array_equal(withheld.read(4, 0, 3), split.train.read(4, 0, 3))
    # Each trajectory is that of a simulator with its own viscosity.
    index = 3
    viscosity = float(np.exp(shown[index, 0, 0] * told.std + told.mean))
    assert 0.01 <= viscosity <= 0.5
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 0), index)
    alone = dataclasses.replace(FLOW, viscosity=viscosity)
    _, frames = roll(alone, alone.initial(key)[None], 13)
    np.testing.assert_allclose(split.train.read(index, 0, 3), frames[0, 10:], rtol=1e-4, atol=1e-5)


def test_without_ranges_the_cache_is_that_of_before():
    assert cache.key(Simulated(vary=())) == cache.key(Simulated()) != cache.key(Simulated(vary=("drag=0:1",)))
    assert Simulated().layout().parameters == ()
