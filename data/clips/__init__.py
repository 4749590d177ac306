"""Collections of clips as they lie on somebody's disk."""

from data.clips.arrays import ArrayFiles as ArrayFiles
from data.clips.collection import Collection as Collection
from data.clips.frames import FrameFolders as FrameFolders
from data.clips.tfds import Tfds as Tfds
from data.clips.tfrecords import BairPushing as BairPushing
