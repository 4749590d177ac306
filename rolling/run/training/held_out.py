"""Which sequences were held out when a run was trained: what was trained on must never be scored later.

Data may change between a training and its evaluation. Of sequences with names, such as clips, the names of
those held out are kept in the run's folder.
"""

import json
from pathlib import Path

from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.common.files import write_text
from rolling.data.source import Split

FILE = "held_out.json"


def keep(split: Split, folder: Path) -> None:
    """Notes what is held out, in a run that has not noted it yet."""
    names = _names(split)
    if names and not (folder / FILE).exists():
        write_text(folder / FILE, json.dumps(names, indent=1) + "\n")


def check(split: Split, folder: Path) -> None:
    """Raises `InputError` where other sequences are held out than when the run was trained."""
    try:
        then = set(read_json(folder / FILE))
    except FileNotFoundError:  # a run of an earlier version, or of sequences without names
        return
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{folder / FILE} cannot be read ({error}): bring it back, or delete it") from None
    now = set(_names(split))
    if then != now:
        examples = sorted(map(ascii, then ^ now))[:3]
        raise InputError(
            f"{len(now - then)} sequences are held out that were not when {folder} was trained, and"
            f" {len(then - now)} no longer are, such as {', '.join(examples)}: bring the data of that time"
            " back, or train again"
        )


def _names(split: Split) -> list[str]:
    return sorted({name for i in range(len(split.test)) if (name := split.test.name(i))})
