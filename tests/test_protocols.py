"""Published protocols: their arithmetic, their forecasts on miniatures, what is said of departures."""

import dataclasses
import json
import re

import h5py
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.configs import acdm_inc, acdm_tra, apebench, pdebench, the_well
from rolling.data.simulations import Simulations
from rolling.metrics.protocol import Score
from rolling.metrics.scaled_errors import Nrmse, Vrmse
from rolling.protocols import AcdmTransonic, APEBenchNrmse, PDEBenchNrmse, TheWellVrmse
from rolling.protocols.protocol import Column
from rolling.protocols.vrmse_of_the_well import METHODS, REPORTED, SHAPES
from rolling.run.cli import main
from rolling.run.evaluation.protocol_tables import table_of, tables_in
from tests import archive_files, test_archive_acdm, test_archive_apebench, test_archive_pdebench

SMALL = (
    "--network.channels 8 --network.blocks 1 --network.heads 2 --network.embedding 16 --window.size 6"
    " --training.steps 2 --training.batch 4 --forecast.frames 3 --forecast.starts 2 --forecast.members 2"
    " --metrics vrmse --protocols.0.members 2"
)


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
        ({"power": 2}, (1 + 4 + 16 + 9 + 16 + 144) / 6),
        ({"leads": "sum", "variables": "sum"}, 26.0),
        ({"leads": "geometric mean", "last": 2}, (2**0.5 + 12**0.5) / 2),
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


@pytest.mark.slow
def test_the_table_stands_in_the_report_and_is_made_of_any_run(well, capsys):
    run = well / "the_well"
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Published protocols" in page and "CNextU-net: as printed in PolymathicAI/the_well" in page
    assert "Not comparable: frames have 4 x 6 cells" in page and "this run, mean of the 2 members" in page
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


MINIATURES = {
    "PDEBench": (pdebench, lambda place: test_archive_pdebench.flow(place / "x.hdf5", 2, count=4)),
    "APEBench": (apebench, lambda place: test_archive_apebench.scenario(place, name="x")),
    "ACDM": (acdm_tra, lambda place: test_archive_acdm.transonic(place / "128_tra")),
}


@pytest.mark.parametrize("kind", MINIATURES)
def test_protocols_of_an_archive_find_nothing_to_say_of_it(kind, tmp_path):
    """As the presets read it."""
    preset, make = MINIATURES[kind]
    make(tmp_path)
    path = tmp_path / "128_tra" if kind == "ACDM" else tmp_path
    source = dataclasses.replace(preset.experiment.source, path=str(path))
    (protocol,) = preset.experiment.protocols
    assert list(protocol.departures(source, source.open().test)) == []


def test_presets_are_scored_by_the_protocol_they_are_named_after():
    kinds = {
        "the_well": (the_well, TheWellVrmse, 4),
        "pdebench": (pdebench, PDEBenchNrmse, 10),
        "apebench": (apebench, APEBenchNrmse, 1),
        "acdm_tra": (acdm_tra, AcdmTransonic, 2),
        "acdm_inc": (acdm_inc, None, 2),
    }
    for name, (preset, kind, given) in kinds.items():
        (protocol,) = preset.experiment.protocols
        assert preset.experiment.name == name and (kind is None or isinstance(protocol, kind))
        assert preset.experiment.given <= protocol.given == given
        assert len({asked.name for asked in protocol.asked()}) == len(protocol.asked())


def test_apebench_sums_over_channels_and_takes_a_geometric_mean():
    asked = APEBenchNrmse().asked()[0]
    curve = np.exp(np.linspace(0, 1, 200))
    scores = (score("a", curve), score("b", curve))
    by_title = {column.title: column.value(scores) for column in asked.columns}
    np.testing.assert_allclose(by_title["step 1"], 2.0)
    np.testing.assert_allclose(by_title["step 200"], 2 * np.e)
    np.testing.assert_allclose(by_title["geometric mean of 100"], 2 * np.exp(99 / 199 / 2))
    assert asked.metrics == (Nrmse(), Nrmse(member="each"))
