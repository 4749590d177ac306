"""LSiM: the original's own numbers, what its distance is invariant to, and its file of weights."""

import dataclasses
import io
import itertools
import json
import sys
import types

import jax
import numpy as np
import pytest
from flax import nnx

from rolling.common import terminal
from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.layout import Covariate, Layout, Variable, video
from rolling.metrics.protocol import EvaluationSetup, Resampled, Sample
from rolling.metrics.sums import Sums
from rolling.physics import lsim
from rolling.physics.lsim import Lsim, distances
from rolling.physics.lsim_network import LSIM_WEIGHTS, LsimNetwork
from rolling.protocols import AcdmTransonic
from rolling.protocols.protocol import Column
from rolling.run.cli import main
from tests import compilation, test_archive_acdm
from tests.lsim_arrays import arrays, fields
from tests.protocol_tools import SMALL

HEIGHT, WIDTH, LEADS = 44, 52, 3


def layout(height=HEIGHT, width=WIDTH, constants=("depth", "obstacle_mask")):
    return Layout(
        variables=(Variable(name="u", units="m/s"), Variable(name="p")),
        axes=tuple(Axis(name=n, values=tuple(np.arange(s) * 1.0)) for n, s in (("y", height), ("x", width))),
        constants=tuple(Covariate(name=name) for name in constants),
    )


def sequences():
    """`given [2, y, x, v]`, `truth [3, y, x, v]`, `forecast [2, 3, y, x, v]`, `obstacle [y, x]`."""
    true, first, second = (
        np.stack([fields(5, HEIGHT, WIDTH, phase + late) for phase in (0, 2)], axis=-1)
        for late in (0, 0.3, 0.9)
    )
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    obstacle = ((x - 15) ** 2 + (y - 20) ** 2 > 50).astype(np.float32)
    return true[:2] - 100, true[2:] - 100, np.stack([first, second])[:, 2:], obstacle


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("lsim") / "lsim.npz"
    np.savez(path, other=np.zeros(3), **arrays())
    return path


@pytest.fixture
def named(weights, monkeypatch):
    monkeypatch.setenv(LSIM_WEIGHTS.variable, str(weights))
    lsim.network.cache_clear()
    terminal.tell.cache_clear()
    yield
    lsim.network.cache_clear()
    terminal.tell.cache_clear()


@pytest.fixture(scope="module")
def between():
    graph, state = nnx.split(LsimNetwork(arrays()))
    return lambda fields: np.asarray(distances(graph, state, fields))


def setup(**changes):
    return EvaluationSetup(layout=changes.pop("layout", layout()), leads=LEADS, members=2, given=2, **changes)


def sample(**changes):
    given, truth, forecast, obstacle = sequences()
    constants = np.stack([np.full_like(obstacle, 7), obstacle], axis=-1)
    known = {"given": given, "truth": truth, "forecast": forecast, "constants": constants}
    return Sample(first=0, climatology=truth, **(known | changes))


def curves(metric, whole, cuts=(0, LEADS), **changes):
    """`[lead, variable]` of a start that comes in blocks of leads."""
    state = metric.start(setup(**changes))
    for a, b in itertools.pairwise(cuts):
        block = dataclasses.replace(whole, first=a, truth=whole.truth[a:b], forecast=whole.forecast[:, a:b])
        state = metric.update(state, block)
    return np.stack([score.values for score in metric.result(state)], axis=-1)


# By PyTorch 2.13 in double precision: a network of the sizes of LSIM/distance_model.py and base_models.py in
# tum-pbs/autoreg-pde-diffusion with the weights of `arrays()`, asked for `fields(4, *size)`.
PAIRS = {
    (224, 224): [6.26910081, 10.35579158, 12.74945634],
    (128, 64): [3.62715378, 6.49638843, 8.79762679],
    (44, 60): [2.29613051, 4.24123332, 5.68959607],
}
# The same of `sequences()`, x before y, multiplied by the obstacle, each scaled as turbpred/loss.py does:
# of both members and of their mean, by lead and variable.
SEQUENCES = {
    "first": [[6.21188631, 5.69513271], [6.19392707, 5.73685131], [6.14794184, 5.81723217]],
    "second": [[6.58956598, 6.34228046], [6.54096327, 6.42927249], [6.44135491, 6.57163073]],
    "mean": [[6.46590169, 6.08774856], [6.42833053, 6.15823694], [6.32796209, 6.24642435]],
}


@pytest.mark.parametrize("size", PAIRS)
def test_distances_are_those_of_the_original(between, size):
    np.testing.assert_allclose(between(fields(4, *size)), PAIRS[size], rtol=1e-5)


