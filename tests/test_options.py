"""Words of the command line that exchange parts: alone, several at once, and inside each other."""

import dataclasses

import pytest

from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.data.augment import ShiftReflect, Translate
from rolling.denoisers import Prediction
from rolling.noise import LinearLogsnr, Logit, NoiseSchedule
from rolling.run.cli import main
from rolling.run.experiment.options import parse
from rolling.run.experiment.registry import alternatives, parts
from rolling.sampling.starts import FromGuess
from rolling.solvers import Heun
from rolling.windows import (
    HistoryDropout,
    IndependentTimes,
    NoisyContext,
    Pyramid,
    TrainedOn,
    Trapezoid,
)

SHAPE = {"size": debug.window.size, "context": debug.window.context}


def window(*words: str):
    return parse(debug, list(words), "test").window


def test_the_parts_of_a_kind():
    assert {name.partition(".")[2] for name in parts("window")} == {
        *("rolling", "full_sequence", "autoregressive", "pyramid", "trapezoid"),
        *("independent_times", "noisy_context", "aligned_context", "history_dropout", "trained_on"),
    }
    assert {"cosine", "logit", "linear_logsnr", "flow_matching"} <= set(alternatives(NoiseSchedule))
    assert set(alternatives(Prediction)) == {"x", "v", "eps", "score_function", "flow_velocity"}


def test_parts_of_a_package_are_chosen_by_name():
    assert window("--window", "pyramid") == Pyramid(**SHAPE)
    assert window("--window", "trapezoid", "--window.stagger", "0.5") == Trapezoid(**SHAPE, stagger=0.5)
    schedules = {"logit": Logit(), "linear-logsnr": LinearLogsnr(minimum=-15.0, maximum=15.0)}
    for name, schedule in schedules.items():  # the limits are those of the cosine that was there
        assert parse(debug, ["--schedule", name], "test").schedule == schedule


def test_a_part_around_a_part_takes_the_one_that_was_there():
    inner = dataclasses.replace(debug.window, size=5)
    assert window("--window", "independent-times", "--window.inner.size", "5") == IndependentTimes(
        inner=inner
    )
    fifo = window("--window", "trained_on", "--window.inner.size", "24")
    assert fifo == TrainedOn(inner=dataclasses.replace(debug.window, size=24), trained=debug.window)


def test_parts_of_parts_are_chosen_by_name():
    words = (
        "--window",
        "history_dropout",
        "--window.inner",
        "noisy_context",
        "--window.inner.inner",
        "pyramid",
    )
    changed = window(*words, "--window.inner.inner.stagger", "1.0")
    assert changed == HistoryDropout(inner=NoisyContext(inner=Pyramid(**SHAPE, stagger=1.0)))
    with pytest.raises(InputError, match=r"--window\.inner knows no 'pyramyd': the nearest is 'pyramid'"):
        window("--window", "noisy_context", "--window.inner", "pyramyd")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("translate,shift_reflect", (Translate(), ShiftReflect())),
        ("shift-reflect", (ShiftReflect(),)),
        ("translate, translate", (Translate(), Translate())),
        ("", ()),
    ],
)
def test_several_parts_are_chosen_by_their_names(words, parts):
    for before in ((), (ShiftReflect(mode=2),)):
        preset = dataclasses.replace(debug, augment=before)
        assert parse(preset, ["--augment", words], "test") == dataclasses.replace(debug, augment=parts)


def test_the_fields_of_several_parts_are_options():
    changed = parse(debug, ["--augment", "translate,shift_reflect", "--augment.1.mode", "2"], "test")
    assert changed.augment == (Translate(), ShiftReflect(mode=2))
    with pytest.raises(InputError, match="--augment knows no 'translat': the nearest is 'translate'"):
        parse(debug, ["--augment", "shift_reflect,translat"], "test")


def test_help_tells_which_parts_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["show", "debug", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "pyramid" in said and "logit" in said and "joined by commas" in said


def test_only_the_whole_of_the_arguments_is_checked():
    """Two calls a step do not suit one call per frame, which is changed in the same line."""
    words = ["--solver", "heun", "--calls-per-frame", "2", "--start", "from_guess"]
    changed = parse(debug, words, "test")
    assert changed == dataclasses.replace(debug, solver=Heun(), calls_per_frame=2, start=FromGuess())
    with pytest.raises(InputError, match="choose a whole multiple of 2"):
        parse(debug, words[:2], "test")
