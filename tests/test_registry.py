"""Parts by short names: the project's own, and those of a user's own file."""

import dataclasses

import pytest

from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.run.cli import main
from rolling.run.commands import check_folder
from rolling.run.experiment import codec, presets, registry
from rolling.run.experiment.options import parse
from rolling.run.experiment.presets import find, from_json, save
from rolling.run.experiment.user_code import keep_code, load_code
from rolling.windows import NoisyContext, Pyramid

MINE = '''
import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp

from rolling.noise import alpha_sigma, expand


@dataclasses.dataclass(frozen=True, kw_only=True)
class Midpoint:
    """Two calls a step: DDIM to the middle, then with what the network says there."""

    share: float = 0.5
    calls = 2
    noise = "none"

    def init(self, z):
        return ()

    def step(self, denoise, z, history, step, noise):
        return denoise(z, step.logsnr_t), history


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tamed:
    """A weighting."""

    power: float = 0.5

    def __call__(self, logsnr, speed):
        return jnp.ones_like(logsnr)
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_own", {})
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def test_every_part_has_one_short_name():
    tags = [(tag, part) for kind in registry.KINDS for tag, part in registry.parts(kind).items()]
    assert len(tags) > 90
    for tag, part in tags:
        assert registry.tag(part) == tag and registry.known_class(tag) is part
    assert len({part for _, part in tags}) == len(tags)


def test_records_are_known():
    for tag, place in registry.RECORDS.items():
        part = registry.known_class(tag)
        assert f"{part.__module__}.{part.__qualname__}" == place and registry.tag(part) == tag


def test_parts_of_ones_own_file_are_options(mine):
    load_code(mine)
    words = [
        "--solver",
        "midpoint",
        "--solver.share",
        "0.25",
        "--calls-per-frame",
        "2",
        "--weighting",
        "tamed",
    ]
    changed = parse(debug, words, "test")
    assert (changed.solver.share, changed.weighting.power) == (0.25, 0.5)
    encoded = codec.encode(changed)
    assert (encoded["solver"]["type"], encoded["weighting"]["type"]) == ("solver.midpoint", "weighting.tamed")
    assert codec.decode(encoded) == changed
    with pytest.raises(InputError, match="--solver knows no 'midpiont': the nearest is 'midpoint'"):
        parse(debug, ["--solver", "midpiont"], "test")


def test_the_command_line_loads_ones_own_file(mine, capsys):
    words = ["show", "debug", "--solver", "midpoint", "--calls-per-frame", "2"]
    assert main([*words, "--code", str(mine)]) == 0
    assert "solver: solver.midpoint" in capsys.readouterr().out


def test_a_name_is_given_once(mine, tmp_path):
    load_code(mine)
    load_code(mine)  # the same file again is the same class
    other = tmp_path / "other.py"
    other.write_text(MINE)
    with pytest.raises(InputError, match="Midpoint of other would be known as 'solver"):
        load_code(other)
    other.write_text(MINE.replace("Midpoint", "Heun"))
    with pytest.raises(InputError, match="and so is Heun of rolling"):
        load_code(other)


def test_a_family_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "_families", presets.families())  # of this test alone
    path = tmp_path / "fast.py"
    path.write_text(
        "import dataclasses\n"
        "from rolling.run.experiment.presets import family\n\n\n"
        "@family\n"
        "def hasty(experiment):\n"
        '    """Four calls."""\n'
        "    return dataclasses.replace(experiment, name=f'{experiment.name}_hasty', calls_per_frame=4)\n"
    )
    load_code(path)
    assert find("debug_hasty").calls_per_frame == 4


def test_a_part_of_a_notebook_needs_no_file(mine):
    names: dict = {"__name__": "__main__"}
    exec(MINE, names)
    encoded = codec.encode(names["Midpoint"](share=0.25))
    assert encoded["type"] == "solver.midpoint"
    assert codec.decode(encoded) == names["Midpoint"](share=0.25)


def test_an_incomplete_part_is_told_what_it_lacks(mine):
    mine.write_text(MINE.replace("def init", "def initial"))
    load_code(mine)
    with pytest.raises(InputError, match="--solver midpoint: your class is not complete, as it has no init"):
        parse(debug, ["--solver", "midpoint"], "test")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1\nx +\n", "line 2: SyntaxError"),
        ("x = 1\n\n1 / 0\n", "line 3: ZeroDivisionError: division by zero"),
        ("from rolling import Rolling\nRolling(size=1, context=2)\n", "line 2: InputError: a window of 1"),
    ],
)
def test_an_error_in_ones_own_file_is_one_sentence(code, words, mine, capsys):
    mine.write_text(code)
    assert main(["show", "debug", "--code", str(mine)]) == 2
    said = capsys.readouterr().err
    assert f"{mine}, {words}" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("--view", "--partition"),
        ("--drain", "--truncate-tail"),
        ("--window.roll", "--window.inner"),
        ("--window.roll.stagger", "--window.inner.stagger"),
        ("--forecast.beginnings", "--forecast.from-clip-start"),
    ],
)
def test_former_options_are_named_as_they_are_now(before, now):
    wrapped = dataclasses.replace(debug, window=NoisyContext(inner=Pyramid(size=5, context=1)))
    with pytest.raises(InputError, match=f"no option {before} any more: it is {now}$"):
        parse(wrapped, [before, "1"], "test")


def test_code_that_changed_is_not_trained_on_with_the_old(mine, tmp_path, monkeypatch, capsys):
    """The run keeps the code it was started with; whoever brings another version is told."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "own"
    load_code(mine)
    experiment = dataclasses.replace(parse(debug, ["--weighting", "tamed"], "test"), name="own")
    run.mkdir(parents=True)
    save(experiment, run / "experiment.json")
    keep_code(experiment, run)
    assert (run / "code" / "mine.py").read_text() == MINE
    check_folder(experiment, run, resume=True)
    mine.write_text(MINE + "# changed\n")
    load_code(mine)
    with pytest.raises(InputError, match=r"mine\.py has changed since .* bring back that version"):
        check_folder(experiment, run, resume=True)
    assert from_json(run / "experiment.json").name == "own"
    assert "is not the version that this run was started with" in capsys.readouterr().err
