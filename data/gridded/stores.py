"""What a Zarr store does not say by itself: how much of it was ever written.

A chunk that was never written reads as the fill value, often 0, without an error.
"""

import itertools
from pathlib import Path

import zarr

from rolling.data.gridded.formats import explained, is_store


def frames_written(path: str, name: str, axis: int) -> int | None:
    """How many entries along `axis` of an array there are up to the last block with any written chunk.

    Chunks that hold nothing but the fill value may be left out of a store, so that only a tail without any
    chunk is a sign of a write that was cut. None for what is no local Zarr store.
    """
    place = Path(path)
    if "://" in path or not place.is_dir() or not is_store(place):
        return None
    with explained(path, "opened"):
        array = zarr.open_group(place, mode="r")[name]
        sizes = array.shards or array.chunks  # what is one file
        counts = [-(-length // size) for length, size in zip(array.shape, sizes, strict=True)]
        for block in reversed(range(counts[axis])):
            others = [range(count) for count in counts]
            others[axis] = range(block, block + 1)
            keys = (array.metadata.encode_chunk_key(place_in) for place_in in itertools.product(*others))
            if any((place / array.path / key).exists() for key in keys):
                return min((block + 1) * sizes[axis], array.shape[axis])
        return 0
