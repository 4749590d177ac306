"""The loop of several modalities adds little to the network's calls, and two cost little more than one.

    python benchmarks/joint_rollout.py

The main job's network on frames of 32 x 32 cells, and a joint one of two modalities with 32 x 16 cells
each, as many tokens together. Times in turn: a chunk of the joint rollout, as many calls of the joint
network alone in one compiled loop, and a chunk of the rollout of the single one. Prints the median ratios
of the first to the second (bound 1.05) and of the first to the third (bound 1.15).
"""

import statistics
import time
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
from flax import nnx

from rolling.common import compiler
from rolling.configs.kolmogorov import experiment
from rolling.denoisers import NOTHING, Inputs, V, functional
from rolling.sampling import Rollout, Sampler, joint
from rolling.video.uvit import JointUViT, Tower, VideoUViT

BATCH, CYCLES, ROUNDS = 16, 12, 9
HALVES = {"left": (32, 16), "right": (32, 16)}


def inputs_of(space: tuple[int, int]) -> Inputs:
    return Inputs(space=space, channels=1, boundaries=("periodic", "periodic"))


def of_one():
    apply, params = functional(experiment.network.build(inputs_of((32, 32)), nnx.Rngs(0)))

    def bind(params):
        return lambda z, logsnr, condition: V().x(z, logsnr, apply(params, z, logsnr, condition))

    return apply, params, bind


def of_two():
    network = cast(VideoUViT, experiment.network)
    towers = tuple(Tower(name=name, network=network) for name in HALVES)
    inputs = {name: inputs_of(space) for name, space in HALVES.items()}
    apply, params = functional(JointUViT(towers=towers).build(inputs, nnx.Rngs(0)))

    def bind(params):
        def denoise(z, logsnr, condition):
            v = apply(params, z, logsnr, condition)
            return {name: V().x(z[name], logsnr[name], v[name]) for name in z}

        return denoise

    return apply, params, bind


def timed(run, *arguments) -> float:
    begin = time.perf_counter()
    jax.block_until_ready(run(*arguments))
    return time.perf_counter() - begin


def chunk_of(sampler, params, bind, given):
    """What rolls out one chunk from the beginning of a rollout, after its warm-up."""
    rollout = Rollout(sampler, bind, cycles=CYCLES)
    key = jax.random.split(jax.random.key(0), BATCH)
    start = jax.jit(sampler.begin)(given, key)

    def run() -> float:
        carry = jax.block_until_ready(jax.tree.map(jnp.copy, start))
        return timed(rollout._advance, params, carry, NOTHING, 0, CYCLES + 1, 2**30)

    return run


def main() -> None:
    window = experiment.recipe.window
    apply, params, bind = of_two()
    halves = {name: jnp.zeros((BATCH, window.context, *space, 1)) for name, space in HALVES.items()}
    both = chunk_of(joint(experiment.recipe, dict.fromkeys(HALVES, 1)), params, bind, halves)
    z = {name: jnp.zeros((BATCH, window.size, *space, 1)) for name, space in HALVES.items()}
    logsnr = dict.fromkeys(HALVES, jnp.linspace(5.0, -5.0, window.size)[None])
    calls = round(CYCLES * window.stride * experiment.recipe.calls_per_frame)

    @partial(jax.jit, compiler_options=compiler.options())
    def bare(params, z):
        return jax.lax.fori_loop(0, calls, lambda _, z: apply(params, z, logsnr, NOTHING), z)

    _, single, bind = of_one()
    whole = jnp.zeros((BATCH, window.context, 32, 32, 1))
    one = chunk_of(Sampler(experiment.recipe), single, bind, whole)
    both(), one(), timed(bare, params, z)  # compile
    rounds = [(both(), timed(bare, params, z), one()) for _ in range(ROUNDS)]
    print(f"on {jax.devices()[0].device_kind}, {BATCH} forecasts at a time")
    for what, bound, place in (("the bare network", 1.05, 1), ("one modality with as many tokens", 1.15, 2)):
        ratio = statistics.median(times[0] / times[place] for times in rounds)
        print(f"joint loop / {what} {ratio:.3f} (bound {bound})")


if __name__ == "__main__":
    main()
