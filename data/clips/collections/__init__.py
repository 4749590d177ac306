"""Collections of clips: which files hold them, how they are split and labelled, and how they are read."""

from rolling.data.clips.collections.array_files import ArrayFiles as ArrayFiles
from rolling.data.clips.collections.folders import Videos as Videos
from rolling.data.clips.collections.frames import FrameFolders as FrameFolders
from rolling.data.clips.collections.kinetics import Kinetics as Kinetics
from rolling.data.clips.collections.something import SomethingSomething as SomethingSomething
from rolling.data.clips.collections.tfds import Tfds as Tfds
from rolling.data.clips.collections.tfrecords import BairPushing as BairPushing
from rolling.data.clips.collections.ucf101 import UCF101 as UCF101
from rolling.data.clips.protocol import Collection as Collection
