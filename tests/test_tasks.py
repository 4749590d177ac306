"""Training clocks and the loss of several modalities: what each task shows, and what the losses add up to."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.joint_oracle import NAMES, process_covariance
from rolling.losses import Elbo, LossOf, VLoss, diffusion_loss, joint_loss
from rolling.noise import Cosine, LinearLogsnr
from rolling.oracle import exact_denoiser
from rolling.windows import FullSequence, Rolling, SampledTimes, Tasks, missing

WINDOW = Rolling(size=8, context=2, block=2)
EVERY = {"fast": 1, "slow": 2}
ENDS = {"minimum": -6.0, "maximum": 6.0}
ONE = dict.fromkeys(("joint", "apart", "given", "absent", "frames", "frames_apart"), 0.0)


def drawn(share: str, every=EVERY, window=WINDOW, batch: int = 64, seed: int = 0):
    tasks = Tasks(**ONE | {share: 1.0})
    times = tasks.sample_times(window, every, jax.random.key(seed), batch)
    return {name: SampledTimes(*map(np.asarray, part)) for name, part in times.items()}


def on_the_path(tau: np.ndarray, t: np.ndarray) -> bool:
    """Whether these clocks of all ticks are those of the window at some time of a fine grid."""
    grid = jnp.linspace(0, 1, 2001)
    paths = np.concatenate([WINDOW.cycle(grid), WINDOW.warmup(grid)])[:, t]
    return bool((np.abs(paths[None] - tau[:, None]).max(-1).min(1) < 1e-3).all())


def test_together_all_clocks_have_one_time_and_apart_they_do_not():
    together = drawn("joint")
    both = np.concatenate([together["fast"].tau, together["slow"].tau], axis=1)
    assert on_the_path(both, np.r_[0:8, 1:8:2])
    apart = drawn("apart")
    assert on_the_path(apart["fast"].tau, np.arange(8)) and on_the_path(apart["slow"].tau, np.arange(1, 8, 2))
    assert not on_the_path(np.concatenate([apart["fast"].tau, apart["slow"].tau], axis=1), np.r_[0:8, 1:8:2])
    same = np.abs(apart["fast"].tau[:, 1::2] - apart["slow"].tau).max(1) < 0.02
    assert same.mean() < 0.2


@pytest.mark.parametrize(("share", "level"), [("given", 0.0), ("absent", 1.0)])
def test_some_stand_and_never_all(share, level):
    """Every choice of some of three modalities, as often as any other; the others run as without it."""
    every = {"a": 1, "b": 2, "c": 1}
    times = drawn(share, every, batch=512)
    stands = np.stack([(times[n].tau == level).all(1) & (times[n].rate == 0).all(1) for n in every], axis=1)
    seen, counts = np.unique(stands, axis=0, return_counts=True)
    wanted = [c for c in itertools.product([False, True], repeat=3) if 0 < sum(c) < 3]
    np.testing.assert_array_equal(seen, sorted(wanted))
    assert counts.min() > 50 and counts.max() < 125
    for place, name in enumerate(every):
        running = ~stands[:, place]
        assert (times[name].rate[running].max(1) > 0).all()
        assert on_the_path(times[name].tau[running], np.arange(every[name] - 1, 8, every[name]))


def test_frames_have_times_of_their_own_and_context_is_clean():
    shared, apart = drawn("frames", batch=256), drawn("frames_apart", batch=256)
    np.testing.assert_array_equal(shared["fast"].tau[:, 1::2], shared["slow"].tau)
    assert np.abs(np.corrcoef(apart["fast"].tau[:, 3], apart["slow"].tau[:, 1])[0, 1]) < 0.2
    for times in (shared, apart):
        for name, context in (("fast", 2), ("slow", 1)):
            tau, rate = times[name]
            assert (tau[:, :context] == 0).all() and (rate[:, :context] == 0).all()
            assert (rate[:, context:] == 1).all()
            np.testing.assert_allclose(np.sort(tau[:, context]), (np.arange(256) + 0.5) / 256, atol=0.12)
            assert np.abs(np.corrcoef(tau[:, context:].T) - np.eye(tau.shape[1] - context)).max() < 0.25


def test_shares_are_dealt_out_evenly_and_not_in_the_order_of_times():
    tasks, clean = Tasks(joint=0.5, apart=0.0, given=0.25, absent=0.25), []
    for seed in range(20):
        times = tasks.sample_times(WINDOW, EVERY, jax.random.key(seed), 16)
        for level, count in ((0.0, 4), (1.0, 4)):
            stands = sum((np.asarray(times[n].tau) == level).all(1).astype(int) for n in EVERY)
            assert abs(int(stands.sum()) - count) <= 1, "evenly in every batch"
        clean.append(np.asarray(times["fast"].rate).max(1) > 0)
    # Which clips have a modality that stands changes from batch to batch.
    assert np.mean(clean, axis=0).min() > 0.5


def test_missing_frames_are_noise_without_a_loss():
    times = SampledTimes(jnp.full((1, 3), 0.5), jnp.ones((1, 3)))
    tau, rate = missing(times, jnp.asarray([[True, False, True]]))
    np.testing.assert_array_equal([tau[0], rate[0]], [[0.5, 1.0, 0.5], [1.0, 0.0, 1.0]])


def test_the_loss_is_the_sum_of_those_of_the_modalities():
    """Where none looks at another one, each is that of its own; weights and masks belong to it."""
    rng = np.random.default_rng(0)
    x = {"a": jnp.asarray(rng.normal(size=(3, 4, 2, 2, 1)), jnp.float32)}
    x["b"] = jnp.asarray(rng.normal(size=(3, 2, 5, 2)), jnp.float32)
    tau = {n: jnp.asarray(rng.uniform(size=part.shape[:2]), jnp.float32) for n, part in x.items()}
    times = {n: SampledTimes(part, jnp.ones_like(part)) for n, part in tau.items()}
    mask = jnp.asarray(rng.uniform(size=(2, 2, 1)) > 0.3, jnp.float32)
    losses = {
        "a": LossOf(schedule=Cosine(), weighting=VLoss(), mask=mask),
        "b": LossOf(schedule=Cosine(resolution=64.0), weighting=Elbo(), weight=2.0),
    }
    key = jax.random.key(3)
    total, parts = joint_loss(lambda z, logsnr: {n: 0.5 * z[n] for n in z}, x, times, key, losses)
    for place, name in enumerate("ab"):
        own = diffusion_loss(
            lambda z, logsnr: 0.5 * z,
            x[name],
            times[name],
            jax.random.fold_in(key, place),
            schedule=losses[name].schedule,
            weighting=losses[name].weighting,
            mask=losses[name].mask,
        )
        np.testing.assert_allclose(parts[name], own, rtol=1e-6)
    np.testing.assert_allclose(total, parts["a"] + 2 * parts["b"], rtol=1e-6)


@pytest.mark.parametrize(
    "other", [Cosine(**ENDS), LinearLogsnr(**ENDS)], ids=["one path", "one ahead of the other"]
)
def test_with_the_exact_denoiser_it_is_the_evidence_lower_bound(other):
    """`int L dt = (log det(1 + SNR_1 K) - log det(1 + SNR_0 K)) / 2` of both modalities together, along any
    path from the one noise level to the other."""
    schedule = {"a": Cosine(**ENDS), "b": other}
    every, window = {"a": 1, "b": 2}, FullSequence(size=4, context=0)
    blocks = process_covariance((1, 2), 4)
    k = np.block([[blocks[i, j] for j in NAMES] for i in NAMES])
    exact = exact_denoiser(jnp.asarray(k, jnp.float32))

    def denoise(z, logsnr):
        x = exact(*(jnp.concatenate([part[n] for n in NAMES], axis=1) for part in (z, logsnr)))
        return {"a": x[:, :4], "b": x[:, 4:]}

    rng, batch = np.random.default_rng(0), 2**14
    x = jnp.asarray(rng.normal(size=(batch, 6)) @ np.linalg.cholesky(k).T, jnp.float32)[..., None]
    clips = {"a": x[:, :4], "b": x[:, 4:]}
    times = Tasks(**ONE | {"joint": 1.0}).sample_times(window, every, jax.random.key(1), batch)
    losses = {n: LossOf(schedule=schedule[n], weighting=Elbo()) for n in NAMES}
    total, _ = joint_loss(denoise, clips, times, jax.random.key(2), losses)
    logdet = [np.linalg.slogdet(np.eye(6) + np.exp(level) * k)[1] for level in (-6.0, 6.0)]
    bound = (logdet[1] - logdet[0]) / 2
    assert float(total) == pytest.approx(bound, rel=0.02)


def test_bad_shares_are_refused():
    with pytest.raises(InputError, match="must sum to 1"):
        Tasks(joint=0.5)
    with pytest.raises(InputError, match="share of given is a probability"):
        Tasks(given=-0.1)
    with pytest.raises(InputError, match="at least two"):
        Tasks().sample_times(WINDOW, {"fast": 1}, jax.random.key(0), 4)
    with pytest.raises(InputError, match="whole multiples of 3"):
        Tasks().sample_times(WINDOW, {"fast": 1, "slow": 3}, jax.random.key(0), 4)
    alone = Tasks(**ONE | {"joint": 1.0}).sample_times(WINDOW, {"fast": 1}, jax.random.key(0), 4)
    assert alone["fast"].tau.shape == (4, 8)
