"""Windows that begin on held-out truth, rolled a batch at a time: where all of `rolling drift` starts."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from rolling.common import compiler
from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.data.clip_past import frames_before
from rolling.data.source import Sequences
from rolling.data.statistics import joint_mask
from rolling.denoisers import Condition
from rolling.metrics.intervals import blocks
from rolling.metrics.protocol import EvaluationSetup
from rolling.run import model
from rolling.run.forecasting.forecaster import Forecaster, sequence_keys
from rolling.run.forecasting.init_times import InitTime, choose_starts
from rolling.sampling import Conditions, Sampler
from rolling.windows import Window

Program = Callable[..., jax.Array]
"""`(sampler, denoisers, x, key, condition, past)` to an array `[batch, ...]`; `past` by that name."""


def check_context(window: Window, option: str) -> None:
    """Raises `InputError` for a window without context."""
    if window.context < 1:
        raise InputError(
            f"{option} changes the context of a window, and this one has none: leave it out, or choose a"
            " window with context"
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrueWindows:
    """Starts, the first frames that a window placed there finishes, and the truth before and after them."""

    forecaster: Forecaster
    test: Sequences
    starts: list[InitTime]
    before: int
    """True frames before a start."""
    reach: int
    """True frames from a start on: those of the window that is placed there, and those to compare with."""
    batch: int
    seed: int
    asked: int
    """Starts that were asked for, of which the data may hold fewer."""

    @classmethod
    def of(
        cls,
        forecaster: Forecaster,
        test: Sequences,
        options: Any,
        *,
        least: int,
        most: int = 0,
        otherwise: str = "use a smaller window",
    ) -> Self:
        """`options.starts` windows with `least` true frames or more from the start on; whole cycles of up to
        `most` where the data hold them. Raises `InputError` where they do not hold the least."""
        window = forecaster.recipe.window
        before = max(window.context, forecaster.experiment.reference.frames, 2)  # two: one has motion
        longest = max((test.length(index) for index in range(len(test))), default=0)
        least = max(window.size - window.context, least)
        if longest - before < least:
            raise InputError(
                f"the window is placed on {before} true frames and rolled over {least} or more, and no"
                f" held-out sequence has more than {longest}: hold out longer ones, or {otherwise}"
            )
        reach = max(least, min(most, longest - before) // window.stride * window.stride)
        return cls(
            forecaster=forecaster,
            test=test,
            starts=choose_starts(test, before, reach, options.starts),
            before=before,
            reach=reach,
            batch=options.batch,
            seed=options.seed,
            asked=options.starts,
        )

    def setup(self, leads: int) -> EvaluationSetup:
        """That of the metrics of `leads` frames from each start on."""
        test = self.test
        mask = joint_mask(test.mask, self.forecaster.statistics.mask)
        return EvaluationSetup(layout=test.layout, leads=leads, members=1, mask=mask, real=test)

    def block(self, frames: int) -> np.ndarray:
        """`[start]`: the number of the independent part of the data that each start belongs to."""
        sequence, frame = np.array([(start.sequence, start.frame) for start in self.starts]).T
        return blocks(sequence, frame, frames, whole=self.test.layout.is_video)

    def words(self, frames: int) -> str:
        """On how much data the numbers rest."""
        parts = int(self.block(frames).max()) + 1
        return f"{counted(len(self.starts), 'start')} in {counted(parts, 'independent part')}"

    def shortage(self, frames: int) -> list[str]:
        """A sentence where the data hold fewer starts of so many frames than were asked for."""
        there = len(self.starts)
        if there >= self.asked:
            return []
        held = f"The data hold {counted(there, 'start')} of {counted(frames, 'frame')}"
        return [f"{held}, and {self.asked} were asked for: fewer --frames give more."]

    def true(self, first: int, count: int, which: Sequence[int] | None = None) -> np.ndarray:
        """`[start, count, ...]` true frames from `first` frames after each start, or some of them, on."""
        chosen = self.starts if which is None else [self.starts[i] for i in which]
        return np.stack(
            [self.test.read(s.sequence, s.frame + first, s.frame + first + count) for s in chosen]
        )

    def through(
        self, program: Program, label: str, *, clean: int, known: int
    ) -> Iterator[tuple[range, np.ndarray]]:
        """The starts of each batch, and what a program makes of them: `x` are the `clean` true frames from
        the first of the window on, normalised, `past` those before it that its memory holds, and the
        condition is that of `known` frames."""
        forecaster, last = self.forecaster, len(self.starts) - 1
        sampler = Sampler(dataclasses.replace(forecaster.recipe, truncate_tail=False))
        keys = sequence_keys(self.seed, [(index, 0) for index in range(last + 1)])
        run = jax.jit(
            lambda params, x, key, condition, past: program(
                sampler, forecaster.denoisers(params), x, key, condition, past=past
            ),
            compiler_options=compiler.options(),
        )
        with Progress(label, total=last + 1, unit="start", compiles=True) as progress:
            for first in range(0, last + 1, self.batch):
                # Of one shape, so that all run through the same program.
                padded = [min(first + i, last) for i in range(self.batch)]
                which = range(first, min(first + self.batch, last + 1))
                x, condition = self._given(padded, clean, known)
                past = self._past(padded)
                made = run(forecaster.networks(), x, keys[np.array(padded)], condition, past)
                yield which, np.asarray(made)[: len(which)]
                progress.update(len(which))

    def _normalised(self, frames: np.ndarray) -> jax.Array:
        return jnp.asarray(self.forecaster.statistics.normalise(frames), jnp.float32)

    def _past(self, which: Sequence[int]) -> jax.Array | None:
        """The frames before a window that is placed there; None without a memory."""
        window, memory = self.forecaster.recipe.window, self.forecaster.recipe.memory
        before = range(memory.frames(window), 0, -1)
        starts = [self.starts[i] for i in which] if before else []
        found = [frames_before(self.test.read, s.sequence, s.frame - window.context, before) for s in starts]
        return self._normalised(np.stack(found)) if found else None

    def _given(self, which: Sequence[int], clean: int, known: int) -> tuple[jax.Array, Condition]:
        forecaster, context = self.forecaster, self.forecaster.recipe.window.context
        normalised = lambda first, count: self._normalised(self.true(first, count, which))  # noqa: E731
        places = [(self.starts[i].sequence, self.starts[i].frame - context) for i in which]
        conditions: Conditions = model.Known(self.test, places, forecaster.statistics.mask)
        if reference := forecaster.experiment.reference.frames:
            conditions = model.with_reference(conditions, normalised(-self.before, reference))
        return normalised(-context, clean), conditions(0, known)
