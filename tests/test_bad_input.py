"""Bad input gets one sentence (what, where, what to do) and exit code 2, and leaves nothing behind."""

import collections
import errno
import json
import random
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rolling.configs.debug import experiment as debug
from rolling.run import commands
from rolling.run.checkpoint import load_trained
from rolling.run.cli import COMMANDS as COMMAND_LINE, main
from rolling.run.experiment.options import option_names
from rolling.run.forecasting import zarr_writer
from tests.run_tools import THIN, tree


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with one trained run, `debug`, and its forecast; tests that damage it take a copy."""
    folder = tmp_path_factory.mktemp("runs")
    patch = pytest.MonkeyPatch()
    patch.setenv("ROLLING_CACHE", str(folder / "cache"))
    assert main(["train", "debug", "--folder", str(folder)]) == 0
    assert main(["rollout", str(folder / "debug")]) == 0
    yield folder
    patch.undo()


@pytest.fixture
def copy(runs, tmp_path):
    """A copy of the trained run, to damage."""
    shutil.copytree(runs / "debug", tmp_path / "debug")
    return tmp_path / "debug"


def fields(frames=60, height=8, width=8, **changes):
    """Gridded data that are fine, but for `changes` to the values."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((frames, height, width)).astype(np.float32)
    for where, value in changes.get("put", []):
        values[where] = value
    return xr.Dataset(
        {"t2m": (("time", "latitude", "longitude"), values, {"units": "K"})},
        coords={
            "time": pd.date_range("2019-03-01", periods=frames, freq="h"),
            "latitude": ("latitude", np.linspace(60, 50, height), {"units": "degrees_north"}),
            "longitude": ("longitude", np.linspace(0, 10, width), {"units": "degrees_east"}),
        },
    )


def netcdf(folder, dataset):
    dataset.to_netcdf(folder / "data.nc", engine="h5netcdf")
    return folder / "data.nc"


def cut(path, share=0.5):
    """The file without its end."""
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    return path


def cut_store(folder):
    fields().to_zarr(folder / "data.zarr", zarr_format=3, consolidated=False)
    chunk = next(p for p in (folder / "data.zarr" / "t2m" / "c").rglob("*") if p.is_file())
    cut(chunk)
    return folder / "data.zarr"


def text(folder, words="no data"):
    (folder / "data.nc").write_text(words)
    return folder / "data.nc"


def grib(folder):
    (folder / "data.grib").write_bytes(b"GRIB" + bytes(3) + b"\x01" + bytes(200))
    return folder / "data.grib"


EVERYWHERE = np.s_[:]
MOVING = [(np.s_[3, 2, 2], np.nan), (np.s_[7, 4, 4], np.nan)]

# name: (how the file is made, further options, what the sentence must say)
FILES = {
    "missing file": (lambda f: f / "nothing.nc", (), "nothing.nc"),
    "unreadable file": (text, (), "data.nc"),
    "truncated NetCDF": (lambda f: cut(netcdf(f, fields())), (), "data.nc"),
    "truncated GRIB": (grib, (), "data.grib"),
    "a Zarr store whose last write was cut": (cut_store, (), "data.zarr"),
    "unknown variable": (
        lambda f: netcdf(f, fields()),
        ("--source.variables", "t2n"),
        r"no variable 't2n'.*t2m",
    ),
    "no time axis": (lambda f: netcdf(f, fields().isel(time=0, drop=True)), (), "time"),
    "too few frames for a window": (lambda f: netcdf(f, fields(frames=9)), (), r"frames"),
    "an empty split": (
        lambda f: netcdf(f, fields()),
        ("--source.test-fraction", "0"),
        r"test_fraction = 0.* part of the split empty",
    ),
    "an all-NaN variable": (
        lambda f: netcdf(f, fields(put=[(EVERYWHERE, np.nan)])),
        (),
        r"t2m.*NaN",
    ),
    "NaN that moves": (lambda f: netcdf(f, fields(put=MOVING)), (), r"t2m.*2019-03-01"),
    "a grid smaller than a patch": (
        lambda f: netcdf(f, fields(height=2, width=2)),
        ("--network.patch", "4"),
        r"2 x 2",
    ),
    "a constant variable": (lambda f: netcdf(f, fields(put=[(EVERYWHERE, 1.0)])), (), r"t2m"),
}


