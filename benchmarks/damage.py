"""A damaged bit is told of when it is read, and the seals that find it cost little.

    python benchmarks/damage.py

Flips 300 bits, one at a time, in a checkpoint, a forecast and a prepared store, and reads all that is in
them. Prints how many flips were told of in a sentence, how many changed nothing that is used, and how many
were used in silence (none). Then prints what seals cost in time and size: each piece of work is done with and
without them, one right after the other and in either order, and the median of the ratios is printed with the
interval that holds it in 95 of 100 such measurements. Other work on the machine widens that interval, but
slows both sides alike.
"""

import contextlib
import dataclasses
import io
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import jax
import numpy as np
from zarr.codecs import ZstdCodec

from rolling.common import seal
from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.data.clips.protocol import TEST, TRAIN, Block, Entry, Picture
from rolling.data.clips.resize import resized_clip
from rolling.data.clips.store import reader
from rolling.data.clips.store.prepare import prepare
from rolling.data.pipeline import clips
from rolling.data.statistics import measure
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.run import checkpoint
from rolling.run.checkpoint import JSON, TREES, Checkpoints
from rolling.run.forecasting import zarr_writer
from rolling.run.forecasting.init_times import InitTime
from rolling.run.forecasting.zarr_reader import open_forecast
from rolling.run.model import build, past_of, units_of
from rolling.run.training.step import first_state, make_step
from rolling.windows import Rolling

FLIPS, ROUNDS = 300, 21
WEIGHTS = 2_000_000  # of the network whose checkpoints are timed
SIZE = 64  # of the fields and pictures
EPOCH = 77  # batches of 8 clips: a little more than there are clips of 16 frames in the training part


