"""Guidance of one modality towards the others: the formula by hand, its ends on the oracle, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.denoisers import NOTHING, Condition
from rolling.joint_oracle import JointOracle, process_covariance
from rolling.noise import Cosine, alpha_sigma
from rolling.sampling import Coupling, Sampling, joint
from rolling.sampling.coupling import coupled
from rolling.solvers import DpmSolverPlusPlus
from rolling.windows import FullSequence, Rolling

NAMES = ("a", "b")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coupled(JointOracle):
    scale: float | None = None

    def sampler(self):
        sampler = super().sampler()
        couplings = () if self.scale is None else tuple(Coupling(modality=n, scale=self.scale) for n in NAMES)
        return dataclasses.replace(sampler, couplings=couplings)


def covariances(scale, **stand):
    sweep = {"window": FullSequence(size=16, context=0), "frames": 16, "solver": DpmSolverPlusPlus()}
    oracle = Coupled(**sweep, calls_per_frame=1, scale=scale, **stand)
    z = oracle.coefficients()
    return {(i, j): z[i] @ z[j].T for i in NAMES for j in NAMES}


def test_at_one_nothing_changes_and_at_zero_there_is_no_other():
    plain, one, none = (covariances(scale) for scale in (None, 1.0, 0.0))
    for pair, value in plain.items():
        np.testing.assert_allclose(one[pair], value, atol=1e-12)
    truth = process_covariance((1, 4), 16)
    np.testing.assert_allclose(none["a", "b"], 0.0, atol=1e-12)
    assert np.abs(plain["a", "b"] - truth["a", "b"]).max() < 0.12 < 0.5 < np.abs(truth["a", "b"]).max()
    for name, other in (NAMES, NAMES[::-1]):
        alone = covariances(None, absent=(other,))[name, name]
        np.testing.assert_allclose(none[name, name], alone, atol=1e-10)
        assert np.abs(plain[name, name] - alone).max() > 1e-3


def test_above_one_modalities_agree_more_than_their_law_has_it():
    def correlation(found):
        end = found["a", "b"][-1, -1]
        return end / np.sqrt(found["a", "a"][-1, -1] * found["b", "b"][-1, -1])

    assert correlation(covariances(2.0)) > correlation(covariances(None)) + 0.05


def test_the_formula_by_hand_and_in_an_interval():
    """`D' + w (D - D')`, with the means of a pair of numbers of correlation 0.8 written out."""
    schedule, rho = Cosine(), 0.8
    clocks = {"a": schedule.logsnr(jnp.asarray([[0.3]])), "b": schedule.logsnr(jnp.asarray([[0.6]]))}

    def mean(z, logsnr, condition):
        (alpha, sigma), (alpha_b, sigma_b) = (alpha_sigma(logsnr[n][..., None]) for n in NAMES)
        own, its, cross = alpha**2 + sigma**2, alpha_b**2 + sigma_b**2, rho * alpha * alpha_b
        a = (its * z["a"] - cross * z["b"]) / (own * its - cross**2)
        b = (own * z["b"] - cross * z["a"]) / (own * its - cross**2)
        return {"a": alpha * a + rho * alpha_b * b, "b": rho * alpha * a + alpha_b * b}

    def alone(name, z, logsnr):
        other = "b" if name == "a" else "a"
        return z | {other: jnp.full_like(z[other], 7.0)}, logsnr | {other: jnp.full((1, 1), -80.0)}

    z = {"a": jnp.asarray([[[1.5]], [[-0.5]]]), "b": jnp.asarray([[[-1.0]], [[2.0]]])}
    own = {n: float(alpha_sigma(clocks[n])[0][0, 0]) * z[n] for n in NAMES}  # alpha^2 + sigma^2 is 1
    both = mean(z, clocks, None)
    found = coupled(mean, [Coupling(modality="a", scale=3.0)], alone)(z, clocks, NOTHING)
    np.testing.assert_allclose(found["a"], own["a"] + 3.0 * (both["a"] - own["a"]), rtol=1e-5)
    np.testing.assert_allclose(found["b"], both["b"], rtol=1e-6)
    level = float(clocks["a"][0, 0])
    outside = coupled(mean, [Coupling(modality="a", scale=3.0, low=level + 1)], alone)(z, clocks, NOTHING)
    np.testing.assert_allclose(outside["a"], both["a"], rtol=1e-6)


def test_one_call_of_the_network_whatever_is_guided():
    calls = []

    def network(z, logsnr, condition):
        calls.append({name: part.shape[0] for name, part in z.items()})
        assert condition.label.shape == (6,)
        return {name: 0.5 * part for name, part in z.items()}

    recipe = Sampling(window=Rolling(size=4, context=1))
    couplings = [Coupling(modality=name) for name in NAMES]
    sampler = joint(recipe, dict.fromkeys(NAMES, 1), couplings=couplings)
    given = {name: jnp.zeros((2, 1, 3, 1)) for name in NAMES}
    keys, condition = jax.random.split(jax.random.key(0), 2), Condition(label=jnp.zeros(2, int))

    def cycle(given):
        return sampler.finished(sampler.cycle(network, sampler.begin(given, keys), condition))

    jax.eval_shape(cycle, given)
    assert calls and all(call == {"a": 6, "b": 6} for call in calls)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Coupling(modality="a", scale=float("nan")), "needs a number as its scale"),
        (lambda: Coupling(modality="a", low=1.0, high=1.0), "is not below"),
        (lambda: pair(couplings=[Coupling(modality="c")]), "guides what is not made: choose among a, b"),
        (lambda: pair(given=["a"], couplings=[Coupling(modality="a")]), "is not made: choose among b"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


def pair(**more):
    return joint(Sampling(window=Rolling(size=4, context=1)), dict.fromkeys(NAMES, 1), **more)