def refused(capsys, words, says, folder=None):
    """Runs a command that must fail, and returns its one sentence."""
    before = tree(folder) if folder else None
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rolling: ")]
    assert len(lines) == 1
    assert "Traceback" not in lines[0]

    assert re.search(says, lines[0]), lines[0]
    if folder:
        assert tree(folder) == before
    return lines[0]


def test_names_of_files_give_no_orders_to_a_terminal(capsys):
    said = refused(capsys, ["evaluate", "\x1b[31mred\x07\u202e"], r"not a trained run")
    assert said.isprintable() and r"\x1b[31mred\x07\u202e" in said


@pytest.mark.parametrize("name", FILES)
def test_files(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "cache"))
    make, options, says = FILES[name]
    path = make(tmp_path)
    words = ["run", "gridded", "--source.path", path, "--folder", tmp_path / "runs", *options]
    refused(capsys, words, says)
    assert not (tmp_path / "runs" / "gridded").exists()


COMMANDS = {
    "unknown command": (["trian"], r"no command 'trian'.*train"),
    "unknown experiment": (["run", "kolmogorow"], r"did you mean 'kolmogorov'"),
    "no experiment": (["run"], r"needs an? experiment"),
    "no run": (["evaluate", "nowhere"], r"nowhere is not a trained run"),
    "unknown field": (
        ["run", "debug", "--window.sise", "4"],
        r"no option --window.sise; the nearest is --window.size",
    ),
    "wrong type": (["run", "debug", "--window.size", "four"], r"window.size"),
    "unknown part": (["run", "debug", "--solver", "ancestrl"], r"the nearest is 'ancestral'"),
    "impossible window": (["run", "debug", "--window.context", "4"], r"cannot hold 4 of context"),
    "an empty path": (["run", "gridded"], r"--source.path"),
    "a Python file that is not there": (["run", "mine.py"], r"no Python file mine.py"),
    "too long a window": (["train", "debug", "--window.size", "40"], r"40"),
    "a negative seed": (["run", "debug", "--training.seed", "-1"], r"training.seed must be .* from 0"),
    "a negative seed of data": (["run", "debug", "--source.seed", "-1"], r"source.seed must be"),
    "a negative seed of forecasts": (["run", "debug", "--forecast.seed", "-1"], r"forecast.seed must be"),
    "a negative warm-up": (["train", "debug", "--training.warmup", "-5"], r"training.warmup must be"),
    "no learning rate": (["train", "debug", "--optimiser.peak", "0"], r"optimiser.peak must be .* above 0"),
    "an infinite learning rate": (["train", "debug", "--optimiser.peak", "inf"], r"peak must be a finite"),
    "a step that is no number": (["run", "debug", "--source.simulator.dt", "nan"], r"dt must be a finite"),
    "a file in place of a folder": (["train", "debug", "--folder", "file/below"], r"file/below.* cannot be"),
    "a path of 300 letters": (["evaluate", 300 * "a"], r"a{300}"),
    "a file of 300 letters": (["run", 300 * "a" + ".py"], r"a{300}"),
    "a spoiled file of one's own": (["run", "syntax.py"], r"syntax.py, line 1: SyntaxError"),
    "spoiled code": (["list", "--code", "syntax.py"], r"syntax.py, line 1: SyntaxError"),
    "nested JSON": (
        ["show", "deep.json"],
        r"deep.json cannot be read as JSON: .* nested more than 64 levels",
    ),
    "an oracle that is not stationary": (["oracle", "--correlation", "1.1"], r"no stationary process"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "syntax.py").write_text("experiment = (")
    (tmp_path / "file").write_text("")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    words, says = COMMANDS[name]
    refused(capsys, words, says, tmp_path)


@pytest.mark.parametrize("count", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_nothing_that_is_typed_ends_in_a_traceback(count, tmp_path, monkeypatch):
    """Whatever reaches the work is enough: it does nothing here."""
    monkeypatch.chdir(tmp_path)
    for name in ("train", "run", "show_experiment"):
        monkeypatch.setattr(commands, name, lambda *rest, **more: "")
    rng = random.Random(0)
    options = [f"--{name}" for name in option_names(debug)]
    values = ["-1", "0", "nan", "inf", "-inf", "1e400", "", " ", "None", "abc", "x,y", "none", "../.."]
    values += ["9" * 400, "\udcff", "\x1b[31m", "ü" * 300, "--", "-", "[]", "1 2", "true", "ddim", "rolling"]
    ends = collections.Counter()
    for _ in range(count):
        more = [rng.choice(pool) for _ in range(rng.randint(0, 2)) for pool in (options, values)]
        words = [
            rng.choice([*COMMAND_LINE, "nonsense", ""]),
            rng.choice([*["debug"] * len(values), *values]),
            *more,
        ]
        try:
            ends[main(words)] += 1
        except SystemExit as stop:  # --help
            ends[stop.code] += 1
    assert set(ends) <= {0, 2} and ends[2] > count / 2, ends


@pytest.mark.slow
def test_a_run_that_exists_is_not_overwritten(runs, capsys):
    says = r"exists: add --resume"
    refused(capsys, ["train", "debug", "--folder", runs], says, runs / "debug" / "checkpoints")


@pytest.mark.slow
def test_a_run_of_another_experiment_is_not_resumed(runs, capsys):
    words = ["train", "debug", "--folder", runs, "--resume", "--window.context", "2"]
    refused(capsys, words, r"another experiment.*window.context: 1 / 2", runs / "debug")


def test_a_folder_that_is_no_run_is_left_alone(tmp_path, capsys):
    (tmp_path / "debug").mkdir()
    (tmp_path / "debug" / "thesis.tex").write_text("years")
    refused(capsys, ["train", "debug", "--folder", tmp_path], r"holds no run", tmp_path)


@pytest.mark.slow
def test_a_checkpoint_of_another_architecture(copy, capsys):
    described = json.loads((copy / "experiment.json").read_text())
    described["network"]["channels"] = [32, 16]
    (copy / "experiment.json").write_text(json.dumps(described))
    words = ["train", copy, "--folder", copy.parent, "--resume"]
    refused(capsys, words, r"another architecture.*\(")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "why"),
    [('{"type": "exper', ""), ('{"type": "experiment", "nam": "debug"}', "no field 'nam'"), ("[1]", "")],
)
def test_a_broken_experiment_beside_a_checkpoint_that_holds_it_is_told(copy, capsys, text, why):
    whole = load_trained(copy).experiment
    assert "cannot be read" not in capsys.readouterr().err
    (copy / "experiment.json").write_text(text)
    assert load_trained(copy).experiment == whole
    said = capsys.readouterr().err
    assert said.startswith(f"{copy / 'experiment.json'} cannot be read (") and why in said
    assert said.endswith("): the experiment is taken from the checkpoint\n") and said.count("\n") == 1


