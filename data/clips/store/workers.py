"""Runs tasks in several processes, each of which may die: a codec that crashes takes its process with it."""

import collections
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from multiprocessing import Pipe, connection
from typing import Any

REPORTED, DONE, FAILED, DIED = "reported", "done", "failed", "died"
START = f"import sys; _, line, *sys.path = sys.argv; from {__name__} import main; main(int(line))"


@dataclasses.dataclass(eq=False)
class _Worker:
    process: Any
    line: Any
    task: Any = None


def spread(
    function: Callable, tasks: collections.deque, workers: int
) -> Generator[tuple[Any, str, Any], None, None]:
    """Calls `function(task, report)` in other processes; yields `(task, REPORTED, value)` for each
    `report(value)`, and finally `(task, DONE, None)`, `(task, FAILED, exception)` or, if the process died,
    `(task, DIED, exit code)`.

    The caller may append to `tasks` meanwhile. The processes are fresh ones that import the function and what
    it needs, but not the running program, which may be heavy; they end with the iteration.
    """
    running: list[_Worker] = []
    try:
        while tasks or any(worker.task is not None for worker in running):
            for worker in running:
                if tasks and worker.task is None:
                    _give(worker, tasks.popleft())
            while tasks and len(running) < workers:
                running.append(_hire(function))
                _give(running[-1], tasks.popleft())
            busy = {worker.line: worker for worker in running if worker.task is not None}
            for line in connection.wait(list(busy)):
                worker = busy[line]
                task, (event, value) = worker.task, _heard(worker)
                if event != REPORTED:
                    worker.task = None
                if event == DIED:
                    running.remove(worker)
                yield task, event, value
    finally:
        for worker in running:
            worker.process.terminate()
        for worker in running:
            _bury(worker)


def _hire(function: Callable) -> _Worker:
    here, there = Pipe()
    with there:  # our copy is closed, so that the pipe ends with the process
        process = subprocess.Popen(
            # Without -P the current folder would come before the standard library.
            [sys.executable, "-P", "-c", START, str(there.fileno()), *_folders_of_modules()],
            stdin=subprocess.PIPE,
            pass_fds=[there.fileno()],
        )
    worker = _Worker(process, here)
    with contextlib.suppress(OSError):
        here.send(function)
    return worker


def _folders_of_modules() -> list[str]:
    """The folders that this process imports from. The current one comes last, unless this package lies in it:
    it may be someone else's, and no file in it may pass for one of the standard library."""
    folders = [os.path.abspath(folder) for folder in sys.path]
    package = sys.modules[__name__.partition(".")[0]].__file__ or ""
    home = os.path.dirname(os.path.dirname(os.path.abspath(package)))
    return sorted(folders, key=lambda folder: folder == os.getcwd() != home)


def _give(worker: _Worker, task: Any) -> None:
    worker.task = task
    with contextlib.suppress(OSError):  # it is already dead: reading from it will show that
        worker.line.send(task)


def _heard(worker: _Worker) -> tuple[str, Any]:
    try:
        return worker.line.recv()
    except (EOFError, OSError):
        return DIED, _bury(worker)


def _bury(worker: _Worker) -> int:
    worker.line.close()
    worker.process.stdin.close()
    return worker.process.wait()


def _end_together() -> None:
    """Ends this process when the parent has died: no one would wait for its results."""
    sys.stdin.buffer.read()
    os._exit(1)


def _work(line: connection.Connection) -> None:
    threading.Thread(target=_end_together, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    function = line.recv()
    while True:
        try:
            task = line.recv()
        except EOFError:
            return
        try:
            function(task, lambda value: line.send((REPORTED, value)))
            answer = (DONE, None)
        except BaseException as error:
            answer = (FAILED, error)
        line.send(answer)


def main(line: int) -> None:
    """A worker, at its end of the line `line`, a file descriptor."""
    _work(connection.Connection(line))
