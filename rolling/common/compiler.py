"""How XLA compiles the programs that take the time."""

import functools
import os

import jax

LIBRARY = "xla_cpu_experimental_ynn_fusion_type"
"""What XLA's CPU compiler leaves to the library YNNPACK; in jax 0.10 convolutions, too."""
NO_CONVOLUTIONS = {LIBRARY: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"}


@functools.cache
def options() -> dict[str, str]:
    """For `jax.jit(..., compiler_options=)` of trainings and rollouts.

    On a CPU, convolutions are XLA's own: the gradient of a network is then 1.5 to 2 times as fast
    (`benchmarks/compiler.py`). Nothing is changed on other devices, by an XLA that does not know the option,
    or where `XLA_FLAGS` has it.
    """
    if jax.default_backend() != "cpu" or LIBRARY in os.environ.get("XLA_FLAGS", ""):
        return {}
    try:
        jax.jit(lambda x: x, compiler_options=NO_CONVOLUTIONS).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return NO_CONVOLUTIONS
