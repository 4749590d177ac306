"""Words of the command line that exchange parts: alone, several at once, and inside each other."""

import ast
import dataclasses
import inspect
import itertools
import math
import re
import textwrap

import pytest

from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.data.augment import ShiftReflect, Translate
from rolling.denoisers import Prediction
from rolling.noise import LinearLogsnr, Logit, NoiseSchedule
from rolling.run import commands
from rolling.run.cli import main
from rolling.run.commands import RolloutOptions
from rolling.run.experiment import codec
from rolling.run.experiment.options import parse
from rolling.run.experiment.registry import KINDS, RECORDS, alternatives, known_class, named_so, parts
from rolling.sampling.starts import FromGuess
from rolling.solvers import Heun, UniPC
from rolling.windows import (
    FullSequence,
    HistoryDropout,
    IndependentTimes,
    NoisyContext,
    Pyramid,
    Rolling,
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
        *("every", "ahead"),
    }
    assert {"cosine", "logit", "linear_logsnr", "flow_matching"} <= set(alternatives(NoiseSchedule))
    assert set(alternatives(Prediction)) == {"x", "v", "eps", "residual", "score_function", "flow_velocity"}


def test_parts_of_a_package_are_chosen_by_name():
    assert window("--window", "pyramid") == Pyramid(**SHAPE)
    assert window("--window", "trapezoid", "--window.stagger", "0.5") == Trapezoid(**SHAPE, stagger=0.5)
    schedules = {"logit": Logit(), "linear-logsnr": LinearLogsnr(minimum=-15.0, maximum=15.0)}
    for name, schedule in schedules.items():  # the limits are those of the cosine that was there
        assert parse(debug, ["--schedule", name], "test").schedule == schedule


def test_fields_that_no_option_names_are_as_they_were():
    """At any depth, beside fields that are named; truth values are switched off by `no-`."""
    named = ["--training.steps", "7", "--long-metrics.1.no-cumulative", "--solver.interpolation=0.5"]
    first, second, *others = debug.long_metrics
    expected = dataclasses.replace(
        debug,
        training=dataclasses.replace(debug.training, steps=7),
        solver=dataclasses.replace(debug.solver, interpolation=0.5),
        long_metrics=(first, dataclasses.replace(second, cumulative=False), *others),
    )
    assert second.cumulative and parse(debug, named, "test") == expected
    assert parse(debug, [], "test") == debug
    for words, said in {
        "--training.steps x": "--training.steps: a whole number is needed, not 'x'",
        "--optimiser.peak x": "--optimiser.peak: a number is needed, not 'x'",
        "--forecast.starts 1.5": "--forecast.starts: a whole number is needed, not '1.5'",
    }.items():
        with pytest.raises(InputError) as refused:
            parse(debug, words.split(), "test")
        assert str(refused.value) == f"{said}; `test --help` lists the options"


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--augment",), "--augment lacks its value"),  # and does not remove what was there
        (("--window", "--training.steps", "5"), "--window lacks its value"),
        (("--training", "5"), r"--training is no option by itself: give one of --training\.steps, "),
    ],
)
def test_a_part_without_a_name_is_told(words, said):
    with pytest.raises(InputError, match=f"^{said}"):
        parse(debug, list(words), "test")


def test_the_fields_of_several_parts_are_options():
    changed = parse(debug, ["--augment", "translate,shift_reflect", "--augment.1.mode", "2"], "test")
    assert changed.augment == (Translate(), ShiftReflect(mode=2))
    with pytest.raises(InputError, match="--augment knows no 'translat': the nearest is 'translate'"):
        parse(debug, ["--augment", "shift_reflect,translat"], "test")


def test_help_tells_which_parts_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["show", "debug", "--help"])
    lines = capsys.readouterr().out
    parts = lines[lines.index("Parts that can be exchanged") : lines.index("options")]
    assert "\n\n" not in parts.rstrip("╭─ \n") and len(parts.splitlines()) > 15
    said = " ".join(lines.split())
    assert "pyramid" in said and "logit" in said and "joined by commas" in said


