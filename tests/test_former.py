"""What earlier versions wrote is read: experiments with classes named by their modules, a run, its forecasts.

The fixtures were written by the version before parts had short names: every preset's `experiment.json`, and a
run of seconds with a finished forecast, one that was killed after its first chunk, and an evaluation.
"""

import dataclasses
import gzip
import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.clips.source import Clips
from rolling.data.gridded.source import Gridded
from rolling.denoisers import V
from rolling.metrics.anomalies import PooledAnomalyCorrelation
from rolling.metrics.ensemble import Coverage
from rolling.metrics.protocol import Unpaired
from rolling.physics.lsim import Lsim
from rolling.run.cli import main
from rolling.run.experiment import Reference, codec
from rolling.run.experiment.few_steps import MomentMatching
from rolling.run.experiment.former import upgraded
from rolling.run.experiment.objectives import Denoising
from rolling.run.experiment.presets import find
from rolling.video.uvit import VideoUViT
from rolling.windows import NoisyContext, Rolling

FIXTURES = Path(__file__).parent / "fixtures"
PRESETS = json.loads(gzip.decompress((FIXTURES / "former_presets.json.gz").read_bytes()))


@pytest.fixture
def run(tmp_path, monkeypatch):
    with tarfile.open(FIXTURES / "former_run.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "former"


def tags(value) -> set[str]:
    """Every `type` of an encoded value."""
    if isinstance(value, list):
        return set().union(*map(tags, value))
    if not isinstance(value, dict):
        return set()
    return {value["type"]} | set().union(*map(tags, value.values()))


def test_presets_of_before_are_those_of_today():
    assert len(PRESETS) == 31
    for name, former in PRESETS.items():
        now = find(name)
        if isinstance(now.source, Clips):  # what was held out stays held out
            now = dataclasses.replace(now, source=dataclasses.replace(now.source, holdout_by="names"))
        if isinstance(now.source, Gridded):  # networks are told what they were
            now = dataclasses.replace(now, source=dataclasses.replace(now.source, features=None))
        # Without the metrics that were added since.
        added = (PooledAnomalyCorrelation(), *(Coverage(share=share) for share in (0.5, 0.8, 0.9)))
        metrics = tuple(metric for metric in now.metrics if metric not in added)
        long_metrics = tuple(metric for metric in now.long_metrics if not isinstance(metric, Unpaired))
        now = dataclasses.replace(now, metrics=metrics, long_metrics=long_metrics)
        then = codec.decode(former)
        if name == "moving_shapes":  # and without what it has against drift, and for how long it rolls
            now = dataclasses.replace(
                now, constraints=(), objective=Denoising(), reference=Reference(), long=then.long
            )
        if name == "kuramoto_sivashinsky":  # it is trained longer, as `kolmogorov` is
            now = dataclasses.replace(now, solver=then.solver, training=then.training)
        if name == "clips":  # most of a frame is a copy of the one before, and its network says what changes
            now = dataclasses.replace(now, prediction=V(), schedule=then.schedule, solver=then.solver)
        assert then == now, name
        since = codec.differences(former, codec.encode(now))
        assert all(": None / " in line for line in since)  # fields that were added


def test_parts_are_written_by_short_names():
    written = set().union(*(tags(codec.encode(find(name))) for name in PRESETS))
    assert all(re.fullmatch(r"[a-z]+(\.[a-z0-9_]+)?", tag) for tag in written), written
    assert {"experiment", "window.rolling", "solver.uni_pc", "network.video_uvit", "metric.crps"} <= written


def test_months_were_written_as_hours():
    axis = {"type": "axis", "name": "y", "values": [0.0, 1.0]}
    layout = {"type": "layout", "variables": [], "y": axis, "x": axis, "step": 3 * 730.485}
    found = codec.decode(layout | {"time_units": "hours"})
    assert (found.step, found.time_units) == (3.0, "months")
    assert codec.decode(layout).step == 3 * 730.485  # of numbers, which are no dates


def test_a_value_of_today_is_left_as_it_is():
    for name in PRESETS:
        today = codec.encode(find(name))
        assert upgraded(today) == today


def test_fields_that_were_renamed():
    inner = {"type": "rolling.windows.rolling.Rolling", "size": 3, "context": 1}
    former = {"type": "rolling.windows.context.NoisyContext", "roll": inner, "level": 0.05}
    assert codec.decode(former) == NoisyContext(inner=Rolling(size=3, context=1), level=0.05)
    forecast = codec.decode({"type": "rolling.run.experiment.Forecast", "beginnings": True})
    assert forecast.from_clip_start


def test_students_of_before_had_no_states_of_their_own():
    former = {"type": "rolling.run.objectives.MomentMatching", "teacher": "runs/a", "warmup_share": 0.2}
    now = MomentMatching(teacher="runs/a", warmup_share=0.2)
    assert codec.decode(former) == now and now.own_share == 0
    assert not codec.differences(former, codec.encode(now))


def test_given_frames_did_not_count_in_lsim():
    found = upgraded({"type": "metric.lsim", "member": "each", "obstacles": ""})
    assert found["given"] is False and codec.decode(found) == Lsim(member="each")


def test_networks_were_not_shown_distances():
    former = {"type": "video.uvit.network.VideoUViT", "patch": 4}
    now = VideoUViT(patch=4)
    assert codec.decode(former) == now and now.end_distance == 0
    assert not codec.differences(former | codec.encode(now) | {"type": former["type"]}, codec.encode(now))
    assert upgraded(former)["end_distance"] == 0


def test_a_module_is_no_way_to_a_class():
    """Only what was once written is understood: no other module, no class that is not a part."""
    for name in (
        "rolling.nothing.X",
        "rolling.noise.rolling.Rolling",
        "os.path.Rolling",
        "rolling.layout.Path",
    ):
        with pytest.raises(InputError, match=re.escape(repr(name))):
            codec.decode({"type": name})


@pytest.mark.slow
def test_a_run_of_before_goes_on(run, capsys):
    """Its forecast is known as its own, the one that was killed is finished, and the scores are the same."""
    before = json.loads((run / "evaluation.json").read_text())
    written = {p: p.read_bytes() for p in (run / "forecast.zarr").rglob("*") if p.is_file()}
    assert main(["rollout", "former"]) == 0, capsys.readouterr().err
    assert written == {p: p.read_bytes() for p in (run / "forecast.zarr").rglob("*") if p.is_file()}

    assert main(["rollout", "former", "--output", "former/half.zarr"]) == 0, capsys.readouterr().err
    whole, half = (xr.open_zarr(run / f"{name}.zarr", consolidated=False) for name in ("forecast", "half"))
    np.testing.assert_allclose(half["height"], whole["height"], rtol=1e-4, atol=1e-5)

    assert main(["evaluate", "former"]) == 0, capsys.readouterr().err
    after = json.loads((run / "evaluation.json").read_text())
    for metric, scores in before.items():
        for variable, score in scores.items():
            for curve in ("model", "persistence"):
                np.testing.assert_allclose(after[metric][variable][curve], score[curve], rtol=1e-4)
    assert main(["report", "former"]) == 0, capsys.readouterr().err


@pytest.mark.slow
def test_the_training_of_before_goes_on(run, capsys):
    """Nothing is left to be trained, and the run is known as the same experiment."""
    words = ["train", "former/experiment.json", "--folder", ".", "--resume"]
    assert main(words) == 0, capsys.readouterr().err
    assert main([*words, "--training.steps", "3"]) == 2
    assert "training.steps: 2 / 3" in capsys.readouterr().err
