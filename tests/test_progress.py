"""Progress away from a terminal: a line now and then, with what is left once the pace is known."""

import re
import sys

import rolling.common.progress
from rolling.common import terminal
from rolling.common.progress import Progress


def test_lines_tell_the_pace_after_the_first_update(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(rolling.common.progress.time, "monotonic", lambda: clock[0])
    with Progress("train", total=100) as progress:
        clock[0] = 60.0  # compilation
        progress.update(10, loss=0.5)
        clock[0] = 80.0
        progress.update(20)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "train: starts (0/100 step)"
    assert lines[1] == "train: 10 %, loss 0.5 (10/100 step)"
    # 20 steps in 20 seconds: 70 are left.
    assert re.fullmatch(r"train: 30 %, 70 s left \(30/100 step\)", lines[2])
    assert lines[3] == "train: done in 80 s (30/100 step)"


def test_a_phase_that_fails_does_not_say_that_it_is_done(capsys):
    try:
        with Progress("train", total=2):
            raise KeyError("stopped")
    except KeyError:
        pass
    assert "done" not in capsys.readouterr().err


def test_compiling_is_said_and_how_long_it_took(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(rolling.common.progress.time, "monotonic", lambda: clock[0])
    with Progress("train", total=7000, compiles=True) as progress:
        clock[0] = 150.0
        progress.update(20)
        clock[0] = 170.0
        progress.update(20)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "train: compiling (0/7000 step)"
    assert lines[1] == "train: compiled and first done after 2 min (20/7000 step)"
    assert lines[2] == "train: 1 %, 116 min left (40/7000 step)"


def test_names_of_others_give_no_orders_to_a_terminal(capsys):
    """Whoever prints them, and by whichever stream; what is ours may still use colours."""
    name = "a\x1b[2J\rb\x9b31m\u202e\ud800é±\u00a0"
    with terminal.guarded():
        print(name, "\n\tnext")
        print(name, file=sys.stderr)
        print("\x1b[1mhelp\x1b[0m", file=terminal.bare(sys.stdout))
    out, errors = capsys.readouterr()
    safe = r"a\x1b[2J\rb\x9b31m\u202e\ud800é±" + "\u00a0"
    assert out == f"{safe} \n\tnext\n\x1b[1mhelp\x1b[0m\n" and errors == f"{safe}\n"
    assert terminal.printable("plain words") == "plain words"
