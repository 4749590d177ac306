"""What docs/fields.md shows works: its commands name options that there are.

Its code runs in test_fields_run.py, where there is a trained run."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from rolling.common import forecast_schema
from rolling.data.calendar import PHASES
from rolling.data.gridded import Gridded
from rolling.run.commands import RolloutOptions
from rolling.run.experiment.options import option_names, parse

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "fields.md").read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.S))
COMMANDS = [line for line in BLOCKS.splitlines() if line.startswith("rolling")]
EXPERIMENT = importlib.import_module("rolling.configs.gridded").experiment


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_a_command_are_known(command):
    _, name, chosen, *options = shlex.split(command, comments=True)
    if name == "rollout":
        changed = parse(RolloutOptions(), options, "rolling")
        assert changed.frames == 72 and changed.members == 16 and (changed.output or changed.data)
        return
    assert chosen == "gridded"
    changed = parse(EXPERIMENT, options, "rolling")
    assert isinstance(changed.source, Gridded) and changed.source.path


def test_options_phases_and_coordinates_that_are_named_exist():
    assert {name.rstrip("`") for name in re.findall(r"`--([\w.-]+)`", PAGE)} <= set(option_names(EXPERIMENT))
    assert all(f"`{phase}`" in PAGE for phase in PHASES)
    coordinates = (forecast_schema.TIME, forecast_schema.MEMBER, forecast_schema.LEAD, forecast_schema.VALID)
    assert all(f"| `{name}` |" in PAGE for name in coordinates)
    assert "(docs/fields.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
