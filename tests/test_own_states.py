"""Distillation on states of the student's own rollout: against loops and closed forms written here."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.denoisers import NOTHING, Condition
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.losses import XLoss
from rolling.noise import expand
from rolling.noise.prior import CONTEXT, FRESH, gaussian
from rolling.oracle import UNCLIPPED
from rolling.run.experiment.few_steps import OWN, Consistency, MomentMatching
from rolling.run.experiment.objectives import LossInputs
from rolling.run.training.cost import cost_of
from rolling.sampling.constraints import Units
from rolling.sampling.old_frames import Memory
from rolling.sampling.recipe import Sampling
from rolling.solvers import Ancestral, Ddim
from rolling.windows import Autoregressive, FullSequence, NoisyContext, Pyramid, Rolling
from tests.loss_tools import ar1
from tests.run_tools import debug

pytestmark = pytest.mark.slow  # rollouts within gradients take long to compile

CELL = Units.standard(
    Layout(
        variables=(Variable(name="u"),), axes=(Axis(name="y", values=(0.0,)), Axis(name="x", values=(0.0,)))
    )
)
A, Q = 0.9, 1 - 0.9**2


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


class Case(NamedTuple):
    sampling: Sampling
    clocks: tuple
    """`tau` of every frame where each step of a cycle begins, and at its end: written out."""


CASES = {
    "rolling": Case(
        Sampling(window=Rolling(size=3, context=1), calls_per_frame=2),
        ((0, 0.5, 1), (0, 0.25, 0.75), (0, 0, 0.5)),
    ),
    "no context": Case(
        Sampling(window=Rolling(size=2, context=0), calls_per_frame=2),
        ((0.5, 1), (0.25, 0.75), (0, 0.5)),
    ),
    "chunk": Case(
        Sampling(window=FullSequence(size=3, context=1), calls_per_frame=1),
        ((0, 1, 1), (0, 0.5, 0.5), (0, 0, 0)),
    ),
    "noisy context": Case(
        Sampling(window=NoisyContext(inner=Rolling(size=4, context=2), level=0.25)),
        ((0.25, 0.25, 0.5, 1), (0.25, 0.25, 0, 0.5)),
    ),
}
CASES["old frames"] = CASES["rolling"]._replace(
    sampling=dataclasses.replace(CASES["rolling"].sampling, memory=Memory(ages=(1, 3)))
)
CYCLES, CLIPS, PAST = 2, 16, 3


def mixed(size):
    """The network predicts `M alpha^2 z`: it depends on every frame and on every clock."""
    return np.random.default_rng(size).normal(size=(size, size)).astype(np.float32) / size


def by_hand(case: Case, x: np.ndarray, key) -> dict:
    """`(cycle, step) -> z [clip, frame]` where a step begins, behind the old frames that are shown: DDIM, one
    clip and one frame after another. `x` begins with the frames before the window."""
    sampling, clocks = case.sampling, np.asarray(case.clocks, np.float32)
    window, size = sampling.window, sampling.window.size
    n, stride = window.context, window.stride
    logsnr = np.asarray(sampling.schedule.logsnr(jnp.asarray(clocks)))
    alpha, sigma = np.sqrt(sigmoid(logsnr)), np.sqrt(sigmoid(-logsnr))
    frames, found = jnp.arange(size + (CYCLES + 1) * stride), {}
    draws = [
        np.asarray(gaussian(key, frames, fold, (1, 1, 1), jnp.float32))[..., 0, 0, 0]
        for fold in (FRESH, CONTEXT)
    ]
    before = [age + 1 - n for age in sampling.memory.ages]
    past, x = x[:, :PAST], x[:, PAST:]
    for clip in range(len(x)):
        left = list(past[clip])
        fresh, shown = draws[0][clip], draws[1][clip]
        z = np.concatenate([x[clip, :n], (alpha[0] * x[clip, :size] + sigma[0] * fresh[:size])[n:]])
        for cycle in range(CYCLES + 1):
            first = cycle * stride
            for step in range(len(clocks) - 1):
                seen = z.copy()
                if clocks[step][:n].any():
                    seen[:n] = (alpha[step] * z + sigma[step] * shown[first : first + size])[:n]
                old = [left[-count] for count in before]
                found.setdefault((cycle, step), []).append(np.concatenate([old, seen]))
                predicted = mixed(size) @ (alpha[step] ** 2 * seen)
                eps = (z - alpha[step] * predicted) / np.maximum(sigma[step], 1e-9)
                moved = alpha[step + 1] * predicted + sigma[step + 1] * eps
                z = np.where(clocks[step + 1] < clocks[step], moved, z)
            left += list(z[:stride])
            z = np.concatenate([z[stride:], fresh[first + size : first + size + stride]])
    return {place: np.stack(states) for place, states in found.items()}


def seen_by_the_student(objective, sampling, x):
    """Old frames and `z`, `logsnr` and the known frames at which the loss asks the student with dropout."""
    seen, matrix = [], jnp.asarray(mixed(sampling.window.size))
    past, x = x[:, :PAST], x[:, PAST:]
    index = jnp.broadcast_to(jnp.arange(x.shape[1] * 1.0)[None, :, None], (*x.shape[:2], 1))
    memory = past.reshape(CLIPS, 1, 1, PAST) if sampling.memory.ages else None
    assert objective.past(sampling) == ((3, 2, 1) if sampling.memory.ages else ())
    told = Condition(vectors=index, memory=memory)

    def of(params, dropout_key):
        def denoise(z, logsnr, condition):
            if dropout_key is not None:
                old = z[:, :0] if condition.memory is None else condition.memory.reshape(CLIPS, -1, 1, 1, 1)
                seen.append((jnp.concatenate([old, z], axis=1), logsnr, condition.vectors))
            return params * jnp.einsum("ij,bjhwc->bihwc", matrix, expand(jax.nn.sigmoid(logsnr), z) * z)

        return denoise

    inputs = LossInputs(of, lambda batch, key: told, sampling, XLoss(), CELL)
    one = jnp.asarray(1.0)

    @jax.jit  # one program is compiled sooner than each of its operations
    def asked(one, x):
        objective.loss(inputs, trained(objective, one), one, {"x": x}, jax.random.key(5))
        return seen[0]

    return [np.asarray(part).reshape(CLIPS, -1) for part in asked(one, x)]


def trained(objective, one):
    """The parameters of the student, and of what is trained beside it."""
    return {"student": one, "auxiliary": one} if isinstance(objective, MomentMatching) else one


def rollout_key():
    return jax.random.split(jax.random.split(jax.random.fold_in(jax.random.key(5), OWN), 3)[0], CLIPS)


@pytest.mark.parametrize("name", CASES)
def test_states_clocks_and_conditions_are_those_of_a_rollout_step_by_step(name):
    """Each clip is found at one place of the rollout written here, and all places are visited."""
    case = CASES[name]
    window = case.sampling.window
    objective = MomentMatching(teacher="t", own_share=1.0, cycles=CYCLES)
    assert objective.frames(window) == window.size + CYCLES * window.stride
    x = ar1(jax.random.key(3), CLIPS, PAST + objective.frames(window), A)
    states = by_hand(case, np.asarray(x), rollout_key())
    z, logsnr, told = seen_by_the_student(objective, case.sampling, x[..., None, None, None])
    visited = set()
    for clip in range(CLIPS):
        places = [p for p, state in states.items() if np.abs(state[clip] - z[clip]).max() < 1e-4]
        assert len(places) == 1
        ((cycle, step),) = places
        np.testing.assert_allclose(
            case.sampling.schedule.tau(jnp.asarray(logsnr[clip])), case.clocks[step], atol=2e-6
        )
        np.testing.assert_array_equal(told[clip], cycle * window.stride + np.arange(window.size))
        visited.add((cycle, step))
    steps = len(case.clocks) - 1
    assert visited == {(cycle, step) for cycle in range(1, CYCLES + 1) for step in range(steps)}


def test_within_a_segment_states_lie_on_the_students_step():
    case = CASES["rolling"]
    objective = Consistency(teacher="t", variance=0.0, small_steps=2, own_share=1.0, cycles=CYCLES)
    x = ar1(jax.random.key(3), CLIPS, PAST + objective.frames(case.sampling.window), A)
    states = by_hand(case, np.asarray(x), rollout_key())
    z, logsnr, _ = seen_by_the_student(objective, case.sampling, x[..., None, None, None])
    tau = np.asarray(case.sampling.schedule.tau(jnp.asarray(logsnr)))
    halves = 0
    for clip in range(CLIPS):
        # The last frame's clock tells the step, and how far it has gone.
        step = 0 if tau[clip, 2] > 0.76 else 1
        begin = case.clocks[step]
        half = abs(tau[clip, 2] - begin[2]) > 1e-3
        np.testing.assert_allclose(tau[clip], np.subtract(begin, [0, 0.125, 0.125] if half else 0), atol=2e-6)
        at = np.asarray(case.sampling.schedule.logsnr(jnp.asarray(begin)))
        alpha, sigma = (np.sqrt(sigmoid(sign * at)) for sign in (1, -1))
        alpha_s, sigma_s = (np.sqrt(sigmoid(sign * logsnr[clip])) for sign in (1, -1))
        gaps = []
        for cycle in range(1, CYCLES + 1):
            begun = states[cycle, step][clip]
            predicted = mixed(3) @ (alpha**2 * begun)
            moved = alpha_s * predicted + sigma_s * (begun - alpha * predicted) / sigma
            gaps.append(np.abs(z[clip] - np.where([False, half, half], moved, begun)).max())
        assert min(gaps) < 1e-4
        halves += half
    assert 0 < halves < CLIPS


NEXT = Sampling(window=Autoregressive(context=1), schedule=UNCLIPPED, solver=Ddim())


def next_frame(gain, pulled):
    """`x^` of the frame after a clean `c`: `gain c` and `pulled(logsnr)` times what `z` says beyond it."""

    def denoise(z, logsnr, condition):
        context, noisy = z[:, :1], z[:, 1:]
        level = logsnr[:, 1:, None, None, None]
        alpha = jnp.sqrt(jax.nn.sigmoid(level))
        found = gain * context + pulled(level) * (noisy - alpha * gain * context)
        return jnp.concatenate([context, found], axis=1)

    return denoise


def posterior_gain(level):
    """`K = q alpha / (alpha^2 q + sigma^2)`."""
    alpha2, sigma2 = jax.nn.sigmoid(level), jax.nn.sigmoid(-level)
    return Q * jnp.sqrt(alpha2) / (alpha2 * Q + sigma2)


def own_variance(gain, noise, cycles):
    """Mean over `k = 1 .. cycles` of `V_k = gain^2 V_(k-1) + noise`, from `V_0 = 1`."""
    variances = [1.0]
    for _ in range(cycles):
        variances.append(gain**2 * variances[-1] + noise)
    return np.mean(variances[1:])


def inputs_of(networks) -> LossInputs:
    return LossInputs(lambda params, key: networks(params), lambda batch, key: NOTHING, NEXT, XLoss(), CELL)


@pytest.mark.parametrize("cycles", [1, 3])
def test_moment_matching_pulls_the_gain_back_by_the_variance_of_own_context(cycles):
    """One call makes `x~ = p c + sqrt(q) eps` of pure noise. With the auxiliary network at its optimum,
    `E[aux - teacher | c, z_s] = (p - a) c (1 - K alpha) / 2`, so that the slope of the loss in `p` is

        (p - a) / 2  E[1 - K alpha]  E[c^2],

    an integral over `tau_s`, times the variance of the context: 1 for true frames, `V_k` for own ones."""

    def networks(params):
        if "gain" in params:  # the student: from pure noise, and at no other clock
            return next_frame(params["gain"], lambda level: math.sqrt(Q))
        if "half" not in params:
            return next_frame(A, posterior_gain)
        own, right = next_frame(params["half"], posterior_gain), next_frame(A, posterior_gain)
        return lambda *seen: (own(*seen) + right(*seen)) / 2

    inputs, clips = inputs_of(networks), 40_000
    tau = (np.arange(4000) + 0.5) / 4000
    alpha2, sigma2 = np.cos(np.pi * tau / 2) ** 2, np.sin(np.pi * tau / 2) ** 2
    left = np.mean(sigma2 / (alpha2 * Q + sigma2))
    for share in (0.0, 1.0):
        objective = MomentMatching(teacher="t", own_share=share, cycles=cycles, warmup_share=0.0)
        x = ar1(jax.random.key(0), clips, objective.frames(NEXT.window), A)[..., None, None, None]

        @jax.jit
        def slope(gain, objective=objective, x=x):
            loss = lambda gain: objective.loss(  # noqa: E731
                inputs,
                {"student": {"gain": gain}, "auxiliary": {"half": jax.lax.stop_gradient(gain)}},
                {},
                {"x": x},
                jax.random.key(1),
            )
            return jax.grad(loss)(gain)

        assert abs(slope(A)) < 1e-6
        for gain in (A + 0.2, A - 0.2):
            variance = own_variance(gain, Q, cycles) if share else 1.0
            assert slope(gain) == pytest.approx((gain - A) / 2 * left * variance, rel=0.06)


def test_consistency_pulls_the_gain_back_by_the_variance_of_own_context():
    """With one small step a segment the target is the teacher's `a c`, and own frames are `p^k c`: the slope
    is `2 (p - a) p^(2 k)`, and 0 for a student that is the teacher's map."""
    inputs = inputs_of(lambda gain: next_frame(gain, lambda level: 0.0))
    objective = Consistency(
        teacher="t", variance=0.0, small_steps=1, own_share=1.0, cycles=2, warmup_share=0.0
    )
    x = ar1(jax.random.key(0), 40_000, objective.frames(NEXT.window), A)[..., None, None, None]
    loss = lambda gain: objective.loss(inputs, gain, A, {"x": x}, jax.random.key(1))  # noqa: E731
    slope = jax.jit(jax.grad(loss))
    assert slope(A) == 0
    for gain in (1.1, 0.7):
        expected = 2 * (gain - A) * own_variance(gain, 0.0, 2)
        assert slope(gain) == pytest.approx(expected, rel=0.05)