@pytest.mark.slow
def test_a_damaged_checkpoint(copy, capsys):
    for file in (copy / "checkpoints" / "6" / "ema").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    refused(capsys, ["rollout", copy], r"checkpoint .*6 cannot be read")


@pytest.mark.slow
def test_an_experiment_with_an_unknown_class(copy, capsys):
    described = json.loads((copy / "experiment.json").read_text())
    described["solver"]["type"] = "os.system"
    (copy / "experiment.json").write_text(json.dumps(described))
    refused(capsys, ["train", copy / "experiment.json", "--name", "new"], r"'os.system' is not known")


@pytest.mark.slow
def test_an_unfinished_forecast_is_not_scored(copy, capsys):
    chunk = next(p for p in (copy / "forecast.zarr" / "height" / "c").rglob("*") if p.is_file())
    cut(chunk)
    refused(capsys, ["evaluate", copy], r"forecast.zarr")


@pytest.mark.slow
def test_what_is_spoiled_in_a_run(copy, capsys):
    """Its coordinates, which are read when they are first asked for, and its log."""
    assert main(["evaluate", str(copy)]) == 0
    (copy / "log.jsonl").write_bytes(b"\xff\xfe\n[]\n{}\n" + (copy / "log.jsonl").read_bytes())
    assert main(["report", str(copy)]) == 0
    chunk = next(p for p in (copy / "forecast.zarr" / "sequence" / "c").rglob("*") if p.is_file())
    chunk.write_bytes(b"spoiled")
    for command in ("evaluate", "report"):
        refused(capsys, [command, copy], r"forecast.zarr cannot be read as a Zarr store")


