"""The BAIR robot pushing data (softmotion) as distributed: TFRecord files, read without TensorFlow.

Ebert, Finn, Lee and Levine (2017), "Self-supervised visual planning with temporal skip connections".
"""

import dataclasses
import itertools
import math
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np

from rolling.common.errors import InputError
from rolling.data.clips.collections.folders import files_below, settle_validation
from rolling.data.clips.collections.names import existing_path, in_order, split_of
from rolling.data.clips.damage import readable
from rolling.data.clips.protocol import BadClip, Block, Entry, Picture
from rolling.data.clips.resize import check_rate, resized_clip
from rolling.data.untrusted.sizes import check_regular

MARK = ".tfrecord"  # clips.tfrecords, clips.tfrecord-00000-of-00008
HEAD, TAIL = struct.Struct("<QI"), struct.Struct("<I")  # length, CRC of it; the record; CRC of that


@dataclasses.dataclass(frozen=True, kw_only=True)
class BairPushing:
    """The records in all TFRecord files below `path`, one clip each: `softmotion30_44k/train/*.tfrecords`.

    Frame t of a record is stored under `{t}/{camera}/encoded` as 64 x 64 x 3 raw bytes, its action under
    `{t}/action`. Folders give the split.
    """

    path: str = ""
    """The folder of the records."""
    camera: str = "image_aux1"
    """Which of the two cameras to use: `image_aux1` or `image_main`."""
    actions: tuple[str, ...] = ("action",)
    """The features that make up a frame's actions: `action` (4 numbers), `endeffector_pos` (3); or none."""
    height: int = 64
    """Pixels, as the records hold them."""
    width: int = 64
    """Pixels, as the records hold them."""
    rate: float | None = None
    """Frames per second, if known: only then can clips be resampled to another rate."""

    def __post_init__(self):
        check_rate(self.rate)

    def entries(self) -> Sequence[Entry]:
        """A record is named by its byte offset in its file: `train/traj_0_to_255.tfrecords/0`."""
        place, folder = self._place(), self._folder()
        names = [place.name] if place.is_file() else in_order(files_below(place, lambda n: MARK in n))
        if not names:
            raise InputError(f"{self.path} holds no records: files with {MARK} in their names are needed")
        return settle_validation(
            [
                Entry(name=f"{name}/{offset}", split=split_of(name))
                for name in names
                for offset in offsets(folder / name)
            ]
        )

    def read(self, entry: Entry, picture: Picture) -> Iterator[Block]:
        name, _, offset = entry.name.rpartition("/")
        features = _example(record(self._folder() / name, int(offset)))
        key = f"{{}}/{self.camera}/encoded"
        count = next(t for t in itertools.count() if key.format(t) not in features)
        if not count:
            raise BadClip(
                f"it has no {key.format(0)}; there are: {', '.join(sorted(features)[:8]) or 'none'}"
            )
        yield from resized_clip(
            lambda indices: (self._frame(features[key.format(t)]) for t in indices),
            count,
            entry,
            picture,
            rate=self.rate,
            actions=self._actions(features, count) if self.actions else None,
        )

    def _frame(self, feature: Any) -> np.ndarray:
        values = b"".join(feature.bytes_list.value)
        size = (self.height, self.width, 3)
        if len(values) != math.prod(size):
            raise BadClip(
                f"its frames have {len(values)} bytes, but {' x '.join(map(str, size))} are {math.prod(size)}"
            )
        return np.frombuffer(values, np.uint8).reshape(size)

    def _actions(self, features: Any, count: int) -> np.ndarray:
        numbers = [[_numbers(features, f"{t}/{what}") for what in self.actions] for t in range(count)]
        with readable("its actions", "record with equally many numbers for each frame"):
            return np.stack([np.concatenate(each) for each in numbers])

    def _place(self) -> Path:
        return existing_path(self.path, "TFRecord files")

    def _folder(self) -> Path:
        place = self._place()
        return place.parent if place.is_file() else place


def offsets(file: Path) -> Iterator[int]:
    """The byte offsets of the records of a file, up to the first one after which no other can be found;
    `record` says why: a damaged length, or a truncated file."""
    check_regular(file)
    with readable(file.name, "TFRecord file"), open(file, "rb") as handle:
        size, place = os.fstat(handle.fileno()).st_size, 0
        while place < size or not place:
            yield place
            try:
                length = _length(handle, place, file)
            except BadClip:
                return
            place += HEAD.size + length + TAIL.size


def record(file: Path, offset: int) -> bytes:
    """The record at an offset. Raises `BadClip` if its checksums are wrong, or the file ends within it."""
    with readable(file.name, "TFRecord file"), open(file, "rb") as handle:
        content = handle.read(_length(handle, offset, file))
        tail = handle.read(TAIL.size)
    if len(tail) < TAIL.size:
        raise BadClip(f"{file.name} is cut short within the record at byte {offset}")
    if TAIL.unpack(tail)[0] != masked_crc(content):
        raise BadClip(f"{file.name} is damaged: the checksum of the record at byte {offset} is wrong")
    return content


def masked_crc(content: bytes) -> int:
    """The CRC-32C of some bytes, rotated and offset, as TFRecord files store it."""
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _length(handle: BinaryIO, offset: int, file: Path) -> int:
    handle.seek(offset)
    head = handle.read(HEAD.size)
    if len(head) < HEAD.size or HEAD.unpack(head)[1] != masked_crc(head[:8]):
        raise BadClip(
            f"{file.name} is damaged or not a TFRecord file: no record begins at byte {offset}, and what"
            " follows cannot be found"
        )
    length = HEAD.unpack(head)[0]
    if offset + HEAD.size + length > os.fstat(handle.fileno()).st_size:
        raise BadClip(f"{file.name} is cut short within the record at byte {offset}")
    return length


def _example(content: bytes) -> Any:
    """The features of a `tf.train.Example`, by name."""
    try:
        from tensorflow_datasets.proto import tf_example_pb2
    except ImportError as error:
        raise InputError(
            f"TFRecord files need the package tensorflow-datasets, which cannot be imported ({error}):"
            " install it with pip install 'rolling-diffusion[video]'"
        ) from error
    with readable("the record", "tf.train.Example"):
        example: Any = vars(tf_example_pb2)["Example"]  # protobuf adds it at run time
        return example.FromString(content).features.feature


def _numbers(features: Any, key: str) -> np.ndarray:
    if key not in features:
        raise BadClip(f"it has no {key}")
    return np.array(features[key].float_list.value, np.float32)
