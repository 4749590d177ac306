"""An array of frames in a file, the order of its axes, and the arrays that accompany it."""

import dataclasses
import fnmatch
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import einops
import numpy as np

from rolling.data.clips.collections.containers import COMPANIONS, Container, container
from rolling.data.clips.collections.names import in_order
from rolling.data.clips.protocol import BadClip

AXES = {3: "t h w", 4: "t h w c", 5: "n t h w c"}
"""The default order of an array's axes, by their number."""

LONGEST = 1000  # characters of the name of an array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stack:
    """The array `name` of a file: one clip, or `clips` of them along the axis n."""

    file: Container
    shapes: dict[str, tuple[int, ...]]
    name: str
    order: str
    """The order of the axes as the user gave it, "" if not given."""
    group: dict[str, int]
    """The arrays of frames in the same group, this one included, with the place of each."""

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """A letter for each axis. Raises `BadClip` if they do not fit the shape."""
        shape = self.shapes[self.name]
        letters = tuple((self.order or AXES.get(len(shape), "")).split())
        sizes = dict(zip(letters, shape, strict=False))
        if len(letters) != len(shape) or sizes.get("c", 1) not in (1, 3) or 0 in shape:
            raise BadClip(
                f"its shape {shape} cannot be {' '.join(letters) or 'frames in time'}"
                " with 1 or 3 channels: give --source.collection.axes, as in 't n h w'"
            )
        return letters

    @property
    def clips(self) -> int | None:
        return self._size("n") if "n" in self.axes else None

    @property
    def length(self) -> int:
        return self._size("t")

    def frames(self, clip: int | None, indices: np.ndarray) -> np.ndarray:
        """`[T, H, W, c]`, at ascending indices."""
        first, last = int(indices[0]), int(indices[-1]) + 1
        part: dict[str, Any] = {"n": clip, "t": slice(first, last)}
        taken = self.file.take(self.name, tuple(part.get(axis, slice(None)) for axis in self.axes))
        left = " ".join(axis for axis in self.axes if axis != "n")
        return einops.rearrange(taken, f"{left} -> t h w {'c' if 'c' in left else 1}")[indices - first]

    def companion(self, what: str, clip: int | slice | None) -> np.ndarray | None:
        """A clip's part of the nearest array named `what`; None if there is no such array."""
        name = self._nearest(what)
        if name is None:
            return None
        many = self.clips or (len(self.group) if len(self.group) > 1 else None)
        if many is None:
            return np.asarray(self.file.take(name, ...))
        if self.shapes[name][:1] != (many,):
            raise BadClip(f"there are {many} clips in it, but {name} has the shape {self.shapes[name]}")
        return np.asarray(self.file.take(name, self.group[self.name] if clip is None else clip))

    @cached_property
    def labels(self) -> list[str]:
        """The class of each clip, "" if unknown. Raises `BadClip`."""
        count = self.clips or 1
        found = self.companion("labels", slice(None) if self.clips else None)
        if found is None:
            return [""] * count
        if found.size != count or found.dtype.kind not in "biuUS":
            raise BadClip(
                f"its labels have the shape {found.shape} and the type {found.dtype}: a whole number or a"
                " word is needed for each clip"
            )
        return [str(item) for item in found.astype(str if found.dtype.kind == "S" else found.dtype).flat]

    def _size(self, axis: str) -> int:
        return self.shapes[self.name][self.axes.index(axis)]

    def _nearest(self, what: str) -> str | None:
        """The array's name in the group of the frames, or else in the closest group around it."""
        group = self.name
        while group:
            group = group.rpartition("/")[0]
            name = f"{group}/{what}" if group else what
            if name in self.shapes:
                return name
        return None


def stacks(file: Path, key: str, axes: str) -> dict[str, Stack]:
    """The arrays of frames in a file: those that match the pattern `key`, or the only one. Raises `BadClip`,
    which lists all arrays, if that is impossible."""
    held = container(file)
    return _stacks(held, held.state(), key, axes)


@lru_cache(maxsize=8)  # a file may hold thousands of clips: search it once
def _stacks(file: Container, state: tuple, key: str, axes: str) -> dict[str, Stack]:
    shapes = file.shapes()
    if any(len(name) > LONGEST for name in shapes):  # it would be part of the name of every clip
        raise BadClip(f"it has an array whose name is longer than {LONGEST} characters")
    if key:
        found = [name for name in shapes if fnmatch.fnmatchcase(name, key)]
    else:
        found = [
            n for n, shape in shapes.items() if len(shape) > 2 and n.rpartition("/")[2] not in COMPANIONS
        ]
    shown = ", ".join(f"{name} {shapes[name]}" for name in list(shapes)[:8]) or "none"
    if not found:
        raise BadClip(f"it has no array {key or 'of frames'}; there are: {shown}")
    if len(found) > 1 and not key:
        raise BadClip(
            f"it has several arrays that may be frames: give --source.collection.key, the name of the one"
            f" that is, or a pattern ('*') for several; there are: {shown}"
        )
    groups: dict[str, dict[str, int]] = {}
    for name in in_order(found):
        group = groups.setdefault(name.rpartition("/")[0], {})
        group[name] = len(group)
    return {
        name: Stack(file=file, shapes=shapes, name=name, order=axes, group=group)
        for group in groups.values()
        for name in group
    }
