"""The recipe of a rollout: everything that decides how frames are made, each part by its protocol."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from rolling.common.errors import InputError
from rolling.layout import Layout
from rolling.noise import Cosine, NoiseSchedule
from rolling.noise.prior import Independent, NoisePrior
from rolling.sampling.constraints import Constraint
from rolling.sampling.corrections import Correction
from rolling.sampling.guidance import Guidance
from rolling.sampling.old_frames import Memory
from rolling.sampling.partitions import Partition, Whole
from rolling.sampling.restart import Restart
from rolling.sampling.starts import FromNoise, Start
from rolling.sampling.sweeps import Even, Sequential, Spacing, Sweep
from rolling.solvers import Ddim, Solver
from rolling.windows import Rolling, Window, moving_frames, rounded

MOST_STEPS = 100_000


def check_numbers(part: Any, name: str = "") -> None:
    """Raises `InputError` where a part, or a part of it, holds what is no number (NaN)."""
    for field in dataclasses.fields(part):
        value, where = getattr(part, field.name), f"{name}.{field.name}".lstrip(".")
        if isinstance(value, float) and math.isnan(value):
            raise InputError(f"{where} is not a number: give it one")
        for item in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(item):
                check_numbers(item, where)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """Everything that decides how frames are made. Raises `InputError` where parts do not suit each other."""

    window: Window = Rolling()
    """How the clocks of the frames run."""
    schedule: NoiseSchedule = Cosine()
    """The noise level of each local diffusion time."""
    noise: NoisePrior = Independent()
    """How the noise of neighbouring frames is correlated."""
    temperature: float = 1.0
    """What all noise of a rollout is multiplied by: of a linear denoiser, as that of Gaussian data is, the
    members' deviations from their mean are multiplied by the same number, in every frame and with any solver.
    Above 1 for an ensemble that is too narrow, below 1 for members nearer to the mean."""
    solver: Solver = Ddim()
    """How a frame is taken from one noise level to the next."""
    calls_per_frame: int | float = 1
    """Network calls (NFE) for each frame that is emitted."""
    start: Start = FromNoise()
    """How a rollout begins."""
    guidance: tuple[Guidance, ...] = ()
    """Corrections of the prediction, applied one after another."""
    constraints: tuple[Constraint, ...] = ()
    """What the predicted clean frames must obey, imposed one after another, after guidance."""
    corrections: tuple[Correction, ...] = ()
    """What is done to each finished frame, one after another, before it becomes context."""
    partition: Partition = Whole()
    """What the network sees of the window at a time."""
    spacing: Spacing = Even()
    """Where the steps of a sweep lie."""
    sweep: Sweep = Sequential()
    """In which order they run."""
    restart: Restart = Restart()
    """How often frames are noised once more and denoised again."""
    memory: Memory = Memory()
    """Old frames that the network sees beside the window."""
    truncate_tail: bool = False
    """Frames after the end of a rollout stay pure noise; otherwise they are started and dropped."""

    def __post_init__(self):
        check_numbers(self)
        if not 0 <= self.temperature < math.inf:
            raise InputError(f"a temperature is a number from 0 on, not {self.temperature}")
        steps = self._steps
        if not 0.999 <= steps < MOST_STEPS or abs(steps - round(steps)) > 1e-3:
            raise InputError(
                f"{self.calls_per_frame:g} calls per frame are {steps:.4g} steps of"
                f" {type(self.solver).__name__} for the {self.window.stride} frames that a cycle finishes:"
                f" choose a whole multiple of {self.solver.calls / self.window.stride:.4g}"
            )
        self.noise.check(self)
        self.start.given(self.window)
        self.partition.frames(self.window)
        self.sweep.check(self.solver)
        self.restart.check(self)
        self.memory.check(self)
        for part in self.guidance:
            part.check(self.window)
        for part in self.constraints + self.corrections:
            part.check(self)

    def check_layout(self, layout: Layout) -> None:
        """Raises `InputError` where a part does not suit the data."""
        for part in self.guidance:
            part.check(self.window, layout)
        for part in self.constraints + self.corrections:
            part.check(self, layout)

    @property
    def recipe(self) -> "Sampling":
        """These fields alone: how an experiment, say, makes frames."""
        return self._only(Sampling)

    def _only(self, kind: type["Sampling"]) -> Any:
        """The fields of this kind alone."""
        return kind(**{field.name: getattr(self, field.name) for field in dataclasses.fields(kind)})

    @property
    def _steps(self) -> float:
        return self.calls_per_frame * self.window.stride / self.solver.calls

    @property
    def cycle_steps(self) -> int:
        return round(self._steps)

    @property
    def network_calls(self) -> float:
        """Network calls (NFE) for each frame that is emitted, with those of restarts."""
        more = self.restart.more_steps(self.cycle_steps)
        return self.calls_per_frame + more * self.solver.calls / self.window.stride

    @property
    def given_frames(self) -> int:
        """Frames that a rollout is given."""
        return self.start.given(self.window)

    @property
    def all_enter_at_once(self) -> bool:
        """Whether all frames after the context enter, and are finished, together."""
        return self.window.stride == moving_frames(self.window)

    @property
    def waits(self) -> bool:
        """Whether a noisy frame ever stands still while others move."""
        sweeps = [self.window.cycle] + ([self.window.warmup] if self.start.warms_up else [])
        paths = [self._clocks(sweep)[:, self.window.context :] for sweep in sweeps]
        return any(bool(((tau[1:] == tau[:-1]) & (tau[1:] > 0)).any()) for tau in paths)

    @property
    def noisy_context(self) -> bool:
        """Whether the network is ever shown its context with noise."""
        shown = self._clocks(self.window.cycle)[:, : self.window.context]
        return bool((shown > 0).any()) or any(part.noises_context for part in self.guidance)

    def _clocks(self, sweep: Callable) -> np.ndarray:
        """`[times, window]` at 65 times from 1 down to 0."""
        return np.asarray(rounded(sweep(jnp.linspace(1.0, 0.0, 65))))
