"""What XLA's own convolutions bring on a CPU (`rolling/common/compiler.py`).

    python benchmarks/compiler.py [--rounds 9]

The gradient of a training step and a network call, for the networks and batches of presets, compiled as XLA
does by itself and as it is here, timed in turn. Prints medians and their ratio; the goal is 1.2 times as fast
for gradients, and no loss for calls.
"""

import argparse
import functools
import statistics
import time

import jax
import jax.numpy as jnp
from flax import nnx

from rolling.common import compiler
from rolling.configs import clips, kolmogorov, moving_shapes
from rolling.denoisers import Inputs, functional
from rolling.run.training.allocator import keep_freed_memory

NETWORKS = {
    "kolmogorov": (kolmogorov.experiment, 32, 1, True),
    "moving_shapes": (moving_shapes.experiment, 32, 3, False),
    "clips": (clips.experiment, 64, 3, False),
}
"""Experiments with the side of their grids, variables, and whether axes are periodic."""


def programs(name: str) -> dict[str, dict[str, functools.partial]]:
    """`{"gradient" | "call": {"XLA's choice" | "here": ready to run}}`."""
    experiment, side, channels, periodic = NETWORKS[name]
    inputs = Inputs(
        space=(side, side), channels=channels, boundaries=("periodic" if periodic else "open",) * 2
    )
    apply, params = functional(experiment.network.build(inputs, nnx.Rngs(0)))
    frames, batch = experiment.window.size, experiment.training.batch
    z = jax.random.normal(jax.random.key(0), (batch, frames, side, side, channels))
    logsnr = jnp.broadcast_to(jnp.linspace(10, -10, frames), (batch, frames))

    def gradient(params, z, logsnr):
        return jax.grad(lambda params: jnp.mean(jnp.square(apply(params, z, logsnr) - z)))(params)

    def compiled(function, options):
        program = jax.jit(function, compiler_options=options).lower(params, z, logsnr).compile()
        return functools.partial(program, params, z, logsnr)

    ways = {"XLA's choice": {}, "here": compiler.options()}
    return {
        what: {way: compiled(function, options) for way, options in ways.items()}
        for what, function in {"gradient": gradient, "call": apply}.items()
    }


def seconds(program) -> float:
    begin = time.perf_counter()
    jax.block_until_ready(program())
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    keep_freed_memory()
    for name in NETWORKS:
        for what, ways in programs(name).items():
            times = {way: [] for way in ways}
            for _ in range(rounds + 1):  # the first round is warming up
                for way, program in ways.items():
                    times[way].append(seconds(program))
            theirs, ours = (1e3 * statistics.median(t[1:]) for t in times.values())
            print(f"{name:14s} {what:9s} {theirs:7.1f} ms, here {ours:6.1f}: {theirs / ours:.2f} x as fast")


if __name__ == "__main__":
    main()
