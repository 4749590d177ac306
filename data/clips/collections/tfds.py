"""Data sets that tensorflow-datasets has prepared as array_record, read without TensorFlow."""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common.errors import InputError
from rolling.data.clips.collections.folders import SPLITS, settle_validation
from rolling.data.clips.collections.names import existing_path
from rolling.data.clips.damage import readable
from rolling.data.clips.protocol import UNSPECIFIED, Block, Entry, Picture
from rolling.data.clips.resize import check_rate, check_scale, resized_clip, to_grey_levels
from rolling.data.untrusted.sizes import check_regular
from rolling.data.untrusted.tfds_features import check_names, restrained

HOLDS = "data sets of tensorflow-datasets"
MARK = "features.json"  # in the folder of a version of a data set


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tfds:
    """A data set in a folder of tensorflow-datasets, `path/name`; the name may include a configuration and a
    version: `moving_mnist/1.0.0`. It may be empty if there is only one data set.

    The frames are a feature of type `Video`, a sequence of images, or a tensor `[t, h, w, c]`. Splits are
    those named train and test; validation is the test part if there is no test split.
    """

    path: str = ""
    """The folder of tensorflow-datasets."""
    name: str = ""
    """The data set, if there are several; with configuration and version if need be."""
    key: str = "video"
    """The feature that holds the frames."""
    label: str = ""
    """The feature that holds the class, if any. All records are read to list the classes."""
    actions: str = ""
    """The feature that holds the actions of the frames `[t, a]`, if any."""
    tokens: str = ""
    """The feature that holds the tokens of the clip `[n, d]`, if any."""
    scale: str = "levels"
    """The range of the values: `levels` for 0 to 255, `unit` for 0 to 1, `signed` for -1 to 1."""
    rate: float | None = None
    """Frames per second, if known: only then can clips be resampled to another rate."""

    def __post_init__(self):
        check_scale(self.scale)
        check_rate(self.rate)

    def entries(self) -> Sequence[Entry]:
        """A record is named by its place in its split: `moving_mnist/1.0.0/train[12]`."""
        place, folder = existing_path(self.path, HOLDS), self._folder()
        builder, inside = _opened(folder), folder.relative_to(place)
        self._decoder(builder, self.key, self.label, self.actions, self.tokens)  # raises for missing features
        found = [
            Entry(
                name=(inside / f"{split}[{i}]").as_posix(), split=SPLITS.get(split, UNSPECIFIED), label=label
            )
            for split, about in builder.info.splits.items()
            for i, label in enumerate(self._labels(builder, split, about.num_examples))
        ]
        if not found:
            raise InputError(f"{builder.data_dir} holds no records: prepare the data set again")
        return settle_validation(found)

    def read(self, entry: Entry, picture: Picture) -> Iterator[Block]:
        folder, _, record = entry.name.rpartition("/")
        builder = _opened(existing_path(self.path, HOLDS) / folder)
        split, _, index = record.rstrip("]").rpartition("[")
        decode = self._decoder(builder, self.key, self.actions, self.tokens)
        with readable("the record", "record of this data set"):
            with restrained():
                record = decode(_records(builder, split)[int(index)])
            frames = np.asarray(record[self.key])
            frames = frames[..., None] if frames.ndim == 3 else frames
        yield from resized_clip(
            lambda indices: to_grey_levels(frames[indices], self.scale),
            len(frames),
            entry,
            picture,
            rate=self.rate,
            actions=np.asarray(record[self.actions]) if self.actions else None,
            tokens=np.asarray(record[self.tokens]) if self.tokens else None,
        )

    def _folder(self) -> Path:
        whole = existing_path(self.path, HOLDS)
        place = whole / self.name
        depths = ("", "*/", "*/*/", "*/*/*/")  # of a version, a configuration, a data set, all of them
        found = sorted(mark.parent for depth in depths for mark in place.glob(depth + MARK))
        if not found:
            raise InputError(
                f"{place} holds no data set that tensorflow-datasets prepared: prepare it there with"
                " file_format='array_record'"
            )
        if len(found) > 1:
            names = ", ".join(folder.relative_to(whole).as_posix() for folder in found)
            raise InputError(
                f"{place} holds several data sets: say with --source.collection.name which one, of {names}"
            )
        return found[0]

    def _labels(self, builder: Any, split: str, count: int) -> Iterator[str]:
        if not self.label:
            yield from [""] * count
            return
        decode, names = self._decoder(builder, self.label), builder.info.features[self.label]
        with readable(split, "split of this data set"):
            for record in _records(builder, split):
                with restrained():
                    value = decode(record)[self.label]
                value = names.int2str(int(value)) if hasattr(names, "int2str") else value
                yield value.decode(errors="replace") if isinstance(value, bytes) else str(value)

    def _decoder(self, builder: Any, *keys: str) -> Any:
        """Decodes only the features asked for: others need not be decodable."""
        tfds, features = _library(), builder.info.features
        lacking = [key for key in keys if key and key not in features]
        if lacking:
            raise InputError(
                f"{builder.data_dir} has no feature {lacking[0]!r}: there are {', '.join(features)}"
            )
        wanted = tfds.features.FeaturesDict({key: features[key] for key in keys if key})
        return wanted.deserialize_example_np


def _opened(place: Path) -> Any:
    with readable(str(place), "data set of tensorflow-datasets"):
        check_regular(place / MARK)
        return _builder(place, (place / MARK).stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _builder(place: Path, changed: int) -> Any:
    with restrained():
        builder = _library().builder_from_directory(place)
        kind = builder.info.file_format.value
    check_names(builder)
    if kind != "array_record":
        raise InputError(
            f"{place} was prepared as {kind}, which cannot be read record by record: prepare it again with"
            " file_format='array_record'"
        )
    return builder


def _records(builder: Any, split: str) -> Sequence[bytes]:
    raw = _library().decode.DeserializeMethod.RAW_BYTES
    return builder.as_data_source(split, deserialize_method=raw)


def _library() -> Any:
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise InputError(
            "this data set needs the package tensorflow-datasets, which cannot be imported"
            f" ({error}): install it with pip install 'rolling-diffusion[video]'"
        ) from error
    return tensorflow_datasets
