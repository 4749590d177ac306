"""`rolling prepare`: opens the data of an experiment, which prepares them, and prints a summary."""

import re
from collections.abc import Sequence

from rolling.data.source import Sequences, Split, Stored
from rolling.fields import Layout

EXAMPLES = 3  # names shown of what was skipped for one reason


def summary(split: Split) -> str:
    """Where the data are, how much there is for training and testing, and what was skipped and why."""
    lines = [_amount(name, getattr(split, name)) for name in ("train", "test")]
    if isinstance(split.train, Stored):
        size = sum(file.stat().st_size for file in split.train.path.rglob("*") if file.is_file())
        lines.insert(0, f"{split.train.path}: {_bytes(size)}")
    if split.skipped:
        lines.append(f"skipped: {len(split.skipped)}")
    for reason, names in by_reason(split.skipped).items():
        more = "" if len(names) <= EXAMPLES else ", ..."
        lines.append(f"  {len(names)} x {reason}: {', '.join(names[:EXAMPLES])}{more}")
    return "\n".join(lines)


def by_reason(skipped: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Names by reason, the most frequent first; reasons that differ only in numbers are merged under the
    first of them."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, reason in skipped:
        groups.setdefault(re.sub(r"\d+(\.\d+)?", "#", reason), []).append((name, reason))
    largest = sorted(groups.values(), key=len, reverse=True)
    return {group[0][1]: [name for name, _ in group] for group in largest}


def _amount(name: str, part: Sequences) -> str:
    frames = sum(part.length(index) for index in range(len(part)))
    return f"{name}: {frames:,} frames in {len(part):,} sequence(s){_duration(frames, part.layout)}"


def _duration(frames: int, layout: Layout) -> str:
    if layout.time_units != "s":
        return ""
    seconds = frames * layout.step
    size, unit = next(((s, u) for s, u in ((3600, "h"), (60, "min")) if seconds >= 2 * s), (1, "s"))
    return f", {seconds / size:,.1f} {unit}"


def _bytes(size: float) -> str:
    units = ("bytes", "KiB", "MiB", "GiB", "TiB")
    place = min(max(int(size).bit_length() - 1, 0) // 10, len(units) - 1)
    return f"{size / 1024**place:,.{1 if place else 0}f} {units[place]}"
