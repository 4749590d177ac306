"""Experiments by name, by file and by folder.

A preset is a module of `rolling.configs`. A *family* is a function that turns any experiment into one of
another method: every preset exists in every family, as `NAME_FAMILY`.
"""

import importlib
import json
import pkgutil
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.common.files import write_text
from rolling.run.experiment import codec, registry, user_code
from rolling.run.experiment.experiment import Experiment
from rolling.sampling import JointSampling

Family = Callable[[Experiment], Experiment]
_families: dict[str, Family] = {}


def family(make: Family) -> Family:
    """Registers a function as a family under its name: `@family`."""
    _families[make.__name__] = make
    return make


def families() -> dict[str, Family]:
    """The families of methods by name: each maps any experiment to its version in that family."""
    importlib.import_module("rolling.configs._families")
    return dict(_families)


def presets() -> list[str]:
    """The names of the presets: the modules of `rolling.configs`."""
    modules = pkgutil.iter_modules(importlib.import_module("rolling.configs").__path__)
    return [module.name for module in modules if not module.name.startswith("_")]


def first_line(name: str) -> str:
    """The first line of a preset's docstring."""
    return _first_line(importlib.import_module(f"rolling.configs.{name}"))


def about(family: str) -> str:
    """The first line of a family's docstring."""
    return _first_line(families()[family])


def _first_line(documented: Any) -> str:
    return (documented.__doc__ or "").strip().split("\n")[0]


def default_metrics():
    """`rolling.configs._metrics`: the one place that names concrete metrics, and the weights they need."""
    return importlib.import_module("rolling.configs._metrics")


def weights() -> dict[str, Any]:
    """The files of weights that metrics need, by name."""
    return {file.name: file for file in default_metrics().WEIGHTS}


def find(name: str) -> Experiment:
    """The experiment of a preset, a Python file, a run's folder or its `experiment.json`."""
    path = Path(name)
    if path.suffix == ".py":
        return _from_python(path)
    if path.is_dir() and (path / "experiment.json").exists():
        path = path / "experiment.json"
    if path.suffix == ".json":
        return from_json(path)
    known = presets()
    if name in known:
        return importlib.import_module(f"rolling.configs.{name}").experiment
    for base in known:
        make = families().get(name.removeprefix(f"{base}_"))
        if name.startswith(f"{base}_") and make is not None:
            return _of_family(base, make)
    near = get_close_matches(name, [*known, *(f"{b}_{f}" for b in known for f in families())], n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(
        f"no experiment {name!r}: {hint}give a preset ({', '.join(known)}), one of them in another family"
        f" ({known[0]}_erdm; {', '.join(families())}), a Python file that defines `experiment`, a run's"
        " folder, or its experiment.json"
    )


def _of_family(base: str, make: Family) -> Experiment:
    experiment = find(base)
    if isinstance(experiment, JointSampling):
        raise InputError(
            f"{base} has several modalities, and families are methods for one: choose its parts, as with"
            " --window.inner full_sequence"
        )
    return make(experiment)


def is_experiment(name: str) -> bool:
    """Whether `find` takes it for an experiment, by its name or what it is."""
    path = Path(name)
    named = name in presets() or any(name.endswith(f"_{family}") for family in families())
    return named or path.suffix in (".py", ".json") or (path / "experiment.json").exists()


def save(experiment: Experiment, path: Path) -> None:
    write_text(path, json.dumps(codec.encode(experiment), indent=2) + "\n")


def from_json(path: Path) -> Experiment:
    """Raises `InputError` for what cannot be read; it names the code kept in a run, which is never
    executed."""
    try:
        value = read_json(path)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error
    experiment = from_run(value, path, path.parent)
    if not isinstance(experiment, Experiment):
        raise InputError(f"{path} does not hold an experiment: give the experiment.json of a run")
    return experiment


def from_run(value: Any, where: Any, run: Path) -> Any:
    """A value stored in a run. Raises `InputError` that names the run's own copy of missing code."""
    try:
        found = codec.decode(value, where=str(where))
    except registry.UnknownPart as error:
        kept = sorted((run / user_code.FOLDER).glob("*.py"))
        if not kept:
            raise
        raise InputError(
            f"{where}: the part {error.tag!r} is the user's own: read {', '.join(map(str, kept))}, and if you"
            f" trust it, give it with --code {kept[0]} (from Python, `load(..., code=...)`)"
        ) from error
    for file, kept in user_code.changed(found, run):
        print(f"{file} is not the version that this run was started with, {kept}", file=sys.stderr)
    return found


def _from_python(path: Path) -> Experiment:
    experiment = user_code.load_code(path).get("experiment")
    if not isinstance(experiment, Experiment):
        raise InputError(f"{path} defines no experiment: add `experiment = Experiment(...)` to it")
    return experiment
