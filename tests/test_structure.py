"""The floors of the house: imports only run downward, and files stay short enough to be read."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOP = ("rolling", "video", "physics", "data", "configs")
"""The folders of the repository that hold the package; all but the first are linked into it."""
# What the files of each room may import of our own, beside the room itself.
ALLOWED = {
    "rolling": set(),
    "rolling.video": {"rolling"},
    "rolling.physics": {"rolling"},
    "rolling.data": {"rolling", "rolling.physics"},
    "rolling.run": {"rolling", "rolling.data", "rolling.physics"},
    "rolling.configs": {"rolling", "rolling.run", "rolling.video", "rolling.physics", "rolling.data"},
}
FILES = [
    path
    for top in TOP
    for path in sorted((ROOT / top).rglob("*.py"))
    if not any(parent.is_symlink() for parent in path.parents)
]


def room_of(module: str) -> str:
    room = ".".join(module.split(".")[:2])
    return room if room in ALLOWED else "rolling"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "rolling" else ("rolling", *parts)).removesuffix(".__init__")


def imports(tree: ast.AST, module: str) -> set[str]:
    """Every module that is imported anywhere in a file, inside functions, too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*module.split(".")[: -node.level], *([base] if base else [])])
            # `from rolling import run` names a module, too.
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def upward(source: str, module: str) -> list[str]:
    own = room_of(module)
    reached = {
        name: room_of(name) for name in imports(ast.parse(source), module) if name.split(".")[0] == "rolling"
    }
    return sorted(name for name, room in reached.items() if room != own and room not in ALLOWED[own])


# The public face names every floor, for editors only: `test_public.py` has its rules.
BELOW = [path for path in FILES if path != ROOT / "rolling" / "__init__.py"]


@pytest.mark.parametrize("path", BELOW, ids=module_of)
def test_imports_run_downward(path):
    assert upward(path.read_text(), module_of(path)) == []


@pytest.mark.parametrize(
    ("source", "module", "found"),
    [
        ("import rolling.video.uvit", "rolling.losses", ["rolling.video.uvit"]),
        (
            "def f():\n    from rolling.run import cli",
            "rolling.losses",
            ["rolling.run", "rolling.run.cli"],
        ),
        ("from rolling import run", "rolling.video.uvit.network", ["rolling.run"]),
        ("from .run import cli", "rolling.losses", ["rolling.run", "rolling.run.cli"]),
        ("import rolling.data.source", "rolling.physics.flow", ["rolling.data.source"]),
        ("from rolling.physics import flow\nimport rolling.fields", "rolling.data.simulated", []),
        ("import rolling.configs.debug", "rolling.run.cli", ["rolling.configs.debug"]),
        ("import rolling.run.cli, rolling.data.gridded, jax", "rolling.configs.debug", []),
    ],
)
def test_an_upward_import_would_be_found(source, module, found):
    assert upward(source, module) == found


def opens(tree: ast.AST) -> bool:
    """Whether a file holds a concrete source: a class, no protocol, with a method `open`."""
    return any(
        isinstance(node, ast.ClassDef)
        and not any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
        and any(isinstance(part, ast.FunctionDef) and part.name == "open" for part in node.body)
        for node in ast.walk(tree)
    )


def test_a_run_names_no_concrete_source():
    """What a run uses is named by its experiment; `rolling/run/` knows the protocols of `data/` only."""
    concrete = {
        module_of(path)
        for path in sorted((ROOT / "data").rglob("*.py"))
        if opens(ast.parse(path.read_text()))
    }
    assert concrete, "no source found: has the protocol changed?"
    for path in sorted((ROOT / "rolling" / "run").rglob("*.py")):
        assert not concrete & imports(ast.parse(path.read_text()), module_of(path)), path


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) < 400
