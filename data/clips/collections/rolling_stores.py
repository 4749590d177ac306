"""This package's own stores, of prepared clips and of forecasts, as collections of clips."""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import zarr

from rolling.common.errors import InputError
from rolling.common.forecast_schema import STORE, is_unfinished
from rolling.common.forecast_seal import check_store_seal
from rolling.data.clips.damage import readable
from rolling.data.clips.protocol import TEST, TRAIN, Block, Entry, Picture
from rolling.data.clips.resize import resized_clip
from rolling.data.clips.store.reader import Prepared, open_store
from rolling.data.untrusted.zarr_stores import open_group
from rolling.layout import COLOUR, GREY

MOST = 10**7
"""Clips that a forecast may have."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedClips:
    """The clips of a store prepared for training, under the names that their collection gave them."""

    path: str

    def entries(self) -> Sequence[Entry]:
        return list(_prepared(self.path))

    def read(self, entry: Entry, picture: Picture) -> Iterator[Block]:
        part, index = _prepared(self.path)[entry]
        yield from resized_clip(
            lambda i: part.raw(index, 0, i[-1] + 1)[i], part.length(index), entry, picture
        )


@lru_cache(maxsize=4)
def _prepared(path: str) -> dict[Entry, tuple[Prepared, int]]:
    split = open_store(Path(path).expanduser())
    return {
        # The parts of a store are what `open_store` makes them.
        Entry(name=part.name(index), split=name): (cast(Prepared, part), index)
        for name, part in ((TRAIN, split.train), (TEST, split.test))
        for index in range(len(part))
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForecastClips:
    """The members of a forecast of pictures, at `path` or in the run's folder `path`: `START/MEMBER`."""

    path: str

    def entries(self) -> Sequence[Entry]:
        first = next(iter(self._arrays().values()))
        starts, members = first.shape[:2]
        if starts * members > MOST:
            raise InputError(f"{self.path} promises {starts} x {members} clips: it is damaged")
        return [Entry(name=f"{s:05d}/{m:03d}") for s in range(starts) for m in range(members)]

    def read(self, entry: Entry, picture: Picture) -> Iterator[Block]:
        arrays, at = self._arrays(), tuple(map(int, entry.name.split("/")))
        count = next(iter(arrays.values())).shape[2]

        def frames(indices: np.ndarray) -> np.ndarray:
            with readable(self.path, "Zarr store of pictures"):
                part = [array[*at, indices[0] : indices[-1] + 1] for array in arrays.values()]
                return np.stack(part, axis=-1)[indices - indices[0]]

        yield from resized_clip(frames, count, entry, picture)

    def _arrays(self) -> dict[str, zarr.Array]:
        """Colours by name. Raises `InputError` if the forecast is not of pictures or not finished."""
        store = forecast_store(Path(self.path).expanduser())
        with readable(self.path, "Zarr store of pictures"):
            group = open_group(store)
            check_store_seal(store)
            arrays = dict(group.arrays())
        if is_unfinished(group.attrs):
            raise InputError(f"the forecast {store} is not finished: finish it with `rolling rollout`")
        for names in (COLOUR, GREY):
            found = {name: arrays[name] for name in names if name in arrays and arrays[name].ndim == 5}
            if len(found) == len(names) and all(array.dtype == np.uint8 for array in found.values()):
                return found
        raise InputError(f"{store} is not a forecast of pictures: it holds {', '.join(arrays) or 'nothing'}")


def forecast_store(place: Path) -> Path:
    """The path itself, or the store in it if it is the folder of a run."""
    return place / STORE if (place / STORE).is_dir() else place
