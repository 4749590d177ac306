"""Experiments by name, by file and by folder.

A preset is a module of `rolling.configs`. A *family* is a function that turns any experiment into one of
another method: every preset exists in every family, as `NAME_FAMILY`.
"""

import dataclasses
import importlib
import importlib.util
import json
import pkgutil
import shutil
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rolling.common.errors import InputError
from rolling.common.files import write_file
from rolling.run.experiment import codec, registry
from rolling.run.experiment.experiment import Experiment

CODE = "code"
"""The folder of a run that holds a copy of the user's own code."""

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
            return make(find(base))
    near = get_close_matches(name, [*known, *(f"{b}_{f}" for b in known for f in families())], n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(
        f"no experiment {name!r}: {hint}give a preset ({', '.join(known)}), one of them in another family"
        f" ({known[0]}_erdm; {', '.join(families())}), a Python file that defines `experiment`, a run's"
        " folder, or its experiment.json"
    )


def save(experiment: Experiment, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(codec.encode(experiment), indent=2) + "\n")
    temporary.replace(path)


def keep_code(experiment: Experiment, folder: Path) -> None:
    """Copies the files that define the user's own parts into a run, which must be self-contained."""
    modules = {part.__module__ for part in registry.own_parts(experiment)}
    files = [getattr(sys.modules.get(name), "__file__", None) for name in sorted(modules)]
    for file in map(Path, filter(None, files)):
        kept = folder / file.name
        if not kept.exists():
            folder.mkdir(exist_ok=True)
            write_file(kept, lambda path, file=file: shutil.copyfile(file, path))
        elif kept.read_bytes() != file.read_bytes():
            print(
                f"{file} has changed since the run was started: {kept} holds the version of its start",
                file=sys.stderr,
            )


def from_json(path: Path) -> Experiment:
    """Raises `InputError` for what cannot be read; it names the code kept in a run, which is never
    executed."""
    try:
        value = json.loads(path.read_text())
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
        return codec.decode(value, where=str(where))
    except registry.UnknownPart as error:
        kept = sorted((run / CODE).glob("*.py"))
        if not kept:
            raise
        raise InputError(
            f"{where}: the part {error.tag!r} is the user's own: read {', '.join(map(str, kept))}, and if you"
            f" trust it, give it with --code {kept[0]}"
        ) from error


def load_code(path: Path) -> dict:
    """Runs a user's Python file and registers the dataclasses that it defines as parts."""
    if not path.is_file() or path.suffix != ".py":
        raise InputError(f"there is no Python file {path}")
    path = path.resolve()
    taken = getattr(sys.modules.get(path.stem), "__file__", None) if path.stem in sys.modules else str(path)
    name = path.stem if taken == str(path) else f"{path.stem} of {path}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # it ends in .py and exists
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for value in vars(module).values():
        if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == name:
            registry.register(value)
    return vars(module)


def _from_python(path: Path) -> Experiment:
    experiment = load_code(path).get("experiment")
    if not isinstance(experiment, Experiment):
        raise InputError(f"{path} defines no experiment: add `experiment = Experiment(...)` to it")
    return experiment
