"""Presets of published protocols run their real loop on miniatures: a few steps of training, the forecasts
that are asked for, a table in which every number is there, and several trainings beside each other."""

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

from rolling.configs import pde_refiner
from rolling.data.simulations import Simulations
from rolling.protocols import PdeRefinerCorrelation
from rolling.run.cli import main
from rolling.run.experiment import codec
from rolling.windows import Rolling
from tests.protocol_tools import SMALL, miniature, waves

PROTOCOLS = {
    "pdebench": "pdebench_nrmse",
    "apebench": "apebench_nrmse",
    "acdm_tra": "acdm_transonic",
    "acdm_inc": "acdm_incompressible",
    "pdearena": "pdearena_mse",
    "pdearena_conditioned": "pdearena_conditioned_mse",
    "pdearena_shallow_water_day": "pdearena_shallow_water_day",
    "pdearena_shallow_water_two_days": "pdearena_shallow_water_two_days",
    "pde_refiner": "pde_refiner_correlation",
    "dyffusion_ns": "dyffusion_flows",
}


def of_acdm(frames, *places):
    """Of every second of so many frames, the first two without an error, with none in the obstacles."""
    fluid = [np.mean([10 * x + y / 10 > 10 * (n % 5) for x in range(6) for y in range(4)]) for n in places]
    return np.mean(fluid) * sum((200 * max(0, n - 1)) ** 2 for n in range(frames)) / frames


LAST = {
    "acdm_tra": [of_acdm(60, 2, 3, 4), of_acdm(60, 5, 6, 7), of_acdm(240, 8, 9)],
    "acdm_inc": [of_acdm(60, 7, 8, 9, 10, 11), of_acdm(60, 2, 3, 4, 5, 6)],
    "pdearena": [3 * 1e4, 1e4 * (1 + 4 + 9 + 16 + 25)],
    "pdearena_conditioned": [*(3e4 * n**2 for n in (1, 2, 4, 8, 16)), 1e4 * (1 + 4 + 9 + 16 + 25)],
    "pdearena_shallow_water_day": [2 * 400.0**2],
    "pdearena_shallow_water_two_days": [2 * 800.0**2],
    "pde_refiner": [14] * 3,
    "dyffusion_ns": [100 * 65 / 2, 1e4 * 65 * 129 / 6, None],
}
"""Of persistence: each frame of a miniature is that before it plus 100 on disk."""
STARTS = {"acdm_tra": {"extrapolation": 6, "interpolation": 3, "long": 2}}
"""Simulations that are long enough for it are cut into two sequences."""
MORE = {"pdearena_conditioned": ("--forecast.chunk", "4", "--forecast.batch", "20")}
"""Forecasts of many lengths, for which few programs are compiled so."""
SEED = dataclasses.replace(pde_refiner.experiment.training, seed=1)
OURS = ("mean of the members", "one member", "all members")


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "protocol"), PROTOCOLS.items(), ids=PROTOCOLS)
def test_a_preset_runs_its_real_loop(preset, protocol, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "cache"))
    data = miniature(preset, tmp_path)
    words = ["--folder", str(tmp_path), "--source.path", str(data), *SMALL.split(), *MORE.get(preset, ())]
    run = tmp_path / preset
    assert main(["train", preset, *words]) == 0
    assert main(["rollout", str(run)]) == 0
    capsys.readouterr()
    assert main(["benchmark", str(run)]) == 0
    said = capsys.readouterr().out
    found = json.loads((run / f"protocol-{protocol}.json").read_text(encoding="utf-8"))
    assert found["departures"] == found["notes"] == [] and "Not comparable" not in said
    ours = [row["values"] for row in found["rows"] if row["name"] in OURS]
    assert ours and all(len(values) == len(found["columns"]) for values in ours)
    assert np.isfinite(np.array(ours, float)).all()
    (last,) = [row["values"] for row in found["rows"] if row["name"] == "persistence"]
    if preset in LAST:
        np.testing.assert_allclose(np.array(last, float), np.array(LAST[preset], float), rtol=1e-5)
    assert found["title"] in said
    for part, starts in STARTS.get(preset, {}).items():
        with xr.open_zarr(run / f"protocol-{protocol}-{part}.zarr") as store:
            assert store.sizes["start"] == starts, store.sizes


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    """Two trainings on waves."""
    folder = tmp_path_factory.mktemp("trainings")
    waves(folder / "data")
    words = ["--folder", str(folder), "--source.path", str(folder / "data"), *SMALL.split()]
    for seed in "01":
        more = ["--name", f"run-{seed}", "--training.seed", seed, "--protocols.0.members", "1"]
        assert main(["train", "pde_refiner", *words, *more]) == 0
    return folder


@pytest.mark.slow
def test_trainings_stand_beside_their_mean(trainings, capsys):
    runs = [str(trainings / f"run-{seed}") for seed in "01"]
    assert main(["benchmark", *runs]) == 0
    said = capsys.readouterr().out
    each = [
        json.loads((trainings / f"run-{seed}" / "protocol-pde_refiner_correlation.json").read_text())["rows"]
        for seed in "01"
    ]
    above = [next(row for row in rows if row["name"] == "one member")["values"][0] for rows in each]
    mean, deviation = sum(above) / 2, abs(above[0] - above[1]) / 2**0.5
    lines = {line.split("  ")[0]: line for line in said.splitlines()}
    found = lines["mean of 2 runs, one member"].split("  ")
    shown = [float(word) for word in [*filter(None, found)][1].split(" ± ")]
    np.testing.assert_allclose(shown, [mean, deviation][: len(shown)], rtol=0.05)
    assert len(shown) == 1 + (deviation > 0)
    assert {f"{run}, one member" for run in runs} < lines.keys() and "persistence" in lines
    assert "the standard deviation for 2 runs" in said and "Not comparable" not in said


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"name": "b"}, "same experiment with the same seed"),
        ({"name": "b", "window": Rolling(size=7, context=1)}, "more than their seeds (window.size: 6 / 7)"),
        ({"name": "b", "source": Simulations(path="other", every=4)}, "source.path: / other"),
        (
            {"name": "b", "training": SEED, "protocols": (PdeRefinerCorrelation(members=3),)},
            "have different protocols: name those to score them by, --protocols NAME",
        ),
        ({"name": "b", "training": SEED}, "no checkpoint"),
    ],
)
def test_runs_that_have_no_mean_are_told(changed, reason, tmp_path, capsys):
    """Before any of them is opened."""
    for name, more in (("a", {}), ("b", changed)):
        (tmp_path / name).mkdir()
        text = json.dumps(codec.encode(dataclasses.replace(pde_refiner.experiment, **more)))
        (tmp_path / name / "experiment.json").write_text(text, encoding="utf-8")
    assert main(["benchmark", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert reason in said, said
