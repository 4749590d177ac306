"""The rollout loop adds little to the bare network calls, for every family of methods and at any length.

    python benchmarks/rollout.py [FAMILY ...]

For each family of `configs/_families.py` on the main job's network: times, in turn, a chunk of a rollout (16
forecasts) and the same number of calls of the network alone, with inputs of the same shape, in one compiled
loop; prints the median ratio and its bound, 1.05. Then, on a tiny network, the time per frame of a rollout of
10,000 frames relative to one of 100, and its bound, 1.1: the cost of a frame does not grow.
"""

import dataclasses
import statistics
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp

from rolling.common import compiler
from rolling.configs.debug import experiment as debug
from rolling.configs.kolmogorov import experiment as kolmogorov
from rolling.denoisers import NO_PAST, NOTHING
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.run import model
from rolling.run.experiment.presets import families
from rolling.sampling import Rollout, Sampler

BATCH, FRAMES, ROUNDS = 16, 12, 7


def layout_of(size: int) -> Layout:
    axis = Axis(name="x", values=tuple(float(i) for i in range(size)), boundary="periodic")
    return Layout(variables=(Variable(name="vorticity"),), axes=(axis, axis))


def prepared(experiment, size: int, cycles: int, batch: int):
    """The network and a rollout of it, ready to run."""
    apply, params = model.build(experiment, layout_of(size), None)
    rollout = Rollout(Sampler(experiment), model.binder(experiment, apply, NO_PAST), cycles=cycles)
    given = jnp.zeros((batch, experiment.given_frames, *layout_of(size).shape))
    return apply, params, rollout, given, jax.random.split(jax.random.key(0), batch)


def shown(experiment, given) -> tuple[int, ...]:
    """The shape of the network's input in one call."""
    seen = []

    def network(z, logsnr, condition):
        seen.append(z.shape)
        return z

    def cycle(given):
        sampler = Sampler(experiment)
        x = jnp.zeros((given.shape[0], sampler.window.size, *given.shape[2:]))
        return sampler.cycle(
            network, sampler.place(x, jax.random.split(jax.random.key(0), len(given)), 0), NOTHING
        )

    jax.eval_shape(cycle, given)
    return seen[0]


def against_the_bare_network(experiment) -> tuple[float, float]:
    """Milliseconds of a call, and the ratio of the loop to the bare network."""
    sampler = Sampler(experiment)
    cycles = -(-FRAMES // sampler.window.stride)
    apply, params, rollout, given, key = prepared(experiment, 32, cycles, BATCH)
    shape = shown(experiment, given)
    logsnr = jnp.linspace(5.0, -5.0, shape[1])[None]
    calls = round(cycles * sampler.window.stride * experiment.network_calls)

    @partial(jax.jit, compiler_options=compiler.options())
    def bare(params, z):
        body = lambda _, z: apply(params, z, logsnr, NOTHING)  # noqa: E731
        return jax.lax.fori_loop(0, calls, body, z)

    def loop():
        x = jnp.zeros((BATCH, sampler.window.size, *given.shape[2:]))
        carry = jax.block_until_ready(sampler.place(x, key, 0))
        begin = time.perf_counter()
        jax.block_until_ready(rollout._advance(params, carry, NOTHING, 0, cycles + 1, 2**30))
        return time.perf_counter() - begin

    def network():
        z = jnp.zeros(shape)
        begin = time.perf_counter()
        jax.block_until_ready(bare(params, z))
        return time.perf_counter() - begin

    loop(), network()  # compile
    pairs = [(loop(), network()) for _ in range(ROUNDS)]
    return 1000 * statistics.median(a for a, _ in pairs) / calls, statistics.median(a / b for a, b in pairs)


def growth(experiment) -> float:
    """Time per frame of 10,000 frames relative to 100, without the start of the rollout."""
    _, params, rollout, given, key = prepared(experiment, 8, 50, 1)

    def per_frame(frames: int) -> float:
        chunks = rollout.chunks(params, given, key, frames + rollout.frames_per_chunk)
        next(chunks).frames.block_until_ready()
        begin = time.perf_counter()
        done = 0
        for chunk in chunks:
            done += chunk.frames.shape[1]
            chunk.frames.block_until_ready()
        return (time.perf_counter() - begin) / done

    per_frame(100)
    short = statistics.median(per_frame(100) for _ in range(5))
    return per_frame(10_000) / short


def main(chosen: list[str]) -> None:
    print(f"on {jax.devices()[0].device_kind}, {BATCH} forecasts at a time")
    tiny = dataclasses.replace(
        debug, network=dataclasses.replace(debug.network, channels=(4,), blocks=(1,), heads=2, embedding=4)
    )
    for name in chosen or families():
        experiment = families()[name](kolmogorov)
        milliseconds, ratio = against_the_bare_network(experiment)
        longer = growth(families()[name](tiny))
        print(
            f"{name:20s}{1000 / milliseconds:8.1f} calls/s  loop / bare network {ratio:.3f} (bound 1.05)"
            f"  10,000 / 100 frames {longer:.2f} (bound 1.1)",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
