"""How well the sound of sounding shapes goes with their picture."""

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import einops
import numpy as np

from rolling.data.moving_shapes import BACKGROUND, FORMS, PALETTE
from rolling.joint_layout import JointLayout
from rolling.metrics.between_modalities import added, ends
from rolling.metrics.protocol import About, Score

CLOSE = 0.5  # frames between a bounce and the click that belongs to it
LEAST_AREA = 0.008  # of a picture: less is no shape
WHOLE = 0.85  # share of its usual area in which the whole shape is seen
LEAST_SPEED = 0.15  # cells per frame, to call a change of sign a turn
RISE = 0.15  # of an amplitude, to call it a click; a true one is 0.4 or more at the end of its frame
REFRACTORY = 3  # frames of sound within which rises are one click


class Event(NamedTuple):
    """A bounce or a click: when, in pictures since the beginning, and the number of the form in `FORMS`."""

    time: float
    form: int


class Counts(NamedTuple):
    """Of one stretch of time."""

    bounces: int = 0
    clicks: int = 0
    pairs: int = 0
    """Of a bounce and a click that are close."""
    alike: int = 0
    """Pairs in which the click has the pitch of the form."""
    offsets: tuple[float, ...] = ()
    """From each click to the nearest bounce."""

    def with_(self, other: "Counts") -> "Counts":
        return Counts(
            self.bounces + other.bounces,
            self.clicks + other.clicks,
            self.pairs + other.pairs,
            self.alike + other.alike,
            self.offsets + other.offsets,
        )


class Stretches(NamedTuple):
    layout: JointLayout
    counts: tuple[Counts, ...] = ()
    """Of one stretch after the other, of all rollouts."""
    pictures: int = 0
    """Of the longest."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BouncesAndClicks:
    """Bounces that are seen against clicks that are heard, of `rolling.data.sounding_shapes`.

    Bounces are turns of the tracked centre of each colour, to a fraction of a frame: where the lines through
    two centres before and two after it meet. Clicks are rises of the amplitude at a form's pitch above what
    is left of earlier ones, in the middle of a frame of sound. A bounce and a click are a pair if they are
    within half a picture of each other, each in one pair at most. For each stretch of time:

        f1     = 2 pairs / (bounces + clicks),
        offset = the median time from a click to the nearest bounce, in pictures,
        pitch  = the share of pairs in which the click has the pitch of the form that bounces.

    Shapes that are partly hidden by another are not tracked, so that a few bounces are missed in real clips,
    too: their own score stands beside. Clips whose sound is that of another clip have what chance gives.
    """

    video: str = "video"
    """The modality that is seen."""
    sound: str = "sound"
    """The one that is heard."""
    stretch: int = 50
    """Pictures to a value of the score."""
    decay: float = 0.15
    """Seconds in which a click falls to 1 / e."""
    name = "bounces_and_clicks"
    about = About(
        title="Bounces and clicks",
        note="F1 of bounces and clicks within half a picture, the median offset of a click in pictures, and"
        " the share of pairs with the right pitch.",
        section="agreement",
    )

    def start(self, layout: JointLayout) -> Stretches | None:
        """None where the modalities are not there, or are no sounding shapes."""
        video, sound = (layout.of.get(name) for name in (self.video, self.sound))
        if video is None or sound is None or not video.is_video or len(video.names) != len(PALETTE[0]):
            return None
        axis = sound.axes[-1]
        heard = len(sound.axes) == 1 and axis.units == "Hz" and sound.names == ("level",)
        known = (
            heard and len(axis) % len(FORMS) == 0 and layout.every[self.video] % layout.every[self.sound] == 0
        )
        return Stretches(layout) if known else None

    def update(self, state: Stretches, frames: Mapping[str, np.ndarray]) -> Stretches:
        video, sound = state.layout.of[self.video], state.layout.of[self.sound]
        seen = bounces(frames[self.video])
        heard = clicks(frames[self.sound], round(video.step / sound.step), self.decay / sound.step)
        found = []
        for first in range(0, len(frames[self.video]), self.stretch):
            ours = (
                [one for one in events if 0 <= one.time - first < self.stretch] for events in (seen, heard)
            )
            found.append(compared(*ours))
        counts = added(state.counts, found, Counts())
        return Stretches(state.layout, counts, max(state.pictures, len(frames[self.video])))

    def result(self, state: Stretches) -> tuple[Score, ...]:
        counts, step = state.counts, state.layout.of[self.video].step
        values = {
            "f1": ("1", [_share(2 * one.pairs, one.bounces + one.clicks) for one in counts]),
            "offset": ("pictures", [float(np.median(one.offsets or np.nan)) for one in counts]),
            "pitch": ("1", [_share(one.alike, one.pairs) for one in counts]),
        }
        leads = ends(len(counts), self.stretch, state.pictures) * step
        return tuple(
            Score(variable=name, units=units, axis="lead", coordinate=leads, values=np.array(found, float))
            for name, (units, found) in values.items()
        )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def compared(seen: list[Event], heard: list[Event]) -> Counts:
    """The closest pairs first."""
    times = np.array([[abs(a.time - b.time) for b in heard] for a in seen]).reshape(len(seen), len(heard))
    offsets = tuple(times.min(axis=0).tolist()) if len(seen) else ()
    pairs, left = [], times.copy()
    while left.size and left.min() <= CLOSE:
        i, j = np.unravel_index(int(left.argmin()), left.shape)
        pairs.append((seen[i], heard[j]))
        left[i], left[:, j] = np.inf, np.inf
    alike = sum(one.form == other.form for one, other in pairs)
    return Counts(len(seen), len(heard), len(pairs), alike, offsets)


def clicks(levels: np.ndarray, sounds: int, decay: float) -> list[Event]:
    """Of the levels `[time, band, 1]` in dB; `decay` in frames of sound."""
    bands = einops.rearrange(levels[..., 0], "time (form band) -> time form band", form=len(FORMS))
    amplitude = (10 ** (bands / 20)).max(axis=-1)
    found = []
    for form, heard in enumerate(amplitude.T):
        rise = np.diff(heard * 1.0, prepend=heard[:1]) + np.append(0, heard[:-1]) * (1 - np.exp(-1 / decay))
        last = -REFRACTORY
        for k in np.flatnonzero(rise > RISE).tolist():
            if k - last >= REFRACTORY:
                found.append(Event((k + 0.5) / sounds, form))
            last = k
    return sorted(found)


def bounces(pictures: np.ndarray) -> list[Event]:
    """Of shapes in pictures `[time, y, x, colour]`."""
    found = []
    for cover in np.moveaxis(_covers(pictures), -1, 0):
        centres, area = _centres(cover)
        if (area > 0).sum() < 4:
            continue
        whole = area > WHOLE * np.median(area[area > 0])
        if not whole.any():
            continue
        form = _form(cover[whole])
        times = [time for axis in centres.T for time in _turns(axis, whole)]
        found += [Event(time, form) for time in _apart(sorted(times))]
    return sorted(found)


def _apart(times: list[float]) -> list[float]:
    """In a corner a shape turns twice, and clicks once."""
    return [time for i, time in enumerate(times) if i == 0 or time - times[i - 1] > CLOSE]


def _covers(pictures: np.ndarray) -> np.ndarray:
    """`[time, y, x, colour]`: how much of a cell is covered by each colour of the palette: that to which it
    is nearest, between background and full colour."""
    colours = np.asarray(PALETTE, np.float32) - BACKGROUND
    lengths = (colours**2).sum(axis=-1)
    away = pictures.astype(np.float32) - BACKGROUND
    share = np.clip(away @ colours.T / lengths, 0, 1)
    left = (away**2).sum(axis=-1)[..., None] - 2 * share * (away @ colours.T) + share**2 * lengths
    nearest = left.argmin(axis=-1)[..., None] == np.arange(len(colours))
    return np.where(nearest & (share > 0.1), share, 0.0)


def _centres(cover: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`[time, 2]`, the centre of what is covered, and `[time]`, its area in cells; 0 where it is too small to
    be a shape."""
    area = cover.sum(axis=(1, 2))
    area = np.where(area > LEAST_AREA * cover[0].size, area, 0.0)
    weight = cover / np.maximum(area, 1.0)[:, None, None]
    y, x = np.indices(cover.shape[1:]) + 0.5
    return np.stack([(weight * x).sum(axis=(1, 2)), (weight * y).sum(axis=(1, 2))], axis=-1), area


