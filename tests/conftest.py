"""What every test runs under: no silent broadcasting of ranks, shapes checked against the annotations, and
caches that the next session finds."""

import gc
import os
import signal
from collections import Counter

from tests import cache_tools, compilation

# Plots are drawn to files only, and no cache of a plotting library is left in a home.
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("MPLCONFIGDIR", str(cache_tools.KEPT / "matplotlib"))

# What one test has compiled or simulated, the others find, in other processes and later sessions too.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_tools.compiled()))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("ROLLING_CACHE", str(cache_tools.simulated()))
if "XLA_FLAGS" not in os.environ:  # workers and commands inherit it
    os.environ["XLA_FLAGS"] = compilation.flags()

import jax
import pytest
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
    "physics.lsim_network",
)
UNCHECKED = []
"""What this session does without, as a library is missing."""

# The hook rewrites modules while they are imported: before any test imports them.
try:
    import beartype  # noqa: F401

    install_import_hook([f"rolling.{name}" for name in CHECKED], "beartype.beartype")
except ImportError:
    UNCHECKED.append("shapes are not checked against their annotations: install beartype")

jax.config.update("jax_numpy_rank_promotion", "raise")

# Tracing makes so many objects that looking for garbage among them takes up to a seventh of a file's time.
gc.set_threshold(200_000, 50, 100)

# Compilation makes the first example slow; the same examples are tried in every run.
try:
    from hypothesis import settings

    settings.register_profile("rolling", deadline=None, max_examples=20, derandomize=True)
    settings.load_profile("rolling")
except ImportError:
    UNCHECKED.append("tests of properties are skipped: install hypothesis")


@pytest.fixture
def double():
    """Double precision, for exact solutions."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True, scope="module")
def _memory():
    """Programs are a file's own: those of all of them would fill the memory of a small machine."""
    yield
    jax.clear_caches()
    gc.collect()


def pytest_configure(config):
    # A shell starts what it runs in the background with interrupts ignored, and children inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # once, not in every worker
        cache_tools.tidy()


def pytest_collection_modifyitems(items):
    """Files with long tests come first, so that no worker is left with one of them at the end."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


def pytest_terminal_summary(terminalreporter):
    """Says how many tests did not run, and what they want: a green session may prove less than another."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", [])]
    why = Counter(found[2] if isinstance(found, tuple) else str(found) for found in skipped)
    if skipped:
        terminalreporter.write_line(f"not run, as something is missing here: {len(skipped)}")
    for reason, count in why.most_common():
        terminalreporter.write_line(f"  {count} x {reason.removeprefix('Skipped: ')}")
    for line in UNCHECKED:
        terminalreporter.write_line(line)
