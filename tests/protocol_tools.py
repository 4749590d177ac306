"""What the tests of published protocols share: small runs, and miniatures of the data that are scored."""

from tests import (
    test_archive_acdm,
    test_archive_apebench,
    test_archive_labelled,
    test_archive_nn_benchmark,
    test_archive_pdearena,
    test_archive_pdebench,
)

SMALL = (
    "--network.channels 8 --network.blocks 1 --network.heads 2 --network.embedding 16 --window.size 6"
    " --training.steps 2 --training.batch 2 --forecast.frames 1 --forecast.starts 2 --forecast.members 2"
    " --forecast.chunk 80 --forecast.batch 4 --calls-per-frame 1 --metrics rmse --protocols.0.members 2"
)
"""Options of a run whose own forecast is of one frame: what is of interest are those of its protocol."""


def smoke(folder):
    test_archive_pdearena.smoke(folder, (("train", 0, 3, 0.5), ("valid", 3, 1, 0.5), ("test", 4, 2, 0.5)))


def smoke_of_many(folder):
    """Of other buoyancies in the test than in training."""
    parts = (("train", 0, 2, 0.2), ("train", 2, 2, 0.4), ("test", 4, 1, 0.3))
    test_archive_pdearena.smoke(folder, parts, frames=18)


def water(folder):
    """Pressure, velocities and vorticity, of as many frames as six that are two days apart."""
    for part, (first, count) in test_archive_labelled.PARTS.items():
        globe = test_archive_labelled.globe(first, count, frames=48)[["pres", "u", "v"]]
        globe["vor"] = globe["u"] * 2
        test_archive_labelled.write(globe, folder / f"{part}.zarr")


def waves(folder):
    test_archive_pdearena.line(folder, longer=3)


def flows(folder):
    """Of as many frames as DYffusion's."""
    home = folder / "run" / "data_gen"
    test_archive_nn_benchmark.flow(home / "ns-runs_train-navier-stokes-n3-t9-n0_00001", 3, 0)
    name = "ns-runs_eval-cors1-navier-stokes-n2-t65-n0_tagcors1_00001"
    test_archive_nn_benchmark.flow(home / name, 2, 4, frames=65)


MINIATURES = {
    "pdebench": lambda folder: test_archive_pdebench.flow(folder / "x.hdf5", 2, count=4),
    "apebench": lambda folder: test_archive_apebench.scenario(folder, name="x", tested=201),
    "acdm_tra": test_archive_acdm.whole_transonic,
    "acdm_inc": test_archive_acdm.whole_incompressible,
    "pdearena": smoke,
    "pdearena_conditioned": smoke_of_many,
    "pdearena_shallow_water_day": water,
    "pdearena_shallow_water_two_days": water,
    "pde_refiner": waves,
    "dyffusion_ns": flows,
}
"""By preset: what writes data of which its protocol has nothing to say."""
NAMES = {"acdm_tra": "128_tra", "acdm_inc": "128_inc", "dyffusion_ns": "navier-stokes-multi"}


def miniature(preset, place):
    """The folder of the miniature, which has the name that the archive gives it."""
    folder = place / NAMES.get(preset, "data")
    MINIATURES[preset](folder)
    return folder
