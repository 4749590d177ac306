"""Random changes of a clip: symmetries of an equation and its domain, which leave the distribution of the
data unchanged, and for pictures what a camera might as well have seen.

They act on clips in physical units, before normalisation, so that a change of sign is a change of sign.
"""

import dataclasses
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import scipy.ndimage

from rolling.common.errors import InputError
from rolling.layout import Layout

WHITE = 255  # the grey level
DEPTH, HEIGHT, WIDTH = -4, -3, -2  # of clips [T, *space, C]
PARITY = {"vorticity": (-1, 1), "u": (-1, -1), "v": (1, -1)}  # signs under S and R of ShiftReflect


@runtime_checkable
class Augmentation(Protocol):
    """A random change of a whole clip; the same generator state gives the same change."""

    def check(self, layout: Layout, mask: np.ndarray | None) -> None:
        """Raises `InputError` where the data do not have the symmetry."""

    def apply(self, clip: np.ndarray, layout: Layout, rng: np.random.Generator) -> np.ndarray:
        """A clip `[T, *space, C]` in physical units, of the same shape."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Translate:
    """A shift by any number of cells along axes that are periodic and along which the data are homogeneous.

    `"z"`, `"y"` and `"x"` are the depth, height and width of a frame, whatever the data call them. Kolmogorov
    flow is homogeneous along x and z only; `ShiftReflect` has its symmetries along y.
    """

    axes: tuple[Literal["z", "y", "x"], ...] = ("x",)
    """The axes along which to shift."""

    def check(self, layout, mask):
        for axis in self.axes:
            if not getattr(layout, axis).periodic:
                raise InputError(
                    f"clips cannot be shifted along {getattr(layout, axis).name}, which is not periodic:"
                    f" leave {axis!r} out of the augmentation's axes"
                )
        if mask is not None:
            raise InputError(
                "clips with masked cells cannot be shifted: leave the augmentation Translate out"
            )

    def apply(self, clip, layout, rng):
        axes = tuple({"z": DEPTH, "y": HEIGHT, "x": WIDTH}[axis] for axis in self.axes)
        return np.roll(clip, [int(rng.integers(clip.shape[axis])) for axis in axes], axis=axes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShiftReflect:
    """The discrete symmetries of Kolmogorov flow under a force `sin(mode y)` along x (Chandler and Kerswell
    2013, doi 10.1017/jfm.2013.122):

        S: (u, v, w)(x, y) -> (-u, v, -w)(-x, y + pi / mode),    R: (u, v, w)(x, y) -> (-u, -v, w)(-x, -y).

    One of the `4 mode` products of powers of S and R is applied; `Translate(axes=("x",))` completes the
    group. `mode` must be that of the simulator.
    """

    mode: int = 4
    """Wavenumber of the force, that of the simulator."""

    def check(self, layout, mask):
        unknown = [name for name in layout.names if name not in PARITY]
        if unknown:
            raise InputError(
                f"ShiftReflect knows how {', '.join(PARITY)} change under a reflection, but not"
                f" {unknown[0]}: leave the augmentation out"
            )
        if len(layout.axes) != 2:
            raise InputError(
                f"ShiftReflect knows the symmetries of flows on a plane, and these frames have {layout.size}"
                " cells: leave the augmentation out"
            )
        if len(layout.y) % (2 * self.mode):
            raise InputError(
                f"half a wave of mode {self.mode} is not a whole number of the {len(layout.y)} cells along"
                f" {layout.y.name}: use a resolution that {2 * self.mode} divides, or leave ShiftReflect out"
            )
        Translate(axes=("y", "x")).check(layout, mask)

    def apply(self, clip, layout, rng):
        return self.transform(clip, layout, int(rng.integers(2 * self.mode)), bool(rng.integers(2)))

    def transform(self, clip: np.ndarray, layout: Layout, shifts: int, rotate: bool) -> np.ndarray:
        """`S^shifts`, after R where `rotate` says so."""
        reflect, turn = np.array([PARITY[name] for name in layout.names], clip.dtype).T
        if rotate:
            clip = turn * _mirror(clip, (HEIGHT, WIDTH))
        if shifts % 2:
            clip = reflect * _mirror(clip, (WIDTH,))
        return np.roll(clip, -shifts * clip.shape[HEIGHT] // (2 * self.mode), axis=HEIGHT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mirror:
    """Mirrors a clip left to right with probability 1/2, for pictures whose two sides are equivalent: no
    writing, and no actions, whose meaning would change."""

    def check(self, layout, mask):
        _check_pictures(self, layout)
        _check_no_actions(self, layout)

    def apply(self, clip, layout, rng):
        return np.flip(clip, WIDTH) if rng.integers(2) else clip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crop:
    """A part of the picture, enlarged to all of it: of both sides the same share, uniform in [`least`, 1], at
    a random place, the same one in all frames of a clip. Interpolation is linear.

    For few clips, whose objects would else always be as large and in the same place. What is seen from so
    near is a little less sharp; the context shows it.
    """

    least: float = 0.8
    """Smallest share of a side that is kept."""

    def __post_init__(self):
        if not 0 < self.least <= 1:
            raise InputError(
                f"the least share of a side that Crop keeps lies above 0 and not above 1, not {self.least}"
            )

    def check(self, layout, mask):
        _check_pictures(self, layout)
        _check_no_actions(self, layout)

    def apply(self, clip, layout, rng):
        share = rng.uniform(self.least, 1)
        # Between the centres of the first and of the last pixels: nothing beyond the picture is needed.
        room = [(clip.shape[axis] - 1) * (1 - share) for axis in (HEIGHT, WIDTH)]
        y, x = (rng.uniform(0, most) for most in room)
        sizes, offsets = np.array([1, share, share, 1]), np.array([0, y, x, 0])
        return scipy.ndimage.affine_transform(clip, sizes, offsets, order=1)  # pyright: ignore[reportArgumentType]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Light:
    """Another light or exposure, the same one in all frames of a clip: grey levels `x` become

        m + c (x - m) + 255 b,    c ~ U(1 - contrast, 1 + contrast),    b ~ U(-brightness, brightness),

    within black and white, with the mean `m` of the clip. For few clips, taken in few places.
    """

    brightness: float = 0.1
    """Largest change of all grey levels, as a share of the range from black to white."""
    contrast: float = 0.2
    """Largest change of the differences from the mean, as a share of them."""

    def __post_init__(self):
        for name in ("brightness", "contrast"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"the {name} of Light is a share of at least 0 and below 1, not {getattr(self, name)}"
                )

    def check(self, layout, mask):
        _check_pictures(self, layout)

    def apply(self, clip, layout, rng):
        contrast = 1 + rng.uniform(-self.contrast, self.contrast)
        brightness = WHITE * rng.uniform(-self.brightness, self.brightness)
        mean = clip.mean()
        return np.clip(mean + contrast * (clip - mean) + brightness, 0, WHITE).astype(clip.dtype)


def _check_pictures(change: Augmentation, layout: Layout) -> None:
    """Raises `InputError` where frames are no pictures."""
    if not layout.is_video:
        raise InputError(
            f"{type(change).__name__} is for pictures, and would change the meaning of"
            f" {', '.join(layout.names)}: leave it out, with --augment none"
        )


def _check_no_actions(change: Augmentation, layout: Layout) -> None:
    """Raises `InputError` where frames follow from actions, which are relative to what is seen."""
    if layout.actions:
        raise InputError(
            f"{type(change).__name__} would need to know how actions change with the picture: leave it out,"
            " with --augment none"
        )


def _mirror(clip, axes):
    """`f(-x)` on a periodic axis whose first cell is at 0: cell j goes to -j mod n."""
    return np.roll(np.flip(clip, axes), (1,) * len(axes), axes)
