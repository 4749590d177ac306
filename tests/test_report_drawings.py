"""How lines and volumes are drawn."""

import numpy as np
import pytest

from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.run.report.drawings import drawing


def layout(*space, descending=()):
    def values(name, cells):
        return tuple(float(i) for i in (range(cells)[::-1] if name in descending else range(cells)))

    names = "zyx"[-len(space) :]
    axes = tuple(Axis(name=n, values=values(n, c)) for n, c in zip(names, space, strict=True))
    return Layout(variables=(Variable(name="a"),), axes=axes)


def test_a_line_is_drawn_over_time():
    drawn = drawing(layout(5, descending=("x",)))
    frames = np.arange(15.0).reshape(1, 3, 5)  # [variable, frame, x]
    film = drawn.film(drawn.picture(frames))
    assert film.shape == (1, 3, 3, 5)
    for frame in range(3):
        np.testing.assert_array_equal(film[0, frame, : frame + 1], frames[0, : frame + 1, ::-1])
        assert np.isnan(film[0, frame, frame + 1 :]).all()
    columns, rows = drawn.marks()
    assert not rows and [axis.name for axis, _ in columns] == ["x"]
    assert "top to bottom" in drawn.legend


@pytest.mark.parametrize("descending", [(), ("z", "y", "x")])
def test_a_volume_is_drawn_as_slices_above_means(descending):
    """Each cell of which says where it lies."""
    box = layout(4, 6, 8, descending=descending)
    z, y, x = np.meshgrid(*(axis.values for axis in box.axes), indexing="ij")
    place = 100 * z + 10 * y + x
    drawn = drawing(box)
    picture = drawn.picture(place[None])[0]
    assert picture.shape == drawn.size == (6 + 1 + 6, 8 + 1 + 8 + 1 + 6)
    up = lambda count: np.arange(count)[::-1, None]  # noqa: E731
    middle = {"z": 1.0, "y": 2.0, "x": 4.0}  # half way up, and to the right
    np.testing.assert_array_equal(picture[:6, :8], 100 * middle["z"] + 10 * up(6) + np.arange(8))
    np.testing.assert_array_equal(picture[:4, 9:17], 100 * up(4) + 10 * middle["y"] + np.arange(8))
    np.testing.assert_array_equal(picture[:4, 18:], 100 * up(4) + 10 * np.arange(6) + middle["x"])
    np.testing.assert_array_equal(picture[7:, :8], 150 + 10 * up(6) + np.arange(8))
    np.testing.assert_array_equal(picture[7:11, 9:17], 100 * up(4) + 25 + np.arange(8))
    assert np.isnan(picture[6]).all() and np.isnan(picture[:, [8, 17]]).all()
    assert "(y, x), (z, x) and (z, y)" in drawn.legend


def test_masked_cells_of_a_volume_do_not_count():
    field = np.ones((4, 6, 8))
    field[0], field[1, 2, 3] = np.nan, 5
    picture = drawing(layout(4, 6, 8)).picture(field)
    assert np.isnan(picture[3, 9:17]).all()  # z = 0 of the slice
    assert picture[7 + 6 - 1 - 2, 3] == pytest.approx(7 / 3)
