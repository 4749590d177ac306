"""The presets for clips run their real loop, each on a tiny collection in the layout that it is for."""

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

from rolling.configs.debug import experiment as debug
from rolling.run import commands
from rolling.run.experiment.presets import find
from rolling.video.uvit.joint import JointUViT, Tower
from tests.clip_tools import write_video
from tests.record_tools import framed

FRAMES = 24
MEASURES = ("psnr", "rmse", "crps", "spectral_frechet_distance")


def moving(seed: int, size: int = 64) -> np.ndarray:
    """A bright square that drifts over a gradient: `[T, size, size, 3]`."""
    rng = np.random.default_rng(seed)
    step, colour = rng.integers(1, 3, 2), rng.integers(100, 255, 3)
    frames = np.empty((FRAMES, size, size, 3), np.uint8)
    frames[:] = np.linspace(10, 90, size).astype(np.uint8)[:, None, None]
    for t, frame in enumerate(frames):
        y, x = (8 + t * step) % (size - 16)
        frame[y : y + 16, x : x + 16] = colour
    return frames


def videos(folder):
    for i in range(4):
        write_video(folder / f"{i}.mkv", moving(i), rate=15)
    return folder


def kinetics(folder):
    lines = ["label,youtube_id,time_start,time_end,split"]
    for i in range(4):
        split = ("train", "validate")[i % 2]
        name = f"abcdefghij{i}_{i:06d}_{i + 10:06d}.mkv"
        write_video(folder / split / "juggling balls" / name, moving(i))
        lines.append(f"juggling balls,abcdefghij{i},{i},{i + 10},{split}")
    (folder / "kinetics.csv").write_text("\n".join([*lines, "lost,klmnopqrst0,0,10,train"]) + "\n")
    return folder


def ucf101(folder):
    lists = {"train": [], "test": []}
    for i in range(4):
        name = f"Diving/v_Diving_g{i:02d}_c01.avi"
        write_video(folder / "UCF-101" / name, moving(i))
        lists[("train", "test")[i % 2]].append(name)
    for split, names in lists.items():
        path = folder / "ucfTrainTestlist" / f"{split}list01.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{name} 1\n" for name in names))
    (folder / "ucfTrainTestlist" / "classInd.txt").write_text("1 Diving\n")
    return folder


def bair(folder):
    tf_example_pb2 = pytest.importorskip("tensorflow_datasets.proto").tf_example_pb2
    for split in ("train", "test"):
        records = []
        for i in range(2):
            made = tf_example_pb2.Example()
            for t, frame in enumerate(moving(i + 2 * (split == "test"))):
                feature = made.features.feature
                feature[f"{t}/image_aux1/encoded"].bytes_list.value.append(frame.tobytes())
                feature[f"{t}/action"].float_list.value.extend([0.1 * t, 0.0, -0.1, float(i)])
            records.append(framed(made.SerializeToString()))
        path = folder / "softmotion30_44k" / split / "traj_0_to_1.tfrecords"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"".join(records))
    return folder / "softmotion30_44k"


def moving_mnist(folder):
    frames = np.stack([moving(i)[:20].mean(-1) for i in range(12)], axis=1)
    np.save(folder / "mnist_test_seq.npy", frames.astype(np.uint8))
    return folder / "mnist_test_seq.npy"


COLLECTIONS = {
    "clips": videos,
    "kinetics600": kinetics,
    "ucf101": ucf101,
    "bair": bair,
    "bair_two_given": bair,
    "bair_actions": bair,
    "moving_mnist": moving_mnist,
}


REPORTED = ("ucf101", "bair_actions", "moving_mnist")
"""Classes, actions and grey pictures: the reports of the others have nothing that these do not have."""


