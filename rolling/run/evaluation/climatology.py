"""The climatology as a distribution: fields of the training part at the phase of each frame.

Its mean is that of `Statistics.climatology`, over all of them; a probabilistic score needs draws. A fair
score does not depend on how many there are, so a few frames of each phase, chosen at random, are enough.
"""

from collections import OrderedDict

import numpy as np

from rolling.data import calendar
from rolling.data.source import Sequences

DRAWS = (4, 32)
"""The fewest and the most frames of a phase."""
DRAWN_BYTES, KEPT_BYTES = 2**26, 2**28
"""Of the frames of one phase, and of all phases that are kept; both are exceeded by the fewest only."""


class Climate:
    """Draws from the climatology of a training part, read as they are needed."""

    def __init__(self, train: Sequences):
        self.train, self.layout = train, train.layout
        self.bytes = 4 * int(np.prod(self.layout.shape))
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._phases: np.ndarray | None = None

    def fields(self, times: np.ndarray) -> np.ndarray:
        """`[draw, T, *space, variable]`: training frames of the phases of `times [T]`."""
        phases = calendar.phase(self.layout, times)
        found = {phase: self._of(phase) for phase in np.unique(phases).tolist()}
        if len(found) == 1:
            (drawn,) = found.values()
            return np.broadcast_to(drawn[:, None], (len(drawn), len(phases), *drawn.shape[1:]))
        count = min(map(len, found.values()))
        return np.stack([found[phase][:count] for phase in phases.tolist()], axis=1)

    def _of(self, phase: int) -> np.ndarray:
        """`[draw, *space, variable]`, of all phases where this one has fewer than two frames."""
        if phase in self._kept:
            self._kept.move_to_end(phase)
            return self._kept[phase]
        lengths = [self.train.length(index) for index in range(len(self.train))]
        among = np.arange(sum(lengths))
        if self.layout.phase != "none":
            here = np.flatnonzero(self._all_phases(lengths) == phase)
            among = here if len(here) > 1 else among
        least, most = DRAWS
        count = min(len(among), max(least, min(most, DRAWN_BYTES // self.bytes)))
        chosen = np.sort(np.random.default_rng(phase).choice(among, count, replace=False))
        ends = np.cumsum(lengths)
        sequence = np.searchsorted(ends, chosen, side="right")
        frame = chosen - (ends - lengths)[sequence]
        places = zip(sequence.tolist(), frame.tolist(), strict=True)
        drawn = np.stack([self.train.read(index, at, at + 1)[0] for index, at in places])
        # In random order, as other phases may have fewer.
        self._kept[phase] = drawn[np.random.default_rng(phase).permutation(count)]
        while len(self._kept) > 1 and sum(each.nbytes for each in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return self._kept[phase]

    def _all_phases(self, lengths: list[int]) -> np.ndarray:
        """The phase of every training frame."""
        if self._phases is None:
            parts = [self.train.times(index, 0, length) for index, length in enumerate(lengths)]
            self._phases = np.concatenate([calendar.phase(self.layout, times) for times in parts])
        return self._phases
