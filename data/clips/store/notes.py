"""What is known of all clips when every shard has been written: the content of the index."""

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common.documents import parse_json
from rolling.common.terminal import printable
from rolling.data.clips import likeness
from rolling.data.clips.protocol import Entry
from rolling.data.clips.split import LIKENESS, Draw
from rolling.data.clips.store.reader import shard_name
from rolling.data.clips.store.shards import PixelSums, notes_file, unlike


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """One clip that can be used: where its frames are, and what else is known of it."""

    entry: Entry
    shard: int
    first: int
    frames: int
    digest: bytes
    thumbnails: np.ndarray
    checks: np.ndarray
    rate: float | None
    actions: np.ndarray | None
    tokens: np.ndarray | None

    def like(self, other: "Clip") -> str:
        """What it is of another one that it is like."""
        return "a copy of" if self.digest == other.digest else "but for compression or trimming a copy of"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Notes:
    """The notes about one shard."""

    clips: list[Clip]
    kind: list | None
    skipped: list
    shortened: list
    sums: PixelSums

    @classmethod
    def load(cls, folder: Path, number: int, entries: Sequence[Entry]) -> "_Notes":
        with np.load(notes_file(folder, number), allow_pickle=False) as file:
            found = dict(file)
        words = parse_json(found["words"].tobytes())
        ends, count = np.cumsum(found["rows"][:, 2]), len(found["rows"])
        alone = [None] * count
        actions = np.split(found["actions"], ends)[:count] if "actions" in found else alone
        shown = [-(-frames // likeness.spacing(frames)) for frames in found["rows"][:, 2].tolist()]
        columns = (
            found["rows"].tolist(),
            found["digests"],
            np.split(found["thumbnails"], np.cumsum(shown))[:count],
            np.split(found["checks"], ends)[:count],
            words["rates"],
            actions,
            found.get("tokens", alone),
        )
        clips = [
            Clip(
                entry=entries[entry],
                shard=number,
                first=first,
                frames=frames,
                digest=digest.tobytes(),
                thumbnails=thumbnails,
                checks=checks,
                rate=rate,
                actions=own,
                tokens=tokens,
            )
            for (entry, first, frames), digest, thumbnails, checks, rate, own, tokens in zip(
                *columns, strict=True
            )
        ]
        sums = PixelSums(sums=found["sums"], squares=found["squares"], count=int(found["count"]))
        return cls(
            clips=clips,
            kind=words["kind"],
            skipped=words["skipped"],
            shortened=words["shortened"],
            sums=sums,
        )

    def unusable(self, kind: list) -> Iterator[tuple[str, str]]:
        """The clips skipped in this shard: all of them if their kind is not that of most clips."""
        yield from self.skipped
        if self.kind not in (None, kind):
            for clip in self.clips:
                yield printable(clip.entry.name), unlike(self.kind, kind)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Read:
    """All clips that were read: those that are used, whether each is held out, and why others are not.

    `kind` is the number of actions per frame and the shape of the tokens; `alike` are the names of clips that
    are used, lie on one side, and differ by compression or trimming.
    """

    clips: list[Clip]
    test: np.ndarray
    kind: list
    skipped: list
    shortened: list
    alike: list[list[str]]
    draw: Draw
    _summed: list[tuple[PixelSums, list[Clip]]]

    @classmethod
    def of(cls, folder: Path, shards: int, entries: Sequence[Entry], draw: Draw) -> "Read":
        notes = [_Notes.load(folder, number, entries) for number in range(shards)]
        kind = _commonest(notes)
        good = [note for note in notes if note.kind == kind]
        clips = [clip for note in good for clip in note.clips]
        alike = _alike(clips) if draw.by == LIKENESS else []
        digests = [clip.digest for clip in clips]
        for group in alike:
            for i in group:
                digests[i] = clips[group[0]].digest
        test, copy_of = draw.settled([clip.entry for clip in clips], digests)
        kept = np.flatnonzero(copy_of < 0)
        name = lambda i: printable(clips[i].entry.name)  # noqa: E731
        copies = [
            (name(i), f"it is {clips[i].like(clips[copy_of[i]])} {name(copy_of[i])}, held out")
            for i in np.flatnonzero(copy_of >= 0)
        ]
        left = set(kept.tolist())
        together = [[name(i) for i in group if i in left] for group in alike]
        return cls(
            clips=[clips[i] for i in kept],
            test=test[kept],
            kind=kind,
            skipped=[bad for note in notes for bad in note.unusable(kind)] + copies,
            shortened=[cut for note in good for cut in note.shortened],
            alike=[group for group in together if len(group) > 1],
            draw=draw,
            _summed=[(note.sums, note.clips) for note in good],
        )

    def index(self, labels: list[str]) -> dict[str, np.ndarray]:
        """The columns of the index."""
        places = {label: place for place, label in enumerate(labels)}
        column = lambda values, kind: np.array(list(values), kind)  # noqa: E731
        return {
            "name": np.array([os.fsencode(clip.entry.name) for clip in self.clips]),
            "test": self.test,
            "label": column((places.get(clip.entry.label, -1) for clip in self.clips), np.int32),
            "shard": column((clip.shard for clip in self.clips), np.int32),
            "first": column((clip.first for clip in self.clips), np.int64),
            "frames": column((clip.frames for clip in self.clips), np.int64),
            "rate": column((clip.rate or np.nan for clip in self.clips), np.float32),
            "start": column((clip.entry.start for clip in self.clips), np.float64),
        }

    @cached_property
    def checks(self) -> np.ndarray | None:
        parts = [clip.checks for clip in self.clips]
        return np.concatenate(parts) if parts else None

    @cached_property
    def actions(self) -> np.ndarray | None:
        parts = [clip.actions for clip in self.clips if clip.actions is not None]
        return np.concatenate(parts) if parts else None

    @cached_property
    def tokens(self) -> np.ndarray | None:
        parts = [clip.tokens for clip in self.clips if clip.tokens is not None]
        return np.stack(parts) if parts else None

    def sums(self, folder: Path) -> dict[str, Any]:
        """The sums over the training part. What a shard has summed up was known from each clip alone: the
        few clips of which that was wrong are read again."""
        total, training = (
            PixelSums(),
            {id(c) for c, test in zip(self.clips, self.test, strict=True) if not test},
        )
        for sums, clips in self._summed:
            total.join(sums)
            for clip in clips:
                trains = id(clip) in training
                if trains != self.draw.trains(clip.entry):
                    own = PixelSums()
                    own.add(_frames(folder, clip))
                    (total.join if trains else total.remove)(own)
        return {"sums": total.sums, "squares": total.squares, "count": np.array(total.count)}


def _alike(clips: list[Clip]) -> list[list[int]]:
    """The groups of clips that are alike, without those that are merely copies, by name."""
    firsts: dict[bytes, list[int]] = {}
    for i, clip in enumerate(clips):
        firsts.setdefault(clip.digest, []).append(i)
    same = list(firsts.values())
    some = [clips[copies[0]] for copies in same]
    found = likeness.groups(
        [clip.thumbnails for clip in some], [likeness.spacing(clip.frames) for clip in some]
    )
    together = [[i for place in group for i in same[place]] for group in found]
    return [sorted(group, key=lambda i: os.fsencode(clips[i].entry.name)) for group in together]


def _frames(folder: Path, clip: Clip) -> np.ndarray:
    shard = np.load(folder / shard_name(clip.shard), mmap_mode="r", allow_pickle=False)
    return shard[clip.first : clip.first + clip.frames]


def _commonest(notes: list[_Notes]) -> list:
    """The kind (actions, tokens) of most clips; of equally common kinds, the first."""
    counts: dict[str, int] = {}
    for note in notes:
        if note.kind is not None:
            counts[json.dumps(note.kind)] = counts.get(json.dumps(note.kind), 0) + len(note.clips)
    return parse_json(max(counts, key=lambda kind: counts[kind])) if counts else [0, []]
