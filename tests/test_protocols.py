"""Published protocols: their arithmetic, their forecasts on miniatures, what is said of departures."""

import dataclasses
import json
import re

import h5py
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.configs import (
    acdm_inc,
    acdm_tra,
    apebench,
    dyffusion_ns,
    pde_refiner,
    pdearena,
    pdearena_conditioned,
    pdearena_shallow_water_day,
    pdearena_shallow_water_two_days,
    pdebench,
    the_well,
)
from rolling.data.simulations import Simulations
from rolling.data.simulations.archives import NnBenchmark
from rolling.data.source import SequencesBase
from rolling.metrics.protocol import EvaluationSetup, Sample, Score
from rolling.metrics.scaled_errors import Nrmse, Vrmse
from rolling.protocols import (
    AcdmIncompressible,
    AcdmTransonic,
    APEBenchNrmse,
    DyffusionFlows,
    PDEArenaConditionedMse,
    PDEArenaMse,
    PDEArenaShallowWaterDay,
    PDEArenaShallowWaterTwoDays,
    PDEBenchNrmse,
    PdeRefinerCorrelation,
    TheWellVrmse,
)
from rolling.protocols.errors_of_pdearena import PairsMse
from rolling.protocols.protocol import Column
from rolling.protocols.vrmse_of_the_well import METHODS, REPORTED, SHAPES
from rolling.run.cli import main
from rolling.run.evaluation.by_protocol import plan_of, sequences_of
from rolling.run.evaluation.protocol_tables import table_of, table_of_runs, tables_in
from rolling.run.experiment import Forecast
from tests import (
    archive_files,
    test_archive_acdm,
    test_archive_labelled,
    test_archive_nn_benchmark,
    test_archive_pdearena,
    test_verification,
)
from tests.protocol_tools import SMALL, miniature


def score(variable, values, **more):
    values = np.array(values, float)
    return Score(
        variable=variable,
        units="1",
        axis="lead",
        coordinate=np.arange(1, len(values) + 1),
        values=values,
        **more,
    )


TWO = (score("u", [1.0, 2.0, 4.0]), score("v", [3.0, 4.0, 12.0], baselines={"persistence": np.ones(3)}))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ({"last": 1}, 2.0),
        ({"first": 2, "last": 3}, 5.5),
        ({"first": 2}, 5.5),
        ({"variables": "sum"}, 26 / 3),
        ({"given": 2}, (1 + 2 + 4 + 3 + 4 + 12) / 2 / 5),
        ({"given": 2, "leads": "sum"}, 13.0),
        ({"power": 2}, (1 + 4 + 16 + 9 + 16 + 144) / 6),
        ({"leads": "sum", "variables": "sum"}, 26.0),
        ({"leads": "geometric mean", "last": 2}, (2**0.5 + 12**0.5) / 2),
        ({"fields": ("v",)}, 19 / 3),
        ({"fields": ("v", "u"), "variables": "sum"}, 26 / 3),
        ({"above": 3.0}, 1.5),
        ({"above": 3.0, "first": 3, "variables": "sum"}, 2.0),
        ({"above": 20.0}, 0.0),
        ({"above": 1.0, "last": 4}, np.nan),
        ({"last": 4}, np.nan),
        ({"first": 4}, np.nan),
    ],
)
def test_a_column_is_what_it_says(column, value):
    column = Column(title="", metric=Vrmse(), **column)
    np.testing.assert_allclose(column.value(TWO), value)


def test_a_baseline_that_some_variable_lacks_has_no_number():
    column = Column(title="", metric=Vrmse())
    assert np.isnan(column.value(TWO, "persistence")) and column.value(TWO[1:], "persistence") == 1
    assert np.isnan(column.value(()))


def test_the_interval_is_that_of_the_mean_over_blocks():
    """Of independent blocks the jackknife of a mean is the standard error of the mean: Student's interval."""
    values = np.array([1.0, 2.0, 4.0, 5.0])
    without = tuple(score("u", [np.delete(values, i).mean()]) for i in range(4))
    low, high = Column(title="", metric=Vrmse(), last=1).bounds(
        [score("u", [values.mean()], without=without)]
    )
    half = 3.18244631 * values.std(ddof=1) / 2
    np.testing.assert_allclose([low, high], [3 - half, 3 + half], rtol=1e-6)


