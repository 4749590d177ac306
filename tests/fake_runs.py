"""Runs without any training: stores and evaluations made by hand, to test the report on."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from rolling.configs._metrics import CLIPS, FIELDS, FIELDS_LONG
from rolling.data.source import SequencesBase
from rolling.geometry import Axis
from rolling.layout import Layout, Variable, video
from rolling.run.evaluation.scores import Evaluation, decoded, write

HOUR = np.timedelta64(3600 * 10**9, "ns")
LEADS = 6
ABOUTS = {metric.name: metric.about for metric in (*FIELDS, *FIELDS_LONG, *CLIPS)}


@dataclasses.dataclass(frozen=True)
class Held(SequencesBase):
    """Held-out sequences in memory."""

    layout: Layout
    frames: list[np.ndarray]
    first: list
    step: object
    mask: np.ndarray | None = None

    def __len__(self):
        return len(self.frames)

    def length(self, index):
        return len(self.frames[index])

    def read(self, index, start, stop):
        return self.frames[index][start:stop]

    def times(self, index, start, stop):
        return np.array([self.first[index] + self.step * i for i in range(start, stop)])


def weather() -> Held:
    """Two variables on a map that rises to the north, with land; two sequences of twelve hours."""
    layout = Layout(
        variables=(
            Variable(name="t2m", units="K", long_name="2 m temperature"),
            Variable(name="u10", units="m s-1", long_name="eastward wind"),
        ),
        axes=(
            Axis(name="latitude", values=tuple(50 + 0.5 * i for i in range(12)), units="degrees_north"),
            Axis(name="longitude", values=tuple(-8 + 0.5 * i for i in range(16)), units="degrees_east"),
        ),
        step=1.0,
        time_units="hours",
    )
    y, x = np.meshgrid(layout.y.values, layout.x.values, indexing="ij")
    hour = np.arange(12)[:, None, None]
    temperature = 280 - 0.8 * (y - 50) + np.sin(x + 0.3 * hour)
    frames = np.stack([temperature, 5 * np.cos(x + y + 0.4 * hour)], axis=-1).astype(np.float32)
    mask = np.ones(layout.shape, bool)
    mask[:3, :4] = False
    frames[:, ~mask] = np.nan
    first = [np.datetime64("2019-03-01T00", "ns"), np.datetime64("2019-03-05T00", "ns")]
    return Held(layout, [frames, frames[::-1]], first, HOUR, mask)


def box() -> Held:
    """A vorticity in a periodic box, without a calendar."""
    axis = lambda name: Axis(name=name, values=tuple(np.arange(8) * np.pi / 4), boundary="periodic")  # noqa: E731
    layout = Layout(variables=(Variable(name="vorticity"),), axes=(axis("y"), axis("x")), step=0.4)
    y, x = np.meshgrid(layout.y.values, layout.x.values, indexing="ij")
    frames = np.stack([np.sin(x + 0.2 * i) * np.cos(y) for i in range(60)])[..., None].astype(np.float32)
    return Held(layout, [frames], [0.0], 0.4)


@dataclasses.dataclass(frozen=True)
class Film(Held):
    """Pictures, each sequence of a class: the odd ones of the second."""

    def conditioning(self, index, start, stop):
        return {"label": np.int32(index % 2)}


def film(*, colour: bool = True, lengths=(14, 14, 9)) -> Film:
    """A bright disc that crosses a dark picture of 24 x 32, ten frames a second."""
    layout = video(24, 32, rate=10, colour=colour, labels=("to the right", "to the left"))
    y, x = np.mgrid[:24, :32]
    sequences = []
    for index, length in enumerate(lengths):
        place = 4 + 2 * np.arange(length)[:, None, None]
        place = 31 - place if index % 2 else place
        disc = (y - 12) ** 2 + (x - place) ** 2 < 25
        colours = np.array([220, 120 - 40 * index, 40.0])[: len(layout.variables)]
        sequences.append(np.where(disc[..., None], colours, 30 + 2.0 * y[..., None]).astype(np.float32))
    return Film(layout, sequences, [0.0] * len(lengths), layout.step)


def write_store(path, test: Held, starts, members: int, leads: int) -> None:
    """A forecast that is the truth with an error of its own for each member."""
    layout, noise = test.layout, np.random.default_rng(0)
    truth = np.stack([test.frames[s][f : f + leads] for s, f in starts])[:, None]
    error = noise.normal(size=(len(starts), members, leads, *layout.shape)) * (8 if layout.is_video else 0.2)
    forecast = truth + error
    first = "time" if layout.has_calendar else "start"
    lead = np.arange(1, leads + 1) * layout.step
    last = np.array([test.times(s, f - 1, f)[0] for s, f in starts])
    coordinates = {
        first: last if layout.has_calendar else np.arange(len(starts)),
        "time": (first, last),
        "number": np.arange(members),
        "prediction_timedelta": (np.arange(1, leads + 1) * HOUR) if layout.has_calendar else lead,
        layout.y.name: list(layout.y.values),
        layout.x.name: list(layout.x.values),
        "sequence": (first, [s for s, _ in starts]),
        "frame": (first, [f for _, f in starts]),
    }
    dimensions = (first, "number", "prediction_timedelta", layout.y.name, layout.x.name)
    fields = {v.name: (dimensions, v.stored(forecast[..., i])) for i, v in enumerate(layout.variables)}
    xr.Dataset(fields, coords=coordinates).to_zarr(path, mode="w", zarr_format=3, consolidated=False)


def curve(unit="1", low=0.1, **more) -> dict:
    leads = np.arange(1, LEADS + 1)
    return {"unit": unit, "leads": leads.tolist(), "model": (low * leads).tolist()} | more


def sure(unit="1", low=0.1, **more) -> dict:
    """A curve with an interval of a few percent."""
    values = curve(unit, low)["model"]
    return curve(unit, low) | {"low": [0.97 * v for v in values], "high": [1.03 * v for v in values]} | more


def evaluation_of(entries: dict) -> Evaluation:
    """Of entries as they are in `evaluation.json`, with what the project's own metrics say of themselves."""
    scores = {name: {v: decoded(v, entry) for v, entry in found.items()} for name, found in entries.items()}
    return Evaluation(scores=scores, abouts={name: ABOUTS[name] for name in entries if name in ABOUTS})


