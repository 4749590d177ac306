"""What a training writes down: losses and speeds by step."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from rolling.common.files import write_text

NAME = "log.jsonl"


def records(run: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's log that hold a step: a kill may cut the last one short, a disk spoil any."""
    path = run / NAME
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        try:
            record = json.loads(line)
            if isinstance(record["step"], int):
                yield record
        except (ValueError, KeyError, TypeError):
            continue


class Log:
    """`log.jsonl`, one JSON object per line, and the same figures for TensorBoard."""

    def __init__(self, folder: Path, step: int):
        self._path = folder / NAME
        # A resumed run drops what it logged after the checkpoint from which it resumes.
        kept = [record for record in records(folder) if record["step"] <= step]
        write_text(self._path, "".join(json.dumps(record) + "\n" for record in kept))
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def write(self, step: int, **figures: float) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        self._board.close()