@pytest.fixture(scope="module")
def well(tmp_path_factory):
    folder = tmp_path_factory.mktemp("protocols")
    archive_files.the_well(folder / "shear_flow", vectors=False)
    words = ["--folder", str(folder), "--source.path", str(folder / "shear_flow"), *SMALL.split()]
    assert main(["run", "the_well", *words]) == 0
    return folder


def vrmse(first, second):
    """As PolymathicAI/the_well computes it, of single frames."""
    return np.sqrt(np.mean((first - second) ** 2) / (np.var(second, ddof=1) + 1e-7))


@pytest.mark.slow
def test_persistence_stands_beside_the_published_rows(well):
    """Its numbers from the files by other means, and those of others as they were printed."""
    found = json.loads((well / "the_well" / "protocol-the_well_vrmse.json").read_text(encoding="utf-8"))
    one = []
    for file in sorted((well / "shear_flow" / "data" / "test").iterdir()):
        with h5py.File(file) as held:
            density = np.asarray(held["t0_fields/density"], float)
            profile = np.asarray(held["t0_fields/profile"], float)  # which does not vary along y
        for x in (*density, *np.broadcast_to(profile[..., None], density.shape)):
            one += [vrmse(x[i - 1], x[i]) for i in range(4, 12)]
    rows = {row["name"]: row["values"] for row in found["rows"]}
    np.testing.assert_allclose(rows["persistence"][0], np.mean(one), rtol=1e-6)
    assert rows["persistence"][1:] == [None, None]  # 12 frames are too few for step 12
    assert rows.keys() == {"mean of the members", "one member", "persistence", "climatology"}
    assert all(rows[name][0] > 0 for name in rows)
    assert found["columns"] == ["one step", "steps 6 to 12", "steps 13 to 30"]
    assert found["published"][1]["numbers"] == ["0.1348", "1.63", "> 10"]
    assert found["departures"] == ["frames have 4 x 6 cells, and those of shear_flow 128 x 256"]
    assert found["notes"] == [
        "Held-out sequences end after 8 of the 30 frames of a forecast (roll-outs), too early for steps 6"
        " to 12, steps 13 to 30"
    ]


@pytest.mark.slow
def test_the_table_stands_in_the_report_and_is_made_of_any_run(well, capsys):
    run = well / "the_well"
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Published protocols" in page and "CNextU-net: as printed in PolymathicAI/the_well" in page
    assert "Not comparable: frames have 4 x 6 cells" in page and "this run, mean of the 2 members" in page
    assert "end after 8 of the 30 frames of a forecast (roll-outs), too early for steps 6 to 12" in page
    (run / "protocol-the_well_vrmse.json").unlink()
    assert main(["benchmark", str(run)]) == 0  # the stores are there
    assert "FNO, TFNO, U-net, CNextU-net: as printed in PolymathicAI/the_well" in capsys.readouterr().out
    assert [len(table.rows) for table in tables_in(run)] == [8]
    words = ["--protocols", "the_well_vrmse,pdebench_nrmse", "--protocols.0.members", "2"]
    assert main(["benchmark", str(run), *words, "--protocols.0.starts", "3"]) == 2
    assert "holds another forecast" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.slow
def test_fewer_starts_and_other_data_are_departures(well, capsys):
    run = well / "the_well"
    words = ["--protocols", "pdebench_nrmse", "--protocols.0.members", "1", "--protocols.0.starts", "3"]
    assert main(["benchmark", str(run), *words]) == 0
    said = capsys.readouterr().out
    assert "Not comparable: the data are laid out as those of TheWell; 3 of 4 starts are scored" in said


def test_a_damaged_table_is_told(tmp_path):
    (tmp_path / "protocol-x.json").write_text('{"columns": 3}')
    with pytest.raises(InputError, match=r"protocol-x\.json cannot be read .* `rolling benchmark"):
        tables_in(tmp_path)


