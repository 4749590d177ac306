"""Whether fake clips begin with the frames of the real ones: scores of other frames, or of frames that were
decoded, cut or scaled in another way, mean something else than they seem to."""

import math
from collections.abc import Callable

import numpy as np

from rolling.data.clips.resize import LUMA

GAIN = 3.0  # dB by which another reading must agree better to be named
LUMA_GAIN = 6.0  # the same for luma, in which noise of three colours averages out, by 3.5 dB
SAME, ALIKE = 40.0, 30.0  # dB from which frames agree, and from which they differ as codecs make them differ
LOW, SPAN = 16.0, 219.0  # black, and white less black, of the limited range of video

Reading = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""Maps a real clip `[t, ...]`, fake ones `[k, t, ...]` and the number of given frames to what is compared."""

READINGS: dict[str, Reading] = {
    "": lambda real, fake, n: (real[:n], fake[:, :n]),
    # Of a forecast that was given other frames, only given ones tell; a single one leaves no choice.
    "with fake clips that begin a frame later": lambda real, fake, n: (
        (real[1:n], fake[:, : n - 1]) if n > 1 else (real[1:2], fake[:, :1])
    ),
    "with fake clips that begin a frame earlier": lambda real, fake, n: (real[:n], fake[:, 1 : n + 1]),
    "with red and blue exchanged (BGR)": lambda real, fake, n: (real[:n], fake[:, :n, ..., ::-1]),
    "with fake clips of the range 16 to 235": lambda real, fake, n: (
        real[:n],
        (fake[:, :n] - LOW) * (255 / SPAN),
    ),
    "with real clips of the range 16 to 235": lambda real, fake, n: (
        real[:n],
        fake[:, :n] * (SPAN / 255) + LOW,
    ),
}
COLOUR: Reading = lambda real, fake, n: (real[:n] @ LUMA, fake[:, :n] @ LUMA)  # noqa: E731


class Agreement:
    """Sums of the squared differences between the given frames of real and fake clips, as they are and in
    other readings of the fake ones."""

    def __init__(self, given: int):
        self.given = given
        self.sums = {name: [0.0, 0] for name in (*READINGS, "luma")}

    def update(self, real: np.ndarray, fake: np.ndarray) -> None:
        """Of a real clip `[t, height, width, 3]` and its forecasts `[k, t, height, width, 3]`, float32 grey
        levels; both hold frames after the given ones."""
        for name, reading in (READINGS | {"luma": COLOUR}).items():
            a, b = reading(real, fake, self.given)
            self.sums[name][0] += float(np.square(b - a, dtype=np.float64).sum())
            self.sums[name][1] += b.size

    def psnr(self, reading: str = "") -> float:
        """In dB, infinite for identical frames."""
        total, count = self.sums[reading]
        return 10 * math.log10(255**2 * count / total) if total else math.inf

    def words(self) -> str:
        """One line: whether the given frames agree, and if not, what would explain it."""
        found = self.psnr()
        if math.isinf(found):
            return "given frames: those of real and fake clips are identical"
        told = f"given frames: {found:.1f} dB PSNR between those of real and fake clips"
        best = max(READINGS, key=self.psnr)
        if self.psnr(best) >= found + GAIN:
            return f"{told}: they do not agree, but do {best}, at {self.psnr(best):.1f} dB"
        if found >= SAME:
            return f"{told}: they agree"
        if self.psnr("luma") >= found + LUMA_GAIN:
            return (
                f"{told}, but {self.psnr('luma'):.1f} dB in luma: they differ in colour, as by another"
                " decoder's chroma; convert both with one program"
            )
        if found >= ALIKE:
            return f"{told}: they differ about as codecs or ways of resizing do, which counts as error, too"
        return f"{told}: they do not agree, so other clips, cuts or sizes may have been paired"
