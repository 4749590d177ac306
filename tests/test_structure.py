"""The floors of the house: imports only run downward, files and functions stay short enough to be read, and
no two files are taken for each other. Each rule names all that break it at once."""

import ast
import collections
import itertools
import re
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
    "rolling.protocols": {"rolling", "rolling.data", "rolling.physics"},
    "rolling.run": {"rolling", "rolling.data", "rolling.physics", "rolling.protocols"},
    "rolling.configs": {
        "rolling",
        "rolling.run",
        "rolling.protocols",
        "rolling.video",
        "rolling.physics",
        "rolling.data",
    },
}
FILES = [
    path
    for top in TOP
    for path in sorted((ROOT / top).rglob("*.py"))
    if not any(parent.is_symlink() for parent in path.parents)
]
LINES, FUNCTION = 400, 60
"""Of a file, and of a function with its docstring, at most."""
ALIKE = {
    ("_metrics", "metrics"): "the default ones of the experiments, and those of flow",
}
"""Names of files that differ by one letter, and why they may."""
SAME = {
    "protocol": "of the parts in its room, beside them",
    "source": "the protocol, and one for each kind of data",
    "commands": "of a run, and of a comparison of runs",
    "tables": "the kind of value, and those of a comparison",
    "plots": "of the report, and of a comparison",
    "page": "of the report, and of a comparison",
    "moving_shapes": "the data, and the experiment on them",
    "sounding_shapes": "the data, and the experiment on them",
    "ucf101": "the collection, and the experiment on it",
    "clips_with_sound": "the source, and the experiment on it",
    "the_well": "the archive, and the experiment on it",
    "pdebench": "the archive, and the experiment on it",
    "apebench": "the archive, and the experiment on it",
    "pdearena": "the archive, and the experiment on it",
}
"""Names that two files or more have in different rooms, and why they may."""


def room_of(module: str) -> str:
    room = ".".join(module.split(".")[:2])
    return room if room in ALLOWED else "rolling"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "rolling" else ("rolling", *parts)).removesuffix(".__init__")


# By module; each file is parsed once.
TREES = {module_of(path): ast.parse(path.read_text()) for path in FILES}


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


def upward(tree: ast.AST, module: str) -> list[str]:
    own = room_of(module)
    reached = {name: room_of(name) for name in imports(tree, module) if name.split(".")[0] == "rolling"}
    return sorted(name for name, room in reached.items() if room != own and room not in ALLOWED[own])


def test_the_files_are_found_once():
    """As a link leads from `rolling/` to each of the other folders."""
    assert len(TREES) == len(FILES) > 100
    assert {module.split(".")[1] for module in TREES if "." in module} >= {*TOP[1:], "run", "windows"}


def test_imports_run_downward():
    # The public face names every floor, for editors only: `test_public.py` has its rules. `__main__` is the
    # door to the command line, and has to lie where Python looks for it.
    doors = ("rolling", "rolling.__main__")
    below = {module: tree for module, tree in TREES.items() if module not in doors}
    assert {module: found for module, tree in below.items() if (found := upward(tree, module))} == {}


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
        ("from rolling.physics import flow\nimport rolling.layout", "rolling.data.simulated", []),
        ("import rolling.configs.debug", "rolling.run.cli", ["rolling.configs.debug"]),
        ("import rolling.run.cli, rolling.data.gridded, jax", "rolling.configs.debug", []),
    ],
)
def test_an_upward_import_would_be_found(source, module, found):
    assert upward(ast.parse(source), module) == found


def concrete(tree: ast.AST, method: str) -> list[str]:
    """The classes of a file that have a method, without the protocols."""
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and not any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
        and any(isinstance(part, ast.FunctionDef) and part.name == method for part in node.body)
    ]


