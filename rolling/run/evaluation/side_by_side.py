"""The scores of a run beside those of the run that it began with."""

from pathlib import Path

import numpy as np

from rolling.metrics.protocol import Score
from rolling.run.evaluation.lasting import how_long_they_last
from rolling.run.evaluation.scores import Evaluation, read
from rolling.run.evaluation.tables import Table, columns
from rolling.run.experiment import presets as experiments

SHOWN = ("crps", "spectrum_log_error")


def side_by_side(runs: dict[str, Path]) -> str:
    """How long the rollouts of two runs last, and CRPS and spectral error of both at a few leads, as lines of
    text; `runs` are their folders by the heads of the columns, the former run first."""
    paths = [folder / "evaluation.json" for folder in runs.values()]
    for path in paths:
        if not path.exists():
            return f"no {path} to compare with: `rolling rollout` and `rolling evaluate` make one"
    its, own = map(read, paths)
    parts = [*_lasting(runs), *(table.plain() for table in _tables(tuple(runs), its, own))]
    there, here = (experiments.from_json(folder / "experiment.json") for folder in runs.values())
    if there.source != here.source:
        parts.append("Each was scored on the held-out part of its own data.")
    return "\n\n".join(parts)


def _lasting(runs: dict[str, Path]) -> list[str]:
    """One line for each run, where it was measured of both."""
    paths = {name: folder / "evaluation-long.json" for name, folder in runs.items()}
    if not all(path.exists() for path in paths.values()):
        return []
    told = {name: how_long_they_last(read(path)) for name, path in paths.items()}
    return ["\n".join(f"{name}: {words}" for name, words in told.items())] if all(told.values()) else []


def _tables(names: tuple[str, ...], its: Evaluation, own: Evaluation) -> list[Table]:
    tables = []
    for metric, score in own.all():
        other = its.score(metric, score.variable)
        if metric not in SHOWN or other is None or other.units != score.units:
            continue
        there, here = _shared(other, score)
        if len(here):
            curves = (score.coordinate[here], other.values[there], score.values[here])
            heads = ("lead", *names)
            tables.append(columns(dict(zip(heads, curves, strict=True)), f"{metric} of {score.variable}"))
    return tables


def _shared(a: Score, b: Score) -> tuple[np.ndarray, np.ndarray]:
    """The places of the leads that both have."""
    places = np.nonzero(np.isclose(a.coordinate[:, None], b.coordinate[None, :]))
    return places[0], places[1]
