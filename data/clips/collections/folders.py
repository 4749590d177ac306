"""A folder of videos, flat, by class, by split, or both; and what all collections of videos share."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from rolling.common.errors import InputError
from rolling.data.clips.decode import read_video
from rolling.data.clips.protocol import TEST, TRAIN, UNSPECIFIED, BadClip, Block, Entry, Picture

VIDEO_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts"),
    *(".ogv", ".gif"),
}
VALIDATION = "validation"
SPLITS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("test", "testing"), TEST),
    **dict.fromkeys(("val", "valid", "validate", "validation"), VALIDATION),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoFolder:
    """Base of collections of video files: where they are, and how one is read."""

    path: str = ""
    """The folder, with its subfolders."""

    def read(self, entry: Entry, picture: Picture) -> Iterator[Block]:
        if PurePosixPath(entry.name).is_absolute() or ".." in PurePosixPath(entry.name).parts:
            raise BadClip(f"its name leads out of the folder {self.path}")  # a list may hold any
        return read_video(Path(self.path).expanduser() / entry.name, picture, entry.start, entry.stop)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Videos(VideoFolder):
    """Any folder of video files: `clip.mp4`, `CLASS/clip.mp4`, `SPLIT/clip.mp4`, `SPLIT/CLASS/clip.mp4`.

    A split is a folder named train, test or val(idation), in upper or lower case; other folders, joined by
    `/`, are the class. Validation clips are the test part if there is no other.
    """

    def entries(self) -> Sequence[Entry]:
        root = video_folder(self.path)
        entries = [self._entry(name) for name in video_files(root)]
        if not entries:
            raise InputError(
                f"there are no videos in {root}: its files should end in {', '.join(sorted(VIDEO_SUFFIXES))}"
            )
        return settle_validation(entries)

    def _entry(self, name: str) -> Entry:
        *folders, _ = PurePosixPath(name).parts
        split = SPLITS.get(folders[0].lower(), UNSPECIFIED) if folders else UNSPECIFIED
        return Entry(name=name, split=split, label="/".join(folders[1:] if split else folders))


def video_folder(path: str) -> Path:
    """The folder that a user named. Raises `InputError` if it is not one."""
    root = Path(path).expanduser()
    if not path:
        raise InputError("where are the videos? Give --source.path FOLDER")
    if not root.exists():
        raise InputError(f"there is no folder {root}: give --source.path FOLDER")
    if not root.is_dir():
        raise InputError(f"{root} is a file, not a folder of videos: give --source.path FOLDER")
    return root


def video_files(root: Path) -> list[str]:
    """The videos below a folder, as sorted paths relative to it."""
    return sorted(files_below(root, lambda name: os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES))


def files_below(root: Path, wanted: Callable[[str], bool]) -> Iterator[str]:
    """The files below a folder whose names are wanted, relative to it; links are followed, hidden files
    skipped."""
    seen = set()
    for here, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:  # a link back to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(here).relative_to(root)
        yield from ((inside / name).as_posix() for name in files if wanted(name) and not name.startswith("."))


def settle_validation(entries: Sequence[Entry]) -> list[Entry]:
    """Makes validation the test part if there is no other, and leaves it out otherwise."""
    if any(entry.split == TEST for entry in entries):
        return [entry for entry in entries if entry.split != VALIDATION]
    return [
        dataclasses.replace(entry, split=TEST) if entry.split == VALIDATION else entry for entry in entries
    ]
