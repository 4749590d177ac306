"""Areas of the cells of a grid on the unit sphere, from their edges, their corners or their centres."""

import numpy as np


def directions(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Unit vectors `[..., 3]` of places in degrees."""
    y, x = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], axis=-1)


def triangle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Areas of spherical triangles on the unit sphere; their corners are unit vectors `[..., 3]`.

    `tan(E / 2) = |a . (b x c)| / (1 + a . b + b . c + c . a)` (van Oosterom and Strackee 1983, doi
    10.1109/TBME.1983.325207).
    """
    volume = np.abs((a * np.cross(b, c)).sum(-1))
    return 2 * np.arctan2(volume, 1 + (a * b).sum(-1) + (b * c).sum(-1) + (c * a).sum(-1))


def quadrilateral(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Areas of spherical quadrilaterals whose corners are unit vectors `[..., 3]`, in turn."""
    return triangle(a, b, c) + triangle(a, c, d)


def areas_between(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Areas `[height, width]` of cells between two parallels `[height, 2]` and two meridians `[width, 2]` in
    degrees, `|sin(b) - sin(a)| |d - c|`, for cells no wider than a hemisphere or as wide as the globe."""
    rows = np.abs(np.diff(np.sin(np.deg2rad(latitude)), axis=1))
    widths = np.abs(np.diff(longitude, axis=1)) % 360.0
    widths = np.where(widths == 0.0, 360.0, np.minimum(widths, 360.0 - widths))
    return rows * np.deg2rad(widths).T


def areas_within(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Areas `[height, width]` of cells whose four corners `[height, width, 4]` are in degrees, in turn, with
    great circles between them."""
    return quadrilateral(*np.moveaxis(directions(latitude, longitude), -2, 0))


def cell_areas(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Areas `[height, width]` of the cells around centres `[height, width]` in degrees.

    Corners are the means of the four centres around them, on the sphere; beyond the edge of the grid centres
    are continued by as much as the last two differ, unless the columns go round the globe.
    """
    centres = directions(latitude, longitude)
    across = np.linalg.norm(centres[:, -1] - centres[:, 0], axis=-1)
    steps = np.linalg.norm(np.diff(centres, axis=1), axis=-1)
    closed = steps.shape[1] > 2 and bool((across < 1.5 * steps.max(axis=1)).all())
    wide = (
        np.concatenate([centres[:, -1:], centres, centres[:, :1]], axis=1) if closed else _grown(centres, 1)
    )
    wide = _grown(wide, 0)
    corners = _unit(wide[:-1, :-1] + wide[1:, :-1] + wide[:-1, 1:] + wide[1:, 1:])
    return quadrilateral(corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1])


def _grown(vectors: np.ndarray, axis: int) -> np.ndarray:
    """A row more at both ends of an axis, as far from the last as that is from the one before."""
    last = vectors.shape[axis] - 1
    first, second, third, end = (
        np.take(vectors, [i], axis) for i in (0, min(1, last), max(last - 1, 0), last)
    )
    return np.concatenate([_mirrored(second, first), vectors, _mirrored(third, end)], axis)


def _mirrored(point: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The point on the other side of a centre, as far along the same great circle."""
    return 2 * (point * centre).sum(-1, keepdims=True) * centre - point


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
