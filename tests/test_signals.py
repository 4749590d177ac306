"""Being asked to stop: what is done is kept, one sentence is said, and the exit code tells who asked."""

import contextlib
import gc
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from rolling.common import signals
from rolling.common.progress import Progress
from rolling.run.checkpoint import Checkpoints
from rolling.run.cli import main
from rolling.run.training import trainer
from tests.run_tools import THIN, environment


def wait_for_stop():
    """Python code that a signal can interrupt."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        time.sleep(0.001)


@pytest.mark.parametrize("number", signals.EXIT_CODES)
def test_a_signal_stops_what_does_not_defer_it(number):
    before = signal.getsignal(number)
    with signals.handled(), pytest.raises(signals.Stopped):
        signal.raise_signal(number)
        wait_for_stop()
    assert signals.requested() is number
    assert signal.getsignal(number) is before


def test_deferred_work_ends_before_it_is_stopped():
    done = []
    with signals.handled(), pytest.raises(signals.Stopped):
        with signals.deferred():
            with signals.deferred():
                signal.raise_signal(signal.SIGTERM)
            assert signals.requested() is signal.SIGTERM
            done.append("whole")
        done.append("not reached")
    assert done == ["whole"]


def test_a_stop_is_not_asked_of_later_work():
    """As in a notebook, where one command was interrupted and the next one begins."""
    with signals.handled(), pytest.raises(signals.Stopped):
        signal.raise_signal(signal.SIGINT)
        wait_for_stop()
    with Progress("later work", total=1) as progress, signals.deferred():
        progress.update()


def test_a_second_signal_stops_deferred_work():
    with signals.handled(), pytest.raises(signals.Stopped), signals.deferred():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError


def test_a_stop_that_a_callback_swallows_comes_again(capfd):
    """The collector of garbage calls back into libraries: no exception leaves such a callback."""

    def callback(phase, info):
        if phase == "start" and not sent:
            sent.append(True)
            signal.raise_signal(signal.SIGINT)

    sent = []
    gc.callbacks.append(callback)
    try:
        with signals.handled(), pytest.raises(signals.Stopped):
            gc.collect(0)  # of few objects: after other tests the rest take seconds, as a compiler does
            wait_for_stop()
    finally:
        gc.callbacks.remove(callback)
    assert "Traceback" not in capfd.readouterr().err


def test_a_signal_on_its_way_does_not_arrive_after_the_work():
    """A callback has swallowed the stop, the next progress answers it before it is sent again, and then the
    signals are somebody else's: it would end the process."""

    class Closed:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    heard = []
    former = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    try:
        with signals.handled(), pytest.raises(signals.Stopped):
            thing = Closed()
            del thing  # raises where no exception can leave
            signals._answer(signal.SIGINT, None)
        time.sleep(0.1)
    finally:
        signal.signal(signal.SIGTERM, former)
    assert not heard


def test_a_stop_that_a_library_catches_is_answered_at_the_next_progress():
    with signals.handled(), pytest.raises(signals.Stopped), Progress("work", total=2) as progress:
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)
        progress.update()


@pytest.mark.slow
def test_a_training_that_is_asked_to_stop_reaches_the_same_bits(tmp_path, monkeypatch, capsys):
    words = ["train", "debug", "--folder", str(tmp_path), "--training.keep", "9", *THIN]
    often = ["--training.checkpoint-minutes", "1e-9"]  # which changes no bit either
    assert main([*words, "--name", "whole", *often]) == 0
    assert checkpoints(tmp_path / "whole") == {1, 2, 3, 4, 5, 6}

    def make(*rest):
        step, calls = made(*rest), []

        def asked(*arguments):
            calls.append(1)
            if len(calls) == 2:
                signal.raise_signal(signal.SIGTERM)
            return step(*arguments)

        return asked

    made = trainer.make_step
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "make_step", make)
        capsys.readouterr()
        assert main([*words, "--name", "asked"]) == 75
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("rolling: stopped after step 2 of 6") and said.endswith("go on with --resume")
    assert checkpoints(tmp_path / "asked") == {2}
    assert main([*words, "--name", "asked", "--resume"]) == 0
    whole, asked = (final(tmp_path / name) for name in ("whole", "asked"))
    assert len(whole) > 10
    for one, other in zip(whole, asked, strict=True):
        np.testing.assert_array_equal(one, other)


def checkpoints(run):
    return {int(path.name) for path in (run / "checkpoints").iterdir()}


def final(run):
    last = Checkpoints(run / "checkpoints")
    found = last.restore(("params", "ema", "optimiser", "progress"))
    last.close()
    return list(map(np.asarray, jax.tree.leaves(found)))


STUCK = """
import contextlib, hashlib
from rolling.common import signals
signals.GRACE = 0.2
with signals.handled(), signals.deferred(), {within}:
    print("stuck", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**30)
"""


def test_one_signal_ends_a_process_that_compiles_its_first_step():
    line = [sys.executable, "-c", STUCK.format(within="signals.nothing_to_save()")]
    with subprocess.Popen(line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"stuck\n"
        time.sleep(1)  # until it is
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 75
        assert process.stderr and process.stderr.read() == b"rolling: stopped at once\n"


def test_where_nothing_is_to_be_saved_a_signal_is_not_deferred():
    with pytest.raises(signals.Stopped), signals.handled(), signals.deferred():
        with signals.nothing_to_save():
            pass
        signal.raise_signal(signal.SIGTERM)  # deferred
        with signals.nothing_to_save():
            pytest.fail("not stopped")


def test_a_second_signal_ends_a_process_that_is_in_foreign_code():
    """As in a compiler, for minutes: handlers run in the interpreter's own code only."""
    line = [sys.executable, "-c", STUCK.format(within="contextlib.nullcontext()")]
    with subprocess.Popen(line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"stuck\n"
        process.send_signal(signal.SIGTERM)
        assert process.stderr and b"a second signal stops at once" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 75
        assert process.stderr.read() == b"rolling: stopped at once\n"
