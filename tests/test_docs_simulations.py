"""What docs/simulations.md shows works: its commands, each on a miniature of the layout it stands under."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from rolling.data.simulations import archives
from rolling.data.simulations.known_archives import archive_at
from rolling.data.simulations.source import Simulations
from rolling.run.benchmark import BenchmarkOptions
from rolling.run.cli import main
from rolling.run.commands import RolloutOptions
from rolling.run.experiment.options import option_names, parse
from rolling.run.experiment.presets import find, weights
from tests import (
    archive_files,
    test_archive_acdm,
    test_archive_apebench,
    test_archive_bubble_ml,
    test_archive_labelled,
    test_archive_nn_benchmark,
    test_archive_oisst,
    test_archive_pdearena,
    test_archive_pdebench,
    test_archive_real_pdebench,
)

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "simulations.md").read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.S)).replace("\\\n", " ")
COMMANDS = [line for line in BLOCKS.splitlines() if line.startswith("rolling")]
EXPERIMENT = importlib.import_module("rolling.configs.simulations").experiment
MINIATURES = {
    "TheWell": archive_files.the_well,
    "PDEBench": lambda file: test_archive_pdebench.flow(file, 2, count=4),
    "PDEArena": test_archive_pdearena.line,
    "APEBench": lambda file: test_archive_apebench.scenario(
        file.parent, name=file.stem.removesuffix("_train")
    ),
    "ACDM": test_archive_acdm.transonic,
    "NnBenchmark": lambda folder: test_archive_nn_benchmark.flows(folder.parent),
    "OISST": test_archive_oisst.regions,
    "BubbleML": test_archive_bubble_ml.study,
    "RealPDEBench": test_archive_real_pdebench.one_file,
    "Labelled": test_archive_labelled.parts,
}


def paths():
    """The folder or file of the first command below each heading of a layout."""
    layouts = PAGE.split("## Layouts")[1]
    return re.findall(r"--source\.path (\S+)", layouts)


def test_every_layout_has_a_paragraph_and_a_command():
    kinds = {name for name, kind in vars(archives).items() if isinstance(kind, type)} - {"Archive"}
    assert kinds == set(MINIATURES) and len(paths()) == len(kinds)


@pytest.mark.parametrize(("kind", "path"), list(zip(MINIATURES, paths(), strict=False)))
def test_a_layout_is_found_and_opened_as_the_page_says(kind, path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "cache"))
    MINIATURES[kind](tmp_path / path)
    assert type(archive_at(Path(path))).__name__ == kind
    assert main(["show", path]) == 0
    said = capsys.readouterr().out
    assert f"laid out as {kind}" in said and f"rolling run simulations --source.path {path}" in said
    (command,) = [
        line
        for line in COMMANDS
        if line.startswith("rolling run simulations") and line.split()[4] == path and "--name" not in line
    ][:1]
    _, _, preset, *options = shlex.split(command, comments=True)
    source = parse(EXPERIMENT, options, "rolling").source
    split = source.open()
    assert preset == "simulations" and len(split.train) and len(split.test)
    assert split.train.read(0, 0, 2).shape == (2, *split.train.layout.shape)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_a_command_are_known(command):
    _, name, chosen, *options = shlex.split(command, comments=True)
    if name in ("run", "train"):
        experiment = find(chosen)
        source = parse(experiment, options, "rolling").source
        if isinstance(source, Simulations):
            assert source.path and (chosen == "simulations" or experiment.protocols)
    elif name == "benchmark":
        runs = [word for word in (chosen, *options) if word.startswith("runs/")]
        given = [chosen, *options][len(runs) :]
        assert runs and (parse(BenchmarkOptions(), given, "rolling").protocols or not given)
    elif name == "rollout":
        assert parse(RolloutOptions(), options, "rolling").parameters == ("Re=250",)
    elif name == "weights":
        assert chosen in weights() and not options
    else:
        assert (name, options) == ("show", [])


def test_what_the_page_names_exists(tmp_path, capsys):
    """Its options, and the words that `show` prints of The Well's miniature."""
    named = {name.replace(".no-", ".") for name in re.findall(r"`--([\w.-]+)", PAGE)}
    simulated = importlib.import_module("rolling.configs.kolmogorov_viscosity").experiment
    well = importlib.import_module("rolling.configs.the_well").experiment
    known = {"parameters", *(file.option.removeprefix("--") for file in weights().values())}.union(
        *(option_names(each) for each in (EXPERIMENT, simulated, well))
    )
    assert {name for name in named if not name.startswith("source.archive.")} <= known
    archive_files.the_well(tmp_path / "shear_flow")
    assert main(["show", str(tmp_path / "shear_flow")]) == 0
    said = capsys.readouterr().out.replace(str(tmp_path / "shear_flow"), "shear_flow/")
    assert said in PAGE
    assert "(docs/simulations.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
