"""The rollout loop adds less than 5 % to the bare network calls.

    python benchmarks/rollout.py

Times, in turns, a chunk of the main job's rollout (16 forecasts, one call per frame, ancestral noise) and as
many calls of the network alone in one compiled loop. Prints the ratio of medians beside the bound of 1.05.
"""

import statistics
import time

import jax
import jax.numpy as jnp

from configs.kolmogorov import experiment
from rolling.denoisers import NOTHING
from rolling.fields import Axis, Layout, Variable
from rolling.rollout import Rollout
from rolling.run import model

BATCH, CYCLES, ROUNDS = 16, 16, 9


def main() -> None:
    axis = Axis(name="x", values=tuple(float(i) for i in range(32)), periodic=True)
    layout = Layout(variables=(Variable(name="vorticity"),), y=axis, x=axis)
    apply, params = model.build(experiment, layout, None)
    sampler = experiment.sampler
    rollout = Rollout(sampler, model.binder(experiment, apply), cycles=CYCLES)
    context = jnp.zeros((BATCH, experiment.window.context, *layout.shape))
    key = jax.random.split(jax.random.key(0), BATCH)
    logsnr = jnp.linspace(5.0, -5.0, experiment.window.size)[None]

    @jax.jit
    def bare(params, z):
        body = lambda _, z: apply(params, z, logsnr, NOTHING)  # noqa: E731
        return jax.lax.fori_loop(0, CYCLES * sampler.cycle_steps, body, z)

    def loop():
        carry = sampler.begin(context, key)
        begin = time.perf_counter()
        jax.block_until_ready(rollout._advance(params, carry, NOTHING, 0, CYCLES))
        return time.perf_counter() - begin

    def network():
        z = jnp.zeros((BATCH, experiment.window.size, *layout.shape))
        begin = time.perf_counter()
        jax.block_until_ready(bare(params, z))
        return time.perf_counter() - begin

    loop(), network()  # compile
    pairs = [(loop(), network()) for _ in range(ROUNDS)]
    ours, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    calls = CYCLES * sampler.cycle_steps
    device = jax.devices()[0].device_kind
    print(f"on {device}: {1000 * ours / calls:.2f} ms a call in the loop, {1000 * alone / calls:.2f} ms bare")
    print(f"rollout / bare network: {ratio:.3f} (bound 1.05); compilations {rollout._advance._cache_size()}")


if __name__ == "__main__":
    main()
