"""Random changes of a clip that leave the distribution of the data unchanged: symmetries of an equation and
its domain.

They act on clips in physical units, before normalisation, so that a change of sign is a change of sign.
"""

import dataclasses
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from rolling.common.errors import InputError
from rolling.layout import Layout

HEIGHT, WIDTH = -3, -2  # of clips [T, H, W, C]
PARITY = {"vorticity": (-1, 1), "u": (-1, -1), "v": (1, -1)}  # signs under S and R of ShiftReflect


@runtime_checkable
class Augmentation(Protocol):
    """A random change of a whole clip; the same generator state gives the same change."""

    def check(self, layout: Layout, mask: np.ndarray | None) -> None:
        """Raises `InputError` where the data do not have the symmetry."""

    def apply(self, clip: np.ndarray, layout: Layout, rng: np.random.Generator) -> np.ndarray:
        """A clip `[T, H, W, C]` in physical units, of the same shape."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Translate:
    """A shift by any number of cells along axes that are periodic and along which the data are homogeneous.

    `"y"` and `"x"` are the height and the width of a frame, whatever the data call them. Kolmogorov flow is
    homogeneous along x only; `ShiftReflect` has its symmetries along y.
    """

    axes: tuple[Literal["y", "x"], ...] = ("x",)
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
        axes = tuple({"y": HEIGHT, "x": WIDTH}[axis] for axis in self.axes)
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
        if not layout.is_video:
            raise InputError(
                f"Mirror is for pictures, and how {', '.join(layout.names)} change in a mirror is not known:"
                " leave it out, with --augment none"
            )
        if layout.actions:
            raise InputError(
                "Mirror would need to know how actions change in a mirror: leave it out, with --augment none"
            )

    def apply(self, clip, layout, rng):
        return np.flip(clip, WIDTH) if rng.integers(2) else clip


def _mirror(clip, axes):
    """`f(-x)` on a periodic axis whose first cell is at 0: cell j goes to -j mod n."""
    return np.roll(np.flip(clip, axes), (1,) * len(axes), axes)
