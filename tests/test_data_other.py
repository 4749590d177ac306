"""Other data than those of training are read as those of training: rearranged files give the same frames."""

import dataclasses
import itertools

import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.arrays import Arrays
from rolling.data.gridded.as_fields import AsFields
from rolling.data.gridded.source import Gridded
from rolling.data.gridded.units import conversion
from rolling.data.other import read_other
from rolling.data.source import ReadsOther, Split
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from tests.test_data_gridded import everything, fields, stacked, write

SHORT = fields(count=12, levels=(500.0, 850.0), lon=(-10.0, 2.0, 4))


def last(sequences, count=3):
    length = sequences.length(len(sequences) - 1)
    times = sequences.times(len(sequences) - 1, length - count, length)
    return sequences.read(len(sequences) - 1, length - count, length), times


def wider(dataset):
    """A larger grid, further levels and another variable around the same cells."""
    pads = {"latitude": (1, 2), "longitude": (0, 3), "level": (1, 0)}
    wide = dataset.pad(pads, constant_values=7.0)
    steps = {"latitude": -2.0, "longitude": 4.0}
    for name, step in steps.items():
        first = dataset[name].values[0] - pads[name][0] * step
        wide[name] = (name, first + step * np.arange(wide.sizes[name]), dataset[name].attrs)
    wide["level"] = ("level", [300.0, 500.0, 850.0], {"units": "hPa"})
    return wide.assign(q=wide.t2m * 0)


def between(dataset):
    """Twice as many frames; those of the data are every second one, the last included."""
    times = dataset.time.values
    half = (times[1] - times[0]) / 2
    more = dataset.assign_coords(time=times - half) * np.float32(0)
    return xr.concat([dataset, more], "time", combine_attrs="override").sortby("time")


def in_pascal(dataset):
    return dataset.assign_coords(level=("level", dataset.level.values * 100, {"units": "Pa"}))


def in_east(dataset):
    longitude = ("longitude", dataset.longitude.values % 360, {"units": "degrees_east"})
    return dataset.assign_coords(longitude=longitude).sortby("longitude")


REARRANGED = {
    "latitudes ascend": lambda d: d.isel(latitude=slice(None, None, -1)),
    "longitudes from 0 to 360": in_east,
    "frames run backwards": lambda d: d.isel(time=slice(None, None, -1)),
    "other names": lambda d: d.rename(latitude="lat", longitude="lon", time="valid_time", level="plev"),
    "another order of dimensions": lambda d: d.transpose("longitude", "level", "time", "latitude"),
    "levels in Pa and in another order": lambda d: in_pascal(d.isel(level=[1, 0])),
    "singleton dimensions": lambda d: d.expand_dims(number=[0], surface=[1.0]),
    "a larger grid": wider,
    "a shorter step": between,
    "only the last frames": lambda d: d.isel(time=slice(-3, None)),
    "units spelled otherwise": lambda d: d.assign({n: d[n].assign_attrs(units="kelvin") for n in d}),
}


GLOBE = fields(count=12, names=("t2m",), lat=(60.0, -60.0, 3), lon=(-180.0, 150.0, 12))


GLOBES = {
    "from -180": GLOBE,
    "from 0": in_east(GLOBE),
    "from 180 across 0": in_east(GLOBE).roll(longitude=6, roll_coords=True),
    "across 180": GLOBE.roll(longitude=4, roll_coords=True),
    "in single precision": in_east(GLOBE).assign_coords(
        longitude=in_east(GLOBE).longitude.astype(np.float32)
    ),
    "to both ends": xr.concat(
        [GLOBE, GLOBE.isel(longitude=[0]).assign_coords(longitude=[180.0])], "longitude"
    ),
    "westwards": GLOBE.isel(longitude=slice(None, None, -1)),
}


