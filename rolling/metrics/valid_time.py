"""How long single forecasts of a chaotic system stay near the truth."""

import dataclasses
from typing import Literal

import numpy as np

from rolling.common.errors import InputError
from rolling.layout import Variable
from rolling.metrics.area import Domain, averaged
from rolling.metrics.correlation import ROUNDING
from rolling.metrics.intervals import quantile_interval
from rolling.metrics.members import MeanOrEach
from rolling.metrics.protocol import HORIZON, About, EvaluationSetup, Sample, Score


class Errors:
    """Of every trajectory the mean square errors `[lead, variable]`, NaN where there is none yet; of all
    starts the sums over leads of `<(y - c)^2>` and `<y^2>`."""

    def __init__(self, setup: EvaluationSetup):
        self.setup, self.domain = setup, Domain.of(setup)
        self.squares: list[np.ndarray] = []
        self.blocks: list[int] = []
        self.variance, self.size = np.zeros((2, len(averaged(setup.layout))))
        self.leads = 0

    def add(self, sample: Sample, forecast: np.ndarray) -> None:
        """A block of `forecast [trajectory, lead, *space, variable]`."""
        truth = np.asarray(sample.truth, np.float64)
        if sample.first == 0:
            shape = len(forecast), self.setup.leads, len(self.variance)
            self.blocks.append(len(self.squares) if sample.block is None else sample.block)
            self.squares.append(np.full(shape, np.nan))
        leads = slice(sample.first, sample.first + len(truth))
        self.squares[-1][:, leads] = self.domain.mean((forecast - truth) ** 2)
        self.variance += self.domain.mean((truth - sample.climatology) ** 2).sum(axis=0)
        self.size += self.domain.mean(truth**2).sum(axis=0)
        self.leads += len(truth)

    def below(self, threshold: float) -> np.ndarray:
        """`[trajectory, variable]`: the leads before the first at which the error is above a threshold, or
        all; NaN of a variable that does not vary."""
        varies = self.variance > ROUNDING**2 * self.size
        variance = np.where(varies, self.variance / self.leads, np.nan)
        above = np.concatenate(self.squares) > threshold**2 * variance
        first = np.where(above.any(axis=1), above.argmax(axis=1), self.setup.leads)
        return np.where(varies, first, np.nan)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidPredictionTime(MeanOrEach):
    """The last lead before `sqrt(<(x - y)^2>) / s` is first above a threshold: the median over trajectories.

    `x` is the mean of the members or one of them, each a trajectory, `<.>` the area mean, and `s` the
    climatological standard deviation of the truth, `s^2 = E <(y - c)^2>` over all starts and leads, with `c`
    the climatology of the training part. Whole leads are counted, as by Vlachas et al. (2020); the first lead
    above, which others name, is one step more. Thresholds of 0.4 (Pathak et al., 2018) and 0.5 are in use;
    both papers take the variables of a system together and divide by its Lyapunov time, which is for the
    reader to do.

    0 is a trajectory that is above at the first lead. One that stays below is censored at the last lead, and
    so is a median of such. The interval is that of `quantile_interval`, over blocks of starts.

    Raises `InputError` for a threshold that is not above 0.
    """

    threshold: float = 0.4
    """In climatological standard deviations."""
    member: Literal["mean", "each"] = "mean"
    """Whether the mean of the members is scored, or each of them."""

    def __post_init__(self):
        super().__post_init__()
        if not self.threshold > 0:
            raise InputError(f"the threshold of an error is above 0, not {self.threshold:g}")

    @property
    def name(self) -> str:
        stem = "valid_prediction_time"
        return self.named(stem if self.threshold == 0.4 else f"{stem}_at_{self.threshold:g}")

    @property
    def about(self) -> About:
        return About(
            title=f"{self.titled('Valid prediction time')}, to {self.threshold:g} standard deviations",
            order=57,
            higher=True,
            duration=True,
        )

    def start(self, setup: EvaluationSetup) -> Errors | None:
        return None if setup.layout.is_video else Errors(setup)

    def update(self, state: Errors, sample: Sample) -> Errors:
        state.add(sample, self.scored(sample))
        return state

    def result(self, state: Errors) -> tuple[Score, ...]:
        layout, below = state.setup.layout, state.below(self.threshold)
        blocks = np.repeat(state.blocks, [len(each) for each in state.squares])
        return tuple(
            self._median(variable, layout.step * found, blocks, state.setup)
            for variable, found in zip(averaged(layout), below.T, strict=True)
        )

    def _median(
        self, variable: Variable, times: np.ndarray, blocks: np.ndarray, setup: EvaluationSetup
    ) -> Score:
        low, high = quantile_interval(times, blocks, 0.5)
        return Score(
            variable=variable.name,
            units=setup.layout.time_units,
            axis=HORIZON,
            coordinate=np.array([setup.layout.step * setup.leads]),
            values=np.quantile(times, [0.5], method="inverted_cdf"),
            low=np.array([low]),
            high=np.array([high]),
        )