def tensors(weights: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    make = lambda: {  # noqa: E731
        f"layer{i}": rng.standard_normal((weights // 8, 8)).astype(np.float32) for i in range(4)
    }
    progress = {"step": np.int32(7), "key": np.arange(2, dtype=np.uint32)}
    trees = {
        "params": make(),
        "ema": make(),
        "optimiser": {"mu": make(), "nu": make()},
        "progress": progress,
        "statistics": {"mean": np.zeros(3)},
    }
    return trees | {name: {"words": list(range(20)), "of": name} for name in JSON}


class Checkpoint:
    """A checkpoint of a network with so many `weights`."""

    def __init__(self, weights: int):
        self.items = tensors(weights // 4)

    def write(self, folder: Path) -> None:
        with contextlib.closing(Checkpoints(folder)) as checkpoints:
            checkpoints.save(7, self.items)
            checkpoints.wait()

    def read(self, folder: Path) -> Any:
        with contextlib.closing(Checkpoints(folder)) as checkpoints:
            found = checkpoints.restore(TREES + JSON)
        return [checkpoint._named(found[name]) for name in TREES], [found[name] for name in JSON]

    @contextlib.contextmanager
    def unsealed(self) -> Iterator[None]:
        with patch.object(checkpoint, "_checksum", lambda name, item: 0):
            yield


class Forecast:
    """A forecast of `leads` fields from two starts."""

    def __init__(self, leads: int):
        axes = (Axis(name=name, values=tuple(np.arange(SIZE) / 2), units="degrees") for name in "yx")
        y, x = axes
        variables = (Variable(name="t2m", units="K", long_name="2 m temperature"),)
        self.layout = Layout(variables=variables, axes=(y, x), step=1.0, time_units="hours")
        noise = np.random.default_rng(0).standard_normal((leads, SIZE, SIZE, 1)).astype(np.float32)
        self.frames = 280 + noise.cumsum(axis=1)

    def write(self, folder: Path) -> None:
        store = zarr_writer.ForecastStore(folder, self.layout, {"run": "ours"})
        starts = [InitTime(sequence=0, frame=frame) for frame in (3, 9)]
        times = np.datetime64("2020-01-01", "ns") + np.arange(2) * np.timedelta64(6, "h")
        leads = np.arange(1, len(self.frames) + 1) * np.timedelta64(1, "h")
        valid = times[:, None] + leads
        store.create(zarr_writer.skeleton(self.layout, times, valid, starts, 1), 32)
        for start in range(2):
            for lead in range(0, len(self.frames), 32):
                store.write(start, 0, lead, self.frames[lead : lead + 32])
        store.complete()

    def read(self, folder: Path) -> Any:
        forecast = open_forecast(folder, self.layout)
        with forecast.dataset as dataset:
            told = [(name, dataset[name].attrs, dataset[name].values) for name in dataset.coords]
            fields = [forecast.read(start, 0, forecast.leads) for start in range(forecast.starts)]
            return dataset.attrs, dataset["t2m"].attrs, told, fields

    @contextlib.contextmanager
    def unsealed(self) -> Iterator[None]:
        with (
            patch.object(zarr_writer, "COMPRESSORS", (ZstdCodec(level=0),)),
            patch.object(zarr_writer, "seal_store", lambda path: None),
        ):
            yield


class Made:
    """Clips of 120 x 160 pixels, resized as those of files are."""

    def __init__(self, count: int):
        self.count = count

    def entries(self) -> list[Entry]:
        return [Entry(name=str(i), split=TRAIN if i % 4 else TEST) for i in range(self.count)]

    def read(self, entry: Entry, picture: Picture) -> Iterator[Block]:
        frames = np.random.default_rng(int(entry.name)).integers(0, 256, (32, 120, 160, 3), np.uint8)
        for block in resized_clip(lambda i: frames[i], len(frames), entry, picture):
            yield Block(frames=block.frames, actions=np.ones((len(block.frames), 2), np.float32))


class Prepared:
    """A prepared store of `count` clips."""

    def __init__(self, count: int):
        self.clips = Made(count)

    def write(self, folder: Path) -> None:
        folder.mkdir()
        picture = Picture(height=SIZE, width=SIZE)
        with contextlib.redirect_stderr(io.StringIO()):
            prepare(folder, self.clips, self.clips.entries(), picture, workers=0)

    def read(self, folder: Path) -> Any:
        self.forget()
        split = reader.open_store(folder)
        parts = [part for part in (split.train, split.test) if isinstance(part, reader.Prepared)]
        found = [
            (part.name(i), part.raw(i, 0, part.length(i)).copy(), part.conditioning(i, 0, part.length(i)))
            for part in parts
            for i in range(len(part))
        ]
        return found, parts[0].statistics().to_arrays(), parts[0].layout, split.skipped

    def forget(self) -> None:
        for kept in (reader._mapped, reader._checked, reader._columns):
            kept.cache_clear()

    @contextlib.contextmanager
    def unsealed(self) -> Iterator[None]:
        with (
            patch.object(seal, "checksum", lambda values, before=0: 0),
            patch.object(seal, "checksums", lambda values: [0] * len(values)),
            patch.object(reader.Prepared, "_checks", None),
        ):
            yield


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b


def flipped(kind: Any, folder: Path, count: int, draw: random.Random) -> Counter[str]:
    """What became of `count` flips: half of them in any bit, half in any file, as small ones matter, too."""
    kind.write(folder)
    truth, found = kind.read(folder), Counter()
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    sizes = [path.stat().st_size for path in files]
    for turn in range(count):
        file = draw.choices(files, sizes if turn % 2 else None)[0]
        before = file.read_bytes()
        place, bit = draw.randrange(len(before)), draw.randrange(8)
        file.write_bytes(before[:place] + bytes([before[place] ^ 1 << bit]) + before[place + 1 :])
        try:
            found["harmless" if same(kind.read(folder), truth) else "used in silence"] += 1
        except InputError:
            found["told"] += 1
        except Exception as error:
            found[f"a traceback ({type(error).__name__}, byte {place} of {file.name})"] += 1
        file.write_bytes(before)
    return found


def report_flips(place: Path) -> Counter[str]:
    draw, total = random.Random(0), Counter[str]()
    for name, kind in {
        "checkpoint": Checkpoint(800),
        "forecast": Forecast(64),
        "prepared store": Prepared(8),
    }.items():
        found = flipped(kind, place / name, FLIPS // 3, draw)
        print(f"{name}: {', '.join(f'{count} {what}' for what, count in sorted(found.items()))}")
        total += found
    return total


def seconds(work: Callable[[], object]) -> float:
    """Processor time of all threads, which other programs hardly increase."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def overhead(ratios: list[float]) -> str:
    """The median of some ratios, and the order statistics that lie around the true one (of the binomial
    distribution, by its normal approximation)."""
    order = 100 * (np.sort(ratios) - 1)
    outer = max(0, int(len(order) / 2 - 0.98 * np.sqrt(len(order))))
    return f"{np.median(order):+.1f} % time (95 %: {order[outer]:+.1f} to {order[-1 - outer]:+.1f})"


def report_costs(place: Path) -> None:
    kinds = {"checkpoint": Checkpoint(WEIGHTS), "forecast": Forecast(1024), "prepared store": Prepared(48)}
    for name, kind in kinds.items():
        ratios: dict[str, list[float]] = {"write": [], "read": []}
        size: dict[bool, int] = {}
        for turn in range(ROUNDS + 1):
            taken: dict[tuple[str, bool], float] = {}
            for sealed in (True, False) if turn % 2 else (False, True):
                folder = place / f"{name} {sealed}"
                shutil.rmtree(folder, ignore_errors=True)
                with contextlib.nullcontext() if sealed else kind.unsealed():
                    for verb in ratios:
                        work = getattr(kind, verb)
                        taken[verb, sealed] = seconds(lambda: work(folder))  # noqa: B023
                size[sealed] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            for verb in ratios if turn else ():  # the first turn compiles and fills caches
                ratios[verb].append(taken[verb, True] / taken[verb, False])
        for verb, found in ratios.items():
            print(f"{name}, {verb}: {overhead(found)}", flush=True)
        print(f"{name}, size: {100 * (size[True] / size[False] - 1):+.2f} %")
    report_training(place / "prepared store True", kinds["prepared store"])


def report_training(store: Path, kind: Any) -> None:
    """What the check of each frame costs the input pipeline, by itself and in a training.

    A training is `EPOCH` steps of the smallest network of all presets: with any other the share is smaller.
    """
    train = reader.open_store(store).train
    steps = EPOCH * seconds_of_step(train)
    ratios: dict[str, list[float]] = {"first epoch": [], "later": []}
    in_training: dict[str, list[float]] = {"first epoch": [], "later": []}
    for turn in range(ROUNDS + 1):
        taken: dict[bool, list[float]] = {}
        for sealed in (True, False) if turn % 2 else (False, True):
            with contextlib.nullcontext() if sealed else patch.object(reader.Prepared, "_checks", None):
                kind.forget()
                train = reader.open_store(store).train
                batches = clips(train, measure(train), frames=16, batch=8, seed=0, threads=0)
                taken[sealed] = [seconds(lambda: [next(batches) for _ in range(EPOCH)]) for _ in range(2)]  # noqa: B023
        for epoch, one, other in zip(ratios, taken[True], taken[False], strict=True):
            ratios[epoch] += [one / other] if turn else []
            in_training[epoch] += [(steps + one) / (steps + other)] if turn else []
    for epoch, found in ratios.items():
        print(f"prepared store, batches without training, {epoch}: {overhead(found)}")
        print(f"prepared store, training, {epoch}: {overhead(in_training[epoch])}")


def seconds_of_step(train: Any) -> float:
    """Processor time of a step of training on 8 clips of 16 frames, with the network of `debug`."""
    of = dataclasses.replace(debug, window=Rolling(size=16, context=1))
    statistics = measure(train)
    apply, params = build(of, train.layout, None)
    state, batch = first_state(of, params), next(clips(train, statistics, frames=16, batch=8, seed=0))
    step = make_step(of, apply, units_of(train.layout, statistics), past_of(of, train.layout, statistics))

    def work() -> None:
        nonlocal state
        for _ in range(5):
            state, figures = step(state, batch, None)
            jax.block_until_ready(figures)

    work()  # compiles
    return median([seconds(work) for _ in range(5)]) / 5


def main() -> int:
    with tempfile.TemporaryDirectory() as place, patch.object(seal, "tell_missing", lambda what: None):
        total = report_flips(Path(place))
        print(f"of {FLIPS} flips: {', '.join(f'{count} {what}' for what, count in sorted(total.items()))}")
        report_costs(Path(place))
    return int(set(total) > {"told", "harmless"} or total["used in silence"] > 0)


if __name__ == "__main__":
    sys.exit(main())
