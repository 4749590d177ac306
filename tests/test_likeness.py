"""Which clips are copies: by what moves in them, not by what they share with everything else."""

import itertools

import numpy as np
import pytest

from rolling.data.clips.likeness import FEWEST, distance, groups


def film(seed: int, frames: int, moves: slice = slice(None)) -> np.ndarray:
    """`[frames, 64]`: two objects on their way through a scene, in which they are in the frames `moves`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:8, :8]
    scene = 60 + 8 * x + 5 * y
    pictures = []
    for t in range(frames):
        picture = scene + rng.normal(0, 0.5, scene.shape)
        for a, b in np.random.default_rng(seed).uniform(1, 6, (2, 2)):
            centre = a + 2 * np.sin(0.21 * t + b), b + 2 * np.cos(0.13 * t + a)
            away = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
            picture = picture + (90 * np.exp(-away / 2) if t in range(frames)[moves] else 0)
        pictures.append(picture)
    return np.rint(np.clip(pictures, 0, 255)).astype(np.uint8).reshape(frames, 64)


def again(part: np.ndarray, seed: int) -> np.ndarray:
    return np.clip(part + np.random.default_rng(seed).normal(15, 1, part.shape), 0, 255).astype(np.uint8)


def test_copies_are_found_among_films_of_one_scene():
    films = [film(seed, 40) for seed in range(30)]
    copies = [again(films[3][10:], 3), again(films[7][:25], 7), again(films[3], 4)]
    every = [1] * len(films) + [1, 1, 1]
    assert groups(films + copies, every) == [[3, 30, 32], [7, 31]]
    assert groups(films, every) == []


def test_a_scene_in_which_nothing_happens_for_half_of_the_time_makes_no_copies():
    """One ends as another begins, with nothing; but what happens in the rest makes copies of two."""
    films = [film(seed, 40, moves=slice(18) if seed % 2 else slice(22, None)) for seed in range(12)]
    for a, b in itertools.combinations(films, 2):
        assert distance(a, b, 1, 1) > 0.3
    assert groups([*films, again(films[5], 0)], [1] * 13) == [[5, 12]]
    still = [film(seed, 40, moves=slice(0)) for seed in range(3)]
    assert groups(still, [1] * 3) == []


@pytest.mark.parametrize("lengths", [(9, 13), (20, 8), (4, 4), (3, 30)])
def test_the_distance_is_that_of_its_definition(lengths):
    """Over all places of one along the other: mean square of facing frames, over that of all with all."""
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (n, 64), dtype=np.uint8) for n in lengths)
    plain = [part - part.mean(1, keepdims=True) for part in (a.astype(float), b.astype(float))]
    least, found = max(FEWEST, -(-min(lengths) // 2)), []
    for shift in range(1 - len(a), len(b)):
        pairs = [(i, i + shift) for i in range(len(a)) if 0 <= i + shift < len(b)]
        if len(pairs) >= least:
            square = lambda i, j: np.square(plain[0][i] - plain[1][j]).sum()  # noqa: E731
            rows, columns = zip(*pairs, strict=True)
            every = np.mean([square(i, j) for i in rows for j in columns])
            found.append(np.mean([square(i, j) for i, j in pairs]) / every)
    assert distance(a, b, 1, 1) == (pytest.approx(min(found), rel=1e-4) if found else np.inf)
    assert distance(b, a, 1, 1) == pytest.approx(distance(a, b, 1, 1), rel=1e-6)