def test_a_table_without_departures_is_not_headed_so():
    rows = [{"name": "one member", "values": [1.0], "low": [0.5], "high": [1.5]}]
    content = {"title": "T", "members": 4, "departures": [], "columns": ["a"], "rows": rows, "published": []}
    table = table_of(content)
    assert table.caption == "T." and table.rows[0][0] == "this run, one member"
    assert table.rows[0][1][0].text == "1.00 ± 0.50"


def test_the_mean_of_runs_stands_below_them():
    def content(name, value, last=None):
        rows = [
            {"name": "persistence", "values": [9.0, 8.0], "low": [8.5, None], "high": [9.5, None]},
            {"name": "mean of the members", "values": [value, last], "low": [None] * 2, "high": [None] * 2},
        ]
        return {
            "title": "T",
            "members": 5,
            "departures": ["all is other", f"{name} is"],
            "notes": ["N"],
            "columns": ["a", "b"],
            "rows": rows,
            "published": [{"name": "P", "numbers": ["3", "4"], "source": "S"}],
        }

    table = table_of_runs({"x": content("x", 1.0, 2.0), "y": content("y", 2.0), "z": content("z", 6.0, 3.0)})
    assert table.caption == (
        "T. Not comparable: all is other; x is; y is; z is. N. ± is half of a 95 % interval for a run, and"
        " the standard deviation for 3 runs. P: as printed in S."
    )
    rows = {name: [cell.text for cell in cells] for name, cells in table.rows}
    assert [*rows] == [
        "P",
        *(f"{run}, mean of the 5 members" for run in "xyz"),
        "mean of 3 runs, mean of the 5 members",
        "persistence",
    ]
    assert rows["y, mean of the 5 members"] == ["2", "–"]
    assert rows["mean of 3 runs, mean of the 5 members"] == ["3.0 ± 2.6", "–"]  # the root of (4 + 1 + 9) / 2
    assert rows["persistence"] == ["9.00 ± 0.50", "8"]


class Lengths(SequencesBase):
    """Sequences of which only the lengths are known."""

    def __init__(self, *lengths):
        self.lengths = lengths

    def __len__(self):
        return len(self.lengths)

    def length(self, index):
        return self.lengths[index]


class Numbered(Lengths):
    """Sequences with names, whose frames are numbered."""

    def __init__(self, names, lengths):
        super().__init__(*lengths)
        self.names = names

    def name(self, index):
        return self.names[index]

    def read(self, index, start, stop):
        return np.arange(start, stop)


@pytest.mark.parametrize(
    ("lengths", "frames", "said"),
    [
        ((60, 70), 58, []),
        (
            (60, 59, 60),
            58,
            ["1 of 3 held-out sequences end before a forecast of 58 frames does (low-reynolds)"],
        ),
        ((12, 12), 10, ["forecasts are of 10 frames, not 58, as sequences end (low-reynolds)"]),
    ],
)
def test_sequences_that_end_early_are_departures(lengths, frames, said):
    protocol = AcdmIncompressible()
    asked = protocol.asked()[0]
    plan = plan_of(Forecast(), protocol, asked, Lengths(*lengths))
    assert plan.forecast.frames == frames and list(plan.departures(asked)) == said


def test_sequences_are_cut_one_after_the_other():
    """As of the frames 500 to 749 of a simulation every second is used, in sequences of 60: two of them."""
    (asked, *_) = AcdmTransonic().asked()
    test = Numbered(names=("a/000000", "a/000014", "a/000001", "a/000002"), lengths=(125, 500, 59, 121))
    found = sequences_of(asked, test)
    assert [found.name(i) for i in range(len(found))] == ["a/000000"] * 2 + ["a/000001"] + ["a/000002"] * 2
    assert [found.length(i) for i in range(len(found))] == [60, 60, 59, 60, 60]
    assert found.read(1, 0, 60).tolist() == [*range(60, 120)]
    assert sequences_of(PDEArenaMse().asked()[0], test) is test
    with pytest.raises(InputError, match="no held-out sequence is called 000000, as this protocol asks for"):
        sequences_of(asked, Numbered(names=("a",), lengths=(9,)))


