"""The store of the sound of clips, beside that of their pictures: coefficients, clip after clip.

sounds.json     format, samples a second, how many to a frame, sizes of the files, what is missing, and why
sounds.npz      for each clip of the pictures' index, in its order: shard, first frame there, number of
                frames, how many of these, from the first on, are known, and a checksum of all
sound-*.npy     frames [N, hop], float32: companded coefficients of the MDCT, zeros where they are not known

It is written by the processes that prepare pictures, resumes as they do, and is sealed: of a clip the frames
are checked when a process first reads it.
"""

import dataclasses
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common import seal
from rolling.common.documents import parse_json, read_json
from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.common.terminal import printable
from rolling.data.clips.protocol import BadClip
from rolling.data.clips.store.prepare import in_processes, save
from rolling.data.clips.tracks.audio import read_sound
from rolling.data.untrusted.sizes import load_npz
from rolling.sound import companded, mdct

FORMAT = 1
ADVICE = "delete it, and it is prepared again"
DESCRIPTION, INDEX = "sounds.json", "sounds.npz"
NOTES = "heard-{:05d}.npz"
CLIPS = 64  # in a shard, at most: the most work that a kill can lose
SHARDS = 16  # of a small collection, so that several processes have something to do
BLOCK = 4096  # frames transformed at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Track:
    """The sound of one clip: `frames` frames of a file, from `start` seconds after its first picture on."""

    file: Path
    name: str
    start: float
    frames: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A shard to write. `given_up` maps the places of clips that are not to be tried to the reasons."""

    folder: Path
    number: int
    tracks: tuple[Track, ...]
    rate: int
    hop: int
    given_up: dict[int, str] = dataclasses.field(default_factory=dict)


def shard_name(number: int) -> str:
    return f"sound-{number:05d}.npy"


def prepare_sounds(
    folder: Path, tracks: Sequence[Track], *, rate: int, hop: int, workers: int | None
) -> None:
    """Fills `folder`, resuming where it was interrupted: `rate` samples a second, `hop` to a frame."""
    size = max(1, min(CLIPS, -(-len(tracks) // SHARDS)))
    firsts = range(0, len(tracks), size)
    tasks = [
        Task(folder=folder, number=number, tracks=tuple(tracks[first : first + size]), rate=rate, hop=hop)
        for number, first in enumerate(firsts)
    ]
    for leftover in folder.glob("*.tmp"):
        leftover.unlink(missing_ok=True)
    missing = [task for task in tasks if not _is_written(task)]
    if missing:
        done = len(tracks) - sum(len(task.tracks) for task in missing)
        with Progress("sound", len(tracks), unit="clip", done=done) as progress:
            in_processes(write_sounds, missing, workers, progress)
    _finish(folder, tasks)


def write_sounds(task: Task, report: Callable[[int], None]) -> None:
    """Writes the frames and, last, the notes about them. `report` is called with the place of each clip
    before it is read."""
    final = task.folder / shard_name(task.number)
    temporary = final.with_suffix(f".{os.getpid()}.tmp")
    known, checks, faults, several = [], [], [], []
    with open(temporary, "wb") as file:
        shape = (sum(track.frames for track in task.tracks), task.hop)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for place, track in enumerate(task.tracks):
            report(place)
            good, check, name = 0, 0, printable(track.name)
            samples = np.zeros(track.frames * task.hop, np.float32)
            try:
                if place in task.given_up:
                    raise BadClip(task.given_up[place])
                sound = _guarded(track, task)
                samples, good = sound.samples, sound.known // task.hop
                several += [name] if sound.several else []
                faults += [[name, f"{sound.fault}, and is missing from there on"]] if sound.fault else []
            except BadClip as bad:
                faults.append([name, str(bad)])
            for frames in _frames(samples, good, task.hop):
                file.write(frames.data)
                check = seal.checksum(frames, check)
            known.append(good)
            checks.append(check)
    os.replace(temporary, final)
    words = json.dumps({"faults": faults, "several": several}).encode()
    notes = task.folder / NOTES.format(task.number)
    temporary = notes.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        told = {"words": np.frombuffer(words, np.uint8), "size": np.array(final.stat().st_size)}
        np.savez(file, known=np.array(known, np.int64), checks=np.array(checks, np.uint32), **told)
    os.replace(temporary, notes)


def _guarded(track: Track, task: Task):
    """The sound of a clip; any error that a library raises on bad data becomes `BadClip`."""
    try:
        return read_sound(track.file, task.rate, track.frames * task.hop, track.start)
    except InputError:
        raise
    except Exception as error:
        raise BadClip(f"its sound cannot be read: {type(error).__name__}: {error}") from error


def _frames(samples: np.ndarray, good: int, hop: int):
    """The frames of a clip in blocks, zeros from the first that is not known on."""
    count = len(samples) // hop
    for start in range(0, count, BLOCK):
        stop, before = min(start + BLOCK, count), min(start, 1)
        frames = mdct(samples[(start - before) * hop : stop * hop], hop)[before:]
        frames = companded(frames).astype("<f4")
        frames[max(good - start, 0) :] = 0
        yield frames


def _is_written(task: Task) -> bool:
    """Whether a shard and its notes are there and complete; after a power failure they may not be."""
    try:
        with np.load(task.folder / NOTES.format(task.number), allow_pickle=False) as notes:
            same = len(notes["known"]) == len(task.tracks)
            return same and int(notes["size"]) == (task.folder / shard_name(task.number)).stat().st_size
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return False


def _finish(folder: Path, tasks: Sequence[Task]) -> None:
    """Merges the notes of all shards into the index, and removes them."""
    known, checks, faults, several = [], [], [], []
    for task in tasks:
        notes = load_npz(folder / NOTES.format(task.number))
        known.append(notes["known"])
        checks.append(notes["checks"])
        words = parse_json(notes["words"].tobytes())
        faults += words["faults"]
        several += words["several"]
    frames = [[track.frames for track in task.tracks] for task in tasks]
    index = {
        "shard": np.repeat([task.number for task in tasks], [len(own) for own in frames]),
        "first": np.concatenate([np.cumsum(own) - own for own in frames]),
        "frames": np.concatenate(frames),
        "known": np.concatenate(known),
        "checks": np.concatenate(checks),
    }
    save(folder / INDEX, lambda file: np.savez(file, **index))
    names = [INDEX, *(shard_name(task.number) for task in tasks)]
    for name in names[1:]:
        _flush(folder / name)
    about = {
        "format": FORMAT,
        "rate": tasks[0].rate,
        "hop": tasks[0].hop,
        "files": {name: (folder / name).stat().st_size for name in names},
        "faults": faults,
        "several": several,
        "checksum": seal.checksum_of_file(folder / INDEX),
    }
    save(folder / DESCRIPTION, lambda file: file.write(json.dumps(seal.sealed(about)).encode()))
    for task in tasks:
        (folder / NOTES.format(task.number)).unlink()


def _flush(file: Path) -> None:
    with open(file, "rb") as handle:
        os.fsync(handle.fileno())


def read_sounds(folder: Path) -> dict[str, Any]:
    """The contents of `sounds.json`. Raises `InputError` for a damaged one."""
    try:
        found = read_json(folder / DESCRIPTION)
        known = found["format"] == FORMAT and seal.is_sealed(found)
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise seal.damaged(str(folder / DESCRIPTION), ADVICE)
    seal.check_sealed(found, str(folder), ADVICE)
    return found


def is_whole(folder: Path) -> bool:
    """Whether all files are there with their recorded sizes; their contents are not read."""
    try:
        about = read_sounds(folder)
        return all((folder / name).stat().st_size == size for name, size in about["files"].items())
    except (OSError, InputError):
        return False