def _turns(place: np.ndarray, whole: np.ndarray) -> list[float]:
    """When a coordinate of a shape turns, in pictures since the beginning: the first one is at time 1.

    A turn shows in two steps where it is near a frame: the one counts whose speeds before and after are more
    alike, as they are the same if the turn lies between them.
    """
    found: list[tuple[float, float]] = []
    for k in range(1, len(place) - 2):
        if not whole[k - 1 : k + 3].all():
            continue
        before, after = place[k] - place[k - 1], place[k + 2] - place[k + 1]
        fast, slow = max(abs(before), abs(after)), min(abs(before), abs(after))
        if before * after >= 0 or slow < max(LEAST_SPEED, 0.5 * fast):
            continue
        since = (place[k + 1] - after - place[k]) / (before - after)
        if -0.1 <= since <= 1.1:
            found.append((k + 1 + float(since), slow / fast))
    kept = [one for one in found if all(one[1] >= other[1] or abs(one[0] - other[0]) >= 1 for other in found)]
    return [time for time, _ in kept]


def _form(covers: np.ndarray) -> int:
    """The form whose silhouette is nearest, whatever its size and angle."""
    means = np.mean([_moments(cover) for cover in covers], axis=0)
    return int(((means - _references()) ** 2).sum(axis=-1).argmin())


def _moments(cover: np.ndarray) -> np.ndarray:
    """Sizes of the third and the fourth moment of what is covered, which are those of a form."""
    area = cover.sum()
    y, x = np.indices(cover.shape) + 0.5
    z = (x - (cover * x).sum() / area) + 1j * (y - (cover * y).sum() / area)
    return np.array([abs((cover * z**n).sum()) / area ** (1 + n / 2) for n in (3, 4)])


@cache
def _references() -> np.ndarray:
    """Of each form, drawn large."""
    size = 256
    y, x = (np.indices((1, size, size))[1:] + 0.5) / size * 2.2 - 1.1
    return np.stack([_moments(np.asarray(edge(x, y) < 0)[0].astype(float)) for edge in FORMS.values()])
