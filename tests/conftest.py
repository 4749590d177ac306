"""What every test runs under: no silent broadcasting of ranks, and shapes checked against the annotations."""

import os
import tempfile

# Plots are drawn to files only, and no cache of a plotting library is left in a home.
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("MPLCONFIGDIR", tempfile.mkdtemp(prefix="matplotlib"))

# What one test has compiled or simulated, the others find, in other processes too.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp(prefix="compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
os.environ.setdefault("ROLLING_CACHE", tempfile.mkdtemp(prefix="simulated"))

import jax
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

CHECKED = (
    "noise",
    "windows",
    "solvers",
    "denoisers",
    "sampling",
    "losses",
    "distillation",
    "oracle",
    "video.metrics.i3d",
)

# The hook rewrites modules while they are imported: before any test imports them.
install_import_hook([f"rolling.{name}" for name in CHECKED], "beartype.beartype")

jax.config.update("jax_numpy_rank_promotion", "raise")

# Compilation makes the first example slow; the same examples are tried in every run.
settings.register_profile("rolling", deadline=None, max_examples=20, derandomize=True)
settings.load_profile("rolling")


@pytest.fixture
def quick_compilation():
    """For programs that run once: compiled with few optimisations, as compiling takes longer than running."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
