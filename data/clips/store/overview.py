"""What is worth knowing of a prepared store, in sentences."""

import collections
import os
from collections.abc import Iterator

import numpy as np

from rolling.common.counting import counted
from rolling.common.terminal import printable
from rolling.data.clips.protocol import Picture
from rolling.data.clips.split import FEWEST
from rolling.data.reasons import by_reason

EXAMPLES = 3  # names in a sentence
CLASSES = 12  # that are listed one by one
REPEATED = 1.9  # times that a frame is shown from which on it is worth a sentence


def describe(about: dict, index: dict[str, np.ndarray]) -> Iterator[str]:
    """Sentences on the content of `store.json` and `index.npz`."""
    test, names = index["test"], index["name"]
    if test.sum() < FEWEST:
        yield f"only {counted(int(test.sum()), 'clip')} held out: every score rests on so few"
    yield from _classes(about["labels"], index["label"], test)
    if about["actions"]:
        yield f"actions: {about['actions']} numbers with each frame"
    if about["tokens"]:
        yield f"tokens: {' x '.join(map(str, about['tokens']))} with each clip"
    if "rate" in index:  # stores of earlier versions do not know
        yield from _rates(Picture(**about["picture"]), index["rate"], names)
    alike = about.get("alike", ())
    if alike:
        pairs = [" and ".join(group[:2]) for group in alike]
        yield (
            "alike but for compression or trimming, and so on one side:"
            f" {counted(sum(map(len, alike)), 'clip')}, such as {_some(pairs)}"
        )
    for reason, some in by_reason(about.get("shortened", ())).items():
        yield f"used up to a fault: {counted(len(some), 'clip')} ({reason}): {_some(some)}"


def _classes(labels: list[str], label: np.ndarray, test: np.ndarray) -> Iterator[str]:
    if not labels:
        return
    train, held_out = (
        np.bincount(label[(test == part) & (label >= 0)], minlength=len(labels)) for part in (0, 1)
    )
    if len(labels) <= CLASSES:
        parts = [f"{name} {a} + {b}" for name, a, b in zip(labels, train, held_out, strict=True)]
        yield f"{len(labels)} classes, clips to train on + held out: {', '.join(parts)}"
    else:
        yield (
            f"{len(labels)} classes, of {train.min()} to {train.max()} clips to train on and"
            f" {held_out.min()} to {held_out.max()} held out"
        )
    if (label < 0).any():
        yield f"without a class: {counted(int((label < 0).sum()), 'clip')}"


def _rates(picture: Picture, rates: np.ndarray, names: np.ndarray) -> Iterator[str]:
    known = rates[np.isfinite(rates)]
    if not len(known):
        return
    counts = collections.Counter(f"{rate:.4g}" for rate in known.tolist()).most_common()
    most = ", ".join(f"{rate} ({counted(count, 'clip')})" for rate, count in counts[:EXAMPLES])
    more = f" and {len(counts) - EXAMPLES} others" if len(counts) > EXAMPLES else ""
    yield f"frames a second found: {most}{more}"
    if picture.rate is None:
        if len(counts) > 1:
            yield (
                f"clips from {known.min():.4g} to {known.max():.4g} frames a second are used as they are, and"
                " a step is not the same time in all: give --source.picture.rate"
            )
        return
    slow = np.flatnonzero(rates * REPEATED <= picture.rate)
    if len(slow):
        slowest = slow[np.argsort(rates[slow])]
        found = [f"{printable(os.fsdecode(names[i].item()))} ({rates[i]:.4g})" for i in slowest]
        times = picture.rate / rates[slowest[0]]
        yield (
            f"stretched: {counted(len(slow), 'clip')} of far fewer than the {picture.rate:g} frames a second"
            f" asked for, so that a frame is shown up to {times:.0f} times: {_some(found)}; lower"
            " --source.picture.rate, or leave them out"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")
