"""Experiments by name, by file and by folder.

A preset is a module of `rolling.configs`. A *family* is a function from any experiment to one of another
method: every preset is there in every family, as `NAME_FAMILY`.
"""

import dataclasses
import importlib
import importlib.util
import json
import pkgutil
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rolling.common.errors import InputError
from rolling.run.experiment import codec, registry
from rolling.run.experiment.experiment import Experiment

Family = Callable[[Experiment], Experiment]
_families: dict[str, Family] = {}


def family(make: Family) -> Family:
    """Makes a function known as a family, by its name: `@family`."""
    _families[make.__name__] = make
    return make


def families() -> dict[str, Family]:
    """The families of methods by name: each takes any experiment and gives it in that family."""
    importlib.import_module("rolling.configs._families")
    return dict(_families)


def presets() -> list[str]:
    """The names of the presets, the modules of `rolling.configs`."""
    modules = pkgutil.iter_modules(importlib.import_module("rolling.configs").__path__)
    return [module.name for module in modules if not module.name.startswith("_")]


def first_line(name: str) -> str:
    """What a preset says of itself."""
    return (importlib.import_module(f"rolling.configs.{name}").__doc__ or "").strip().split("\n")[0]


def default_metrics():
    """`rolling.configs._metrics`: the one place that names concrete metrics, and the weights they want."""
    return importlib.import_module("rolling.configs._metrics")


def weights() -> dict[str, Any]:
    """The files of weights that metrics want, by name."""
    return {file.name: file for file in default_metrics().WEIGHTS}


def find(name: str) -> Experiment:
    """The experiment of a preset's name, of a Python file, of a run's folder or of its `experiment.json`."""
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
        f"no experiment {name!r}: {hint}Give a preset ({', '.join(known)}), one of them in another family"
        f" ({known[0]}_erdm; {', '.join(families())}), a Python file that defines `experiment`, a run's"
        " folder, or its experiment.json"
    )


def save(experiment: Experiment, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(codec.encode(experiment), indent=2) + "\n")
    temporary.replace(path)


def from_json(path: Path) -> Experiment:
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error
    experiment = codec.decode(value, where=str(path))
    if not isinstance(experiment, Experiment):
        raise InputError(f"{path} holds no experiment")
    return experiment


def load_code(path: Path) -> dict:
    """Runs a Python file of the user's own and makes the dataclasses that it defines known as parts."""
    if not path.exists():
        raise InputError(f"there is no file {path}")
    path = path.resolve()
    taken = getattr(sys.modules.get(path.stem), "__file__", None) if path.stem in sys.modules else str(path)
    name = path.stem if taken == str(path) else f"{path.stem} of {path}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for value in vars(module).values():
        if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == name:
            registry.register(value)
    return vars(module)


def _from_python(path: Path) -> Experiment:
    experiment = load_code(path).get("experiment")
    if not isinstance(experiment, Experiment):
        raise InputError(f"{path} defines no `experiment = Experiment(...)`")
    return experiment
