"""Clips as folders of pictures, one file per frame."""

import dataclasses
import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from rolling.common.errors import InputError
from rolling.data.clips.collections.folders import settle_validation
from rolling.data.clips.collections.names import existing_path, in_order, label_of, natural, split_of
from rolling.data.clips.damage import readable
from rolling.data.clips.protocol import BadClip, Block, Entry, Picture
from rolling.data.clips.resize import check_rate, resized_clip
from rolling.data.untrusted.pictures import open_picture
from rolling.data.untrusted.sizes import load_npy

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
# Pillow's modes of more than eight bits, which it would clip at 255.
DEEP = ("I", "F")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameFolders:
    """One folder of pictures per clip, anywhere below `path`: `train/walking/0001/000.png`.

    Frames are ordered by the numbers in their names. The first folder named like a split (train, test, val,
    ...) gives the split, the other folders around the clip's own give its class. `actions.npy` `[T, a]` and
    `tokens.npy` `[n, d]` in a clip's folder belong to it.
    """

    path: str = ""
    """The folder that holds those of the clips."""
    pattern: str = "*"
    """A pattern for the names of frames, such as `image_*.jpg` if the folder also holds masks."""
    rate: float | None = None
    """Frames per second, if known: only then can clips be resampled to another rate."""
    gaps: bool = False
    """Whether numbers in names may jump; otherwise a clip with missing frames is refused."""

    def __post_init__(self):
        check_rate(self.rate)

    def entries(self) -> Sequence[Entry]:
        place = existing_path(self.path, "folders of frames")
        if not place.is_dir():
            raise InputError(f"{self.path} is a file, not a folder with a folder of frames for each clip")
        names = in_order(self._clips(place))
        if not names:
            raise InputError(
                f"no folder in {self.path} holds frames: files {self.pattern} of one of the kinds"
                f" {', '.join(PICTURE_SUFFIXES)}"
            )
        return settle_validation([Entry(name=n, split=split_of(n), label=label_of(n)) for n in names])

    def read(self, entry: Entry, picture: Picture) -> Iterator[Block]:
        folder = existing_path(self.path, "folders of frames") / entry.name
        files = self._files(folder)
        size = _decoded(files[0]).shape

        def frames(indices: np.ndarray) -> Iterator[np.ndarray]:
            return (_of_size(files[i], size, files[0].name) for i in indices)

        companions = {what: _companion(folder / f"{what}.npy") for what in ("actions", "tokens")}
        yield from resized_clip(frames, len(files), entry, picture, rate=self.rate, **companions)

    def _clips(self, place: Path) -> Iterator[str]:
        """Folders that hold frames; what is below them is ignored. Links are followed."""
        waiting, seen = ["."], set()
        while waiting:
            name = waiting.pop()
            with readable(name, "folder"):
                below = self._folders(place / name)
            if below is None:
                yield name
            elif (real := os.path.realpath(place / name)) not in seen:  # not a link back
                seen.add(real)
                waiting += [f"{name}/{folder}".removeprefix("./") for folder in below]

    def _folders(self, place: Path) -> list[str] | None:
        """The folders in a folder; None as soon as a frame is found, without listing the rest."""
        below = []
        with os.scandir(place) as items:
            for item in items:
                if self._is_frame(item.name):
                    return None
                if item.is_dir() and not item.name.startswith("."):
                    below.append(item.name)
        return below

    def _is_frame(self, name: str) -> bool:
        picture = name.lower().endswith(PICTURE_SUFFIXES) and not name.startswith(".")
        return picture and fnmatch.fnmatchcase(name, self.pattern)

    def _files(self, folder: Path) -> list[Path]:
        with readable(folder.name, "folder"):
            names = sorted((name for name in os.listdir(folder) if self._is_frame(name)), key=natural)
        if not names:
            raise BadClip("it holds no frames")
        if not self.gaps:
            _unbroken(names)
        return [folder / name for name in names]


def _unbroken(names: list[str]) -> None:
    """Raises `BadClip` unless the last numbers in the names are evenly spaced."""
    numbers = [re.findall(r"\d+", Path(name).stem) for name in names]
    if not all(numbers):
        return
    steps = np.diff([int(found[-1]) for found in numbers])
    odd = np.flatnonzero(steps != (np.median(steps) if len(steps) else 0))
    if len(odd):
        raise BadClip(
            f"it lacks frames, or has some twice: {names[odd[0]]} is followed by {names[odd[0] + 1]};"
            " if the numbers mean something else, give --source.collection.gaps"
        )


def _decoded(file: Path) -> np.ndarray:
    """`[H, W, 3]`, uint8, upright; transparent pixels are put on black."""
    with readable(file.name, "picture"), open_picture(file) as image:
        if image.mode.startswith(DEEP):
            raise BadClip(
                f"{file.name} has more than eight bits ({image.mode}): write frames of grey levels 0 to 255"
            )
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.endswith("A") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
        return np.asarray(image.convert("RGB"))


def _of_size(file: Path, size: tuple[int, ...], first: str) -> np.ndarray:
    frame = _decoded(file)
    if frame.shape != size:
        raise BadClip(
            f"{file.name} is {frame.shape[1]} x {frame.shape[0]}, but {first}"
            f" {size[1]} x {size[0]}: the frames of a clip must be of one size"
        )
    return frame


def _companion(file: Path) -> np.ndarray | None:
    if not file.exists():
        return None
    with readable(file.name, "npy file of numbers"):
        return load_npy(file)