def small(experiment, path):
    """The same experiment on small pictures, with few steps and a tiny network."""
    picture = dataclasses.replace(experiment.source.picture, height=16, width=16)
    return dataclasses.replace(
        experiment,
        source=dataclasses.replace(experiment.source, path=str(path), picture=picture, workers=0),
        network=dataclasses.replace(debug.network, channels=(16,), blocks=(1,), patch=8),
        metrics=tuple(metric for metric in experiment.metrics if metric.name in MEASURES),
        training=dataclasses.replace(experiment.training, steps=2, batch=2, checkpoint_every=2),
        forecast=dataclasses.replace(experiment.forecast, starts=2, members=2, batch=4),
        long=dataclasses.replace(experiment.long, frames=0),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_preset_for_clips_runs_its_real_loop(name, tmp_path, monkeypatch):
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "data"
    place.mkdir()
    experiment = small(find(name), COLLECTIONS[name](place))
    run = tmp_path / name
    if name in REPORTED:
        commands.run(experiment, run)
        assert (run / "report.html").stat().st_size > 10_000
    else:
        commands.train(experiment, run)
        commands.rollout(run, lambda own: own)
        commands.evaluate(run)
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert len(evaluation["psnr"]["frame"]["model"]) == experiment.forecast.frames
    assert np.isfinite(evaluation["rmse"]["pixel"]["model"]).all()
    assert list(run.glob("videos/**/*.mp4")) and list(run.glob("videos/**/*.gif"))


@pytest.mark.slow
def test_video_and_actions_run_their_real_loop(tmp_path, monkeypatch):
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    preset, path = find("bair_joint"), bair(tmp_path / "data")
    parts = tuple(
        dataclasses.replace(part, source=dataclasses.replace(part.source, **changes))
        for part, changes in zip(preset.source.parts, small_clips(preset), strict=True)
    )
    thin = {"channels": (16,), "blocks": (1,), "heads": 2, "embedding": 16}
    towers = tuple(
        Tower(name=tower.name, network=dataclasses.replace(tower.network, **thin, patch=patch))
        for tower, patch in zip(preset.network.towers, (8, 1), strict=True)
    )
    experiment = dataclasses.replace(
        preset,
        source=dataclasses.replace(preset.source, parts=parts, paths=(str(path),)),
        network=JointUViT(towers=towers),
        training=dataclasses.replace(preset.training, steps=2, batch=2),
        forecast=dataclasses.replace(preset.forecast, starts=1, members=1, frames=3, chunk=15),
    )
    run = tmp_path / "run"
    commands.train(experiment, run)
    commands.rollout(run, lambda own: dataclasses.replace(own, given=("actions",)))
    store = xr.open_zarr(run / "forecast-given-actions.zarr", group="video")
    assert store.red.shape == (1, 1, 3, 16, 16)
    assert len(list((tmp_path / "cache").glob("bairpushing-*"))) == 1


def small_clips(experiment):
    """What differs in the parts of a source of clips and their actions: small pictures, prepared in place."""
    clips = experiment.source.source_of("video")
    changes = {"picture": dataclasses.replace(clips.picture, height=16, width=16), "workers": 0}
    return changes, {"clips": dataclasses.replace(clips, **changes)}


def test_the_protocols_are_the_published_ones():
    """Frames given and predicted, of clips of so many frames: the facts of each benchmark."""
    protocols = {
        "kinetics600": (5, 11),
        "bair": (1, 15),
        "bair_two_given": (2, 14),
        "bair_actions": (2, 14),
        "moving_mnist": (10, 10),
    }
    for name, (given, frames) in protocols.items():
        experiment = find(name)
        assert (experiment.given_frames, experiment.forecast.frames) == (given, frames), name
        assert experiment.forecast.from_clip_start and experiment.source.min_frames == given + frames
        picture = experiment.source.picture
        assert (picture.height, picture.width) == (64, 64)
    assert (find("bair").forecast.starts, find("bair").forecast.members) == (256, 100)
    assert find("ucf101").forecast.starts == 2048
    assert find("bair_actions").source.collection.actions == ("action",)
