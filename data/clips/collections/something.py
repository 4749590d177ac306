"""Something-Something with its lists."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.data.clips.collections.folders import (
    SPLITS,
    VideoFolder,
    settle_validation,
    video_files,
    video_folder,
)
from rolling.data.clips.protocol import Entry


@dataclasses.dataclass(frozen=True, kw_only=True)
class SomethingSomething(VideoFolder):
    """Videos `ID.webm` anywhere below `path`, and lists `*train*.json`, `*validation*.json`, `*test*.json` of
    objects with `id` and `template` (Goyal et al. 2017, arXiv 1706.04261), in `path` or one folder below.

    The class is the template without brackets; the test list of the data set has no classes.
    """

    def entries(self) -> Sequence[Entry]:
        root = video_folder(self.path)
        by_stem = {PurePosixPath(name).stem: name for name in video_files(root)}
        lists = [(split, file) for file in _lists(root) for split in _splits(file)]
        if not lists:
            raise InputError(
                f"there is no list such as something-something-v2-train.json in {root}: fetch the lists, or"
                " use --source.collection videos, which needs none"
            )
        return settle_validation([entry for split, file in lists for entry in _listed(file, split, by_stem)])


def _lists(root: Path) -> list[Path]:
    return sorted([*root.glob("*.json"), *root.glob("*/*.json")])


def _splits(file: Path) -> list[str]:
    words = file.stem.lower().replace("_", "-").split("-")
    return [SPLITS[word] for word in words if word in SPLITS][:1]


def _listed(file: Path, split: str, by_stem: dict[str, str]) -> Iterator[Entry]:
    try:
        for item in read_json(file):
            identity, template = str(item["id"]), str(item.get("template") or item.get("label") or "")
            label = template.replace("[", "").replace("]", "")
            yield Entry(name=by_stem.get(identity, f"{identity}.webm"), split=split, label=label)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is not a list of Something-Something: {error}") from None
