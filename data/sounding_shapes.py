"""Synthetic video with its sound: shapes that click, each form at a pitch of its own, when they bounce."""

import dataclasses
import math
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rolling.common.checks import check_finite, check_least
from rolling.common.errors import InputError
from rolling.data.moving_shapes import FORMS, MovingShapes, ShapesState
from rolling.geometry import Axis
from rolling.layout import Layout, Variable

LOWEST, HIGHEST = 200.0, 3200.0  # Hz, the centres of the first and the last band
CLICK = 0.5  # amplitude at a bounce, over full scale: two at once do not exceed it
FLOOR = 10 ** (-48 / 20)  # amplitude of silence
WIDTH = 0.6  # of a click in bands, one standard deviation
PARTS = ("picture", "sound")


class SoundingState(NamedTuple):
    """The shapes, with velocities in pixels per frame of sound, and how loud each form rings."""

    shapes: ShapesState
    ringing: Float[Array, " form"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoundingShapes(MovingShapes):
    """`MovingShapes` and what is heard of them: of the same trajectories, a simulator of the `picture` and
    one of the `sound`, which is `sounds` times as fast.

    At each bounce, wherever in a frame it falls, the form of the shape begins to ring, with an amplitude of
    0.5 at first, and dies away as `exp(-t / decay)`. A frame of sound holds levels in dB, `20 log10(floor +
    sum of the amplitudes in a band)`, at the end of its time; the floor is at -48 dB. Bands are evenly spaced
    in the logarithm of the frequency, from 200 to 3,200 Hz, and the forms' pitches are evenly spaced in them:
    disc, square, triangle and cross, from low to high.

    What is heard follows from what is seen but for a delay of less than a frame. What is seen does not follow
    from what is heard: a click says when, and which form, and not where. Both parts are of the same
    trajectories where all else is equal; frame `i` of the picture shows them at the time of frame
    `sounds (i + 1) - 1` of the sound.
    """

    part: Literal["picture", "sound"] = "picture"
    """What a frame holds: colours, or levels."""
    sounds: int = 4
    """Frames of sound to a picture."""
    bands: int = 32
    """Bands of a frame of sound."""
    decay: float = 0.15
    """Seconds in which the amplitude of a click falls to 1 / e."""
    varying: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.part not in PARTS:
            raise InputError(f"simulator.part must be one of {', '.join(PARTS)}, not {self.part!r}")
        check_least("simulator", self, "sounds", least=1)
        check_least(
            "simulator", self, "bands", least=4 * len(FORMS)
        )  # pitches two bands away from each other
        check_finite("simulator", self, "decay", above=0)

    @property
    def layout(self) -> Layout:
        if self.part == "picture":
            return super().layout
        frequencies = np.geomspace(LOWEST, HIGHEST, self.bands).round(1).tolist()
        return Layout(
            variables=(Variable(name="level", units="dB", long_name="sound level"),),
            axes=(Axis(name="frequency", values=tuple(frequencies), units="Hz"),),
            step=1 / (self.rate * self.sounds),
            time_units="s",
        )

    def initial(self, key: jax.Array) -> SoundingState:
        shapes = super().initial(key)
        slowed = shapes._replace(velocity=shapes.velocity / self.sounds, spin=shapes.spin / self.sounds)
        return SoundingState(slowed, jnp.zeros(len(FORMS)))

    def advance(self, stepper: Any, state: SoundingState) -> SoundingState:
        count = self.sounds if self.part == "picture" else 1
        return jax.lax.fori_loop(0, count, lambda _, state: self._tick(state), state)

    def frame(self, state: SoundingState) -> Float[Array, "*space channel"]:
        if self.part == "picture":
            return super().frame(state.shapes)
        away = jnp.arange(self.bands)[:, None] - self.pitches()[None]
        amplitude = jnp.exp(-0.5 * (away / WIDTH) ** 2) @ state.ringing
        return 20 * jnp.log10(FLOOR + amplitude)[:, None]

    def pitches(self) -> Float[Array, " form"]:
        """The bands of all forms, in fractions of a band."""
        return jnp.asarray([(i + 0.5) * self.bands / len(FORMS) - 0.5 for i in range(len(FORMS))])

    def _tick(self, state: SoundingState) -> SoundingState:
        """The state one frame of sound later."""
        before, after = state.shapes, super().advance(None, state.shapes)
        bounced = after.velocity != before.velocity
        radius = after.radius[:, None]
        rising = after.velocity > 0
        from_wall = jnp.where(rising, after.position - radius, self.resolution - radius - after.position)
        since = from_wall / jnp.where(bounced, jnp.abs(after.velocity), 1.0)  # in frames of sound
        fading = 1 / (self.rate * self.sounds * self.decay)
        clicks = jnp.where(bounced, CLICK * jnp.exp(-fading * since), 0.0).sum(axis=1)
        places = jnp.asarray([list(FORMS).index(name) for name in self.forms])[after.kind.astype(int)]
        ringing = state.ringing * math.exp(-fading) + jax.nn.one_hot(places, len(FORMS)).T @ clicks
        return SoundingState(after, ringing)