RUNS = {
    "rolling": Rolling(size=4, context=1),
    "no context": Rolling(size=4, context=0),
    "blocks": Rolling(size=5, context=1, block=2),
    "chunk": FullSequence(size=4, context=2),
    "next frame": Autoregressive(context=2),
    "pyramid": Pyramid(size=4, context=1, stagger=0.5),
    "noisy context": NoisyContext(inner=Rolling(size=4, context=1)),
}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize(
    "objective",
    [MomentMatching(teacher="t"), Consistency(teacher="t", variance=0.0)],
    ids=["moments", "consistency"],
)
def test_windows_that_are_distilled_on_own_states(objective, name):
    """Chunks begin each cycle with pure noise, behind context of their own. The programs are made and
    not run, of a network without weights: that of `debug` is in the next test."""
    objective = dataclasses.replace(objective, own_share=0.5, cycles=2)
    solver = Ancestral() if isinstance(objective, MomentMatching) else Ddim()
    experiment = dataclasses.replace(debug, window=RUNS[name], objective=objective, solver=solver)
    frames = experiment.clip_frames
    assert frames == experiment.window.size + 2 * experiment.window.stride
    network = lambda params, key: lambda z, logsnr, condition: params * z  # noqa: E731
    inputs = LossInputs(network, lambda batch, key: NOTHING, experiment.recipe, XLoss(), CELL)

    def loss(one, x):
        return objective.loss(inputs, trained(objective, one), one, {"x": x}, jax.random.key(0))

    batch = jnp.zeros((debug.training.batch, frames, 1, 1, 1))
    assert jax.eval_shape(jax.grad(loss), jnp.asarray(1.0), batch).shape == ()