def test_obstacles_that_are_left_out_depart(tmp_path):
    source = Simulations(path=str(test_archive_acdm.transonic(tmp_path / "128_tra")), every=2)
    changed = dataclasses.replace(source, constants=False, cache=str(tmp_path / "cache"))
    (said,) = AcdmTransonic().departures(changed, changed.open().test)
    assert said == "cells in an obstacle are compared, as constant fields are left out"


def test_published_rows_have_a_number_for_every_method_and_column():
    assert REPORTED.keys() == SHAPES.keys()
    for name in REPORTED:
        found = TheWellVrmse().published(Simulations(path=f"somewhere/{name}/data"))
        assert [row.name for row in found] == list(METHODS)
        assert all(re.fullmatch(r"–|(> )?\d+(\.\d+)?", n) for row in found for n in row.numbers.values())
    assert TheWellVrmse().published(Simulations(path="somewhere/else")) == ()


def test_what_is_coarsened_or_left_out_departs(tmp_path):
    archive_files.the_well(tmp_path / "active_matter")
    source = Simulations(path=str(tmp_path / "active_matter"))
    changed = dataclasses.replace(source, coarsen=2, every=3, skip=1, variables=("density",))
    said = "; ".join(TheWellVrmse().departures(changed, changed.open().test))
    for words in ("blocks of 2 cells", "every third frame is used", "first 1 frames", "only density"):
        assert words in said


@pytest.mark.parametrize("preset", [pdebench, apebench, acdm_tra], ids=lambda preset: preset.experiment.name)
def test_protocols_of_an_archive_find_nothing_to_say_of_it(preset, tmp_path):
    """As the presets read it."""
    if preset is acdm_tra:  # the whole of it are 5,000 files
        path = test_archive_acdm.transonic(tmp_path / "128_tra")
    else:
        path = miniature(preset.experiment.name, tmp_path)
    source = dataclasses.replace(preset.experiment.source, path=str(path))
    (protocol,) = preset.experiment.protocols
    assert list(protocol.departures(source, source.open().test)) == []


def test_other_data_of_the_same_archive_depart(tmp_path):
    """Smoke of several buoyancies, fields on a line, springs, another distribution."""
    test_archive_pdearena.smoke(tmp_path / "smoke")
    test_archive_pdearena.line(tmp_path / "line")
    test_archive_nn_benchmark.flows(tmp_path)
    test_archive_nn_benchmark.springs(tmp_path / "springs" / "runs_train-n1", 1, 0)
    test_archive_nn_benchmark.springs(tmp_path / "springs" / "runs_eval-n1", 1, 1)
    flows = tmp_path / "navier-stokes-multi"
    for protocol, source, words in (
        (PDEArenaMse(), Simulations(path=str(tmp_path / "smoke")), "is that of another protocol"),
        (PDEArenaMse(), Simulations(path=str(tmp_path / "line")), "the fields are u, not u, vx, vy"),
        (
            PDEArenaConditionedMse(),
            Simulations(path=str(tmp_path / "smoke"), parameters=("none",)),
            "the network is not told different buoyancies",
        ),
        (PDEArenaConditionedMse(), Simulations(path=str(tmp_path / "line")), "the fields are u, not u, vx"),
        (PdeRefinerCorrelation(), Simulations(path=str(tmp_path / "smoke"), every=4), "one field on a line"),
        (PdeRefinerCorrelation(), Simulations(path=str(tmp_path / "line")), "every single frame is used"),
        (DyffusionFlows(), Simulations(path=str(tmp_path / "springs")), "the fields are momentum_x"),
        (
            DyffusionFlows(),
            Simulations(path=str(flows), archive=NnBenchmark(outdist=True)),
            "of another distribution",
        ),
    ):
        (said,) = protocol.departures(source, source.open().test)
        assert words in said


