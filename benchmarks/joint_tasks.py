"""One network of two modalities at two rates, asked five things, beside the exact laws of the answers.

    python benchmarks/joint_tasks.py [STEPS]

The sequences are those of `rolling.joint_oracle`: `fast` at every tick, `slow` at every fourth. A
`JointUViT` is trained once on all tasks. Then, from held-out contexts, it makes both; each given the other,
of which it sees two slots ahead; and each with the other left out. Of each answer it prints the root mean
square error of the ensemble mean, and the spread, over the standard deviation of the exact law given the
same; both are 1 for a perfect ensemble of many members. The law is computed from the covariance of the
process. The claim: all within 0.15 of 1. STEPS is 2000 by default, three minutes on two cores.
"""

import sys

import einops
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from rolling import (
    JointUViT,
    LossOf,
    Rolling,
    Rollout,
    Sampling,
    Tasks,
    Tower,
    UniPC,
    VideoUViT,
    VLoss,
)
from rolling.denoisers import NOTHING, Condition, Inputs, Known, V, functional
from rolling.joint_oracle import TRANSITION, process_covariance
from rolling.losses import joint_loss
from rolling.noise import Cosine
from rolling.sampling import joint
from rolling.windows import Ahead

EVERY = {"fast": 1, "slow": 4}
PARTS = dict(zip(EVERY, "ab", strict=True))
CONTEXT, TICKS, STARTS, MEMBERS, BATCH = 4, 40, 64, 16, 64
WINDOW, SCHEDULE = Ahead(inner=Rolling(size=16, context=CONTEXT, block=4), ahead=8), Cosine()
TASKS = {
    "both": {},
    "slow, given fast": {"given": ("fast",)},
    "fast, given slow": {"given": ("slow",)},
    "slow, without fast": {"absent": ("fast",)},
    "fast, without slow": {"absent": ("slow",)},
}


def sequences(count: int, ticks: int, seed: int) -> dict[str, np.ndarray]:
    """`[sequence, frame, 1, 1]` of each modality."""
    rng = np.random.default_rng(seed)
    p = np.array([[process_covariance((1, 1), 1)[i, j].item() for j in "ab"] for i in "ab"])
    innovation = np.linalg.cholesky(p - TRANSITION @ p @ TRANSITION.T + 1e-12 * np.eye(2))
    states = [rng.normal(size=(count, 2)) @ np.linalg.cholesky(p).T]
    while len(states) < ticks:
        states.append(states[-1] @ TRANSITION.T + rng.normal(size=(count, 2)) @ innovation.T)
    x = np.stack(states, 1).astype(np.float32)[..., None, None]
    return {"fast": x[:, :, 0], "slow": x[:, 3::4, 1]}


def network():
    """The joint network of both, and its parameters."""
    tower = VideoUViT(channels=(32,), blocks=(2,), patch=1, heads=2, embedding=32, transformer_levels=1)
    architecture = JointUViT(towers=tuple(Tower(name=name, network=tower) for name in EVERY))
    inputs = {name: Inputs(space=(1,), channels=1, every=every) for name, every in EVERY.items()}
    apply, params = functional(architecture.build(inputs, nnx.Rngs(0)))

    def denoise(params, z, logsnr, condition=NOTHING):
        v = apply(params, z, logsnr, condition)
        return {name: V().x(z[name], logsnr[name], v[name]) for name in z}

    return denoise, params


