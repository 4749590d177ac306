"""Two modalities on the linear-Gaussian oracle: joint, given and absent laws, biases that remain, mutations.

The reference values come from an independent computation in numpy, which samples one long axis of both.
"""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.joint_oracle import TRANSITION, JointOracle, process_covariance
from rolling.run import cli
from rolling.sampling import Sampler
from rolling.solvers import Ancestral, Ddim, DpmSolverPlusPlus, UniPC
from rolling.windows import Ahead, FullSequence, Rolling

ONE_SWEEP = {"window": FullSequence(size=24, context=0), "frames": 24}
SLOTS = {"window": Rolling(size=24, context=4, block=4), "solver": DpmSolverPlusPlus()}
SHORT = Rolling(size=16, context=4, block=4)


def errors(**changes) -> dict[str, float]:
    return JointOracle(**changes).errors()


def test_the_process_is_stationary_with_unit_variances():
    """Against a simulation, and the recursion of its covariance."""
    blocks = process_covariance((1, 4), 400)
    a, b, both = blocks["a", "a"], blocks["b", "b"], blocks["a", "b"]
    assert both[3, 0] == pytest.approx(0.622, abs=5e-4)
    np.testing.assert_allclose([np.diag(a).max(), np.diag(b).min()], 1.0, atol=1e-12)
    p = np.array([[1, both[3, 0]], [both[3, 0], 1]])
    innovations = p - TRANSITION @ p @ TRANSITION.T
    np.testing.assert_allclose(innovations[0, 1], 0, atol=1e-12)
    rng, s, found = np.random.default_rng(0), np.zeros(2), []
    root = np.sqrt(np.diag(innovations))
    for draw in rng.normal(size=(200_000, 2)):
        s = TRANSITION @ s + root * draw
        found.append(s)
    found = np.asarray(found[1000:])
    # a at tick 0 with b at tick 3, of frames one slot long; and a two ticks after a.
    assert np.mean(found[:-3, 0] * found[3:, 1]) == pytest.approx(both[0, 0], abs=0.03)
    assert np.mean(found[2:, 0] * found[:-2, 0]) == pytest.approx(a[2, 0], abs=0.03)


@pytest.mark.parametrize(
    ("solver", "calls", "value"),
    [
        (DpmSolverPlusPlus(), 1, 0.0278),
        (DpmSolverPlusPlus(), 8, 0.00085),
        (Ddim(), 8, 0.0175),
        (UniPC(), 1, 0.0133),
    ],
)
def test_a_joint_rollout_has_the_joint_law(solver, calls, value):
    found = errors(window=SLOTS["window"], solver=solver, calls_per_frame=calls)
    assert found["max_covariance_error"] == pytest.approx(value, rel=8e-3)


def test_fresh_noise_in_a_step_is_that_of_its_frame():
    """Stochastic solvers have the same law in the limit; both ways to write ancestral steps are one map."""
    setting = {"window": Rolling(size=12, context=4, block=4), "frames": 12}
    found = [errors(**setting, solver=Ancestral(), calls_per_frame=calls) for calls in (2, 8)]
    assert found[1]["max_covariance_error"] < 0.5 * found[0]["max_covariance_error"] < 0.3
    one, other = (
        JointOracle(**setting, solver=solver, calls_per_frame=1).coefficients()
        for solver in (Ancestral(), Ddim(eta=1.0))
    )
    for name, part in one.items():
        np.testing.assert_allclose(part, other[name], atol=1e-12)


@pytest.mark.parametrize(
    ("stand", "value"),
    [({"given": ("a",)}, 0.0408), ({"given": ("b",)}, 0.0976), ({"absent": ("a",)}, 0.1516)],
)
def test_one_sweep_given_a_modality_or_without_it(stand, value):
    """The conditional mean is exact with any number of steps: the flow starts at alpha = 0 and is affine."""
    found = errors(**ONE_SWEEP, solver=DpmSolverPlusPlus(), calls_per_frame=8 / 24, **stand)
    assert found["max_covariance_error"] == pytest.approx(value, abs=1e-4)
    if "given" in stand:
        assert found["max_mean_error"] < 1e-12


def test_what_is_given_must_be_seen_ahead():
    """Without, the mean errs by half the standard deviation, 0.57, and with four slots by 0.015: less than in
    a longer window."""
    without, ahead, longer = (
        errors(window=window, solver=DpmSolverPlusPlus(), calls_per_frame=4, given=("a",))
        for window in (SHORT, Ahead(inner=SHORT, ahead=16), dataclasses.replace(SHORT, size=36))
    )
    assert longer["rms_mean_error"] == pytest.approx(0.106, abs=0.005)
    assert without["rms_mean_error"] == pytest.approx(0.301, abs=0.005)
    assert ahead["rms_mean_error"] == pytest.approx(0.015, abs=5e-4)
    assert ahead["max_covariance_error"] < 0.01


