"""The public face: what it costs, and that it agrees with itself, with the parts and with the README."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rolling
from rolling.run.experiment import presets, registry

ROOT = Path(__file__).resolve().parent.parent
FACE = ast.parse((ROOT / "rolling" / "__init__.py").read_text())
README = (ROOT / "README.md").read_text()


def guarded() -> list[ast.stmt]:
    """What stands under `if TYPE_CHECKING:`, which is all that an editor sees."""
    return next(
        node.body
        for node in FACE.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )


def imported() -> dict[str, str]:
    """Name to module, as an editor reads them."""
    found = [node for node in guarded() if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: node.module for node in found for alias in node.names}


def python(code: str, *flags: str) -> str:
    done = subprocess.run([sys.executable, *flags, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_editor_sees_the_names_that_are_there():
    assert imported() == rolling._HOME_OF
    assert set(imported()) <= set(dir(rolling))


@pytest.mark.parametrize("name", sorted(imported()))
def test_a_name_is_that_of_its_own_module(name):
    value = getattr(rolling, name)
    assert value.__name__ == name
    assert value is getattr(importlib.import_module(imported()[name]), name)
    assert f"{value.__module__}.".startswith(f"{imported()[name]}.")


KINDS = "window schedule solver guidance constraint correction start prediction weighting objective optimiser"


@pytest.mark.parametrize("kind", KINDS.split())
def test_all_parts_of_a_kind_are_public(kind):
    assert {part.__name__ for part in registry.parts(kind).values()} <= set(rolling._HOME_OF)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Roling'"):
        rolling.Roling  # noqa: B018
    with pytest.raises(ImportError):
        exec("from rolling import Roling")


def test_nothing_is_loaded_before_it_is_asked_for():
    heavy = "{'jax', 'flax', 'numpy', 'xarray', 'orbax'} & {name.split('.')[0] for name in sys.modules}"
    assert python(f"import sys, rolling, rolling.common.errors; print({heavy})") == "set()\n"
    assert python(f"import sys, rolling.run.cli; print({heavy})") == "set()\n"
    assert python("import sys; from rolling import UniPC; print('jax' in sys.modules)") == "True\n"


@pytest.mark.slow
def test_every_name_can_be_asked_for_first():
    """No earlier import of ours hides a circle."""
    names = ("Experiment", "load", "find", "Oracle", "Clips", "VideoUViT")
    code = f"""
import sys
for name in {names}:
    for ours in [m for m in sys.modules if m.split(".")[0] == "rolling"]:
        del sys.modules[ours]
    print(getattr(__import__("rolling", fromlist=[name]), name).__name__)
"""
    assert python(code).split() == list(names)


def test_nothing_below_the_experiments_imports_the_public_face():
    """It names all floors: whoever imported it would import upward."""
    folders = [ROOT / top for top in ("rolling", "video", "physics", "data")]
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(paths) > 100
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "rolling":
                assert not {alias.name for alias in node.names} & set(rolling._HOME_OF), path


def test_the_version_is_printed():
    from rolling.run.cli import main

    assert main(["--version"]) == 0
    shown = python(
        "import runpy, sys; sys.argv[1:] = ['--version']; runpy.run_module('rolling', run_name='__main__')"
    )
    assert re.fullmatch(r"rolling \d\S*\n", shown) and shown.split()[1] == rolling.__version__


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_experiment_of_the_readme_is_built(tmp_path):
    (tmp_path / "mine.py").write_text(next(block for block in blocks() if "# mine.py" in block))
    experiment = presets.find(str(tmp_path / "mine.py"))
    assert (experiment.name, experiment.calls_per_frame, experiment.cycle_steps) == ("mine", 4, 24)
    assert isinstance(experiment.window, rolling.FullSequence)
    assert experiment.source == presets.find("kolmogorov").source


def test_what_the_documents_import_is_there():
    pages = [README, *(page.read_text() for page in sorted((ROOT / "docs").glob("*.md")))]
    lines = re.findall(r"^(?:>>> )?(from rolling[\w.]* import .*)$", "\n".join(pages), re.M)
    assert len(lines) >= 7
    for line in lines:
        exec(line, {})
