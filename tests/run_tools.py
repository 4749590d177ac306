"""What the tests of runs share: the command line in a process of its own, and experiments of seconds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


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
    line = [sys.executable, "-m", "rolling.run.cli", *map(str, words)]
    process = subprocess.Popen(line, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while process.poll() is None:
            if seen():
                process.send_signal(signal.SIGKILL)
                process.wait()
                return True
            assert time.monotonic() < deadline, "the moment to kill never came"
            time.sleep(0.01)
        return False
    finally:
        process.kill()
        process.wait()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
