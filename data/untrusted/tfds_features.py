"""Data sets of tensorflow-datasets: what their metadata may make the library do.

It imports the module of a feature by the name that the metadata give, opens the files that a template of the
metadata names, and decodes pictures of any format.
"""

import contextlib
import functools
import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from rolling.data.untrusted import Refused
from rolling.data.untrusted.pictures import open_picture

FEATURE = re.compile(r"tensorflow_datasets\.core\.features(\.\w+)+", re.ASCII)
NAME = re.compile(r"[\w.+-]+")  # of a data set, a split or a format: parts of names of files
TEMPLATE = re.compile(r"([\w.@-]|\{[A-Z_]+\})+")  # `{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}`


@contextlib.contextmanager
def restrained() -> Iterator[None]:
    """While a data set is opened or a record decoded: features are those of the library, no other module is
    imported, and pictures are of few formats. The feature `Video` is a plain sequence of images: its own
    constructor would need TensorFlow."""
    from tensorflow_datasets import features

    find, decode = features.FeatureConnector.cls_from_name, features.Image.decode_example_np
    with (
        _replaced(features.FeatureConnector, "cls_from_name", staticmethod(functools.partial(_own, find))),
        _replaced(features.Video, "__init__", functools.partialmethod(_plain_video, features)),
        _replaced(features.Image, "decode_example_np", functools.partialmethod(_decoded, decode)),
    ):
        yield


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def check_names(builder: Any) -> None:
    """Raises `Refused` where the files of a data set would not lie in its own folder."""
    for name, split in builder.info.splits.items():
        template = split.filename_template
        names = (builder.name, name, template.filetype_suffix or "-")
        if not TEMPLATE.fullmatch(template.template) or not all(map(NAME.fullmatch, names)):
            raise Refused(
                f"its split {name!r} is in files that cannot be in its folder: {template.template!r}"
            )


def _own(find: Any, name: str) -> Any:
    if not FEATURE.fullmatch(name):
        raise Refused(f"it has a feature of the kind {name!r}, which is none of tensorflow-datasets' own")
    return find(name)


def _plain_video(self: Any, features: Any, shape=None, encoding_format="png", dtype=np.uint8, **_) -> None:
    size = tuple(shape)[1:] if shape else None
    image = features.Image(shape=size, dtype=dtype, encoding_format=encoding_format)
    features.Sequence.__init__(self, image, length=shape[0] if shape else None)


def _decoded(self: Any, decode: Any, content: bytes) -> np.ndarray:
    open_picture(io.BytesIO(content)).close()  # what is told from its first bytes here is so for any decoder
    return decode(self, content)
