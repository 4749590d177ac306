"""`rolling prepare`: opens the data of an experiment, which prepares them, and prints a summary."""

from rolling.common.counting import plural
from rolling.data.joint_sequences import JointSequences
from rolling.data.lag_correlation import lag_correlation
from rolling.data.reasons import by_reason
from rolling.data.source import Sequences, Split, Stored
from rolling.layout import Layout
from rolling.run.experiment import Experiment

EXAMPLES = 3  # names shown of what was skipped for one reason


def summary(split: Split, experiment: Experiment) -> str:
    """Where the data are, how much of them can be trained on and forecast, what else is worth knowing of
    them, and what was skipped and why."""
    trained = {"train": split.train} | ({"validation": split.validation} if split.validation else {})
    lines = [
        *(_amount(name, part, experiment.clip_frames, "a training window") for name, part in trained.items()),
        _amount("test", split.test, max(experiment.given_frames, 1) + 1, "a forecast"),
    ]
    if isinstance(split.train, Stored):
        size = sum(file.stat().st_size for file in split.train.path.rglob("*") if file.is_file())
        lines.insert(0, f"{split.train.path}: {_bytes(size)}")
    lines += [*_correlation(split.train), *split.notices]
    if split.skipped:
        lines.append(f"skipped: {len(split.skipped)}")
    for reason, names in by_reason(split.skipped).items():
        more = "" if len(names) <= EXAMPLES else ", ..."
        lines.append(f"  {len(names)} x {reason}: {', '.join(names[:EXAMPLES])}{more}")
    return "\n".join(lines)


def long_enough(part: Sequences, frames: int) -> tuple[int, int]:
    """How many sequences have at least so many frames, and how many frames these have."""
    lengths = [length for i in range(len(part)) if (length := part.length(i)) >= frames]
    return len(lengths), sum(lengths)


def _amount(name: str, part: Sequences, least: int, use: str) -> str:
    count, frames = long_enough(part, least)
    short = len(part) - count
    told = (
        f"; {short:,} more {'is' if short == 1 else 'are'} shorter than the {least} frames of {use}"
        if short
        else ""
    )
    unit = "tick" if isinstance(part, JointSequences) else "frame"
    amount = f"{frames:,} {plural(unit, frames)} in {count:,} {plural('sequence', count)}"
    return f"{name}: {amount}{_duration(frames, part.layout)}{told}"


def _correlation(part: Sequences) -> list[str]:
    """What `--prediction residual` begins with."""
    if isinstance(part, JointSequences):
        return [f"{name}: {line}" for name, own in part.parts.items() for line in _correlation(own)]
    if not long_enough(part, 2)[0]:
        return []
    (found,) = lag_correlation(part, 1)
    values = [f"{name} {value:.3f}" for name, value in zip(part.layout.names, found, strict=True)]
    return [f"correlation of a frame with the next one: {', '.join(values)}"]


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
