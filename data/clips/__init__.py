"""Collections of clips, and the prepared store that training reads."""

from data.clips.arrays import ArrayFiles as ArrayFiles
from data.clips.collection import Collection as Collection
from data.clips.folders import Videos as Videos
from data.clips.frames import FrameFolders as FrameFolders
from data.clips.kinetics import Kinetics as Kinetics
from data.clips.something import SomethingSomething as SomethingSomething
from data.clips.tfds import Tfds as Tfds
from data.clips.tfrecords import BairPushing as BairPushing
from data.clips.ucf101 import UCF101 as UCF101