def write_scores(path: Path, entries: dict) -> None:
    write(evaluation_of(entries), path)


def spectrum() -> dict:
    energy = [1.0, 0.5, 0.1, 0.01]
    return {"unit": "1", "wavenumber": [1, 2, 3, 4], "model": energy, "reference": energy[::-1]}


def lasting(ages: Sequence[float], horizon: int) -> dict:
    """The scores of how long rollouts last."""
    one = lambda value, **more: {"unit": "frames", "horizon": [horizon], "model": [value]} | more  # noqa: E731
    return {
        "lasts": {
            "median": one(sorted(ages)[len(ages) // 2], low=[min(ages)], high=[max(ages)]),
            "one_in_ten": one(min(ages)),
            "each": {"unit": "frames", "rollout": list(range(1, len(ages) + 1)), "model": list(ages)},
            "by_statistic": {
                "unit": "frames",
                "statistic": ["mean", "power_1"][: len(ages)],
                "model": ages[:2],
            },
        },
        "survival": {"rollouts": curve(reference=[1.0, 0.97, 0.97, None, None, None])},
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clocks:
    """Clocks that run from `a` to `b`. A second sentence."""

    size: int = 8
    rate: float = 0.1
    inner: object = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    name: str = "weather <b>"
    window: object = Clocks(inner=Clocks(size=3))
    calls: int = 2


def write_rich(run: Path) -> Held:
    """A run with everything: members, two variables, a long rollout, a log with a torn last line."""
    test = weather()
    write_store(run / "forecast.zarr", test, [(0, 2), (0, 4), (1, 3)], members=3, leads=LEADS)
    write_store(run / "long.zarr", test, [(0, 2)], members=1, leads=9)
    baselines = {"persistence": [0.5] * LEADS, "climatology": [0.35, None, 0.35, 0.35, 0.35, 0.35]}
    evaluation = {
        "rmse": {"t2m": sure("K", **baselines), "u10": sure("m s-1", 0.9, **baselines)},
        "member_rmse": {"t2m": curve("K", 0.14)},
        "crps": {"t2m": curve("K", 0.05)},
        "spread_skill_ratio": {"t2m": curve(low=0.3), "u10": curve(low=0.2)},
        "rank_histogram": {"t2m": {"unit": "1", "rank": [1, 2, 3, 4], "model": [0.2, 0.3, 0.3, 0.2]}},
        "energy_spectrum": {"t2m": spectrum(), "kinetic_energy": spectrum()},
        "energy_spectrum_leads_1_to_2": {"t2m": spectrum()},
        "energy_spectrum_leads_6_to_6": {"t2m": spectrum()},
        "vorticity_correlation_time": {"vorticity": {"unit": "hours", "threshold": [0.8], "model": [4.2]}},
        "my_own_measure": {"t2m": curve()},
    }
    write_scores(run / "evaluation.json", evaluation)
    long = {
        "standard_deviation": {"t2m": curve("K", reference=[1.0] * LEADS)},
        "cumulative_standard_deviation": {"t2m": curve("K", reference=[0.5] * LEADS)},
        "rmse": {"t2m": curve("K")},
        **lasting([34.0, 300.0, 300.0, 120.0], 300),
        "drift_contrast": {
            "t2m": curve("K", reference=[0.3] * LEADS, least=[0.2] * LEADS, most=[0.4] * LEADS)
        },
    }
    write_scores(run / "evaluation-long.json", long)
    log = [json.dumps({"step": i, "loss": 1 / i}) for i in range(1, 40)]
    (run / "log.jsonl").write_text("\n".join([*log, '{"phase": "done"}', '{"step": 40, "lo']))
    return test


def write_film(run: Path, test: Held | None = None, starts=((0, 3), (1, 3), (2, 3))) -> Held:
    """A run on pictures: three members, scores of frames over leads, distances of sets with intervals."""
    test = test or film()
    write_store(run / "forecast.zarr", test, list(starts), members=3, leads=LEADS)
    write_store(run / "long.zarr", test, [tuple(starts[0])], members=1, leads=11)
    leads = (test.layout.step * np.arange(1, LEADS + 1)).tolist()
    falling = lambda first: (first - 1.5 * np.arange(LEADS)).tolist()  # noqa: E731
    frames = lambda unit, model, other: {  # noqa: E731
        "unit": unit, "leads": leads, "model": model, "persistence": other,
    }  # fmt: skip
    sure = {"low": falling(29.7), "high": falling(30.3)}
    distance = {"unit": "1", "leads": leads[-1:], "model": [3.1], "persistence": [41.0], "low": [2.2]}
    half = {**distance, "model": [5.2], "reference": [4.4], "low": [3.9], "high": [6.4]}
    evaluation = {
        "psnr": {"frame": frames("dB", falling(30), [31.0, *falling(27)[1:]]) | sure},
        "best_psnr": {"frame": frames("dB", falling(32), falling(27))},
        "ssim": {"frame": frames("1", [0.9 - 0.05 * i for i in range(LEADS)], [0.6] * LEADS)},
        "rmse": {"pixel": frames("1", [8.0 + i for i in range(LEADS)], [20.0] * LEADS)},
        "spread_skill_ratio": {"pixel": frames("1", [0.8] * LEADS, [None] * LEADS)},
        "spectral_frechet_distance": {"clips": {**distance, "high": [4.0]}, "half": half},
    }
    write_scores(run / "evaluation.json", evaluation)
    long = {
        "spectral_frechet_distance": {
            "clips": {
                "unit": "1", "leads": leads, "model": [3.0 + i for i in range(LEADS)],
                "low": [2.0 + i for i in range(LEADS)], "high": [4.5 + i for i in range(LEADS)],
                "persistence": [40.0] * LEADS,
            },
            "half": {
                "unit": "1", "leads": leads, "model": [5.0 + i for i in range(LEADS)],
                "low": [4.0 + i for i in range(LEADS)], "high": [6.5 + i for i in range(LEADS)],
                "reference": [4.0] * LEADS,
            },
        },
    }  # fmt: skip
    write_scores(run / "evaluation-long.json", long)
    return test


def write_plain(run: Path) -> Held:
    """A run with as little as there can be: one variable, one member, one metric."""
    test = box()
    write_store(run / "forecast.zarr", test, [(0, 2), (0, 9)], members=1, leads=LEADS)
    write_scores(run / "evaluation.json", {"rmse": {"vorticity": curve()}})
    return test
