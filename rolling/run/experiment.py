"""An experiment: a value, put together from the pieces of the floors below, and all that a run depends on."""

import dataclasses
import importlib
import importlib.util
import json
import pkgutil
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from data.augment import Augmentation
from data.source import Source
from rolling.denoisers import Architecture, Prediction, V
from rolling.errors import InputError
from rolling.losses import VLoss, Weighting
from rolling.metrics import Metric
from rolling.outputs import Output
from rolling.run import codec
from rolling.run.objectives import Denoising, Objective
from rolling.run.optimisers import AdamW, Optimiser
from rolling.sampler import Sampling
from rolling.weights import WeightsFile


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How long, in what batches, and how the learning rate runs.

    It rises linearly over `warmup` steps, stays at the optimiser's peak, and falls linearly to zero over
    the last share `decay` of the steps.
    """

    steps: int = 10_000
    batch: int = 8
    """Clips in a step, over all devices and accumulated parts."""
    accumulate: int = 1
    """Parts that a batch is cut into, one after another, to save memory."""
    warmup: int = 20
    decay: float = 0.5
    clip: float = 1.0
    """Largest global norm of the gradient."""
    ema: float = 0.995
    """Decay of the moving average of the parameters, which is what forecasts."""
    drop_condition: float = 0.0
    """Share of clips whose label and tokens are not told: what classifier-free guidance needs."""
    seed: int = 0
    log_every: int = 20
    checkpoint_every: int = 200
    keep: int = 2
    """Checkpoints kept."""

    def __post_init__(self):
        for name in ("steps", "batch", "accumulate", "log_every", "checkpoint_every", "keep"):
            if getattr(self, name) < 1:
                raise InputError(f"training.{name} is a whole number from 1 on, not {getattr(self, name)}")
        if self.batch % self.accumulate:
            raise InputError(
                f"training.batch, {self.batch}, cannot be cut into training.accumulate ="
                f" {self.accumulate} equal parts: choose a divisor"
            )
        if not (0 <= self.decay <= 1 and 0 <= self.ema < 1 and self.clip > 0):
            raise InputError("training wants 0 <= decay <= 1, 0 <= ema < 1 and clip > 0")
        if not 0 <= self.drop_condition <= 1:
            raise InputError(
                f"training.drop_condition is a share of the clips, from 0 to 1, not {self.drop_condition}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forecast:
    """Which forecasts to make of the held-out part: `starts` of them, spread evenly, `members` each.

    With `beginnings` they start with the first frames of sequences, as benchmarks of clips do; else anywhere.
    `frames = 0` makes none. `batch` forecasts are sampled together, in chunks of about `chunk` frames.
    """

    starts: int = 16
    members: int = 4
    frames: int = 20
    batch: int = 16
    chunk: int = 32
    seed: int = 0
    beginnings: bool = False

    def __post_init__(self):
        for name in ("starts", "members", "batch", "chunk"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"a forecast's {name} is a whole number from 1 on, not {getattr(self, name)}"
                )
        if self.frames < 0:
            raise InputError(f"a forecast's frames is a whole number from 0 on, not {self.frames}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment(Sampling):
    """Everything that decides the result of a run."""

    name: str
    """Name of the run's folder."""
    source: Source
    """Where the sequences come from."""
    network: Architecture
    prediction: Prediction = V()
    """What the network's output means."""
    weighting: Weighting = VLoss()
    """Weights of the noise levels in the loss."""
    objective: Objective = Denoising()
    """What is trained, and by which loss."""
    augment: tuple[Augmentation, ...] = ()
    """Symmetries of the data, applied to training clips."""
    optimiser: Optimiser = AdamW()
    training: Training = Training()
    forecast: Forecast = Forecast()
    """The ensemble that the scores are computed from."""
    long: Forecast = Forecast(frames=0)
    """Long rollouts, for their statistics."""
    metrics: tuple[Metric, ...] = ()
    """Measures of the forecasts."""
    long_metrics: tuple[Metric, ...] = ()
    """Measures of the long rollouts."""
    outputs: tuple[Output, ...] = ()
    """Files in which some of the forecasts are shown beside the truth."""

    def __post_init__(self):
        super().__post_init__()
        if not self.name or self.name != Path(self.name).name:
            raise InputError(f"an experiment's name becomes a folder: {self.name!r} will not do")
        self.objective.check(self)


FAMILIES, WEIGHTS, SCORING = "families", "weights", "scoring"
"""The modules of `configs/` that hold no experiment: functions from any experiment to one of a family, files
that measures want from outside, and what scores clips from anywhere."""


def presets() -> list[str]:
    """The names of the presets, the modules of `configs/`."""
    modules = pkgutil.iter_modules(importlib.import_module("configs").__path__)
    return [module.name for module in modules if module.name not in (FAMILIES, WEIGHTS, SCORING)]


def families() -> dict[str, Callable[[Experiment], Experiment]]:
    """The families of methods by name: each takes any experiment and gives it in that family."""
    module = importlib.import_module(f"configs.{FAMILIES}")
    return {
        name: value
        for name, value in vars(module).items()
        if callable(value)
        and not name.startswith("_")
        and getattr(value, "__module__", "") == module.__name__
    }


def weights() -> dict[str, WeightsFile]:
    """The files of weights by name."""
    return {file.name: file for file in importlib.import_module(f"configs.{WEIGHTS}").weights}


def first_line(preset: str) -> str:
    """What a preset says of itself."""
    return (importlib.import_module(f"configs.{preset}").__doc__ or "").strip().split("\n")[0]


def save(experiment: Experiment, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(codec.encode(experiment), indent=2) + "\n")
    temporary.replace(path)


def find(name: str) -> Experiment:
    """The experiment of a preset's name, of a Python file, of a run's folder or of its `experiment.json`."""
    path = Path(name)
    if path.suffix == ".py":
        return _from_python(path)
    if path.is_dir() and (path / "experiment.json").exists():
        path = path / "experiment.json"
    if path.suffix == ".json":
        return from_json(path)
    if name in presets():
        return importlib.import_module(f"configs.{name}").experiment
    near = get_close_matches(name, presets(), n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(
        f"no experiment {name!r}: {hint}Give a preset ({', '.join(presets())}), a Python file that defines"
        " `experiment`, a run's folder, or its experiment.json"
    )


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
    """Runs a Python file of the user's own and makes the dataclasses it defines known to the codec."""
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
            codec.register(value)
    return vars(module)


def _from_python(path: Path) -> Experiment:
    experiment = load_code(path).get("experiment")
    if not isinstance(experiment, Experiment):
        raise InputError(f"{path} defines no `experiment = Experiment(...)`")
    return experiment
