"""Regions of daily sea surface temperatures."""

import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.simulations.archives import OISST
from rolling.data.simulations.known_archives import archive_at
from tests.archive_files import coded
from tests.test_simulations import check_frames, opened

SPACE = {"y": 4, "x": 6}
YEARS = {"train": ("2018-12-20", 12), "validation": ("2019-12-20", 12), "test": ("2020-01-01", 12)}


def region(number, days=None, order=("time", "lat", "lon")):
    """Twelve days of each part, which are trajectories `3 number` to `3 number + 2` of `coded`."""
    if days is None:
        firsts = [np.datetime64(first, "ns") for first, _ in YEARS.values()]
        days = np.concatenate([first + np.arange(12) * np.timedelta64(1, "D") for first in firsts])
    values = coded(3, 12, SPACE, first=3 * number).reshape(-1, 4, 6)
    dataset = xr.Dataset(
        {"sst": (("time", "lat", "lon"), values)},
        coords={
            "time": days,
            "lat": 10.0 * number + 0.25 * np.arange(4),
            "lon": 180 + 0.25 * np.arange(6.0),
        },
    )
    return dataset.transpose(*order)


def regions(folder, numbers=(84, 9, 108), **settings):
    folder.mkdir(parents=True, exist_ok=True)
    for place, number in enumerate(numbers):
        region(place, **settings).to_netcdf(folder / f"sst.day.mean.box{number}.nc", engine="scipy")


@pytest.mark.parametrize("order", [("time", "lat", "lon"), ("lon", "time", "lat")])
def test_parts_are_years_and_regions_are_trajectories(tmp_path, order):
    place = tmp_path / "subregion-60x60boxes-pixelwise_stats"
    regions(place, order=order)
    split = opened(tmp_path)
    layout = split.train.layout
    assert layout.names == ("sst",) and layout.step == 24.0
    assert [(a.name, len(a), a.boundary) for a in layout.axes] == [("y", 4, "open"), ("x", 6, "open")]
    # Of boxes 9, 84 and 108, in the order of their numbers, the second was written first.
    for part, offset in ((split.train, 0), (split.validation, 1), (split.test, 2)):
        assert part is not None and len(part) == 3
        for index, written in enumerate((1, 0, 2)):
            check_frames(part, index, 3 * written + offset, (0,), SPACE)
    assert split.train.name(0).endswith("sst.day.mean.box9.nc[train]")
    np.testing.assert_allclose(
        split.test.times(0, 0, 2), [377 * 24, 378 * 24]
    )  # hours since 20 December 2018


def test_is_found_and_claims_no_others(tmp_path):
    regions(tmp_path / "sst")
    assert isinstance(archive_at(tmp_path / "sst"), OISST)
    assert not OISST().lies_in(tmp_path / "nothing")
    region(0).to_netcdf(tmp_path / "sst.day.mean.nc", engine="scipy")
    assert not OISST().lies_in(tmp_path / "sst.day.mean.nc")


def test_other_years(tmp_path):
    regions(tmp_path)
    with pytest.raises(InputError, match=r"no days before 2018: choose source.archive.validation and .test"):
        OISST(validation=2018, test=2019).trajectories(tmp_path)
    with pytest.raises(InputError, match=r"no days of 2021"):
        OISST(test=2021).trajectories(tmp_path)
    with pytest.raises(InputError, match=r"test is 2019: choose a year after that of the validation, 2019"):
        OISST(test=2019)


def write(folder, dataset):
    dataset.to_netcdf(folder / "sst.day.mean.box1.nc", engine="scipy")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda d: d.rename(sst="ice"), "holds no sst over time, lat and lon: leave it out"),
        (lambda d: d.isel(lat=0), "holds no sst over time, lat and lon"),
        (lambda d: d.assign_coords(time=np.arange(36)), "are no dates: fetch it again"),
        (lambda d: d.isel(time=[*range(5), *range(7, 36)]), "are not evenly spaced"),
    ],
)
def test_malformed_files_are_refused(tmp_path, spoil, says):
    write(tmp_path, spoil(region(0)))
    with pytest.raises(InputError, match=says):
        OISST().trajectories(tmp_path)


def test_damaged_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no sst.day.mean.box84.nc or the like in"):
        OISST().trajectories(tmp_path)
    write(tmp_path, region(0))
    file = tmp_path / "sst.day.mean.box1.nc"
    file.write_bytes(file.read_bytes()[:400])
    with pytest.raises(InputError, match=r"box1.nc cannot be (opened|read)"):
        OISST().trajectories(tmp_path)
