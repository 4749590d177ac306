"""What the tests of runs share: the command line in a process of its own, and experiments of seconds."""

import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rolling.configs.debug import experiment as _debug

ROOT = Path(__file__).resolve().parent.parent

THIN = ("--network.channels", "16", "--network.blocks", "1")
"""As options of a command: a network of a single block, for tests of what is around it. It compiles in half
the time of that of `debug`, which has two levels."""


def thin(experiment):
    """The same experiment with that network."""
    return dataclasses.replace(
        experiment, network=dataclasses.replace(experiment.network, channels=(16,), blocks=(1,))
    )


def thin_towers(network, **more):
    """A network of several modalities, each of a single block of a few channels, with `more` settings."""
    settings = {"channels": (16,), "blocks": (1,), "heads": 2, "embedding": 16, "transformer_levels": 1}
    towers = tuple(
        dataclasses.replace(tower, network=dataclasses.replace(tower.network, **settings | more))
        for tower in network.towers
    )
    return dataclasses.replace(network, towers=towers)


debug = thin(_debug)
"""`debug` for tests of what is around the network."""


def environment(**more: str) -> dict[str, str]:
    """The environment of a command: that of the tests, whose caches it shares."""
    return os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), **more}


def command(*words: str | Path, cwd: Path, env: dict[str, str], check: bool = True):
    """Runs `rolling WORDS` to its end."""
    line = [sys.executable, "-m", "rolling.run.cli", *map(str, words)]
    done = subprocess.run(line, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done


def kill_when(seen: Callable[[], bool], *words: str | Path, cwd: Path, env: dict[str, str]) -> bool:
    """Runs `rolling WORDS` and kills it with SIGKILL as soon as `seen()`; False if it ended before."""
    return send_when(signal.SIGKILL, seen, *words, cwd=cwd, env=env)[0] == -signal.SIGKILL


def send_when(
    number: signal.Signals, seen: Callable[[], bool], *words: str | Path, cwd: Path, env: dict[str, str]
) -> tuple[int, str]:
    """Runs `rolling WORDS` and sends it a signal as soon as `seen()`; the exit code and what was printed."""
    line = [sys.executable, "-m", "rolling.run.cli", *map(str, words)]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(line, cwd=cwd, env=env, stdout=said, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 300
            while process.poll() is None:
                if seen():
                    process.send_signal(number)
                    break
                assert time.monotonic() < deadline, "the moment to send it never came"
                time.sleep(0.01)
            code = process.wait(120)
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        return code, said.read()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