def trained(denoise, params, steps: int):
    losses = {
        name: LossOf(schedule=SCHEDULE, weighting=VLoss(), weight=every) for name, every in EVERY.items()
    }
    optimiser = optax.adam(optax.cosine_decay_schedule(3e-3, steps))

    @jax.jit
    def update(params, moments, x, key):
        times_key, noise_key = jax.random.split(key)
        times = Tasks().sample_times(WINDOW, EVERY, times_key, BATCH)

        def loss(params):
            return joint_loss(lambda *seen: denoise(params, *seen), x, times, noise_key, losses)[0]

        updates, moments = optimiser.update(jax.grad(loss)(params), moments)
        return optax.apply_updates(params, updates), moments

    moments, data = optimiser.init(params), sequences(BATCH * 400, WINDOW.size, 0)
    for step in range(steps):
        clips = slice(BATCH * (step % 400), BATCH * (step % 400 + 1))
        x = {name: part[clips] for name, part in data.items()}
        params, moments = update(params, moments, x, jax.random.fold_in(jax.random.key(1), step))
    return params


def answers(denoise, params, truth, **stand) -> dict[str, np.ndarray]:
    """`[start, member, frame]` of what is made."""
    recipe = Sampling(window=WINDOW, schedule=SCHEDULE, solver=UniPC(), calls_per_frame=1)
    bind = lambda params: lambda *seen: denoise(params, *seen)  # noqa: E731
    rollout = Rollout(joint(recipe, EVERY, **stand), bind, cycles=TICKS // 4)
    members = {name: jnp.repeat(part, MEMBERS, axis=0) for name, part in truth.items()}

    def known(first, count):
        of = {}
        for name in stand.get("given", ()):
            every = EVERY[name]
            part = members[name][:, first // every : (first + count) // every]
            missing = count // every - part.shape[1]
            there = jnp.broadcast_to(
                jnp.arange(count // every)[None] < part.shape[1], (len(part), count // every)
            )
            of[name] = Condition(known=Known(jnp.pad(part, [(0, 0), (0, missing), (0, 0), (0, 0)]), there))
        return Condition(of=of)

    given = {name: part[:, : CONTEXT // EVERY[name]] for name, part in members.items()}
    keys = jax.random.split(jax.random.key(2), STARTS * MEMBERS)
    (chunk,) = rollout.chunks(params, given, keys, TICKS, known)
    return {
        name: einops.rearrange(np.asarray(frames), "(s m) t 1 1 -> s m t", m=MEMBERS)
        for name, frames in chunk.frames.items()
    }


def exact_std(made: str, known: dict[str, int], frames: slice, ticks: int) -> float:
    """Of frames of one modality given the first ones of each, root mean square."""
    blocks = process_covariance(tuple(EVERY.values()), ticks)
    count = {PARTS[name]: n for name, n in known.items()}
    g = np.block([[blocks[i, j][: count[i], : count[j]] for j in "ab"] for i in "ab"])
    own = PARTS[made]
    cross = np.concatenate([blocks[own, j][frames, : count[j]] for j in "ab"], axis=1)
    return float(np.sqrt(np.mean(1 - np.einsum("ij,ij->i", cross, np.linalg.solve(g, cross.T).T))))


def main(steps: int = 2000):
    ticks = CONTEXT + TICKS + WINDOW.size - CONTEXT - 4
    truth = sequences(STARTS, ticks, 1)
    denoise, params = network()
    params = trained(denoise, params, steps)
    print(f"{'':22} {'error':>7} {'spread':>7}   over the standard deviation of the exact law")
    for task, stand in TASKS.items():
        still = stand.get("given", ()), stand.get("absent", ())
        known = {
            name: 0 if name in still[1] else ticks // every if name in still[0] else CONTEXT // every
            for name, every in EVERY.items()
        }
        for name, members in answers(denoise, params, truth, **stand).items():
            first = CONTEXT // EVERY[name]
            frames = slice(first + 8 // EVERY[name], first + members.shape[2])
            std = exact_std(name, known, frames, ticks)
            kept = members[:, :, 8 // EVERY[name] :]
            error = np.sqrt(np.mean((kept.mean(1) - truth[name][:, frames, 0, 0]) ** 2))
            spread = np.sqrt(kept.var(1, ddof=1).mean())
            label = task if len(task) > 4 else f"both: {name}"
            print(f"{label:22} {error / std:7.3f} {spread / std:7.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
