"""Synthetic video: coloured shapes that turn, cross each other and bounce off the borders."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rolling.common.errors import InputError
from rolling.layout import Layout, video

PALETTE = (
    (235, 87, 87),
    (242, 201, 76),
    (39, 174, 96),
    (86, 204, 242),
    (187, 107, 217),
    (242, 242, 242),
)
BACKGROUND = 20.0  # of each colour
Points = Float[Array, "shape y x"]


class ShapesState(NamedTuple):
    """The state of all shapes in a picture; lengths in pixels, velocities in pixels per frame."""

    position: Float[Array, "shape 2"]
    velocity: Float[Array, "shape 2"]
    angle: Float[Array, " shape"]
    spin: Float[Array, " shape"]
    radius: Float[Array, " shape"]
    kind: Float[Array, " shape"]
    colour: Float[Array, "shape channel"]


def disc(x: Points, y: Points) -> Points:
    """Signed distance to the edge of each shape, negative inside, in units of its radius."""
    return jnp.hypot(x, y) - 1.0


def polygon(x: Points, y: Points, corners: int) -> Points:
    """A regular polygon, as an intersection of half planes."""
    angles = 2 * jnp.pi * jnp.arange(corners) / corners
    reach = jnp.cos(jnp.pi / corners)
    planes = [x * jnp.cos(angle) + y * jnp.sin(angle) - reach for angle in angles]
    return functools.reduce(jnp.maximum, planes)


def cross(x: Points, y: Points) -> Points:
    x, y = jnp.abs(x), jnp.abs(y)
    return jnp.maximum(jnp.maximum(x, y) - 0.95, jnp.minimum(x, y) - 0.32)


FORMS = {
    "disc": disc,
    "square": functools.partial(polygon, corners=4),
    "triangle": functools.partial(polygon, corners=3),
    "cross": cross,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MovingShapes:
    """`shapes` coloured shapes, each of one of the `forms`, on a dark background of `resolution^2` pixels.

    A simulator: a shape moves at most `speed` picture widths per frame, bounces elastically off the borders,
    turns at a constant rate, and keeps its place above or below the others. Two frames determine the future.
    Edges are antialiased over a pixel: subpixel motion shows.
    """

    resolution: int = 32
    """Pixels along a side of the picture."""
    shapes: int = 2
    """How many there are."""
    forms: tuple[str, ...] = tuple(FORMS)
    """Which forms they may have."""
    speed: float = 0.06
    """Largest distance moved in a frame, in picture widths."""
    sizes: tuple[float, float] = (0.13, 0.2)
    """Smallest and largest radius, in picture widths."""
    spin: float = 0.15
    """Largest rate of turning, in radians per frame."""
    rate: float = 8.0
    """Frames per second at which the video is played."""
    colour: bool = True
    """Three channels, or luma alone."""

    def __post_init__(self):
        if self.resolution < 8 or self.shapes < 1:
            raise InputError(
                "moving shapes need a resolution of 8 or more and one shape or more, not"
                f" {self.resolution} and {self.shapes}"
            )
        if not self.forms or not set(self.forms) <= set(FORMS):
            raise InputError(f"forms of moving shapes are {', '.join(FORMS)}, not {self.forms}")
        low, high = self.sizes
        if not 0 < low <= high < 0.5 or not 0 <= self.speed <= 1 - 2 * high:
            raise InputError(
                "moving shapes need 0 < sizes[0] <= sizes[1] < 0.5 and a speed within the room that is left,"
                f" not sizes {self.sizes} and speed {self.speed}"
            )
        if self.rate <= 0:
            raise InputError(f"moving shapes need a rate above 0, not {self.rate}")

    @property
    def layout(self) -> Layout:
        return video(self.resolution, self.resolution, rate=self.rate, colour=self.colour)

    @property
    def spin_up_frames(self) -> int:
        return 0

    def initial(self, key: jax.Array) -> ShapesState:
        keys = jax.random.split(key, 7)
        count, (low, high) = self.shapes, self.sizes
        draw = lambda i, shape=(): jax.random.uniform(keys[i], (count, *shape))  # noqa: E731
        radius = (low + (high - low) * draw(0)) * self.resolution
        position = radius[:, None] + draw(1, (2,)) * (self.resolution - 2 * radius)[:, None]
        heading, pace = 2 * jnp.pi * draw(2), (0.4 + 0.6 * draw(3)) * self.speed * self.resolution
        colours = jnp.asarray(PALETTE, jnp.float32)
        if not self.colour:
            colours = colours.mean(axis=-1, keepdims=True)
        return ShapesState(
            position=position,
            velocity=pace[:, None] * jnp.stack([jnp.cos(heading), jnp.sin(heading)], axis=-1),
            angle=2 * jnp.pi * draw(4),
            spin=(2 * draw(5) - 1) * self.spin,
            radius=radius,
            kind=jnp.floor(draw(6) * len(self.forms)),
            colour=jax.random.permutation(keys[6], colours)[jnp.arange(count) % len(PALETTE)],
        )

    def stepper(self) -> None:
        return None

    def advance(self, stepper: Any, state: ShapesState) -> ShapesState:
        low, high = state.radius[:, None], (self.resolution - state.radius)[:, None]
        ahead = state.position + state.velocity
        beyond = (ahead < low) | (ahead > high)
        mirrored = jnp.where(ahead < low, 2 * low - ahead, 2 * high - ahead)
        return state._replace(
            position=jnp.where(beyond, mirrored, ahead),
            velocity=jnp.where(beyond, -state.velocity, state.velocity),
            angle=state.angle + state.spin,
        )

    def frame(self, state: ShapesState) -> Float[Array, "height width channel"]:
        pixels = jnp.arange(self.resolution) + 0.5
        column = lambda values: values[:, None, None]  # noqa: E731
        away_x = (pixels[None, None, :] - column(state.position[:, 0])) / column(state.radius)
        away_y = (pixels[None, :, None] - column(state.position[:, 1])) / column(state.radius)
        c, s = column(jnp.cos(state.angle)), column(jnp.sin(state.angle))
        x, y = c * away_x + s * away_y, c * away_y - s * away_x
        forms = [FORMS[name](x, y) for name in self.forms]
        edge = functools.reduce(
            lambda other, i: jnp.where(column(state.kind) == i, forms[i], other),
            range(1, len(forms)),
            forms[0],
        )
        cover = jnp.clip(0.5 - edge * column(state.radius), 0.0, 1.0)[..., None]
        picture = jnp.full((self.resolution, self.resolution, state.colour.shape[-1]), BACKGROUND)
        for shape in range(self.shapes):
            picture = cover[shape] * state.colour[shape][None, None] + (1 - cover[shape]) * picture
        return picture
