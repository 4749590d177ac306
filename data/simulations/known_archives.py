"""Finds out how simulations are laid out, by looking at them."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

from rolling.common.errors import InputError
from rolling.data.simulations import archives
from rolling.data.simulations.trajectories import Archive, Trajectory

KNOWN: tuple[Archive, ...] = tuple(
    kind() for name, kind in sorted(vars(archives).items()) if isinstance(kind, type) and kind is not Archive
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """Whichever of the known layouts a folder has."""

    def lies_in(self, place: Path) -> bool:
        return is_archive(place)

    def trajectories(self, place: Path) -> Sequence[Trajectory]:
        return archive_at(place).trajectories(place)


def stamps(place: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of change of the files of an archive."""
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    return tuple((str(file), stat.st_size, stat.st_mtime_ns) for file in files for stat in [file.stat()])


def trajectories_at(archive: Archive, place: Path) -> tuple[Trajectory, ...]:
    """The trajectories of an archive, whose headers are read once, and again when its files change: there may
    be thousands, and a run asks for them at each of its steps. Raises `InputError`."""
    return _read(archive, place, stamps(place))


@functools.lru_cache(maxsize=4)
def _read(archive: Archive, place: Path, found: tuple[tuple[str, int, int], ...]) -> tuple[Trajectory, ...]:
    return tuple(archive.trajectories(place))


def is_archive(place: Path) -> bool:
    return any(archive.lies_in(place) for archive in KNOWN)


def archive_at(place: Path) -> Archive:
    """Raises `InputError` where nothing is laid out as any of them."""
    if not place.exists():
        raise InputError(f"there is no {place}: give --source.path the folder of the simulations")
    for archive in KNOWN:
        if archive.lies_in(place):
            return archive
    names = ", ".join(type(archive).__name__ for archive in KNOWN)
    raise InputError(
        f"{place} is laid out like none of the archives that are known ({names}): give --source.archive and"
        " its settings, or use `rolling run gridded` for fields on a grid"
    )
