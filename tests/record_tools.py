"""What the tests of collections of clips share."""

import pickle
import struct

import google_crc32c
import numpy as np
import pytest

from rolling.data.clips.protocol import BadClip, Collection, Picture
from rolling.data.clips.source import Clips

SMALL = Picture(height=8, width=8)
LUMA = Picture(height=8, width=8, colour=False)


def joined(collection, entry, picture=SMALL):
    """Frames, actions and tokens of a whole clip, by a collection that was sent to another process."""
    blocks = list(pickle.loads(pickle.dumps(collection)).read(entry, picture))
    frames = np.concatenate([block.frames for block in blocks])
    assert frames.dtype == np.uint8
    assert frames.shape[1:] == (picture.height, picture.width, picture.channels)
    known = blocks[0].actions is not None
    return frames, np.concatenate([b.actions for b in blocks]) if known else None, blocks[0].tokens


def listed(collection):
    """The entries by name; the same in the same order when asked again."""
    assert isinstance(collection, Collection)
    entries = list(collection.entries())
    assert entries == list(collection.entries())
    assert len({entry.name for entry in entries}) == len(entries)
    return {entry.name: entry for entry in entries}


def refused(collection, entry, words, picture=SMALL):
    with pytest.raises(BadClip, match=words):
        list(collection.read(entry, picture))


def damage(path, keep=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def prepared(collection, cache, **settings):
    """A collection as the source of an experiment has it: the two parts of the store."""
    settings = {"picture": SMALL, "workers": 0, "cache": str(cache), **settings}
    return Clips(collection=collection, **settings).open()


def crc(content):
    """Masked as the format has it, by a checksum object."""
    value = int.from_bytes(google_crc32c.Checksum(content).digest(), "big")
    return ((value >> 15 | value << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def framed(content):
    """A record as it stands in a TFRecord file."""
    head = struct.pack("<Q", len(content))
    return head + struct.pack("<I", crc(head)) + content + struct.pack("<I", crc(content))
