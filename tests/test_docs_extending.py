"""The table of docs/extending.md against the protocols: who writes a part from it has all of its methods."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from typing_extensions import get_protocol_members, is_protocol

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "extending.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([\w ]+) \| `([\w.]+)` \| (.*) \|$", PAGE, re.MULTILINE)
ELSEWHERE = ("simulator", "distance between sets of clips")
"""The one is left to its protocol, the other is a class to be derived from."""


@pytest.mark.parametrize(("part", "place", "methods"), ROWS, ids=[row[0] for row in ROWS])
def test_the_table_has_the_methods_of_the_protocol(part, place, methods):
    module, _, name = place.rpartition(".")
    protocol = getattr(importlib.import_module(module), name)
    if part in ELSEWHERE:
        return
    assert is_protocol(protocol)
    shown = dict(re.findall(r"`(\w+)(?:\(([^`]*)\))?`", methods))
    assert get_protocol_members(protocol) <= shown.keys()
    for member in get_protocol_members(protocol):
        method = getattr(protocol, member, None)
        if inspect.isfunction(method):
            _, *parameters = inspect.signature(method).parameters
            assert [word.strip() for word in shown[member].split(",") if word] == parameters, member


def test_there_are_as_many_rows_as_parts():
    assert len(ROWS) > 20
