"""What an experiment costs: against counts by hand, and against XLA's own analysis of the program."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from rolling.configs.debug import experiment as debug
from rolling.configs.gridded import experiment as gridded
from rolling.data.source import Described
from rolling.denoisers import Inputs, functional
from rolling.layout import video
from rolling.physics.simulators import Kolmogorov
from rolling.run import model
from rolling.run.cli import main
from rolling.run.commands import show_experiment
from rolling.run.experiment.error_bank import ErrorBank
from rolling.run.experiment.few_steps import Consistency, MomentMatching
from rolling.run.experiment.optimisers import AdamW
from rolling.run.training import memory
from rolling.run.training.cost import TOKENS, batch_of, call_program, cost_of, cost_table, operations, peak
from rolling.sampling.constraints import Limits
from rolling.video.uvit.model_sizes import KINETICS
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling
from tests.run_tools import debug as thin

pytestmark = pytest.mark.slow
PICTURES = video(64, 64)


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def count(function, *shapes):
    return operations(jax.make_jaxpr(function)(*shapes).jaxpr)


def test_products_and_convolutions_are_counted():
    a, b = shape(3, 4, 5), shape(3, 5, 6)
    assert count(jnp.matmul, a, b) == 2 * 3 * 4 * 5 * 6
    x, kernel = shape(2, 8, 8, 4), shape(3, 3, 4, 6)

    def convolve(x, kernel):
        names = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=names)

    once = 2 * 9 * 4 * 6 * 2 * 64
    assert count(convolve, x, kernel) == once
    both = jax.grad(lambda x, kernel: jnp.sum(convolve(x, kernel) ** 2), (0, 1))
    assert count(both, x, kernel) == 3 * once


def test_loops_choices_and_programs_in_programs():
    a, once = shape(8, 8), 2 * 8**3
    assert count(lambda a: jax.lax.scan(lambda x, _: (x @ a, None), a, None, 5)[0], a) == 5 * once
    twice = lambda a: a @ a @ a  # noqa: E731
    assert count(lambda a: jax.lax.cond(a[0, 0] > 0, twice, lambda a: a @ a, a), a) == 2 * once
    assert count(jax.jit(lambda a: jax.jit(twice)(a) @ a), a) == 3 * once
    again = jax.grad(lambda a: jnp.sum(jax.checkpoint(lambda a: jnp.sin(a @ a))(a)))
    assert count(again, a) == 4 * once  # forward, once more, and two for the gradient


def test_a_network_by_hand():
    """One transformer on 3 frames of 8 x 8 cells, cut into 16 patches."""
    c, e, time, patches, cell = 16, 8, 3, 16, 4
    network = VideoUViT(
        channels=(c,), blocks=(1,), heads=2, embedding=e, transformer_levels=1, boundary=("zero", "zero")
    )
    inputs = Inputs(space=(8, 8), channels=1)
    apply, shapes = functional(nnx.eval_shape(lambda: network.build(inputs, nnx.Rngs(0))))
    tokens = time * patches
    convolutions = 2 * 9 * cell * c * tokens
    embedding = time * (32 * e + e * e + 3 * e * 2 * c)
    attention = tokens * c * (3 * c + c) + 2 * tokens * tokens * c
    perceptron = 2 * tokens * c * 4 * c
    by_hand = 2 * (convolutions + embedding + attention + perceptron)
    assert count(apply, shapes, shape(1, time, 8, 8, 1), shape(1, time)) == by_hand


def test_the_most_that_is_held_at_a_time():
    n = shape(1000)
    held = lambda f: peak(jax.make_jaxpr(f)(n).jaxpr)  # noqa: E731
    assert held(lambda x: jnp.sin(x)) == 4000
    assert held(lambda x: jnp.sin(jnp.sin(jnp.sin(x)))) == 8000  # one is read while the next is written

    def keeps(x):
        a = jnp.sin(x)
        b = jnp.cos(jnp.cos(a))
        return a + b

    assert held(keeps) == 12000
    assert held(lambda x: jnp.sin(x.reshape(10, 100)).reshape(1000)) == 4000
    assert held(jax.jit(keeps)) == held(keeps)


@pytest.fixture(scope="module")
def programs():
    """The forward pass and the gradient of a network of both kinds of blocks."""
    network = VideoUViT(channels=(32, 64), blocks=(1, 2), embedding=16, attention="factorised")
    inputs = Inputs(space=(32, 32), channels=1, boundaries=("periodic", "open"))
    apply, shapes = functional(nnx.eval_shape(lambda: network.build(inputs, nnx.Rngs(0))))
    loss = lambda p, z, logsnr: jnp.mean(jnp.square(apply(p, z, logsnr) - z))  # noqa: E731
    arguments = (shapes, shape(2, 8, 32, 32, 1), shape(2, 8))
    return {"forward": apply, "gradient": jax.grad(loss)}, arguments


@pytest.mark.parametrize("name", ["forward", "gradient"])
def test_operations_are_those_of_xla(name, programs):
    """Which leaves out the taps beyond an edge, and counts what is done cell by cell."""
    functions, arguments = programs
    analysis = jax.jit(functions[name]).lower(*arguments).cost_analysis()
    assert count(functions[name], *arguments) == pytest.approx(analysis["flops"], rel=0.1)


def test_memory_is_about_that_of_xla(programs):
    functions, arguments = programs
    compiled = jax.jit(functions["gradient"]).lower(*arguments).compile().memory_analysis()
    expected = compiled.temp_size_in_bytes + compiled.output_size_in_bytes
    assert peak(jax.make_jaxpr(functions["gradient"])(*arguments).jaxpr) == pytest.approx(expected, rel=0.3)


def change(experiment, **training):
    return dataclasses.replace(experiment, training=dataclasses.replace(experiment.training, **training))


@pytest.mark.slow
def test_the_cost_of_a_training():
    cost = cost_of(debug, debug.source.layout())
    size = 4 * cost.parameters
    assert cost.memory["parameters"] == cost.memory["their average"] == size
    assert 2 * size <= cost.memory["optimiser"] < 2 * size + 64  # two moments and two counters
    assert cost.call_frames == debug.window.size and cost.step_frames == 4 * debug.window.size
    assert cost.step == pytest.approx(3 * 4 * cost.call, rel=0.06)
    assert cost.without < cost.memory["gradient"]
    wide = cost_of(change(debug, batch=8), debug.source.layout())
    assert wide.step == pytest.approx(2 * cost.step, rel=0.01)
    assert wide.memory["gradient"] > 1.8 * cost.memory["gradient"]
    parts = cost_of(change(debug, batch=8, accumulate=2), debug.source.layout())
    assert parts.step == wide.step
    assert parts.memory["gradient"] == cost.memory["gradient"] + size


def test_what_an_objective_holds():
    layout = thin.source.layout()
    plain = cost_of(thin, layout)
    taught = cost_of(dataclasses.replace(thin, objective=Consistency(teacher="runs/a")), layout)
    assert taught.memory["teacher"] == plain.memory["parameters"] and taught.step > 1.5 * plain.step
    two = cost_of(dataclasses.replace(thin, objective=MomentMatching(teacher="runs/a")), layout)
    assert two.memory["parameters"] == 2 * plain.memory["parameters"]
    bank = cost_of(dataclasses.replace(thin, objective=ErrorBank(levels=2, slots=3)), layout)
    assert bank.memory["state of the objective"] == 2 * 3 * math.prod(layout.shape) * 2 + 2 * 4
    assert set(bank.memory) - set(plain.memory) == {"state of the objective"}


@pytest.mark.slow
def test_the_largest_network_is_only_looked_at():
    """1.2 G parameters, 17 GiB with their average and the optimiser's moments."""
    large = dataclasses.replace(
        change(debug, batch=8), network=KINETICS, window=Rolling(size=16, context=5), optimiser=AdamW()
    )
    cost = cost_of(large, PICTURES)
    assert cost.parameters == 1_202_514_496
    assert cost.call == pytest.approx(16 * 148e9, rel=0.03)  # XLA's analysis: 148.0 GFLOP per frame
    assert cost.step == pytest.approx(8 * 4 * cost.call, rel=0.15)  # with what is computed again
    assert 3 * cost.memory["gradient"] < cost.without
    assert "1203 M" in cost_table(cost) and "GiB" in cost_table(cost)