@pytest.mark.parametrize("cuts", [(0, 3), (0, 1, 3)])
def test_sequences_are_scored_as_by_acdm(named, cuts):
    """However the leads of a start are handed over."""
    mean = curves(Lsim(obstacles="obstacle_mask"), sample(), cuts)
    np.testing.assert_allclose(mean, SEQUENCES["mean"], rtol=1e-5)
    each = curves(Lsim(obstacles="obstacle_mask", member="each"), sample(), cuts)
    expected = np.mean([SEQUENCES["first"], SEQUENCES["second"]], axis=0)
    np.testing.assert_allclose(each, expected, rtol=1e-5)
    assert isinstance(Lsim(), Resampled) and Lsim(member="each").name == "lsim_of_members"


def test_given_frames_and_obstacles_count(named):
    of_acdm = np.array(SEQUENCES["mean"])
    for metric, changes in (
        (Lsim(), {}),
        (Lsim(obstacles="obstacle_mask"), {"given": 2 * sample().given}),
    ):
        assert np.abs(curves(metric, sample(**changes)) - of_acdm).min() > 1e-3


def test_given_frames_have_a_share_of_the_mean_over_all(named, between):
    """The mean over all frames of sequences that are scaled as a whole, by other lines of numpy."""
    whole, metric = sample(), Lsim(obstacles="obstacle_mask", given=True)
    fluid, found = whole.constants[..., 1], []
    made = np.concatenate([whole.given, whole.forecast.mean(axis=0)])
    for channel in range(2):
        both = [x[..., channel] * fluid for x in (made, np.concatenate([whole.given, whole.truth]))]
        both = [255 * (x - x.min()) / (x.max() - x.min()) for x in both]
        found.append(
            [between(np.stack([x.T, y.T]).astype(np.float32))[0] for x, y in zip(*both, strict=True)]
        )
    assert np.shape(found) == (2, 5) and np.min(found) > 0
    scores = metric.result(metric.update(metric.start(setup()), whole))
    value = Column(title="", metric=metric, given=2).value(scores)
    np.testing.assert_allclose(value, np.mean(found), rtol=1e-5)


def test_it_is_a_distance(between):
    """Zero of equal fields, symmetric, not negative, and no detour is shorter: the features' distance is one
    of Euclid's, scaled."""
    a, b, c = fields(3, 60, 48)
    pair = lambda x, y: between(np.stack([x, y]))[0]  # noqa: E731
    assert pair(a, a) == 0 and pair(a, b) > 0
    np.testing.assert_allclose(pair(a, b), pair(b, a), rtol=1e-6)
    assert pair(a, c) <= pair(a, b) + pair(b, c)


def test_offset_and_scale_do_not_count(named):
    whole = sample()
    found = lsim.scaled(whole.forecast, None, None)
    assert found.min() == 0 and found.max() == 255
    np.testing.assert_allclose(lsim.scaled(3 * whole.forecast - 50, None, None), found, atol=1e-3)
    changed = {name: 3 * getattr(whole, name) - 50 for name in ("given", "truth", "forecast")}
    np.testing.assert_allclose(curves(Lsim(), sample(**changed)), curves(Lsim(), whole), rtol=1e-4)
    assert curves(Lsim(), sample(forecast=whole.truth[None])).max() == 0


def test_cells_without_data_and_constant_fields_are_zeros(named):
    whole, mask = sample(), np.ones((HEIGHT, WIDTH, 2), bool)
    mask[:9] = False
    holes = {name: np.where(mask, getattr(whole, name), np.nan) for name in ("given", "truth", "forecast")}
    found = curves(Lsim(), sample(**holes), mask=mask)
    filled = holes | {"forecast": np.where(mask, whole.forecast, 9)}
    np.testing.assert_allclose(found, curves(Lsim(), sample(**filled), mask=mask))
    still = {name: np.full_like(getattr(whole, name), 4) for name in ("given", "truth", "forecast")}
    assert (curves(Lsim(), sample(**still)) == 0).all()


def test_starts_in_parts_give_the_mean_over_all(named):
    metric, rng = Lsim(), np.random.default_rng(0)
    made = sample().forecast
    wholes = [sample(forecast=made + rng.normal(0, size, made.shape)) for size in (1, 30)]
    one = metric.start(setup())
    states = [metric.update(metric.start(setup()), whole) for whole in wholes]
    for whole in wholes:
        metric.update(one, whole)
    (both,) = metric.resample(states, np.ones((1, 2)))
    assert isinstance(both, Sums)
    for found, expected in zip(metric.result(both), metric.result(one), strict=True):
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-6)


