"""What is installed is one name, `rolling`: by the wheel, by the wheel of the sdist, and by a clone that
is not installed at all, beside a user's own files that are called as our folders are."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.run_tools import environment
from tests.test_structure import FILES, ROOT, TOP

pytestmark = pytest.mark.slow
BUILD = "from setuptools.build_meta import build_{0} as build; build({1!r})"
OTHERS = [
    path.relative_to(ROOT)
    for pattern in ("report/*.html", "report/*.css", "report/*.js", "py.typed")
    for path in (ROOT / "rolling").glob(f"run/{pattern}" if "/" in pattern else pattern)
]


def done(*words: str | Path, cwd: Path, **env: str) -> str:
    """What a program of Python prints; nothing but its own `PYTHONPATH` leads it to our files."""
    env = {key: value for key, value in environment().items() if key != "PYTHONPATH"} | env
    line = [sys.executable, *map(str, words)]
    found = subprocess.run(line, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The tree as it is cloned, links included, without what lies about in a used one."""
    folder = tmp_path_factory.mktemp("clone") / "rolling-diffusion"
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
    for name in (*TOP, "tests", "docs", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


def built(kind: str, tree: Path, folder: Path) -> Path:
    """The wheel or sdist of a tree, by the backend that the tree itself asks for."""
    pytest.importorskip("setuptools", "77")
    folder.mkdir()
    done("-c", BUILD.format(kind, str(folder)), cwd=tree)
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def sdist(clone, tmp_path_factory):
    return built("sdist", clone, tmp_path_factory.mktemp("sdist") / "dist")


@pytest.fixture(scope="module")
def wheel(clone, tmp_path_factory):
    return built("wheel", clone, tmp_path_factory.mktemp("wheel") / "dist")


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_wheel_holds_the_package_and_nothing_else(wheel):
    names = set(content(wheel))
    code = {path.relative_to(ROOT) for path in FILES}
    code = {path if path.parts[0] == "rolling" else Path("rolling", path) for path in code}
    assert {name for name in names if ".dist-info/" not in name} == {str(path) for path in {*code, *OTHERS}}
    assert len(OTHERS) >= 4 and {path.name for path in OTHERS} >= {"py.typed"}
    assert {path.suffix for path in OTHERS} >= {".html", ".css", ".js"}
    (info,) = {name.split("/")[0] for name in names} - {"rolling"}
    assert f"{info}/entry_points.txt" in names and f"{info}/licenses/LICENSE" in names


def test_the_wheel_of_the_sdist_is_the_same(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    assert content(built("wheel", tree, tmp_path / "dist")) == content(wheel)


def test_an_sdist_holds_files_and_no_links(sdist):
    """A link to a folder beside it would lead nowhere on Windows."""
    with tarfile.open(sdist) as archive:
        assert not [member.name for member in archive if member.issym() or member.islnk()]
        names = {Path(*Path(member.name).parts[1:]) for member in archive if member.isfile()}
    assert {path.relative_to(ROOT) for path in FILES if path.is_relative_to(ROOT / "rolling")} <= names
    assert Path("rolling/data/source.py") in names and Path("rolling/configs/debug.py") in names


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An empty folder into which the wheel was installed."""
    pytest.importorskip("pip")
    target = tmp_path_factory.mktemp("target")
    words = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check", "--target")
    done("-m", "pip", "install", *words, target, wheel, cwd=target)
    return target


@pytest.fixture
def desk(tmp_path):
    """Where a user works, among files of their own that are called as our folders are."""
    for name in ("data", "configs", "physics"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text("HERE = __file__\n")
    (tmp_path / "data" / "__init__.py").touch()
    (tmp_path / "video.py").write_text("HERE = __file__\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


SCRIPT = """
import importlib
import sys
from pathlib import Path

from rolling.run import load
from rolling.run.cli import main
import rolling.configs.debug
import rolling.data.source, rolling.physics.flow, rolling.video.uvit

desk, home, *own = sys.argv[1:]
for name in own:
    assert Path(importlib.import_module(name).HERE).is_relative_to(desk), name
for module in (rolling, rolling.configs.debug):
    assert Path(module.__file__).is_relative_to(home), module
assert callable(load) and rolling.configs.debug.experiment.name == "debug"
sys.exit(main(["list"]))
"""


def works(desk: Path, home: Path, *own: str) -> None:
    """Our files come from `home`; the user finds their `own`; `rolling list` lists the presets."""
    listed = done(desk / "script.py", desk, home, *own, cwd=desk, PYTHONPATH=str(home))
    presets = {path.stem for path in (ROOT / "configs").glob("[a-z]*.py")}
    bases = listed.partition("\n\n")[0]
    assert {line.split()[0] for line in bases.splitlines()} == presets


@pytest.mark.parametrize("package", [True, False])
def test_an_installed_wheel_leaves_a_user_s_own_names_alone(installed, desk, package):
    assert sorted(p.name for p in installed.iterdir() if p.suffix != ".dist-info") == ["bin", "rolling"]
    if not package:
        (desk / "data" / "__init__.py").unlink()
    works(desk, installed, "data.mine", "configs.mine", "physics.mine", "video")


def test_the_command_is_installed(installed, desk):
    shown = done(installed / "bin" / "rolling", "show", "debug", cwd=desk, PYTHONPATH=str(installed))
    assert "solver.ancestral" in shown


@pytest.mark.parametrize("package", [True, False])
def test_a_clone_that_is_not_installed_works_as_well(clone, desk, package):
    """Through the links in `rolling/`. On this path Python prefers the clone's packages to plain folders, not
    to a user's own packages and modules."""
    if package:
        works(desk, clone, "data.mine", "video")
    else:
        (desk / "data" / "__init__.py").unlink()
        works(desk, clone, "video")
