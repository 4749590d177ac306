"""Clips in arrays: npy (Moving MNIST), npz and HDF5 files."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from rolling.common.errors import InputError
from rolling.data.clips.collections.containers import CONTAINERS, is_container
from rolling.data.clips.collections.folders import files_below, settle_validation
from rolling.data.clips.collections.names import existing_path, in_order, label_of, split_of
from rolling.data.clips.collections.stacks import Stack, stacks
from rolling.data.clips.protocol import BadClip, Block, Entry, Picture
from rolling.data.clips.resize import check_rate, check_scale, resized_clip, to_grey_levels


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArrayFiles:
    """The arrays in a file, or in all files of a folder, each of them one clip or many.

    Arrays `labels`, `actions` `[.., t, a]` and `tokens` `[.., k, d]` may accompany the frames, in the same
    group of the file or in one around it, with a first axis for the clips if there are many: an axis n, or
    several arrays of frames in one group. `clips.npy` is accompanied by `clips.labels.npy`,
    `clips.actions.npy`, `clips.tokens.npy`. Files, groups and arrays named like a split (train, test, val,
    ...) give the split; without `labels`, the folder of a file gives the class.
    """

    path: str = ""
    """A file, or a folder of files."""
    key: str = ""
    """Which array of a file holds the frames; a pattern such as `data/*/frames` for several."""
    axes: str = ""
    """The order of the axes, out of n (clips), t, h, w and c (channels): `t n h w` for Moving MNIST. Empty:
    by their number, `t h w`, `t h w c` or `n t h w c`."""
    scale: str = "levels"
    """The range of the values: `levels` for 0 to 255, `unit` for 0 to 1, `signed` for -1 to 1."""
    rate: float | None = None
    """Frames per second, if known: only then can clips be resampled to another rate."""

    def __post_init__(self):
        letters = self.axes.split()
        known = {"t", "h", "w"} <= set(letters) <= set("nthwc") and len(set(letters)) == len(letters)
        if letters and not known:
            raise InputError(f"the axes {self.axes!r} are not t, h, w and perhaps n and c, as in 'n t h w c'")
        check_scale(self.scale)
        check_rate(self.rate)

    def entries(self) -> Sequence[Entry]:
        """All clips; an unusable file or array is one entry, whose reading fails with the reason. Raises
        `InputError` with that reason if there are no other entries."""
        found: list[Entry] = []
        reasons: dict[str, BadClip] = {}
        for file in self._names():
            try:
                held = self._stacks(file)
            except BadClip as error:
                found.append(_entry(file))
                reasons[found[-1].name] = error
                continue
            for array, stack in held.items():
                try:
                    found += _clips(file, array, stack)
                except BadClip as error:
                    found.append(_entry(file, array))
                    reasons[found[-1].name] = error
        if len(reasons) == len(found):
            name, error = next(iter(reasons.items()))
            raise InputError(f"{name} cannot be used: {error}")
        return settle_validation(found)

    def read(self, entry: Entry, picture: Picture) -> Iterator[Block]:
        file, name, clip = self._parts(entry.name)
        stack, index = self._stacks(file).get(name), None if clip is None else int(clip)
        # The labels are checked because they, too, may make this entry unusable.
        if stack is None or not stack.labels or (index is None) != (stack.clips is None):
            raise BadClip(f"{file} has changed: {entry.name} is no longer there")
        yield from resized_clip(
            lambda indices: to_grey_levels(stack.frames(index, indices), self.scale),
            stack.length,
            entry,
            picture,
            rate=self.rate,
            actions=stack.companion("actions", index),
            tokens=stack.companion("tokens", index),
        )

    def _stacks(self, name: str) -> dict[str, Stack]:
        place = self._place()
        return stacks(place if place.is_file() else place / name, self.key, self.axes)

    def _parts(self, name: str) -> tuple[str, str, str | None]:
        """File, array and number of a clip called `file/array[number]`; both may contain folders."""
        place, whole = self._place(), PurePosixPath(name)
        parts = map(str, [*reversed(whole.parents), whole][1:])
        file = next((part for part in parts if place.is_file() or (place / part).is_file()), None)
        if file is None:
            raise BadClip("its file is no longer there")
        array = name.removeprefix(file).removeprefix("/")
        found = re.fullmatch(r"(.*?)(?:\[(\d+)\])?", array, re.DOTALL)
        assert found is not None  # any text matches: it may all be the name
        return file, found[1], found[2]

    def _place(self) -> Path:
        return existing_path(self.path, f"arrays ({', '.join(CONTAINERS)})")

    def _names(self) -> list[str]:
        place, kinds = self._place(), ", ".join(CONTAINERS)
        if place.is_file():
            if not is_container(place):
                raise InputError(f"{self.path} is of no kind that can be read: {kinds}")
            return [place.name]
        names = in_order(files_below(place, lambda name: is_container(Path(name))))
        if not names:
            raise InputError(f"the folder {self.path} holds no arrays: {kinds}")
        return names


def _clips(file: str, array: str, stack: Stack) -> list[Entry]:
    if stack.clips is None:
        return [_entry(file, array, label=stack.labels[0])]
    return [_entry(file, array, f"[{i}]", label) for i, label in enumerate(stack.labels)]


def _entry(file: str, array: str = "", index: str = "", label: str = "") -> Entry:
    return Entry(
        name=f"{file}/{array}{index}" if array else file,
        split=split_of(file) or split_of(array),
        label=label or label_of(file),
    )
