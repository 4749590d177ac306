"""Generated video: what moves, bounces and covers what."""

import jax
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.moving_shapes import FORMS, MovingShapes
from rolling.data.simulated import Simulated
from rolling.physics.simulators import Simulator, simulate

pytestmark = pytest.mark.slow
SHAPES = MovingShapes(resolution=24, shapes=2)


def states(simulator, key, frames):
    state = simulator.initial(key)
    found = [state]
    for _ in range(frames):
        state = simulator.advance(None, state)
        found.append(state)
    return found


def test_it_is_a_simulator_of_pictures():
    assert isinstance(SHAPES, Simulator)
    assert SHAPES.layout.is_video and SHAPES.layout.shape == (24, 24, 3)
    assert MovingShapes(colour=False).layout.names == ("luma",)
    assert SHAPES.layout.step == 1 / 8 and SHAPES.layout.y.values[0] == 23  # row 0 is drawn on top


def test_shapes_stay_within_the_picture_and_keep_their_pace():
    found = states(SHAPES, jax.random.key(3), 60)
    position = np.stack([state.position for state in found])
    velocity = np.stack([state.velocity for state in found])
    radius = np.asarray(found[0].radius)[None, :, None]
    assert (position >= radius - 1e-4).all() and (position <= 24 - radius + 1e-4).all()
    np.testing.assert_allclose(np.abs(velocity), np.abs(velocity[:1]).repeat(61, axis=0), rtol=1e-6)
    turned = (np.diff(np.sign(velocity), axis=0) != 0).any(axis=-1)
    assert turned.any() and not turned.all()
    # Between bounces a place is the one before and the velocity.
    moved = position[:-1] + velocity[:-1]
    free = (moved > radius) & (moved < 24 - radius)
    np.testing.assert_allclose(position[1:][free], moved[free], rtol=1e-5)


def test_a_bounce_is_exact():
    state = SHAPES.initial(jax.random.key(0))
    place = np.asarray(state.radius)[:, None] + np.float32([[0.25, 3.0], [3.0, 3.0]])
    state = state._replace(position=place, velocity=np.float32([[-1.0, 0.5], [0.0, 0.0]]))
    after = SHAPES.advance(None, state)
    np.testing.assert_allclose(after.position[0] - state.radius[0], [0.75, 3.5], rtol=1e-5)
    np.testing.assert_allclose(after.velocity, [[1.0, 0.5], [0.0, 0.0]])


ARMS = 2 * (1.9 * 0.64) - 0.64**2
AREAS = {"disc": np.pi, "square": 2.0, "triangle": 3 * np.sqrt(3) / 4, "cross": ARMS}


@pytest.mark.parametrize("form", FORMS)
def test_the_area_of_a_form(form):
    """The sum of what the pixels are covered, against the area from geometry."""
    simulator = MovingShapes(resolution=64, shapes=1, sizes=(0.3, 0.3), forms=(form,))
    state = simulator.initial(jax.random.key(1))._replace(
        colour=np.float32([[220.0] * 3]), angle=np.float32([0.3])
    )
    frame = np.asarray(simulator.frame(state))
    area = ((frame[..., 0] - 20) / 200).sum() / (0.3 * 64) ** 2
    assert area == pytest.approx(AREAS[form], rel=0.03)


def test_the_later_shape_covers_the_earlier():
    state = SHAPES.initial(jax.random.key(2))
    middle = np.full((2, 2), 12.0, np.float32)
    frame = np.asarray(SHAPES.frame(state._replace(position=middle)))
    np.testing.assert_allclose(frame[12, 12], state.colour[1], rtol=1e-5)


def test_a_source_keeps_them_as_grey_levels(tmp_path):
    source = Simulated(simulator=SHAPES, train=3, frames=6, test=2, test_frames=5, cache=str(tmp_path))
    split = source.open()
    (folder,) = tmp_path.iterdir()
    assert np.load(folder / "train.npy", mmap_mode="r").dtype == np.uint8
    frames = split.train.read(0, 0, 6)
    assert frames.dtype == np.float32 and (frames == np.rint(frames)).all() and frames.max() > 150
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 0), i))(np.arange(3))
    exact = np.asarray(simulate(SHAPES, keys, 6))
    np.testing.assert_allclose(frames, exact[0], atol=0.5001)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"resolution": 4}, "a resolution of 8 or more"),
        ({"shapes": 0}, "one shape or more"),
        ({"forms": ("disc", "star")}, "forms of moving shapes are disc, square, triangle, cross"),
        ({"sizes": (0.3, 0.2)}, "sizes"),
        ({"speed": 0.9}, "a speed within the room"),
        ({"rate": 0.0}, "a rate above 0"),
    ],
)
def test_shapes_that_cannot_be(setting, told):
    with pytest.raises(InputError, match=told):
        MovingShapes(**setting)
