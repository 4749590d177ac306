"""The actions of clips as frames of their own: a modality beside the pictures."""

import dataclasses
from pathlib import Path

import numpy as np

from rolling.common.errors import InputError
from rolling.data.clips.source import Clips
from rolling.data.clips.store.reader import is_prepared_store
from rolling.data.source import Sequences, SequencesBase, Split
from rolling.geometry import Axis
from rolling.layout import Layout, Variable


@dataclasses.dataclass(frozen=True, kw_only=True)
class Actions:
    """The actions of `clips`: of each picture its numbers, as a frame `[actions, 1]` on a line.

    They are read from the store that is prepared from the clips: clips, names, what is held out, step and
    times are those of the pictures, so that `rolling.data.together.Together` joins both. What could not be
    used of the clips is told with the pictures.

    Frame `k` holds the numbers that the collection keeps with picture `k`: in robot data the command that
    leads from picture `k` to `k + 1`. The last given frame of a forecast thus has the command that leads to
    the first picture that is made, as where a network of pictures is conditioned on actions. All numbers of
    a frame are normalised by one mean and one standard deviation.
    """

    path: str = ""
    """In place of the path of `clips`."""
    clips: Clips = Clips()
    """The clips, as the pictures beside them have them."""

    def open(self) -> Split:
        """Prepares the store at the first call. Raises `InputError` for clips that have no actions."""
        split = self._told.open()
        if not split.train.layout.actions:
            raise InputError(
                f"the clips in {self._told.path or self.clips.collection} have no actions: choose a"
                " collection that has them, or leave this modality out"
            )
        return Split(train=ActionFrames(clips=split.train), test=ActionFrames(clips=split.test))

    def layout(self) -> Layout:
        """Raises `InputError` before the clips are prepared, as nothing else says how many actions there
        are."""
        if not is_prepared_store(Path(self._told.path).expanduser()):
            raise InputError(
                "how many actions clips have is known once they are prepared: open them, or give the path of"
                " a prepared store"
            )
        return self.open().train.layout

    @property
    def _told(self) -> Clips:
        """The clips with their actions."""
        return dataclasses.replace(
            self.clips, path=self.path or self.clips.path, actions=True, labelled=False
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ActionFrames(SequencesBase):
    """The actions that sequences are conditioned on, as sequences: see `rolling.data.source.Sequences`."""

    clips: Sequences
    mask = None
    from_start = True  # see `rolling.data.source.Counting`

    @property
    def layout(self) -> Layout:
        of = self.clips.layout
        axis = Axis(name="component", values=tuple(map(float, range(of.actions))))
        variable = Variable(name="action")
        return Layout(variables=(variable,), axes=(axis,), step=of.step, time_units=of.time_units)

    def __len__(self) -> int:
        return len(self.clips)

    def length(self, index: int) -> int:
        return self.clips.length(index)

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        return self.clips.conditioning(index, start, stop)["actions"][..., None]

    def times(self, index: int, start: int, stop: int) -> np.ndarray:
        return self.clips.times(index, start, stop)

    def name(self, index: int) -> str:
        return self.clips.name(index)
