"""Pairs clips of two collections by their names."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from rolling.data.clips.collections.containers import CONTAINERS
from rolling.data.clips.collections.folders import VIDEO_SUFFIXES
from rolling.data.clips.protocol import Entry

ARRAY = re.compile(rf"(.*?(?:{'|'.join(map(re.escape, CONTAINERS))}))/(.*?)(?:\[(\d+)\])?")
KNOWN = {*CONTAINERS, *VIDEO_SUFFIXES}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """A real clip and the fake ones that are forecasts of it."""

    real: Entry
    fakes: tuple[Entry, ...]


def paired(real: Sequence[Entry], fake: Sequence[Entry]) -> list[Pair]:
    """Each real clip with the fake clips of its name, equally many for each; real clips without any are left
    out.

    Names are compared without file suffixes; names of arrays, `file.npy/array[clip]`, without the parts that
    all clips of a set share. A fake clip's name may have one more part, first or last: `SAMPLE/NAME`,
    `NAME/SAMPLE`. Empty if a fake clip has no real one, or a name stands for several.
    """
    known = dict(zip(_keys(real), real, strict=True))
    if len(known) < len(real):
        return []
    parts = [PurePosixPath(key).parts for key in _keys(fake)]
    for front, back in ((0, 0), (1, 0), (0, 1)):
        found: dict[str, list[Entry]] = defaultdict(list)
        for one, entry in zip(parts, fake, strict=True):
            found["/".join(one[front : len(one) - back])].append(entry)
        sizes = set(map(len, found.values()))
        if found.keys() <= known.keys() and len(sizes) == 1 and (front or back or sizes == {1}):
            return [Pair(real=known[key], fakes=tuple(found[key])) for key in known if key in found]
    return []


def _keys(entries: Sequence[Entry]) -> list[str]:
    """The part of each name that is compared."""
    names = [_parts(entry.name) for entry in entries]
    files, arrays, numbers = (set(part) - {""} for part in zip(*names, strict=True))
    keys = []
    for file, array, number in names:
        parts = (file if len(files) > 1 or not numbers else "", array if len(arrays) > 1 else "", number)
        keys.append("/".join(filter(None, parts)))
    return keys


def _parts(name: str) -> tuple[str, str, str]:
    """The file without its suffix, the array in it and the number there; "" for those that are absent."""
    found = ARRAY.fullmatch(name)
    file, array, number = found.groups(default="") if found else (name, "", "")
    path = PurePosixPath(file)
    return str(path.with_suffix("")) if path.suffix.lower() in KNOWN else file, array, number
