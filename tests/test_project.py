"""The files that those who join read: what they name is there."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from rolling.run.experiment import presets
from rolling.run.experiment.options import parse

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_citation_is_valid():
    """The keys that the format requires (version 1.2.0)."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0" and citation["title"] == PROJECT["name"]
    assert citation["license"] == PROJECT["license"]
    assert all({"name"} == author.keys() for author in citation["authors"])
    for reference in citation["references"]:
        assert {"authors", "title", "type"} <= reference.keys()


def test_the_files_that_contributors_are_sent_to_are_there():
    words = (ROOT / "CONTRIBUTING.md").read_text() + (ROOT / ".github/pull_request_template.md").read_text()
    paths = re.findall(
        r"`((?:rolling|video|physics|data|configs|tests)/[\w./]*|\.ci/run|\w+\.(?:md|toml))`", words
    )
    assert len(paths) > 15
    for path in [*paths, *re.findall(r"\]\((docs/\S+)\)", words)]:
        assert (ROOT / path).exists(), path


NEW = re.findall(r"^  \| `[^|]*\| `(--[^`]+)`", (ROOT / "CHANGELOG.md").read_text(), re.M)
VALUES = {"--partition": "whole", "--window.inner": "rolling"}


@pytest.mark.parametrize("option", NEW)
def test_a_renamed_option_is_one_that_there_is(option):
    name, *value = option.split()
    before = ["--window", "noisy_context"] if name == "--window.inner" else []
    parse(presets.find("debug"), [*before, name, *(value or filter(None, [VALUES.get(name)]))], "rolling")


def test_the_changelog_has_a_place_for_the_next_change():
    titles = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert titles[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", title) for title in titles[1:])
    assert len(NEW) == 7


def test_the_checks_run_what_the_project_declares():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert [step["run"] for step in jobs["newest"]["steps"] if "PYTHON" in step.get("env", {})] == [".ci/run"]
    versions = jobs["newest"]["strategy"]["matrix"]["python"]
    lowest = next(s["with"] for s in jobs["lowest"]["steps"] if "python-version" in s.get("with", {}))
    assert PROJECT["requires-python"] == f">={versions[0]}" == f">={lowest['python-version']}"


def test_the_hooks_have_what_they_need():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert {"ruff-check", "ruff-format", "types"} <= {hook["id"] for hook in hooks}
    test = PROJECT["optional-dependencies"]["test"]
    for hook in hooks:
        for need in hook.get("additional_dependencies", ()):
            assert need in test or need.startswith("pre-commit-hooks")
