"""Preparation: reads a collection of clips once and writes a store of pictures of one size.

Clips are assigned to shards by their number alone, so that the bytes depend neither on how many processes
wrote them nor on how often they were interrupted; a finished shard is not written again.
"""

import collections
import contextlib
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common import seal
from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.data.clips.protocol import Collection, Entry, Picture
from rolling.data.clips.split import BY_LIKENESS, Draw
from rolling.data.clips.store.notes import Read
from rolling.data.clips.store.reader import (
    ACTIONS,
    CHECKS,
    DESCRIPTION,
    FORMAT,
    INDEX,
    TOKENS,
    WHOLE,
    is_complete,
    shard_name,
)
from rolling.data.clips.store.shards import NOTES, Task, is_written, write_shard
from rolling.data.clips.store.workers import DIED, FAILED, REPORTED, spread

SHARDS = 128  # of a small collection, so that many processes have something to do
LARGEST = 128  # clips in a shard: the most work that a kill can lose
DEATHS = 2  # of a process on the same clip, after which the clip is given up


def prepare(
    folder: Path,
    collection: Collection,
    entries: Sequence[Entry],
    picture: Picture,
    *,
    min_frames: int = 1,
    draw: Draw = BY_LIKENESS,
    workers: int | None = None,
) -> None:
    """Fills `folder` with a store (see `rolling.data.clips.store.reader`), resuming where it was interrupted.

    `entries` are the clips, each TRAIN or TEST, or all UNSPECIFIED: then those held out are drawn. `workers`
    processes decode (None: one per core; 0: the current process). Raises `InputError` if a part is left
    without a clip.
    """
    size = min(LARGEST, -(-len(entries) // SHARDS))
    firsts = range(0, len(entries), size)
    tasks = [
        Task(
            folder=folder,
            number=number,
            first=first,
            collection=collection,
            entries=tuple(entries[first : first + size]),
            picture=picture,
            min_frames=min_frames,
            draw=draw,
        )
        for number, first in enumerate(firsts)
    ]
    if is_complete(folder):  # only the final renaming was missing
        _remove_notes(folder)
        return
    for leftover in folder.glob("*.tmp"):
        leftover.unlink(missing_ok=True)
    missing = [task for task in tasks if not is_written(task)]
    done = len(entries) - sum(len(task.entries) for task in missing)
    if missing:
        with Progress("prepare", len(entries), unit="clip", done=done) as progress:
            known = _importable(type(collection).__module__)
            in_processes(write_shard, missing, workers if known else 0, progress)
    _finish(folder, entries, picture, len(tasks), draw)


def _importable(module: str) -> bool:
    """Whether another process can import a module by name: not a script or a module loaded from a file."""
    top = module.split(".")[0]
    found = next((spec for finder in sys.meta_path if (spec := finder.find_spec(top, None))), None)
    return found is not None and found.origin == getattr(sys.modules[top], "__file__", None)


def in_processes(
    write: Callable[[Any, Callable[[int], None]], None],
    missing: Sequence[Any],
    workers: int | None,
    progress: Progress,
) -> None:
    """Calls `write(task, report)`, which reports the place of each clip before it reads it, for tasks of
    several clips with a `number` and the places `given_up`: those that killed too many processes.

    `workers` are as many processes; None: one per core, 0: none but this one.
    """
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not workers:
        for task in missing:
            write(task, lambda place: progress.update())
        return
    tasks, reached, deaths = collections.deque(missing), {}, collections.Counter()
    with contextlib.closing(spread(write, tasks, min(workers, len(missing)))) as events:
        for task, event, value in events:
            if event == REPORTED:
                if value not in reached.setdefault(task.number, set()):
                    progress.update()
                reached[task.number].add(value)
            elif event == FAILED:
                raise value
            elif event == DIED:
                tasks.append(_after_death(task, value, reached, deaths))


def _after_death(task: Any, code: int, reached: dict, deaths: collections.Counter) -> Any:
    """The task again, without a clip that has killed too many processes."""
    if task.number not in reached:
        raise InputError(
            f"a process that was to read clips ended at once (exit code {code}): read them in this one, with"
            " --source.workers 0"
        )
    place = max(reached[task.number])
    deaths[task.number, place] += 1
    if deaths[task.number, place] < DEATHS:
        return task
    reason = f"the process that read it died ({signal.Signals(-code).name if code < 0 else code})"
    return dataclasses.replace(task, given_up={**task.given_up, place: reason})


def _finish(folder: Path, entries: Sequence[Entry], picture: Picture, shards: int, draw: Draw) -> None:
    """Merges the notes of all shards into the index, and removes them."""
    read = Read.of(folder, shards, entries, draw)
    _check_parts(read.test, len(entries), read.skipped)
    labels = sorted({entry.label for entry in entries} - {""})
    index, sums = read.index(labels), read.sums(folder)
    save(folder / INDEX, lambda file: np.savez(file, **index, **sums))
    names = [INDEX, *(shard_name(number) for number in range(shards))]
    for name, array in ((ACTIONS, read.actions), (TOKENS, read.tokens), (CHECKS, read.checks)):
        if array is not None:
            names.append(name)
            save(folder / name, lambda file, array=array: np.save(file, array))
    about = {
        "format": FORMAT,
        "picture": dataclasses.asdict(picture),
        "labels": labels,
        "actions": read.kind[0],
        "tokens": read.kind[1],
        "files": {name: _written(folder / name) for name in names},
        "skipped": read.skipped,
        "shortened": read.shortened,
        "alike": read.alike,
        # Of the frames each one has its own, in `CHECKS`.
        "checksums": {name: seal.checksum_of_file(folder / name) for name in names if name in WHOLE},
    }
    save(folder / DESCRIPTION, lambda file: file.write(json.dumps(seal.sealed(about)).encode()))
    _remove_notes(folder)


def _remove_notes(folder: Path) -> None:
    for file in folder.glob(NOTES.format("*")):
        file.unlink()


def _check_parts(test: np.ndarray, tried: int, skipped: list) -> None:
    example = f"; {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
    if not len(test):
        raise InputError(f"none of {counted(tried, 'clip')} can be used{example}")
    for part, some in (("train on", not test.all()), ("test on", test.any())):
        if not some:
            raise InputError(f"no clip is left to {part}: {len(skipped)} of {tried} were skipped{example}")


def save(file: Path, write: Callable) -> None:
    """Writes a file and flushes it to the disk."""
    with open(file, "wb") as handle:
        write(handle)
        handle.flush()
        os.fsync(handle.fileno())


def _written(file: Path) -> int:
    """The size of a file, after flushing it to the disk."""
    with open(file, "rb") as handle:
        os.fsync(handle.fileno())
    return file.stat().st_size
