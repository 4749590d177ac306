"""What a run was trained on is never scored later, however its data change."""

import dataclasses
from typing import Any

import pytest

from rolling.common.errors import InputError
from rolling.data.source import SequencesBase, Split
from rolling.run.training import held_out


@dataclasses.dataclass(frozen=True)
class Names(SequencesBase):
    names: tuple[str, ...]

    def __len__(self):
        return len(self.names)

    def name(self, index):
        return self.names[index]


def split(*test: str) -> Split:
    parts: Any = {"train": Names(()), "test": Names(test)}
    return Split(**parts)


def test_another_split_than_that_of_the_training_is_refused(tmp_path):
    held_out.check(split("a"), tmp_path)  # a run of an earlier version says nothing
    held_out.keep(split("a", "b\udcff"), tmp_path)
    held_out.keep(split("c"), tmp_path)  # a run that is resumed keeps its own
    held_out.check(split("b\udcff", "a"), tmp_path)
    with pytest.raises(
        InputError, match=r"1 sequences are held out that were not .* and 1 no longer are.*'c'"
    ):
        held_out.check(split("c", "a"), tmp_path)
    (tmp_path / held_out.FILE).write_text("[")
    with pytest.raises(InputError, match="cannot be read"):
        held_out.check(split("a"), tmp_path)


def test_sequences_without_names_leave_no_file(tmp_path):
    held_out.keep(split("", ""), tmp_path)
    assert not list(tmp_path.iterdir())
