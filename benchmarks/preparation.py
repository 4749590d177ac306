"""Preparing videos costs little more than decoding them; reading the prepared store costs next to nothing.

    python benchmarks/preparation.py [FOLDER]

Uses the videos of a folder, or makes some H.264 files of 640 x 480. Prints the frames per second of
preparation into pictures of 64 x 64, with one process and with two, relative to a bare loop in the same run
that decodes with PyAV and resizes (bound: 0.8); and the normalised 16-frame clips per second that the input
pipeline reads from the store in one process, relative to 2,000.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from rolling.data.clips.source import Clips
from rolling.data.pipeline import clips
from rolling.data.statistics import measure
from rolling.run.training.allocator import keep_freed_memory

FILES, FRAMES, HEIGHT, WIDTH = 6, 200, 480, 640
ROUNDS = 4
CLIP, BATCH, BATCHES = 16, 16, 150
WANTED = 2000.0  # clips a second


def make_videos(folder: Path) -> None:
    """Sums of drifting waves with some noise, about 1 Mbit/s: neither still nor hopeless to code."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH] / 50.0
    for number in range(FILES):
        folder.mkdir(exist_ok=True)
        with av.open(str(folder / f"{number}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
            waves = rng.normal(size=(3, 3))
            noise = rng.normal(scale=4, size=(HEIGHT, WIDTH, 3))
            for step in range(FRAMES):
                phases = np.einsum("ck,k...->c...", waves, np.stack([x, y, np.full_like(x, step / 9)]))
                picture = np.moveaxis(127 + 90 * np.sin(phases), 0, -1) + np.roll(noise, step, axis=1)
                frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), "rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def bare(folder: Path) -> int:
    """Decodes and resizes; returns the number of frames."""
    count = 0
    for file in sorted(folder.iterdir()):
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            scale = 64 / min(stream.width, stream.height)
            size = round(stream.width * scale), round(stream.height * scale)
            reformatter = VideoReformatter()
            for frame in container.decode(stream):
                reformatter.reformat(frame, *size, "rgb24", interpolation="AREA", threads=1)
                count += 1
    return count


def prepared(folder: Path, store: Path, workers: int) -> None:
    shutil.rmtree(store, ignore_errors=True)
    Clips(path=str(folder), workers=workers, cache=str(store)).open()


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock time, and this process's CPU time, which other programs do not increase."""
    begin, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begin, time.process_time() - busy


def report_preparation(folder: Path, store: Path) -> None:
    ways = {
        "bare decode and resize": lambda: bare(folder),
        "preparation": lambda: prepared(folder, store, 0),
        "preparation by two processes, with their start": lambda: prepared(folder, store, 2),
    }
    # Interleaved, and the best of each, as other programs slow some rounds down.
    rounds = [{name: seconds(work) for name, work in ways.items()} for _ in range(ROUNDS)]
    best = {name: np.min([taken[name] for taken in rounds], axis=0) for name in ways}
    reference, frames = best["bare decode and resize"], bare(folder)
    for name, taken in best.items():
        print(f"{name}: {frames / taken[0]:.0f} frames/s, ratio {reference[0] / taken[0]:.2f}")
    ratio = reference[1] / best["preparation"][1]
    print(f"preparation, by processor time: ratio {ratio:.2f}")


def report_pipeline(folder: Path, store: Path) -> None:
    train = Clips(path=str(folder), cache=str(store)).open().train
    for threads in (1, 2):
        iterator = clips(train, measure(train), frames=CLIP, batch=BATCH, seed=0, threads=threads)
        for _ in range(20):
            next(iterator)
        begin, busy = time.perf_counter(), time.process_time()
        for _ in range(BATCHES):
            next(iterator)
        wall, busy = time.perf_counter() - begin, time.process_time() - busy
        made = BATCHES * BATCH
        print(
            f"pipeline, {threads} thread(s): {made / wall:.0f} clips/s, ratio {made / wall / WANTED:.2f} to"
            f" {WANTED:.0f}; {made / busy:.0f} per second of processor time"
        )


def main() -> None:
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as place:
        folder, store = Path(place) / "videos", Path(place) / "store"
        if len(sys.argv) > 1:
            folder = Path(sys.argv[1])
        else:
            make_videos(folder)
        report_preparation(folder, store)
        report_pipeline(folder, store)


if __name__ == "__main__":
    main()
