"""What a training writes down: losses and speeds by step."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from rolling.common.documents import parse_json
from rolling.common.files import write_text

NAME = "log.jsonl"
LONGEST = 2**20  # characters of a line


def records(run: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's log that hold a step: a kill may cut the last one short, a disk spoil any."""
    path = run / NAME
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in iter(lambda: file.readline(LONGEST), ""):
            try:
                record = parse_json(line)
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
