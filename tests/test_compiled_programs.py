"""The folder of compiled programs: what is kept, what is deleted, and when it is not used at all."""

import os
import subprocess
import sys
import time

import pytest

from rolling.run import compiled_programs
from rolling.run.compiled_programs import FOLDER, PROGRAMS, SEAL, keep_compiled_programs

COMPUTES = """
import logging, sys
from rolling.run.compiled_programs import keep_compiled_programs
print(keep_compiled_programs())
import jax
counts = {}
jax.monitoring.register_event_listener(lambda name, **_: counts.update({name: counts.get(name, 0) + 1}))
print(float(jax.jit(lambda x: jax.numpy.sin(x) + 1)(0.0)))
print(counts.get("/jax/compilation_cache/cache_hits", 0))
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache of its own, and no folder that the tests have chosen."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(FOLDER)  # and set again at the end, whatever is done to it
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")
    return tmp_path


def kept(folder, name, age=0.0):
    """A program of `name` that was written `age` seconds ago."""
    path = folder / f"{name}-cache"
    path.write_bytes(name.encode() * 100)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_what_one_process_compiles_the_next_one_finds(home):
    env = os.environ | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

    def computed() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", COMPUTES], env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    folder, value, found = computed()
    assert (value, found) == ("1.0", "0")
    assert folder.startswith(f"{home}/rolling-diffusion/compiled-")
    assert computed()[1:] == ["1.0", "1"]


def test_a_program_that_has_changed_is_deleted(home, monkeypatch):
    folder = keep_compiled_programs()
    assert os.environ[FOLDER] == str(folder) and folder.stat().st_mode & 0o777 == 0o700
    whole, spoiled, writing = kept(folder, "whole", 99), kept(folder, "spoiled", 99), kept(folder, "writing")

    def again():
        monkeypatch.delenv(FOLDER)
        assert keep_compiled_programs() == folder
        return {path.name for path in folder.glob(PROGRAMS)}

    assert again() == {whole.name, spoiled.name, writing.name}
    assert not writing.with_name(writing.name + SEAL).exists()
    spoiled.write_bytes(b"x" + spoiled.read_bytes()[1:])
    assert again() == {whole.name, writing.name}
    assert again() == {whole.name, writing.name}
    assert sorted(path.name for path in folder.iterdir()) == [
        "whole-cache",
        "whole-cache.crc32c",
        "writing-cache",
    ]


def test_the_programs_used_last_are_kept(home, monkeypatch):
    folder = keep_compiled_programs()
    for age, name in enumerate(("new", "old", "oldest")):
        kept(folder, name, 1000.0 * age)
    monkeypatch.delenv(FOLDER)
    monkeypatch.setattr(compiled_programs, "LIMIT", 700)
    keep_compiled_programs()
    assert {path.name for path in folder.glob(PROGRAMS)} == {"new-cache", "old-cache"}


@pytest.mark.parametrize("spoil", [lambda folder: folder.chmod(0o770), lambda folder: folder.chmod(0o707)])
def test_a_folder_that_others_can_write_is_not_used(home, monkeypatch, spoil):
    """What is compiled is run: nobody else may put anything there."""
    spoil(keep_compiled_programs())
    monkeypatch.delenv(FOLDER)
    assert keep_compiled_programs() is None and FOLDER not in os.environ


def test_a_link_to_another_folder_is_not_used(home, monkeypatch):
    folder = keep_compiled_programs()
    folder.rename(home / "elsewhere")
    folder.symlink_to(home / "elsewhere")
    monkeypatch.delenv(FOLDER)
    assert keep_compiled_programs() is None and FOLDER not in os.environ


def test_without_a_folder_nothing_is_kept(home, monkeypatch):
    (home / "rolling-diffusion").write_bytes(b"a file")
    assert keep_compiled_programs() is None and FOLDER not in os.environ
    monkeypatch.setenv(FOLDER, "mine")
    assert keep_compiled_programs() is None and os.environ[FOLDER] == "mine"
