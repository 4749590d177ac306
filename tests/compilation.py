"""How the tests compile: quickly, as a test runs a program once or twice and compiling it takes longer.

Without optimisation and with the former code generator of fusions it takes a third of the time. What a run
leaves from process to process is compiled as users compile it (`tests.test_resume`), and so is everything by
`XLA_FLAGS= python -m pytest`. What runs for longer than it compiles takes a third of the time with
`thoroughly()`.
"""

import os
import subprocess
import sys

QUICKLY = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)


def flags() -> str:
    """`QUICKLY`, or nothing where this XLA does not know them all: an unknown one ends the process."""
    env = os.environ | {"XLA_FLAGS": " ".join(QUICKLY), "JAX_PLATFORMS": "cpu"}
    tried = subprocess.run([sys.executable, "-c", "import jax; jax.devices()"], env=env, capture_output=True)
    return "" if tried.returncode else env["XLA_FLAGS"]


def thoroughly() -> dict[str, int | bool]:
    """For `jax.jit(..., compiler_options=)` of a single program: as users compile it."""
    quickly = os.environ.get("XLA_FLAGS", "").startswith(" ".join(QUICKLY))
    return {"xla_backend_optimization_level": 3, "xla_cpu_use_fusion_emitters": True} if quickly else {}