def test_conditions_are_part_of_it():
    calls = []
    for layout in (PICTURES, video(64, 64, labels=("a", "b"), tokens=8, actions=2)):
        small = dataclasses.replace(debug, network=VideoUViT(channels=(16,), blocks=(1,), embedding=16))
        apply, shapes = model.abstract(small, layout, None)
        calls.append(operations(call_program(apply, shapes, batch_of(small, layout, 1, 4))))
    cells, c = 4 * 32**2, 16
    tokens = TOKENS * 8 * 2 * c + cells * (2 * c * c + 2 * (TOKENS + 1) * c)
    vectors = TOKENS * 8 * 16 + 4 * 2 * 16 + 2 * 16 + 4 * 16 * 2 * c
    assert calls[1] - calls[0] == 2 * (tokens + vectors)


def test_sources_tell_their_layout_without_opening():
    source = dataclasses.replace(debug.source, simulator=Kolmogorov(resolution=16, grid=16))
    assert isinstance(source, Described) and source.layout() == source.simulator.layout


@dataclasses.dataclass(frozen=True, kw_only=True)
class Closed:
    """A source that must not be opened."""

    def open(self):
        raise AssertionError


def test_a_cost_that_cannot_be_known_is_one_line():
    assert "give --source.path FILE" in show_experiment(gridded).splitlines()[-1]
    closed = dataclasses.replace(debug, source=Closed())
    assert "Closed does not report the size of its frames" in show_experiment(closed).splitlines()[-1]


def test_what_does_not_suit_the_data_is_told_before_they_are_opened():
    said = show_experiment(dataclasses.replace(debug, constraints=(Limits(),))).splitlines()[-1]
    assert said.startswith("not to be trained like this: the data are no pictures")
    assert "not to be trained" not in show_experiment(debug)


def test_show(capsys):
    assert main(["show", "debug", "--training.batch", "8"]) == 0
    out = capsys.readouterr().out
    assert "training.batch: 8" in out and "parameters: 0.02153 M" in out
    assert "on a window of 4 frames" in out and "on 32 frames" in out and "--network.remat" in out


def test_a_step_that_the_memory_does_not_hold_is_told_before_it_runs():
    """A global field: the figure is that of `rolling show`. What surely fits is not even counted."""
    layout = video(161, 320)
    said = memory.shortage(gridded, layout, 2**32)
    wanted = sum(cost_of(gridded, layout).memory.values()) / 2**30
    assert wanted > 4 and said.startswith(
        f"a training step wants about {wanted:.1f} GiB, and there are 4.0 GiB"
    )
    assert "--training.accumulate 2" in said and "--network.remat" in said and "--network.patch 4" in said
    assert memory.shortage(gridded, layout, 2**50) == "" == memory.shortage(debug, video(16, 16), 2**32)
    assert memory.memory_there() > 2**28