def helped(part: type) -> set[str]:
    """The fields of a dataclass, and of its bases, that a line of help stands below."""
    found = set()
    for base in part.__mro__[:-1]:
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body
        for field, line in itertools.pairwise(body):
            match field, line:
                case ast.AnnAssign(), ast.Expr(value=ast.Constant(value=str(words))):
                    assert words.strip().endswith("."), f"{base.__name__}: {words}"
                    found.add(field.target.id)
    return found


def test_every_option_of_every_part_has_a_line_of_help():
    known = [part for kind in KINDS for part in parts(kind).values()]
    known += [known_class(record) for record in RECORDS]
    options = {
        part.__name__: {field.name for field in dataclasses.fields(part) if field.init} for part in known
    }
    assert {p.__name__: lacking for p in known if (lacking := options[p.__name__] - helped(p))} == {}


def test_the_help_of_a_command_shows_these_lines(capsys):
    """The options of the command itself, and of parts within parts, are among them."""
    words = ["--window", "trained_on", "--source.path", "x", "--augment", "translate", "--help"]
    with pytest.raises(SystemExit):
        main(["run", "gridded", *words])
    lines = [re.sub("[│╭╮╰╯─]", "", line).strip() for line in capsys.readouterr().out.splitlines()]
    options = [i for i, line in enumerate(lines) if line.startswith(("--", "-h"))]
    assert len(options) > 80 and any("--folder" in lines[i] for i in options)
    assert [lines[i] for i in options if lines[i + 1].startswith("(default")] == []


def test_only_the_whole_of_the_arguments_is_checked():
    """Two calls a step do not suit one call per frame, which is changed in the same line."""
    words = ["--solver", "heun", "--calls-per-frame", "2", "--start", "from_guess"]
    changed = parse(debug, words, "test")
    assert changed == dataclasses.replace(debug, solver=Heun(), calls_per_frame=2, start=FromGuess())
    with pytest.raises(InputError, match="choose a whole multiple of 2"):
        parse(debug, words[:2], "test")


def test_a_part_that_was_wrapped_hands_on_its_fields():
    """A network trained with diffusion forcing rolls out chunks of the same size."""
    wrapped = dataclasses.replace(debug, window=IndependentTimes(inner=Pyramid(size=12, context=3)))
    assert parse(wrapped, ["--window", "full_sequence"], "test").window == FullSequence(size=12, context=3)
    nested = dataclasses.replace(debug, window=HistoryDropout(inner=NoisyContext(inner=Rolling(size=9))))
    assert parse(nested, ["--window", "rolling"], "test").window.size == 9


def test_an_equals_sign_and_a_second_choice():
    words = ["--solver=ddim", "--solver.eta=0.5", "--window.size=5"]
    assert parse(debug, words, "test") == parse(debug, [w for x in words for w in x.split("=")], "test")
    twice = parse(debug, ["--solver", "heun", "--solver", "ddim"], "test")
    assert twice == parse(debug, ["--solver", "ddim"], "test")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("solver", "ddim", "solver must be of type Solver, not 'ddim'"),
        ("solver", {"type": "window.rolling"}, "solver must be of type Solver, not 'window.rolling'"),
        ("calls_per_frame", "two", "calls_per_frame must be of type"),
        ("name", 3, "name must be of type str, not 3"),
        ("metrics", [{"type": "solver.ddim"}], "metrics must be of type"),
        ("truncate_tail", "yes", "truncate_tail must be of type bool, not 'yes'"),
    ],
)
def test_a_value_of_another_type_is_refused(field, value, words):
    with pytest.raises(InputError, match=words):
        codec.decode(codec.encode(debug) | {field: value})


