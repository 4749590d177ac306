"""Frames of a clip's own past that are shown beside it: the first ones, and old ones."""

import dataclasses
from collections.abc import Callable, Sequence

import einops
import numpy as np

Batch = dict[str, np.ndarray]
Read = Callable[[int, int, int], np.ndarray]
"""Frames `start .. stop - 1` of sequence `index`, of `(index, start, stop)`."""


def frames_before(
    read: Read, sequence: int, first: int, before: Sequence[int], earliest: int = 0
) -> np.ndarray:
    """The frames of a sequence that lie so many frames before frame `first`, each; frame `earliest` stands in
    for those before it."""
    chosen = [max(earliest, first - count) for count in before]
    return np.concatenate([read(sequence, index, index + 1) for index in chosen])


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipPast:
    """Which frames of a clip's own past go with it, through whatever changes the clip.

    With `reference` frames a batch also has `"reference" [B, H, W, reference C]`: as many frames of the same
    sequence, which begin with the clip or up to `reach` frames before it. With `memory` it also has
    `"memory" [B, H, W, len(memory) C]`: the frames that lie so many frames before the clip, each. The first
    of the sequence stands in for older ones; for a share `start_share` of clips the sequence is taken to
    begin anywhere from the oldest of these frames to the clip.
    """

    reference: int = 0
    reach: int = 0
    memory: tuple[int, ...] = ()
    start_share: float = 0.0

    def __bool__(self):
        return self.reference > 0 or len(self.memory) > 0

    def joined(self, read: Read, clip: Batch, rng: np.random.Generator) -> Batch:
        """A clip with these frames before it."""
        (sequence, start), parts = clip.pop("place"), []
        if self.reference:
            first = int(rng.integers(max(0, start - self.reach), start, endpoint=True))
            parts.append(read(sequence, first, first + self.reference))
        if self.memory:
            late = start - int(rng.integers(0, max(self.memory), endpoint=True))
            earliest = max(0, late) if rng.random() < self.start_share else 0
            parts.append(frames_before(read, sequence, start, self.memory, earliest))
        return clip | {"x": np.concatenate([*parts, clip["x"]])}

    def parted(self, clips: Batch) -> Batch:
        """A batch of such clips, with these frames by themselves."""
        ends = np.cumsum([self.reference, len(self.memory)])
        reference, memory, x = np.split(clips["x"], ends, axis=1)
        named = {"reference": reference, "memory": memory}
        return clips | {
            "x": x,
            **{
                name: einops.rearrange(part, "b t ... c -> b ... (t c)")
                for name, part in named.items()
                if part.shape[1]
            },
        }


NO_PAST = ClipPast()
