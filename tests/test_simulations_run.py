"""A network that is told the parameters and constant fields of simulations."""

import dataclasses
import json
import re

import h5py
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.simulations import Simulations
from rolling.data.told_parameters import told
from rolling.run import load
from rolling.run.cli import main
from rolling.run.forecasting.in_memory import Always
from rolling.run.forecasting.zarr_reader import open_forecast
from tests import archive_files

SMALL = (
    "--network.channels 8 --network.blocks 1 --network.heads 2 --network.embedding 16 --window.size 4"
    " --training.steps 30 --training.batch 4 --forecast.frames 2 --forecast.starts 2 --forecast.members 1"
    " --metrics vrmse --validation.share 0.1 --validation.every 15"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulations")
    archive_files.the_well(folder / "well", vectors=False)
    source = ["--source.path", str(folder / "well"), "--source.variables", "density"]
    assert main(["run", "simulations", "--folder", str(folder), *source, *SMALL.split()]) == 0
    return folder


def rolled(run, output, *words):
    assert main(["rollout", str(run), "--output", str(output), "--frames", "2", *words]) == 0
    return open_forecast(output, load(run).layout)


@pytest.mark.slow
def test_other_parameters_make_another_forecast(folder, tmp_path, capsys):
    run = folder / "simulations"
    own, other, high = (
        rolled(run, tmp_path / f"{i}.zarr", *words)
        for i, words in enumerate(([], ["--parameters", "Re=100"], ["--parameters", "Re=4000"]))
    )
    frames = [each.dataset["density"].values for each in (own, other, high)]
    assert not np.array_equal(frames[0], frames[2]) and not np.array_equal(frames[1], frames[2])
    np.testing.assert_array_equal(
        frames[0][0], frames[1][0]
    )  # the first start is of a simulation at Re = 100
    capsys.readouterr()
    for word, reason in (
        ("Rx=1", "no parameter 'Rx': there are Re"),
        ("Re", "NAME=NUMBER"),
        ("Re=nan", "NAME"),
    ):
        assert main(["rollout", str(run), "--parameters", word]) == 2
        assert reason in capsys.readouterr().err
    assert main(["rollout", str(run), "--parameters", "Re=250"]) == 0
    assert (run / "forecast-Re-250.zarr").is_dir()


@pytest.mark.slow
def test_persistence_scores_what_the_files_say(folder):
    """VRMSE as The Well defines it, from its files by other means."""
    stored = open_forecast(folder / "simulations" / "forecast.zarr", load(folder / "simulations").layout)
    scored = []
    for name, frame in zip(
        stored.dataset.attrs["sequence_names"], stored.dataset["frame"].values, strict=True
    ):
        file, trajectory = re.fullmatch(r"(.*)\[(\d)\]", name).groups()
        with h5py.File(folder / "well" / file) as held:
            density = held["t0_fields/density"][int(trajectory)].astype(float)
        errors = [((density[frame - 1] - density[frame + lead]) ** 2).mean() for lead in (0, 1)]
        sizes = [density[frame + lead].var(ddof=1) + 1e-7 for lead in (0, 1)]
        scored.append(np.sqrt(np.divide(errors, sizes)))
    ours = json.loads((folder / "simulations" / "evaluation.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(ours["vrmse"]["density"]["persistence"], np.mean(scored, axis=0), rtol=1e-6)


@pytest.mark.slow
def test_the_part_to_validate_on_is_that_of_the_archive(folder):
    source = Simulations(path=str(folder / "well"), variables=("density",))
    experiment = dataclasses.replace(load(folder / "simulations").experiment, source=source)
    split = experiment.split()
    assert split.validation is not None and split.validation.name(0) == "data/valid/s_Re_150.hdf5[0]"
    assert len(split.train) == len(source.open().train)
    without = dataclasses.replace(experiment.validation, share=0.0, patience=0)
    assert dataclasses.replace(experiment, validation=without).split().validation is None


@pytest.mark.slow
def test_from_python_they_are_given_by_name(folder):
    forecaster = load(folder / "simulations")
    test = forecaster.experiment.source.open().test
    given, mask = test.read(0, 0, 2), (archive_files.expected(0, 0, 1, {"x": 6, "y": 4})[0] > 20)[..., None]
    low, high = (
        forecaster.predict(given, frames=2, members=1, parameters={"Re": number}, constants=mask)
        for number in (100.0, 4000.0)
    )
    assert low.shape == (1, 2, 4, 6, 1) and not np.array_equal(low, high)
    with pytest.raises(InputError, match=r"conditioned on the parameter Re: give parameters=\{'Re': ...\}"):
        forecaster.predict(given, frames=2, constants=mask)
    with pytest.raises(InputError, match=r"constant fields \(mask\) of shape \(4, 6, 1\): .* not none"):
        forecaster.predict(given, frames=2, parameters={"Re": 1.0})
    with pytest.raises(InputError, match="knows no parameter 'Ma': there are Re"):
        forecaster.predict(given, frames=2, parameters={"Ma": 1.0}, constants=mask)
    plain = dataclasses.replace(forecaster.layout, parameters=(), constants=())
    with pytest.raises(InputError, match="it was trained without any"):
        Always.of(plain, {"Re": 1.0}, None)
    with pytest.raises(InputError, match="trained without constant fields: leave constants= out"):
        Always.of(plain, None, mask)


@pytest.mark.slow
def test_another_archive_is_continued_with_what_it_says_of_itself(folder, tmp_path):
    archive_files.the_well(tmp_path / "other", vectors=False, numbers=(300.0, 310.0, 320.0))
    stored = rolled(folder / "simulations", tmp_path / "x.zarr", "--data", str(tmp_path / "other"))
    assert stored.dataset.sizes["start"] == 12
    forecaster, other = load(folder / "simulations"), str(tmp_path / "other")
    source, layout = forecaster.experiment.source, forecaster.layout
    with pytest.raises(InputError, match=r"are 1 apart, and those of training 0.5"):
        dataclasses.replace(source, every=2).read_like(layout, None, other)
    renamed = dataclasses.replace(layout, variables=(dataclasses.replace(layout.variables[0], name="w"),))
    with pytest.raises(InputError, match="no variable 'w'"):
        source.read_like(renamed, None, other)


def test_parameters_are_told_in_place_of_those_of_the_data(tmp_path):
    archive_files.the_well(tmp_path, vectors=False)
    train = Simulations(path=str(tmp_path)).open().train
    other = told(train, {"Re": 400.0})
    np.testing.assert_array_equal(
        other.conditioning(0, 0, 3)["parameters"], train.conditioning(4, 0, 3)["parameters"]
    )
    np.testing.assert_array_equal(other.read(1, 2, 5), train.read(1, 2, 5))


def test_what_lies_in_a_folder_is_said(tmp_path, capsys):
    archive_files.the_well(tmp_path)
    assert main(["show", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for words in (
        "simulations, laid out as TheWell",
        "trajectories: 12, of 12 frames each; 6 to train on, 2 to validate on, 4 held out",
        "4 cells along y (wall), 6 cells along x (periodic)",
        "time step: 0.5",
        "constant field: mask",
        "the parameter Re, from 100 to 400",
        f"rolling run simulations --source.path {tmp_path}",
    ):
        assert words in said
    (tmp_path / "notes.txt").write_text("nothing")
    assert main(["show", str(tmp_path / "notes.txt")]) == 2
    assert "is no archive of simulations that is known" in capsys.readouterr().err