def law_slot_by_slot(slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean map and covariance of B's slots, each given B's slot before and A's of both slots."""
    blocks = process_covariance((1, 4), 4 * slots)
    a, b, both = blocks["a", "a"], blocks["b", "b"], blocks["b", "a"]
    rows = np.zeros((slots, 1 + 4 * slots))  # of B, in terms of its first slot and all of A
    rows[0, 0] = 1.0
    noise = np.zeros((slots, slots))
    for k in range(1, slots):
        seen = slice(4 * (k - 1), 4 * (k + 1))
        known = np.block(
            [[b[k - 1 : k, k - 1 : k], both[k - 1 : k, seen]], [both[k - 1 : k, seen].T, a[seen, seen]]]
        )
        gain = np.linalg.solve(known, np.append(b[k, k - 1], both[k, seen]))
        rows[k] = gain[0] * rows[k - 1]
        rows[k, 1:][seen] += gain[1:]
        noise[k] = gain[0] * noise[k - 1]
        noise[k, k] = np.sqrt(b[k, k] - gain @ np.append(b[k, k - 1], both[k, seen]))
    return rows, noise @ noise.T


def test_one_slot_at_a_time_is_the_causal_law():
    """p(B_k | B_{k-1}, A_{k-1}, A_k), the law of a live stream: its mean to rounding."""
    oracle = JointOracle(
        window=FullSequence(size=8, context=4),
        solver=DpmSolverPlusPlus(),
        calls_per_frame=4,
        given=("a",),
        frames=20,
    )
    z, slots = oracle.coefficients()["b"], 6
    data = process_covariance((1, 4), 24)
    g = np.block([[data["a", "a"], data["a", "b"][:, :1]], [data["b", "a"][:1], data["b", "b"][:1, :1]]])
    mean = np.linalg.solve(np.linalg.cholesky(g).T, z[:, : len(g)].T).T
    rows, covariance = law_slot_by_slot(slots)
    np.testing.assert_allclose(mean, np.concatenate([rows[:, 1:], rows[:, :1]], axis=1), atol=1e-12)
    noise = z[:, len(g) :]
    np.testing.assert_allclose(noise @ noise.T, covariance, atol=0.02)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mutated(JointOracle):
    """What may go wrong, one at a time."""

    mutation: str = ""

    def sampler(self):
        sampler = super().sampler()
        parts = dict(sampler.parts)
        if self.mutation == "one noise for both":
            parts["b"] = dataclasses.replace(parts["b"], generator=parts["a"].generator)
        if self.mutation == "a context that does not move":
            parts["b"] = Stuck(parts["b"].recipe, parts["b"].generator)
        return dataclasses.replace(sampler, parts=parts)

    def _process(self):
        if self.mutation == "a phase off by a tick":
            all_ticks = process_covariance((1, 1), self._ticks)
            places = {
                "a": np.arange(self._ticks),
                "b": np.arange(2, self._ticks, 4),
            }  # the third tick of four
            return {(i, j): block[np.ix_(places[i], places[j])] for (i, j), block in all_ticks.items()}
        return super()._process()

    def _exact(self):
        exact = super()._exact()
        if self.mutation != "the clock of the other":
            return exact

        def denoise(z, logsnr, condition):
            slow = jnp.repeat(logsnr["b"], 4, axis=1)
            return exact(z, logsnr | {"a": slow}, condition)

        return denoise


class Stuck(Sampler):
    def shift(self, carry):
        moved = super().shift(carry)
        n = self.window.context
        return dataclasses.replace(moved, z=jnp.concatenate([carry.z[:, :n], moved.z[:, n:]], axis=1))


@pytest.mark.parametrize(
    ("mutation", "stand", "least"),
    [
        ("one noise for both", {}, 0.1),
        ("a context that does not move", {}, 0.05),
        ("a phase off by a tick", {}, 0.05),
        ("the clock of the other", {"given": ("a",)}, 0.1),
    ],
)
def test_what_would_go_wrong_is_seen(mutation, stand, least):
    setting = SLOTS | {"frames": 16, "calls_per_frame": 4} | stand
    right, wrong = (Mutated(**setting, mutation=name).errors() for name in ("", mutation))
    which = "rms_mean_error" if stand else "max_covariance_error"
    assert wrong[which] > right[which] + least


def test_the_command_line(capsys):
    words = "--modalities 1,4 --window full_sequence --window.size 24 --window.context 0 --frames 24"
    assert cli.main(["oracle", *words.split(), "--calls-per-frame", "0.5"]) in (0, None)
    printed = json.loads(capsys.readouterr().out)
    assert printed["modalities"] == [1, 4] and 0.1 < printed["max_covariance_error"] < 0.4
    assert cli.main(["oracle", *words.split(), "--calls-per-frame", "0.5", "--given", "b"]) in (0, None)
    assert json.loads(capsys.readouterr().out)["max_mean_error"] < 1e-12
    for more, said in (
        (["--given", "c"], "no modality c"),
        (["--modalities", "1,2,4"], "give two rates"),
        (["--modalities", "1,5"], "whole multiples of 5"),
        (["--modalities", "1,x"], "--modalities"),
        (["--frames", "0"], "frames >= 1"),
        (["--frames", "6"], "whole slots of 4 ticks"),
    ):
        assert cli.main(["oracle", *words.split(), *more]) == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1


def test_options_take_numbers_with_commas_too():
    from rolling.run.experiment.options import parse

    for words in (["--modalities", "2", "4"], ["--modalities", "2,4"], ["--modalities=2,4"]):
        assert parse(JointOracle(), words, "rolling oracle").modalities == (2, 4)


def test_bad_parameters():
    with pytest.raises(InputError, match="two modalities"):
        JointOracle(modalities=(1,))
    with pytest.raises(InputError, match="nothing to make"):
        JointOracle(given=("a",), absent=("b",))