def test_the_price_is_that_of_the_cycles_and_steps_that_are_rolled():
    """Of half of 4 clips, in forward passes: two cycles of two steps, and one step of the next."""
    sampling = {"calls_per_frame": 2, "solver": Ancestral()}
    cost = {}
    for share in (0.0, 0.5):
        objective = MomentMatching(teacher="t", own_share=share, cycles=2)
        experiment = dataclasses.replace(debug, objective=objective, **sampling)
        cost[share] = cost_of(experiment, debug.source.layout())
        assert cost[share].step_frames == debug.training.batch * experiment.clip_frames
    more = cost[0.5].step - cost[0.0].step
    assert more == pytest.approx(2 * (2 * 2 + 1) * cost[0.0].call, rel=0.02)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: MomentMatching(own_share=1.5), "objective.own_share is a probability"),
        (lambda: MomentMatching(own_share=0.5, cycles=0), "cycles must be a whole number of at least 1"),
        (lambda: Consistency(own_share=0.5, training=True, variance=0.0), "needs a teacher's answer"),
        (lambda: Consistency(own_share=0.5), "give --objective.variance 0"),
        (
            lambda: dataclasses.replace(
                debug,
                objective=MomentMatching(own_share=0.5),
                window=FullSequence(size=4, context=0),
                calls_per_frame=0.25,
            ),
            "has no context and begins each of its single steps with pure noise",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(build, words):
    with pytest.raises(InputError, match=words):
        build()


def test_chunks_without_context_have_own_states_where_they_take_several_steps():
    dataclasses.replace(
        debug, objective=MomentMatching(own_share=0.5), window=FullSequence(size=4, context=0)
    )


def test_without_own_states_clips_are_those_of_the_window():
    for objective in (Consistency(cycles=3), MomentMatching(cycles=3)):
        assert objective.frames(debug.window) == debug.window.size