@pytest.mark.parametrize(
    ("room", "method"),
    [("rolling.data", "open"), ("rolling.data", "read_like"), ("rolling.video", "build")],
)
def test_a_run_names_no_concrete_source_reader_or_network(room, method):
    """What a run uses is named by its experiment; `rolling/run/` knows the protocols only."""
    homes = {module for module, tree in TREES.items() if room_of(module) == room and concrete(tree, method)}
    assert homes, f"nothing has a method {method!r} in {room}: has the protocol changed?"
    # A class counts where its package hands it on, too.
    named = {f"{home}.{name}" for home in homes for name in concrete(TREES[home], method)}
    packages = {f"{home.rpartition('.')[0]}.{name.rpartition('.')[2]}" for home in homes for name in named}
    broken = {
        module: sorted(found)
        for module, tree in TREES.items()
        if room_of(module) == "rolling.run" and (found := (homes | packages) & imports(tree, module))
    }
    assert broken == {}


def test_files_are_short():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {path: lines for path, lines in lengths.items() if lines > LINES} == {}


def test_functions_are_short():
    lengths = {
        f"{module}.{node.name}": node.end_lineno - node.lineno + 1
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION} == {}


def without_encoding(tree: ast.AST) -> list[int]:
    """The lines at which text is read or written in the encoding of whoever runs the program."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and "encoding" not in {word.arg for word in node.keywords}:
            named = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            builtin = isinstance(node.func, ast.Name) and node.func.id == "open"
            places = node.args[1:2] if builtin else node.args[:1]  # of the mode
            values = [*places, *(word.value for word in node.keywords if word.arg == "mode")]
            words = [value.value for value in values if isinstance(value, ast.Constant)]
            modes = [word for word in words if isinstance(word, str) and re.fullmatch(r"[rwax+bt]+", word)]
            opened = builtin or (named == "open" and modes)
            if named in ("read_text", "write_text") or (opened and "b" not in "".join(modes)):
                found.append(node.lineno)
    return found


def test_text_is_utf_8_wherever_the_program_runs():
    assert {module: lines for module, tree in TREES.items() if (lines := without_encoding(tree))} == {}
    others = ("a.read_text()", "a.write_text('b')", "open('b.txt')", "a.open('w')", "open(a, mode='r')")
    assert all(without_encoding(ast.parse(text)) for text in others)
    fine = ("open(a, 'rb')", "source.open()", "a.read_text(encoding='utf-8')", "write_text(a, 'b')")
    assert not any(without_encoding(ast.parse(text)) for text in fine)


def test_json_is_read_in_one_place():
    """Where its size and depth are bounded; what was written a moment ago may be read back."""
    pattern = re.compile(r"json\.loads?\((?!json\.dumps)|JSONDecoder")
    found = {str(path.relative_to(ROOT)) for path in FILES if pattern.search(path.read_text())}
    assert found == {"rolling/common/documents.py"}


def test_every_folder_is_a_package():
    """A folder without `__init__.py` is left out of the wheel."""
    missing = {path.parent for path in FILES if not (path.parent / "__init__.py").exists()}
    assert sorted(map(str, missing)) == []


def one_letter(a: str, b: str) -> bool:
    """Whether one insertion, removal or replacement makes one word of the other."""
    short, long = sorted((a, b), key=len)
    if len(short) == len(long):
        return sum(x != y for x, y in zip(a, b, strict=True)) == 1
    return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))


@pytest.mark.parametrize(
    ("a", "b", "near"),
    [
        ("store", "stores", True),
        ("files", "films", True),
        ("files", "film", False),
        ("_metrics", "metrics", True),
        ("run", "run", False),
        ("spectra", "spectral", True),
        ("codec", "coders", False),
    ],
)
def test_words_that_differ_by_one_letter(a, b, near):
    assert one_letter(a, b) is one_letter(b, a) is near


def test_no_two_files_are_taken_for_each_other():
    names = sorted({path.stem for path in FILES} - {"__init__"})
    same = {name for name, count in collections.Counter(path.stem for path in FILES).items() if count > 1}
    assert same - {"__init__"} - SAME.keys() == set(), "rename them, or say in SAME why they may be the same"
    assert SAME.keys() - same == set(), "there are no longer two of them: take them out of SAME"
    alike = {pair for pair in itertools.combinations(names, 2) if one_letter(*pair)}
    assert alike - ALIKE.keys() == set(), "rename one of each two, or say in ALIKE why they may be alike"
    assert ALIKE.keys() - alike == set(), "there are no longer two of them: take them out of ALIKE"