@pytest.mark.slow
def test_no_spoiled_field_ends_in_a_traceback():
    """Each field of an experiment in turn is another type, or nothing like what it should be."""
    spoiled = (None, "abc", -1.5, {"type": "solver.ddim"}, 1e400, 10**400, [1, "a"], math.nan)

    def places(value, path=()):
        listed = enumerate(value) if isinstance(value, list) else ()
        items = value.items() if isinstance(value, dict) else listed
        yield path
        for key, item in items:
            yield from places(item, (*path, key))

    def spoil(value, path, item):
        if not path:
            return item
        copied = dict(value) if isinstance(value, dict) else list(value)
        copied[path[0]] = spoil(value[path[0]], path[1:], item)
        return copied

    whole, refused = codec.encode(debug), 0
    cases = [(path, item) for path in places(whole) for item in spoiled]
    for path, item in cases:
        try:
            codec.decode(spoil(whole, path, item))
        except InputError:
            refused += 1
    assert refused > 0.9 * len(cases) > 700


@pytest.mark.parametrize("name", ["uni_pc", "uni-pc", "unipc", "UniPC", "UNI_PC"])
def test_a_part_is_known_however_it_is_written(name):
    assert parse(debug, ["--solver", name], "test").solver == UniPC()
    chosen = parse(debug, ["--augment", "ShiftReflect,TRANSLATE"], "test").augment
    assert chosen == (ShiftReflect(), Translate())


def test_names_that_differ_in_writing_only_are_not_confused():
    known = ["mid_point", "midpoint", "euler"]
    assert named_so("mid-point", known) == "mid_point" and named_so("midpoint", known) == "midpoint"
    assert named_so("MidPoint", known) is None  # either could be meant
    assert named_so("EULER", known) == "euler"


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("--patition", "; the nearest is --partition"),
        ("--steps", "; the nearest is --training.steps"),
        ("--prediktive", ""),
        ("--seed", ""),  # of the training, the source or the forecast
    ],
)
def test_only_a_likely_option_is_suggested(option, hint):
    with pytest.raises(InputError) as refused:
        parse(debug, [option, "3"], "test")
    assert str(refused.value) == f"there is no option {option}{hint}"


def test_what_the_run_fixes_is_told_so():
    sampling = RolloutOptions(**vars(debug.recipe), **vars(debug.forecast))
    fixed = commands.fixed_by_run()
    assert {"training", "network", "prediction", "source"} <= fixed
    assert not {"window", "solver", "frames", "outputs", "forecast"} & fixed
    for option in ("--prediction", "--training.steps"):
        with pytest.raises(InputError, match=f"^{option} is fixed by the run, as it was trained with it"):
            parse(sampling, [option, "eps"], "test", fixed)
    with pytest.raises(InputError, match=r"^there is no option --forecast\.frames; the nearest is --frames$"):
        parse(sampling, ["--forecast.frames", "3"], "test", fixed)


@pytest.mark.parametrize(
    ("command", "what"),
    [("rollout", "RUN"), ("drift", "RUN"), ("report", "RUN"), ("distill", "RUN"), ("show", "EXPERIMENT")],
)
def test_help_without_a_run_says_where_all_options_are(command, what, capsys):
    assert main([command, "--help"]) == 0
    assert f"\nAll options: `rolling {command} {what} --help`.\n" in capsys.readouterr().out


@pytest.mark.parametrize("words", ["run --help", "list --help", "weights --help", "weights i3d --help"])
def test_help_before_there_is_an_experiment(words, capsys):
    assert main(words.split()) == 0
    said = capsys.readouterr().out
    assert f"  {words.split()[0]} " in said and "EXPERIMENT is a preset" in said
    assert "as in `rolling run kolmogorov --help`" in said


def test_code_without_a_command(tmp_path, capsys):
    (tmp_path / "mine.py").write_text("")
    assert main(["--code", str(tmp_path / "mine.py")]) == 2
    assert "--code needs a command" in capsys.readouterr().err


def test_help_names_no_parts_where_there_are_none(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    said = capsys.readouterr().out
    assert "Scores fake clips against real ones" in said and "can be exchanged" not in said
