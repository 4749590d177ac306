"""UCF101 with its lists of training and test videos."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from rolling.common.errors import InputError
from rolling.data.clips.collections.folders import VideoFolder, video_folder
from rolling.data.clips.protocol import TEST, TRAIN, Entry
from rolling.data.untrusted.sizes import check_regular

LISTS = "ucfTrainTestlist"


@dataclasses.dataclass(frozen=True, kw_only=True)
class UCF101(VideoFolder):
    """`UCF-101/CLASS/v_CLASS_gNN_cMM.avi` and `ucfTrainTestlist/{train,test}list0{fold}.txt` (Soomro et al.
    2012, arXiv 1212.0402); `path` holds both, or is the folder `UCF-101` beside the lists.

    There are three folds; clips of one group, cut from the same film, are never on both sides of a fold.
    """

    fold: int = 1
    """Which of the three folds: 1, 2 or 3."""

    def entries(self) -> Sequence[Entry]:
        root = video_folder(self.path)
        inside = "UCF-101" if (root / "UCF-101").is_dir() else ""
        lists = next(
            (p for p in (root / LISTS, root.parent / LISTS, root) if self._list(p, TRAIN).exists()), None
        )
        if lists is None:
            raise InputError(
                f"there is no {LISTS}/trainlist{self.fold:02d}.txt in or beside {root}: fetch the lists, or"
                " use --source.collection videos, which needs none"
            )
        return [
            Entry(name=(PurePosixPath(inside) / name).as_posix(), split=split, label=name.split("/")[0])
            for split in (TRAIN, TEST)
            for name in _names(self._list(lists, split))
        ]

    def _list(self, place: Path, split: str) -> Path:
        return place / f"{split}list{self.fold:02d}.txt"


def _names(file: Path) -> list[str]:
    """The first words of the lines; in a training list, the number of the class follows."""
    check_regular(file)
    try:
        return [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list {file} cannot be read: {error}") from None