def test_only_planes_of_enough_cells_are_compared(named, capsys):
    line = dataclasses.replace(layout(), axes=layout().axes[:1])
    assert Lsim().start(setup(layout=line)) is None
    assert Lsim().start(setup(layout=video(64, 64))) is None
    assert capsys.readouterr().err == ""
    assert Lsim().start(setup(layout=layout(43, 64))) is None
    assert capsys.readouterr().err.endswith("fields of 44 cells a side or more, not 43 x 64\n")


def test_obstacles_are_a_constant_field_of_the_data(named):
    with pytest.raises(InputError, match=r"obstacles is 'wall', and .* are depth, obstacle_mask: choose one"):
        Lsim(obstacles="wall").start(setup())
    without = curves(Lsim(obstacles="wall"), sample(constants=None), layout=layout(constants=()))
    np.testing.assert_array_equal(without, curves(Lsim(), sample()))


def test_without_the_file_it_is_left_out_and_says_so_once(monkeypatch, capsys):
    monkeypatch.delenv(LSIM_WEIGHTS.variable, raising=False)
    terminal.tell.cache_clear()
    assert Lsim().start(setup()) is None and Lsim(member="each").start(setup()) is None
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("lsim is left out")
    for words in (LSIM_WEIGHTS.source, "rolling weights lsim", LSIM_WEIGHTS.option, LSIM_WEIGHTS.variable):
        assert words in said


def changed(**arrays_of):
    found = arrays() | arrays_of
    content = io.BytesIO()
    np.savez(content, **{name: values for name, values in found.items() if values is not None})
    return content.getvalue()


def single():
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    return content.getvalue()


BAD = {
    "missing": (lambda: changed(**{"normM2.3": None}), "it has no array normM2.3"),
    "shape": (lambda: changed(**{"normM2.0": np.zeros((55, 27))}), r"normM2.0 has the shape \(55, 27\)"),
    "type": (lambda: changed(normCount=np.array(list("abcde"))), "normCount has the shape .* type <U1"),
    "objects": (lambda: changed(normCount=np.array([None] * 5)), "not a whole file"),
    "nan": (lambda: changed(**{"normM2.4": np.full((12, 12), np.nan)}), "normM2.4 has values that are not"),
    "range": (lambda: changed(normCount=np.full(5, 1e99)), "normCount has values that are not finite"),
    "small": (lambda: changed(normCount=np.arange(5)), "normCount has values below 2"),
    "large": (lambda: changed(more=np.zeros(10**7)), "it unpacks to 8"),
    "cut": (lambda: changed()[:100_000], "not a whole file"),
    "damaged": (lambda: changed().replace(arrays()["normM2.2"].tobytes(), bytes(576)), "not a whole file"),
    "single": (single, "not a whole file"),
    "pickle": (lambda: b"\x80\x02}q\x00.", "not a whole file"),
    "nothing": (lambda: b"", "not a whole file"),
}


@pytest.mark.parametrize("kind", BAD)
def test_another_file_is_refused_in_a_sentence(kind, tmp_path, monkeypatch):
    path, (make, words) = tmp_path / "file", BAD[kind]
    path.write_bytes(make())
    monkeypatch.setenv(LSIM_WEIGHTS.variable, str(path))
    with pytest.raises(InputError, match=words) as raised:
        LSIM_WEIGHTS.read()
    said = str(raised.value)
    assert said.startswith(f"{path} is not the file of lsim weights: ") and said.endswith(LSIM_WEIGHTS.how)
    assert "\n" not in said


def test_the_command_says_how_to_make_the_file_and_verifies_it(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(LSIM_WEIGHTS.variable, "")
    assert main(["weights", "lsim"]) == 0
    said = capsys.readouterr().out
    assert "weights_only=True" in said and LSIM_WEIGHTS.source in said and "no file is named" in said
    assert main(["weights", "lsim", LSIM_WEIGHTS.option, str(weights)]) == 0
    assert "the right file" in capsys.readouterr().out
    for path in (tmp_path / "none", tmp_path):
        assert main(["weights", "lsim", LSIM_WEIGHTS.option, str(path)]) == 2
        assert "cannot be read" in capsys.readouterr().err


def test_the_program_makes_the_file(tmp_path, monkeypatch):
    """Of what the published one holds, with a stand-in for torch."""
    of = lambda values: types.SimpleNamespace(detach=lambda: types.SimpleNamespace(numpy=lambda: values))  # noqa: E731
    known = arrays()
    saved = {
        "stateDict": {name: of(values) for name, values in known.items() if not name.startswith("norm")},
        "normAcc": [of(np.zeros(3))] * 5,
        "normM2": [of(known[f"normM2.{i}"]) for i in range(5)],
        "normCount": known["normCount"].astype(int).tolist(),
    }
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(load=lambda *_, **__: saved))
    monkeypatch.chdir(tmp_path)
    exec(LSIM_WEIGHTS.program, {})
    monkeypatch.setenv(LSIM_WEIGHTS.variable, "lsim.npz")
    found = LSIM_WEIGHTS.read()
    assert found.keys() == known.keys()
    assert all(np.array_equal(found[name], known[name]) for name in known)