@pytest.mark.parametrize(
    ("then", "now"),
    [
        *itertools.product(["from -180", "from 0"], GLOBES),
        *(("to both ends", name) for name in list(GLOBES)[-4:]),
    ],
)
def test_a_globe_may_begin_at_any_meridian(tmp_path, then, now):
    """The given frames, and with them the forecasts, are the same bits at the same places."""
    split = Gridded(path=write(GLOBES[then], tmp_path / "a.nc")).open()
    layout = split.test.layout
    assert layout.x.periodic
    found = AsFields().read_like(layout, None, write(GLOBES[now], tmp_path / "b.nc"))
    expected = GLOBE.assign_coords(longitude=GLOBE.longitude % 360)
    expected = expected.sel(longitude=np.asarray(layout.x.values) % 360).t2m.values[-3:]
    np.testing.assert_array_equal(last(found)[0][..., 0], expected)
    np.testing.assert_array_equal(last(split.test)[0][..., 0], expected)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    source = Gridded(path=write(SHORT, tmp_path_factory.mktemp("trained") / "a.nc"))
    return source, source.open().test


@pytest.mark.parametrize("name", REARRANGED)
def test_rearranged_data_give_the_same_frames(trained, name):
    source, test = trained
    assert isinstance(source, ReadsOther)
    found = source.read_like(test.layout, test.mask, REARRANGED[name](SHORT))
    for a, b in zip(last(found), last(test), strict=True):
        np.testing.assert_array_equal(a, b)
    assert found.layout == test.layout


def test_a_file_in_other_units_is_converted(trained, tmp_path):
    source, test = trained
    celsius = SHORT.assign(t2m=(SHORT.t2m - 273.15).assign_attrs(units="degC"))
    found = source.read_like(test.layout, None, write(celsius, tmp_path / "b.nc"))
    np.testing.assert_allclose(last(found)[0], last(test)[0], rtol=2e-7)
    np.testing.assert_array_equal(last(found)[0][..., 2:], last(test)[0][..., 2:])


def plain(dataset):
    return dataset.drop_vars(["latitude", "longitude"]).rename(latitude="row", longitude="column")


def packed(dataset):
    dataset = dataset.copy()
    for array in dataset.data_vars.values():
        array.encoding = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 270.0, "_FillValue": -32767}
    return dataset


TRAINED = {
    "longitudes from -180 to 180": lambda: fields(12, lon=(-180.0, 150.0, 12)),
    "longitudes across 0": lambda: fields(12).assign_coords(longitude=(fields().longitude + 360) % 360),
    "levels": lambda: SHORT,
    "a single level": lambda: SHORT.isel(level=[1]),
    "an axis of length one": lambda: fields(12).expand_dims(number=[3]),
    "valid_time": lambda: fields(12).rename(time="valid_time"),
    "no coordinates": lambda: plain(fields(12)),
    "packed": lambda: packed(fields(12)),
    "every second frame": lambda: fields(12),
    "months": lambda: fields(14).assign_coords(
        time=np.arange("2001-01", "2002-03", dtype="M8[M]").astype("M8[ns]")
    ),
}


