"""Which option XLA is given, and that it does what it is for; without it everything still works."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common import compiler
from rolling.video.uvit.layers import correlate


@pytest.fixture(autouse=True)
def asked_anew():
    compiler.options.cache_clear()
    yield
    compiler.options.cache_clear()


def compiled(options):
    x, kernel = jnp.ones((8, 16, 16, 32)), jnp.ones((3, 3, 32, 32))
    gradient = jax.grad(lambda kernel: jnp.sum(correlate(x, kernel, "SAME") ** 2))
    return jax.jit(gradient, compiler_options=options).lower(kernel).compile()


def test_convolutions_are_not_left_to_the_library():
    options = compiler.options()
    if not options:
        pytest.skip("not a CPU, or an XLA without the option")
    program = compiled(options).as_text()
    assert program.count(" convolution(") >= 1
    here, there = (np.asarray(compiled(way)(jnp.ones((3, 3, 32, 32)))) for way in (options, {}))
    np.testing.assert_allclose(here, there, rtol=1e-5)


def test_what_the_user_says_to_xla_stands(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", f"--{compiler.LIBRARY}=LIBRARY_FUSION_TYPE_DOT")
    assert compiler.options() == {}


def test_an_xla_that_does_not_know_the_option_goes_without(monkeypatch):
    monkeypatch.setattr(compiler, "NO_CONVOLUTIONS", {"xla_cpu_no_such_option": "1"})
    assert compiler.options() == {}


def test_other_devices_are_left_alone(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compiler.options() == {}