def test_acdm_has_its_columns_with_the_weights_only(named, weights, monkeypatch, capsys):
    monkeypatch.setenv(LSIM_WEIGHTS.variable, "")
    terminal.tell.cache_clear()
    plain = AcdmTransonic().asked()
    assert capsys.readouterr().err.startswith("LSiM is left out")
    monkeypatch.setenv(LSIM_WEIGHTS.variable, str(weights))
    for one, more in zip(plain, AcdmTransonic().asked(), strict=True):
        first, *_ = titles = [column.title for column in more.columns]
        assert titles == [first, first, f"{first}, LSiM", f"{first}, LSiM"]
        assert {column.given for column in more.columns} == {2}
        assert more.columns[:2] == one.columns and dataclasses.replace(more, columns=one.columns) == one
        assert [m.name for m in more.metrics] == [
            *("mse", "mse_of_members"),
            *("lsim_with_given", "lsim_with_given_of_members"),
        ]
    lsim.network.cache_clear()
    monkeypatch.setenv(LSIM_WEIGHTS.variable, str(weights.parent))
    with pytest.raises(InputError, match="cannot be read"):
        AcdmTransonic().asked()  # before any forecast


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """A transonic flow of the fewest cells, with a simulation in each part."""
    folder = tmp_path_factory.mktemp("acdm") / "128_tra"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_archive_acdm, "SPACE", {"x": 48, "y": 44})
        for place, number in enumerate((3, 20, 14)):
            test_archive_acdm.simulation(folder, number, place, told={"Mach Number": 0.5 + place / 50})
        for place, number in ((3, 0), (4, 16)):
            span = {"frames": range(500, 511), "origin": 500}
            test_archive_acdm.simulation(folder, number, place, told={"Mach Number": 0.6}, **span)
    return folder


def persistence_by_hand(folder, between):
    """Of every second frame from 500 to 510 of a simulation, of which the last given one is 502."""
    with np.load(folder / "obstacle_mask.npz") as held:
        fluid = held["arr_0"]
    found = []
    for name, component in (("velocity", 0), ("velocity", 1), ("density", 0), ("pressure", 0)):
        frames = []
        for number in range(500, 511, 2):
            with np.load(folder / f"{name}_{number:06d}.npz") as held:
                frames.append(held["arr_0"][component] * fluid)
        truth = np.array(frames)
        made = np.concatenate([truth[:2], np.repeat(truth[1:2], 4, axis=0)])
        pair = [255 * (x - x.min()) / (x.max() - x.min()) for x in (truth, made)]
        found += [between(np.stack([x, y]).astype(np.float32))[0] for x, y in zip(*pair, strict=True)]
    return np.mean(found)


@pytest.mark.slow
def test_a_run_is_scored_by_the_protocol(flow, named, between, tmp_path, monkeypatch):
    options = compilation.thoroughly()  # it is asked hundreds of times
    monkeypatch.setattr(
        lsim, "distances", jax.jit(distances.__wrapped__, static_argnums=0, compiler_options=options)
    )
    words = ["--folder", str(tmp_path), "--source.path", str(flow), "--source.cache", str(tmp_path / "cache")]
    words += ["--network.patch", "4"]  # so that the network has few tokens in as many cells
    assert main(["run", "acdm_tra", *words, *SMALL.split()]) == 0
    file = tmp_path / "acdm_tra" / "protocol-acdm_transonic.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    parts = ("extrapolation", "interpolation", "long")
    assert found["columns"] == [f"{part}{more}" for part in parts for more in ("", ", LSiM")]
    rows = {row["name"]: row["values"] for row in found["rows"]}
    assert all(value > 0 for values in rows.values() for value in values)
    np.testing.assert_allclose(
        rows["persistence"][1], persistence_by_hand(flow / "sim_000000", between), rtol=1e-4
    )
    np.testing.assert_allclose(
        rows["persistence"][3], persistence_by_hand(flow / "sim_000016", between), rtol=1e-4
    )
    page = (tmp_path / "acdm_tra" / "report.html").read_text(encoding="utf-8")
    assert "extrapolation, LSiM" in page