def test_presets_are_scored_by_the_protocol_they_are_named_after():
    kinds = {
        "the_well": (the_well, TheWellVrmse, 4),
        "pdebench": (pdebench, PDEBenchNrmse, 10),
        "apebench": (apebench, APEBenchNrmse, 1),
        "acdm_tra": (acdm_tra, AcdmTransonic, 2),
        "acdm_inc": (acdm_inc, AcdmIncompressible, 2),
        "pdearena": (pdearena, PDEArenaMse, 4),
        "pdearena_conditioned": (pdearena_conditioned, PDEArenaConditionedMse, 1),
        "pdearena_shallow_water_day": (pdearena_shallow_water_day, PDEArenaShallowWaterDay, 2),
        "pdearena_shallow_water_two_days": (pdearena_shallow_water_two_days, PDEArenaShallowWaterTwoDays, 2),
        "pde_refiner": (pde_refiner, PdeRefinerCorrelation, 1),
        "dyffusion_ns": (dyffusion_ns, DyffusionFlows, 1),
    }
    for name, (preset, kind, given) in kinds.items():
        (protocol,) = preset.experiment.protocols
        assert preset.experiment.name == name and isinstance(protocol, kind)
        assert preset.experiment.given_frames <= protocol.given == given
        assert len({asked.name for asked in protocol.asked()}) == len(protocol.asked())


def test_shallow_water_begins_with_the_fifth_frame(tmp_path):
    """By the day it is every fourth from there on; other frames and fields depart."""
    for part, (first, count) in test_archive_labelled.PARTS.items():
        globe = test_archive_labelled.globe(first, count, frames=30)[["pres", "u", "v"]]
        test_archive_labelled.write(globe.assign(vor=2 * globe["u"]), tmp_path / f"{part}.nc")
    source = dataclasses.replace(pdearena_shallow_water_day.experiment.source, path=str(tmp_path))
    test = source.open().test
    np.testing.assert_allclose(test.times(0, 0, 3), [1, 2, 3])  # in days, four frames each
    assert test.length(0) == 7 and test.layout.names == ("pres", "u", "v")
    protocol = PDEArenaShallowWaterDay()
    assert list(protocol.departures(source, test)) == []
    plain = Simulations(path=str(tmp_path))
    assert list(protocol.departures(plain, plain.open().test)) == [
        "every single frame is used, not every 4th",
        "the first 0 frames of each trajectory are left out, not 4",
        "the fields are pres, u, v, vor, not pres, u, v",
    ]
    assert list(PDEArenaShallowWaterTwoDays().departures(source, test)) == [
        "every 4th frame is used, not every 8th"
    ]


@pytest.mark.parametrize("lead", [1, 2, 3, 8])
def test_later_frames_weigh_more_in_pdearena(lead):
    """By its loops: from each frame on every so many-th one is taken, and all neighbours count."""
    grid = test_verification.layout(variables=("u", "vx"))
    length = 11
    rng = np.random.default_rng(0)
    truth, made = rng.normal(size=(length, *grid.shape)), rng.normal(size=(length, lead, *grid.shape))
    errors = []
    for begin in range(length - lead):
        frames = range(length)[begin::lead]
        for last in frames[:-1]:
            errors.append(((made[last, lead - 1] - truth[last + lead]) ** 2).mean(axis=(0, 1)))
    metric = PairsMse()
    setup = EvaluationSetup(layout=grid, leads=lead, members=1)
    state = metric.start(setup)
    for last in range(length - lead):
        for first in range(lead):  # one lead at a time
            frames = truth[last + 1 + first : last + 2 + first]
            sample = Sample(
                first=first,
                forecast=made[None, last, first : first + 1],
                truth=frames,
                climatology=frames,
                given=truth[last : last + 1],
                frame=last + 1,
            )
            state = metric.update(state, sample)
    found = [score.values[lead - 1] for score in metric.result(state)]
    np.testing.assert_allclose(found, np.mean(errors, axis=0), rtol=1e-12)
    assert metric.name == "pairs_mse" and PairsMse(member="each").name == "pairs_mse_of_members"


def test_apebench_sums_over_channels_and_takes_a_geometric_mean():
    asked = APEBenchNrmse().asked()[0]
    curve = np.exp(np.linspace(0, 1, 200))
    scores = (score("a", curve), score("b", curve))
    by_title = {column.title: column.value(scores) for column in asked.columns}
    np.testing.assert_allclose(by_title["step 1"], 2.0)
    np.testing.assert_allclose(by_title["step 200"], 2 * np.e)
    np.testing.assert_allclose(by_title["geometric mean of 100"], 2 * np.exp(99 / 199 / 2))
    assert asked.metrics == (Nrmse(), Nrmse(member="each"))