@pytest.mark.slow
def test_another_forecast_is_not_overwritten(copy, capsys):
    refused(capsys, ["rollout", copy, "--members", "3"], r"another forecast.*members: 2 / 3", copy)
    assert main(["rollout", str(copy), "--members", "3", "--overwrite"]) == 0


@pytest.mark.slow
def test_overwrite_replaces_forecasts_and_nothing_else(copy, capsys):
    mine = copy / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    for output in (mine, mine / "thesis.txt"):
        words = ["rollout", copy, "--output", output, "--overwrite"]
        refused(capsys, words, r"is not a forecast of rolling-diffusion", copy)


@pytest.mark.slow
def test_a_forecast_of_another_network_is_not_taken_for_this_one(runs, copy, capsys):
    words = ["train", "debug", "--name", "other", "--training.steps", "1", "--folder", copy.parent, *THIN]
    assert main([str(word) for word in words]) == 0
    output = copy / "forecast.zarr"
    words = ["rollout", copy.parent / "other", "--output", output]
    refused(capsys, words, r"another forecast.*parameters: \w+ / \w+", output)


def test_a_folder_that_cannot_be_made(capsys):
    refused(capsys, ["train", "debug", "--folder", "/proc/nowhere"], r"/proc/nowhere.* cannot be made")


@pytest.mark.slow
def test_data_that_have_changed_are_not_trained_on(tmp_path, capsys):
    path = netcdf(tmp_path, fields())
    words = ["train", "gridded", "--source.path", path, "--folder", tmp_path, "--training.steps", "2"]
    words += THIN
    assert main([str(word) for word in words]) == 0
    netcdf(tmp_path, fields(frames=80))
    refused(capsys, [*words, "--resume"], r"the data have changed.*frames: 45 / 60", tmp_path / "gridded")


@pytest.mark.slow
def test_a_full_disk_loses_nothing(copy, capsys, monkeypatch):
    words = ["rollout", copy, "--frames", "12", "--output"]
    assert main([str(word) for word in [*words, copy / "whole.zarr"]]) == 0
    write, calls = zarr_writer.ForecastStore.write, []

    def full(self, *rest):
        calls.append(rest)
        if len(calls) == 11:
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path))
        write(self, *rest)

    monkeypatch.setattr(zarr_writer.ForecastStore, "write", full)
    refused(capsys, [*words, copy / "cut.zarr"], r"the disk is full \(.*cut.zarr\).*same command")
    monkeypatch.setattr(zarr_writer.ForecastStore, "write", write)
    assert main([str(word) for word in [*words, copy / "cut.zarr"]]) == 0
    assert tree(copy / "cut.zarr") == tree(copy / "whole.zarr")