@pytest.mark.parametrize("name", TRAINED)
def test_whatever_can_be_trained_on_can_be_forecast_from(name, tmp_path):
    path = write(TRAINED[name](), tmp_path / "a.nc")
    source = Gridded(path=path, every=2 if name == "every second frame" else 1, stop="2019-03-03T12")
    source = source if name != "months" else Gridded(path=path)
    test = source.open().test
    with xr.open_dataset(path) as opened:
        cut = (
            opened
            if name == "months"
            else opened.isel({opened.t2m.dims[0 if name != "an axis of length one" else 1]: slice(11)})
        )
        for data in (cut, write(cut, tmp_path / "b.nc")):
            found = source.read_like(test.layout, test.mask, data)
            for a, b in zip(last(found, 2), last(test, 2), strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda d: d.rename(t2m="t"),
            "t2m_500, t2m_850 of the training data is not in the data: it holds t, u10",
        ),
        (
            lambda d: d.isel(latitude=slice(1, None)),
            "latitude of variable t2m of the data is not that of the tr",
        ),
        (lambda d: d.isel(level=[0]).assign_coords(level=[300.0]), "has no level 500: it is at 300"),
        (lambda d: d.isel(level=1), "has no level 500: it is at 850"),
        (
            lambda d: d.assign(t2m=d.t2m.assign_attrs(units="m")),
            "t2m is in m in the data and in K in the traini",
        ),
        (lambda d: d.drop_vars("time"), "times of the training data are dates, those of the data plain numb"),
        (
            lambda d: d.drop_vars(["latitude", "longitude"]),
            "latitude of variable t2m of the data is not that",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused(trained, change, says):
    source, test = trained
    with pytest.raises(InputError, match=says):
        source.read_like(test.layout, test.mask, change(SHORT))


@pytest.mark.parametrize(
    ("given", "wanted", "scale", "offset"),
    [
        ("degC", "K", 1, 273.15),
        ("degrees_C", "kelvin", 1, 273.15),
        ("degF", "Celsius", 5 / 9, -160 / 9),
        ("m s**-1", "m s-1", 1, 0),
        ("km/h", "m s**-1", 1 / 3.6, 0),
        ("knots", "m s-1", 1852 / 3600, 0),
        ("hPa", "Pa", 100, 0),
        ("millibars", "hPa", 1, 0),
        ("m**2 s**-2", "J kg-1", 1, 0),
        ("mm/day", "m s-1", 1e-3 / 86400, 0),
        ("W/m2", "W m**-2", 1, 0),
        ("g kg-1", "1", 1e-3, 0),
        ("%", "(0 - 1)", 1e-2, 0),
        ("K s-1", "degC/h", 3600, 0),
    ],
)
def test_units_of_grib_and_cf(given, wanted, scale, offset):
    found = conversion(given, wanted)
    np.testing.assert_allclose((found.scale, found.offset), (scale, offset), rtol=1e-11)


@pytest.mark.parametrize(
    "units", ["m", "mm per 5 min", "K K", "1e300", "10**10**10", "K" * 10**5, "dB", "", "(" * 999]
)
def test_units_that_are_not_known_or_others_are_not_converted(units):
    assert conversion(units, "K") is None and conversion(units, units) is not None


def test_an_anomaly_is_not_shifted(trained):
    assert conversion("degC", "K", difference=True).offset == 0


def test_units_and_the_order_of_axes_may_change_between_files(tmp_path):
    dataset = fields(names=("t2m",))
    (tmp_path / "f").mkdir()
    write(dataset.isel(time=slice(0, 20)), tmp_path / "f" / "a.nc")
    later = dataset.isel(time=slice(20, None), latitude=slice(None, None, -1))
    write(later.assign(t2m=(later.t2m - 273.15).assign_attrs(units="degC")), tmp_path / "f" / "b.nc")
    split = Gridded(path=str(tmp_path / "f")).open()
    found = np.concatenate([*everything(split.train), *everything(split.test)])
    np.testing.assert_array_equal(found[:20], stacked(dataset)[:20])
    np.testing.assert_allclose(found[20:], stacked(dataset)[20:], rtol=2e-7)
    write(later.assign(t2m=later.t2m.assign_attrs(units="m")), tmp_path / "f" / "b.nc")
    with pytest.raises(InputError, match=r"t2m is in m in .*b\.nc and in K in .*a\.nc"):
        Gridded(path=str(tmp_path / "f")).open()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Waves:
    """A source of one's own, which says nothing on other data."""

    def open(self):
        return Split(train=Arrays(layout=WAVES, frames=np.zeros((1, 5, *WAVES.shape))), test=None)


class Doubled(Waves):
    """One that does, whatever its frames are."""

    def read_like(self, layout, mask, data):
        return Arrays(layout=layout, frames=2 * data.height.transpose("t", "y", "x").values[None, ..., None])


WAVES = Layout(
    variables=(Variable(name="height"),), axes=(Axis(name="y", values=(0, 1)), Axis(name="x", values=(0, 2)))
)


def test_a_source_of_ones_own_reads_other_data_by_its_layout_or_in_a_way_of_its_own():
    height = np.random.default_rng(0).normal(size=(4, 2, 2)).astype(np.float32)
    data = xr.Dataset({"height": (("x", "t", "y"), height.transpose(2, 0, 1))}, {"y": [0, 1], "x": [0, 2]})
    for source, expected in ((Waves(), height), (Doubled(), 2 * height)):
        found = read_other(source, WAVES, None, data)
        np.testing.assert_array_equal(last(found, 2)[0][..., 0], expected[-2:])
