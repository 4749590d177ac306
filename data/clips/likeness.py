"""Which clips are alike but for compression and trimming, by small pictures of their frames.

A fingerprint is the luma of a clip's frames, averaged to 8 x 8 cells; the mean of each frame is taken away
where two are compared. Two clips are alike if one, moved along the other, covers it with at least half of its
frames, and differs there by at most a twentieth of what any two of these frames differ by, as mean squares.
So neither a scene that clips share, such as the background of one camera, nor stillness, nor that nothing
happens in half of both makes them alike: what counts is what moves. Mirrored, cropped and slowed copies are
not found.

Compared are pairs of which two frames fall into one cell of random projections (Charikar 2002, doi
10.1145/509907.509965), after the mean of all frames, the shared background, is taken away, and what differs
much between all frames, as bright and dark halves do, is scaled down.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from rolling.data.clips.resize import LUMA

CELLS = 8  # along each side
MOST = 128  # frames of a fingerprint; of longer clips every second, fourth, ...
FEWEST = 4  # frames that can be compared
SHARE = 0.05  # of the distance between other frames
STILL = 1.0  # sum over cells of mean squares in grey levels: less than rounding makes
TABLES, HITS = 8, 4  # of projections, and how many of them must agree on some frames
FLOOR = 0.1  # of the mean variance: directions of less are noise
CROWDED = 64  # clips in a cell of projections, above which it tells nothing
ROWS = 2**21  # frames that are projected; of larger collections fewer of each clip


def thumbnails(frames: np.ndarray) -> np.ndarray:
    """`[T, 64]`, uint8, of frames `[T, height, width, channel]`."""
    rows, columns = _averages(frames.shape[1]), _averages(frames.shape[2])
    grey = frames @ LUMA if frames.shape[3] == len(LUMA) else frames[..., 0].astype(np.float32)
    return np.rint(rows @ grey @ columns.T).astype(np.uint8).reshape(len(frames), -1)


def spacing(frames: int) -> int:
    """A fingerprint has one of so many frames: a power of two."""
    return 1 << max(0, -(-frames // MOST) - 1).bit_length()


def groups(prints: Sequence[np.ndarray], every: Sequence[int]) -> list[list[int]]:
    """The groups of clips that are alike, by their fingerprints `[t, 64]`, each of one of `every` frames."""
    leader = list(range(len(prints)))

    def first(i: int) -> int:
        while leader[i] != i:
            leader[i] = i = leader[leader[i]]
        return i

    for a, b in _candidates(prints):
        one, other = sorted((first(a), first(b)))
        if one != other and distance(prints[a], prints[b], every[a], every[b]) <= SHARE:
            leader[other] = one
    found: dict[int, list[int]] = {}
    for i in range(len(prints)):
        found.setdefault(first(i), []).append(i)
    return [group for group in found.values() if len(group) > 1]


def distance(a: np.ndarray, b: np.ndarray, every_a: int, every_b: int) -> float:
    """What two clips differ by where they fit best, over what any two of the frames there differ by."""
    step = max(every_a, every_b)
    a, b = _plain(a[:: step // every_a]), _plain(b[:: step // every_b])
    least = max(FEWEST, -(-min(len(a), len(b)) // 2))
    if min(len(a), len(b)) < FEWEST:
        return np.inf
    off = np.maximum(np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T, 0)
    lag = np.arange(len(b)) - np.arange(len(a))[:, None] + len(a) - 1
    count = np.bincount(lag.ravel())
    facing = np.bincount(lag.ravel(), off.ravel()) / count
    every = _all_with_all(a, b)
    usable = (count >= least) & (every > STILL)
    return float((facing[usable] / every[usable]).min(initial=np.inf))


def _all_with_all(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`[lag]`: the mean square by which any frame of `a` differs from any of `b`, of those that face each
    other where `b` is moved by 1 - len(a), ..., len(b) - 1."""
    shift = np.arange(1 - len(a), len(b))
    first, last = np.maximum(0, -shift), np.minimum(len(a), len(b) - shift)
    values = [np.concatenate([part, np.square(part).sum(1, keepdims=True)], axis=1) for part in (a, b)]
    sums = [np.concatenate([np.zeros((1, part.shape[1])), np.cumsum(part, 0, float)]) for part in values]
    cuts = [(first, last), (first + shift, last + shift)]
    one, other = (
        (total[stop] - total[start]) / (stop - start)[:, None]
        for total, (start, stop) in zip(sums, cuts, strict=True)
    )
    return one[:, -1] + other[:, -1] - 2 * (one[:, :-1] * other[:, :-1]).sum(1)


def _candidates(prints: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
    """The pairs of clips that may be alike."""
    if not prints:
        return
    thin = max(1, sum(map(len, prints)) // ROWS)
    parts = [_plain(part[::thin]) for part in prints]
    owner = np.repeat(np.arange(len(parts)), list(map(len, parts)))
    rows = np.concatenate(parts)
    rows = _whitened(rows - rows.mean(0))
    bits = int(np.clip(np.log2(len(rows)), CELLS, 24))
    pairs = [np.zeros((0, 2), int)]
    for table in np.random.default_rng(0).normal(size=(TABLES, rows.shape[1], bits)).astype(np.float32):
        code = (rows @ table > 0) @ (1 << np.arange(bits))
        found = np.unique(np.stack([code, owner], axis=1), axis=0)
        ends = np.flatnonzero(np.diff(found[:, 0])) + 1
        for clips in np.split(found[:, 1], ends):
            if 1 < len(clips) <= CROWDED:
                pairs.append(clips[np.stack(np.triu_indices(len(clips), 1), axis=1)])
    both, hits = np.unique(np.concatenate(pairs), axis=0, return_counts=True)
    yield from map(tuple, both[hits >= HITS].tolist())


def _whitened(rows: np.ndarray) -> np.ndarray:
    """Of equal variance in all directions, those of nearly none left out: projections then say most."""
    variance, directions = np.linalg.eigh(rows.T @ rows / len(rows))
    return rows @ (directions / np.sqrt(variance + max(FLOOR * variance.mean(), 1e-9)))


def _plain(thumbs: np.ndarray) -> np.ndarray:
    """Without the mean of each frame: brightness is not content."""
    values = thumbs.astype(np.float32)
    return values - values.mean(1, keepdims=True)


def _averages(length: int) -> np.ndarray:
    """`[8, length]`: the share of each pixel in each cell."""
    edges, pixel = np.linspace(0, length, CELLS + 1), np.arange(length)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    covered = np.clip(covered, 0, None).astype(np.float32)
    return covered / covered.sum(1, keepdims=True)
