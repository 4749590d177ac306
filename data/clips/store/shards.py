"""One shard of the prepared store: some clips of a collection, written by one process."""

import dataclasses
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rolling.common import seal
from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.common.terminal import printable
from rolling.data.clips import likeness
from rolling.data.clips.protocol import TEST, BadClip, Block, Collection, Entry, Picture
from rolling.data.clips.split import BY_LIKENESS, Draw
from rolling.data.clips.store.reader import shard_name

NOTES = "notes-{}.npz"
DIGEST = hashlib.sha256().digest_size
SUMMED = 4096  # frames summed at a time: sums of that many squares fit into 32 bits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A shard to write: the clips `entries`, the first of which is number `first` of the collection.

    `given_up` maps the places of clips that are not to be tried to the reasons.
    """

    folder: Path
    number: int
    first: int
    collection: Collection
    entries: tuple[Entry, ...]
    picture: Picture
    min_frames: int = 1
    draw: Draw = BY_LIKENESS
    given_up: dict[int, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(kw_only=True)
class PixelSums:
    """Exact sums over the frames of the training part: `sums [H, W, C]`, `squares [C]`, `count []`."""

    sums: Any = 0
    squares: Any = 0
    count: int = 0

    def add(self, frames: np.ndarray) -> None:
        for start in range(0, len(frames), SUMMED):
            part = frames[start : start + SUMMED]
            self.sums = self.sums + part.sum(0, dtype=np.uint32).astype(np.uint64)
            squares = np.multiply(part, part, dtype=np.uint16).sum(0, dtype=np.uint32)
            self.squares = self.squares + squares.sum((0, 1), dtype=np.uint64)
            self.count += len(part)

    def join(self, other: "PixelSums") -> None:
        self.sums, self.squares = self.sums + other.sums, self.squares + other.squares
        self.count += other.count

    def remove(self, other: "PixelSums") -> None:
        self.sums, self.squares = self.sums - other.sums, self.squares - other.squares
        self.count -= other.count


def write_shard(task: Task, report: Callable[[int], None]) -> None:
    """Writes the frames and, last, the notes about them, whose presence marks the shard as finished.

    `report` is called with the place of each clip before it is read. Bad clips are noted; raises `OSError` if
    the disk is full, and `InputError` if no clip can be read, for example because a library is missing.
    """
    final = task.folder / shard_name(task.number)
    temporary = final.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        shard = _Shard(file, task.picture, task.draw)
        for place, entry in enumerate(task.entries):
            report(place)
            try:
                if place in task.given_up:
                    raise BadClip(task.given_up[place])
                shard.add(task.first + place, entry, task.collection, task.min_frames)
            except BadClip as bad:
                shard.skipped.append((printable(entry.name), str(bad)))
        shard.finish()
    os.replace(temporary, final)
    notes = notes_file(task.folder, task.number)
    temporary = notes.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        contents: dict[str, Any] = {**shard.notes(), "size": final.stat().st_size}
        np.savez(file, **contents)
    os.replace(temporary, notes)


def notes_file(folder: Path, number: int) -> Path:
    return folder / NOTES.format(f"{number:05d}")


def is_written(task: Task) -> bool:
    """Whether a shard and its notes are there and complete; after a power failure they may not be."""
    try:
        with np.load(notes_file(task.folder, task.number), allow_pickle=False) as notes:
            return {"digests", "checks", "thumbnails"} <= set(notes) and int(notes["size"]) == (
                task.folder / shard_name(task.number)
            ).stat().st_size
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return False


class _Shard:
    """The clips written so far."""

    def __init__(self, file: BinaryIO, picture: Picture, draw: Draw):
        self.file, self.picture, self.draw = file, picture, draw
        self.shape = (picture.height, picture.width, picture.channels)
        self.rows: list[tuple[int, int, int]] = []  # entry, first frame, frames
        self.digests: list[bytes] = []  # of the frames
        self.thumbnails: list[np.ndarray] = []
        self.rates: list[float | None] = []
        self.actions: list[np.ndarray] = []
        self.tokens: list[np.ndarray] = []
        self.skipped: list[tuple[str, str]] = []
        self.checks: list[int] = []  # a checksum for each frame
        self.shortened: list[tuple[str, str]] = []
        self.kind: list | None = None  # number of actions, shape of the tokens
        self.sums, self.frames = PixelSums(sums=np.zeros(self.shape, np.uint64)), 0
        self._write_header()

    def add(self, number: int, entry: Entry, collection: Collection, min_frames: int) -> None:
        """Appends one clip, or raises `BadClip` and leaves no trace of it."""
        begin, frames, sums, digest = self.file.tell(), 0, PixelSums(), hashlib.sha256()
        actions, tokens, checks, rate, fault = [], None, [], None, ""
        thumbnails = [np.zeros((0, likeness.CELLS**2), np.uint8)]
        try:
            for block in _guarded(collection, entry, self.picture):
                self._check(block)
                values = np.ascontiguousarray(block.frames)
                self.file.write(values.data)
                digest.update(values.data)
                thumbnails.append(likeness.thumbnails(values))
                checks += seal.checksums(values)
                frames += len(values)
                if entry.split != TEST:
                    sums.add(values)
                if block.actions is not None:
                    actions.append(np.asarray(block.actions, np.float32).reshape(len(values), -1))
                tokens = block.tokens if tokens is None else tokens
                rate, fault = rate or block.rate, fault or block.fault
            if frames < max(min_frames, 1):
                less = f"it has {counted(frames, 'frame')}, and {max(min_frames, 1)} are needed"
                raise BadClip(f"{less}: {fault}" if fault else less)
            self._check_kind(frames, actions, tokens)
        except BadClip:
            self.file.seek(begin)
            self.file.truncate()
            raise
        self.rows.append((number, self.frames, frames))
        self.digests.append(digest.digest())
        self.thumbnails.append(np.concatenate(thumbnails)[:: likeness.spacing(frames)])
        self.rates.append(rate)
        self.frames += frames
        self.checks += checks
        if self.draw.trains(entry):
            self.sums.join(sums)
        self.actions += actions
        self.tokens += [] if tokens is None else [np.asarray(tokens, np.float32)]
        self.shortened += [(printable(entry.name), fault)] if fault else []

    def finish(self) -> None:
        self.file.seek(0)
        self._write_header()

    def notes(self) -> dict[str, np.ndarray]:
        told = {"kind": self.kind, "skipped": self.skipped, "shortened": self.shortened}
        words = json.dumps(told | {"rates": self.rates}).encode()
        notes = {
            "rows": np.array(self.rows, np.int64).reshape(-1, 3),
            "checks": np.array(self.checks, np.uint32),
            "digests": np.frombuffer(b"".join(self.digests), np.uint8).reshape(-1, DIGEST),
            "thumbnails": np.concatenate([*self.thumbnails, np.zeros((0, likeness.CELLS**2), np.uint8)]),
            "words": np.frombuffer(words, np.uint8),
            "sums": self.sums.sums,
            "squares": np.asarray(self.sums.squares, np.uint64) * np.ones(self.shape[-1], np.uint64),
            "count": np.array(self.sums.count),
        }
        actions = {"actions": np.concatenate(self.actions)} if self.actions else {}
        return notes | actions | ({"tokens": np.stack(self.tokens)} if self.tokens else {})

    def _write_header(self) -> None:
        # numpy leaves room for the first axis to grow, so the length of the header never changes.
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.frames, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, header)

    def _check(self, block: Block) -> None:
        frames = block.frames
        if frames.dtype != np.uint8 or frames.shape[1:] != self.shape:
            raise BadClip(f"its frames are {frames.dtype} {frames.shape[1:]}, not uint8 {self.shape}")

    def _check_kind(self, frames: int, actions: list[np.ndarray], tokens: np.ndarray | None) -> None:
        known = sum(len(a) for a in actions)
        if known not in (0, frames) or len({a.shape[1] for a in actions}) > 1:
            raise BadClip(f"it has actions for {known} of its {frames} frames, or of different sizes")
        if not all(np.isfinite(a).all() for a in (*actions, *([] if tokens is None else [tokens]))):
            raise BadClip("its actions or tokens have NaN or infinite values")
        kind = [actions[0].shape[1] if actions else 0, [] if tokens is None else list(np.shape(tokens))]
        self.kind = self.kind or kind
        if kind != self.kind:
            raise BadClip(unlike(kind, self.kind))


def unlike(kind: list, others: list) -> str:
    return (
        f"it has {kind[0]} actions a frame and tokens of shape {tuple(kind[1])}, other clips {others[0]} and"
        f" {tuple(others[1])}"
    )


def _guarded(collection: Collection, entry: Entry, picture: Picture) -> Iterator[Block]:
    """The blocks of a clip; any error that a library raises on bad data becomes `BadClip`."""
    try:
        yield from collection.read(entry, picture)
    except InputError:
        raise
    except Exception as error:
        raise BadClip(f"{type(error).__name__}: {error}") from error
