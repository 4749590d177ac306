"""Kinetics-400, -600 and -700 in the layout of their downloaders."""

import csv
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from rolling.common.errors import InputError
from rolling.data.clips.collections.folders import (
    SPLITS,
    VideoFolder,
    settle_validation,
    video_files,
    video_folder,
)
from rolling.data.clips.protocol import UNSPECIFIED, Entry
from rolling.data.untrusted.sizes import check_regular

COLUMNS = ("youtube_id", "time_start", "time_end")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kinetics(VideoFolder):
    """Videos `{youtube_id}_{start:06d}_{end:06d}.mp4` anywhere below `path`, and the lists
    `label,youtube_id,time_start,time_end,split` that name them (Kay et al. 2017, arXiv 1705.06950).

    `lists` are csv files, by default all in `path` and in its folder `annotations`. A video named by its
    id alone has not been cut yet, and is cut here. Videos that are listed but missing are skipped and
    reported; a test part may have no labels.
    """

    lists: tuple[str, ...] = ()
    """The csv files; by default all in `path` and in its folder `annotations`."""

    def entries(self) -> Sequence[Entry]:
        root = video_folder(self.path)
        by_stem = {PurePosixPath(name).stem: name for name in video_files(root)}
        entries = {}
        for file in self._lists(root):
            for entry in _listed(file, by_stem):
                entries.setdefault((entry.name, entry.start), entry)
        return settle_validation(list(entries.values()))

    def _lists(self, root: Path) -> list[Path]:
        if self.lists:
            return [Path(name).expanduser() for name in self.lists]
        found = sorted([*root.glob("*.csv"), *root.glob("annotations/*.csv")])
        if not found:
            raise InputError(
                f"there is no list (label,youtube_id,time_start,time_end,split) in {root}: name them with"
                " --source.collection.lists, or use --source.collection videos, which needs none"
            )
        return found


def _listed(file: Path, by_stem: dict[str, str]) -> Iterator[Entry]:
    check_regular(file)
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise InputError(f"the list {file} has no column {missing[0]!r}: it is not one of Kinetics")
            for row in rows:
                yield _entry(row, f"{file}, line {rows.line_num}", file.stem, by_stem)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the list {file} cannot be read: {error}") from None


def _entry(row: dict, where: str, stem: str, by_stem: dict[str, str]) -> Entry:
    try:
        start, end = float(row["time_start"]), float(row["time_end"])
    except (TypeError, ValueError):
        raise InputError(f"{where}: time_start and time_end are not numbers") from None
    video = row["youtube_id"]
    split = SPLITS.get((row.get("split") or stem).strip().lower(), UNSPECIFIED)
    label = (row.get("label") or "").strip()
    cut = f"{video}_{int(start):06d}_{int(end):06d}"
    if cut not in by_stem and video in by_stem:
        return Entry(name=by_stem[video], split=split, label=label, start=start, stop=end)
    return Entry(name=by_stem.get(cut, f"{cut}.mp4"), split=split, label=label)
