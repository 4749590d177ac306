"""The split of clips into those for training and those held out.

A split that is named or marked is known from the start. One that is drawn is settled when all clips have been
read, as only then copies are known, which lie on one side.
"""

import dataclasses
import hashlib
import os
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath

import numpy as np

from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.data.clips.protocol import TEST, TRAIN, UNSPECIFIED, Entry

LIKENESS, PICTURES, NAMES = "likeness", "pictures", "names"
FEWEST = 10  # clips that are held out if there are four times as many: scores of fewer say little


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draw:
    """Which clips are held out where nothing says so: those whose `fraction`, a number from 0 to 1 that is
    pseudo-random but fixed, is below `share`; at least a quarter of them or `FEWEST`, never all.

    It depends on a clip's name alone. By `likeness`, clips that are alike but for compression and trimming
    are one, which has the first of their names, and by `pictures` clips of the same frames. By `names`, the
    rule of earlier versions, copies may lie on both sides, and one clip is enough.
    """

    share: float = 0.1
    by: str = LIKENESS

    def trains(self, entry: Entry) -> bool:
        """Whether a clip is for training, as far as it can be known from this clip alone."""
        if entry.split == UNSPECIFIED:
            return hash_fraction(os.fsencode(entry.name)) >= self.share
        return entry.split == TRAIN

    def settled(self, entries: Sequence[Entry], digests: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """For all clips that can be used: whether each is held out `[n]`, and of which clip that is held out
        it is a copy to be left out `[n]`, -1 for none: what is held out is held out once. Copies have the
        same digest."""
        test = np.array([entry.split == TEST for entry in entries], bool)
        if any(entry.split == UNSPECIFIED for entry in entries):
            names = [os.fsencode(entry.name) for entry in entries]
            if self.by != NAMES:
                firsts: dict[bytes, bytes] = {}
                for name, digest in sorted(zip(names, digests, strict=True)):
                    firsts.setdefault(digest, name)
                names = [firsts[digest] for digest in digests]
            fractions = [hash_fraction(name) for name in names]
            chosen = self._lowest(set(fractions))
            test = np.array([fraction in chosen for fraction in fractions], bool)
        copy_of, held_out = np.full(len(entries), -1), {}
        if self.by != NAMES:
            for place in [*np.flatnonzero(test).tolist(), *np.flatnonzero(~test).tolist()]:
                if test[place] and digests[place] not in held_out:
                    held_out[digests[place]] = place
                else:
                    copy_of[place] = held_out.get(digests[place], -1)
        return test, copy_of

    def marked(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries, each TRAIN or TEST, where that is known before any of them is read: by names."""
        test, _ = self.settled(entries, [b""] * len(entries))
        return [
            dataclasses.replace(entry, split=TEST if held_out else TRAIN)
            for entry, held_out in zip(entries, test, strict=True)
        ]

    def _lowest(self, fractions: Collection[float]) -> set[float]:
        least = max(1, min(FEWEST, len(fractions) // 4)) if self.by != NAMES else 1
        count = max(least, sum(fraction < self.share for fraction in fractions))
        return set(sorted(fractions)[: min(count, len(fractions) - 1)])


BY_LIKENESS = Draw()


def split_entries(entries: Sequence[Entry], test: tuple[str, ...]) -> list[Entry]:
    """The entries, each marked TRAIN or TEST if some are named or marked, else all UNSPECIFIED.

    Raises `InputError` if a part would be empty.
    """
    chosen = _named(entries, test) if test else {entry.name for entry in entries if entry.split == TEST}
    parts = [
        dataclasses.replace(entry, split=(TEST if entry.name in chosen else TRAIN) if chosen else UNSPECIFIED)
        for entry in entries
    ]
    if len(parts) < 2 or len(chosen) == len(parts):
        raise InputError(
            f"{counted(len(parts), 'clip')} cannot be split into two parts, one to train on and one to test"
            " on: add clips, or name those to hold out with --source.test"
        )
    return parts


def _named(entries: Sequence[Entry], names: tuple[str, ...]) -> set[str]:
    by_name: dict[str, set[str]] = {}
    for entry in entries:
        for name in (entry.name, PurePosixPath(entry.name).stem):
            by_name.setdefault(name, set()).add(entry.name)
    for name in names:
        if name not in by_name:
            near = get_close_matches(name, by_name, n=1)
            hint = f"; the nearest is {near[0]!r}" if near else ""
            raise InputError(f"source.test names {name!r}, and there is no such clip{hint}")
    return set().union(*(by_name[name] for name in names))


def hash_fraction(content: bytes) -> float:
    """A pseudo-random number in [0, 1) that depends on the content alone."""
    return int(hashlib.sha256(content).hexdigest()[:13], 16) / 16**13
