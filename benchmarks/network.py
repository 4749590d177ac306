"""The speed of the default network, as fractions of the machine's peak.

    python benchmarks/network.py [--rounds 15]

Trains on 8 clips of 8 frames of 32 x 32 cells, periodic, one channel, float32; once on one core and once on
two, each in its own process pinned to its cores. Each round times in turn a matrix product (XLA's peak), the
forward pass, the gradient of the loss, and a whole step with Adam. Figures are medians; the peak is the best
of all rounds.

Operations are those of the model alone: two for each multiply-add of its convolutions and matrix products,
counted in the forward pass with zero boundaries (the extra cost of periodic ones is overhead), and three
times that for training. Bounds: 40 % of the peak on one core, and 471 trained frames per second on two where
the peak is 435 GFLOP/s.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import time

CLIPS, FRAMES, CELLS = 8, 8, 32
SHARE = 0.40
FRAMES_PER_SECOND, AT_PEAK = 1.5 * 314, 435e9


def measure(rounds: int) -> dict[str, float]:
    """All figures on the cores of this process."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    from rolling.common import compiler
    from rolling.denoisers import Inputs, functional
    from rolling.run.training.allocator import keep_freed_memory
    from rolling.run.training.cost import operations
    from rolling.video.uvit.network import VideoUViT

    keep_freed_memory()
    jit = functools.partial(jax.jit, compiler_options=compiler.options())
    inputs = Inputs(space=(CELLS, CELLS), channels=1, boundaries=("periodic",) * 2)
    apply, params = functional(VideoUViT().build(inputs, nnx.Rngs(0)))
    zero_padded, _ = functional(VideoUViT(boundary=("zero", "zero")).build(inputs, nnx.Rngs(0)))
    z = jax.random.normal(jax.random.key(0), (CLIPS, FRAMES, CELLS, CELLS, 1))
    logsnr = jnp.broadcast_to(jnp.linspace(10, -10, FRAMES), (CLIPS, FRAMES))
    flops = operations(jax.make_jaxpr(zero_padded)(params, z, logsnr).jaxpr)

    def loss(params, z):
        return jnp.mean(jnp.square(apply(params, z, logsnr) - z))

    optimiser = optax.adam(1e-3)

    def step(params, state, z):
        value, gradient = jax.value_and_grad(loss)(params, z)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    side = 2048
    matrix = jax.random.normal(jax.random.key(1), (side, side))
    programs = {
        "peak": (jax.jit(lambda a: a @ a), (matrix,)),
        "forward": (jit(apply), (params, z, logsnr)),
        "gradient": (jit(jax.value_and_grad(loss)), (params, z)),
        "step": (jit(step), (params, optimiser.init(params), z)),
    }
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds + 1):
        for name, (program, arguments) in programs.items():
            begin = time.perf_counter()
            jax.block_until_ready(program(*arguments))
            times[name].append(time.perf_counter() - begin)
    seconds = {name: statistics.median(values[1:]) for name, values in times.items()}
    return {
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "peak": 2 * side**3 / min(times["peak"]),
        "flops": flops,
        **{name: seconds[name] for name in ("forward", "gradient", "step")},
    }


def on_cores(cores: list[int], rounds: int) -> dict[str, float]:
    """`measure` in a process that sees only these cores."""
    command = [sys.executable, __file__, "--rounds", str(rounds), "--cores", *map(str, cores)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def report(cores: int, figures: dict[str, float]) -> None:
    training = 3 * figures["flops"] / figures["gradient"]
    share = training / figures["peak"]
    rate = CLIPS * FRAMES / figures["step"]
    bound = FRAMES_PER_SECOND * figures["peak"] / AT_PEAK
    print(f"{cores} core{'s' if cores > 1 else ''}: matrix peak {figures['peak'] / 1e9:.0f} GFLOP/s")
    print(
        f"  forward {1e3 * figures['forward']:.0f} ms,"
        f" {figures['flops'] / figures['forward'] / 1e9:.0f} GFLOP/s;"
        f" gradient {1e3 * figures['gradient']:.0f} ms, {training / 1e9:.0f} GFLOP/s;"
        f" step with Adam {1e3 * figures['step']:.0f} ms"
    )
    print(f"  share of the peak in training: {share:.2f}" + (f" (bound {SHARE:.2f})" if cores == 1 else ""))
    ratio = f", {rate / bound:.2f} of the bound of {bound:.0f}" if cores == 2 else ""
    print(f"  trained frames per second: {rate:.0f}{ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cores", type=int, nargs="+", help="measure here, on these cores, and print JSON")
    arguments = parser.parse_args()
    if arguments.cores:
        os.sched_setaffinity(0, arguments.cores)
        print(json.dumps(measure(arguments.rounds)))
        return
    available = sorted(os.sched_getaffinity(0))
    for count in (1, 2):
        if len(available) < count:
            print(f"{count} cores: not measured, there are {len(available)}")
            continue
        figures = on_cores(available[:count], arguments.rounds)
        if count == 1:
            print(
                f"default VideoUViT: {figures['parameters'] / 1e6:.2f} M parameters,"
                f" {figures['flops'] / 1e9:.2f} GFLOP forward, {CLIPS} x {FRAMES} frames"
            )
        report(count, figures)


if __name__ == "__main__":
    main()
