"""Copies among many clips are found, no others are taken for copies, and the time grows with their number.

Makes fingerprints (`data/clips/likeness.py`) of films in which three objects pass before a camera, a hundred
films for each, and copies of one in twenty: trimmed at both ends, brighter or darker, compressed otherwise.
Prints the share of copies that are found, the pairs that are no copies and are taken for some, the time, and
how it grows from half of the clips to all: 2 where it is linear.

Run from the repository's root: `python benchmarks/likeness.py --clips 20000`.
"""

import argparse
import itertools
import resource
import time

import numpy as np

from rolling.data.clips.likeness import CELLS, groups

SCENE, OBJECTS, FRAMES = 100, 3, (24, 96)
"""Clips of one camera, what moves in each, and its length."""


def film(rng: np.random.Generator, backgrounds: np.ndarray) -> np.ndarray:
    """`[t, 64]`, uint8: objects of random sizes on smooth paths before one of the backgrounds."""
    frames = int(rng.integers(*FRAMES))
    t = np.arange(frames)[:, None, None]
    start, speed, bend = rng.uniform(0, CELLS, (2, OBJECTS)), *rng.normal(0, 0.15, (2, 2, OBJECTS))
    place = start + speed * t + CELLS / 4 * np.sin(bend * t)  # [t, axis, object]
    grid = (np.mgrid[:CELLS, :CELLS] + 0.5)[None, ..., None]  # [1, axis, row, column, 1]
    away = ((grid - place[:, :, None, None]) ** 2).sum(1)
    bright = rng.uniform(30, 120, OBJECTS) * rng.choice([-1, 1], OBJECTS)
    objects = (bright * np.exp(-away / rng.uniform(0.5, 4, OBJECTS))).sum(-1)
    values = backgrounds[rng.integers(len(backgrounds))] + objects + rng.normal(0, 1, objects.shape)
    return np.clip(values, 0, 255).astype(np.uint8).reshape(frames, -1)


def copied(rng: np.random.Generator, print_: np.ndarray) -> np.ndarray:
    """Up to a quarter trimmed from either end, another brightness, and errors of a grey level."""
    before, after = rng.integers(0, len(print_) // 4, 2)
    part = print_[before : len(print_) - after].astype(np.float32)
    part += rng.normal(0, 1, part.shape) + rng.uniform(-20, 20)
    return np.clip(part, 0, 255).astype(np.uint8)


def collection(count: int, seed: int = 0) -> tuple[list[np.ndarray], set[tuple[int, int]]]:
    """Fingerprints, and which pairs of them are copies."""
    rng = np.random.default_rng(seed)
    smooth = rng.normal(size=(max(1, count // SCENE), 2, 2)).repeat(CELLS // 2, 1).repeat(CELLS // 2, 2)
    backgrounds = 128 + 40 * smooth + rng.normal(0, 10, smooth.shape)
    prints = [film(rng, backgrounds) for _ in range(count - count // 20)]
    chosen = rng.choice(len(prints), count // 20, replace=False)
    pairs = {(int(one), len(prints) + i) for i, one in enumerate(chosen)}
    return prints + [copied(rng, prints[one]) for one in chosen], pairs


def timed(prints: list[np.ndarray]) -> tuple[float, list[list[int]]]:
    start = time.perf_counter()
    found = groups(prints, [1] * len(prints))
    return time.perf_counter() - start, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=20_000)
    count = parser.parse_args().clips
    prints, copies = collection(count)
    half, _ = timed(collection(count // 2)[0])
    whole, found = timed(prints)
    taken = {pair for group in found for pair in itertools.combinations(group, 2)}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{count:,} clips, {sum(map(len, prints)):,} frames of fingerprints, {len(copies):,} copies")
    wrong = len(taken - copies)
    print(f"found: {len(copies & taken) / len(copies):.1%}; taken for copies and are none: {wrong}")
    print(f"time: {whole:.1f} s, {whole / half:.2f} times that of half the clips; memory: {memory:.1f} GiB")


if __name__ == "__main__":
    main()
