"""Data from others run nothing, read nothing outside their folder and take no more memory than there is.

Each test is an attack: the file or folder that someone sends, and what must not happen.
"""

import dataclasses
import functools
import io
import json
import os
import pickle
import resource
import sys
import zipfile
import zlib
from contextlib import nullcontext

import h5py
import matplotlib
import numpy as np
import pytest
import xarray as xr
import zarr
from matplotlib.figure import Figure
from numcodecs.registry import codec_registry
from PIL import Image

from rolling.common.errors import InputError
from rolling.common.files import safe_name
from rolling.data.clips.collections import ArrayFiles, FrameFolders, SomethingSomething, Videos
from rolling.data.clips.collections.rolling_stores import ForecastClips
from rolling.data.clips.protocol import Picture
from rolling.data.gridded.formats import open_files
from rolling.data.untrusted import hdf5, pictures
from rolling.data.untrusted.zarr_stores import OPTIONAL
from rolling.geometry import Axis, Coordinate
from rolling.layout import Layout, Variable
from rolling.run.experiment import codec
from rolling.run.forecasting.zarr_reader import open_forecast
from rolling.run.report.plots import styled
from tests.clip_tools import levels, write_video
from tests.fake_runs import box, write_plain
from tests.record_tools import prepared, refused

NOISE = np.random.default_rng(0)


@pytest.fixture
def evidence(tmp_path):
    """A file that does not exist as long as nothing has run that was to be left alone."""
    place = tmp_path / "evidence"
    yield place
    assert not place.exists(), f"code was run: {place.read_text()}"


def clips(place, name="clips.npy"):
    """A file of two clips of noise, as an honest sender has it."""
    place.mkdir(parents=True, exist_ok=True)
    np.save(place / name, NOISE.integers(0, 255, (2, 3, 8, 8, 1), np.uint8))
    return ArrayFiles(path=str(place))


@pytest.mark.parametrize("front", [[], [""]], ids=["console script", "interactive session"])
def test_python_files_of_the_current_folder_are_not_run(tmp_path, evidence, monkeypatch, front):
    """Neither in the place of the standard library, of what is installed, nor of this package."""
    hostile = tmp_path / "received"
    collection = clips(hostile)
    code = f"open({str(evidence)!r}, 'a').write(__file__ + ' ')\n"
    names = ["random", "tempfile", "numpy", "sitecustomize", "data/__init__", "zarr/__init__"]
    for name in names + (["rolling"] if not front else []):
        file = hostile / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)
    monkeypatch.chdir(hostile)
    monkeypatch.setattr(sys, "path", [*front, *sys.path])
    assert len(prepared(collection, tmp_path / "cache", workers=1).train) == 1


class Payload:
    """Writes down that it was unpickled."""

    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return os.mkdir, (self.file,)


def zarr_v2(place, evidence, **array):
    """A store of format 2 whose array `x` and coordinate `time` are as given, and pickled."""
    about = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "order": "C", "fill_value": None}
    about |= {"compressor": None, "filters": None} | array
    documents = {".zgroup": {"zarr_format": 2}}
    for name in ("x", "time"):
        documents[f"{name}/.zarray"] = about
        documents[f"{name}/.zattrs"] = {"_ARRAY_DIMENSIONS": ["time"]}
        (place / name).mkdir(parents=True)
        (place / name / "0").write_bytes(pickle.dumps(Payload(evidence)))
    documents[".zmetadata"] = {"zarr_consolidated_format": 1, "metadata": dict(documents)}
    for name, document in documents.items():
        (place / name).write_text(json.dumps(document))
    return place


LINE = Axis(name="x", values=(0.0, 1.0, 2.0))
PLANE = Layout(variables=(Variable(name="x"),), axes=(LINE, LINE))
READERS = {
    "fields": lambda place: open_files(str(place)),
    "fields, by engine": lambda place: open_files(str(place), "zarr"),
    "scores of a forecast": lambda place: open_forecast(place, PLANE),
    "clips of a forecast": lambda place: ForecastClips(path=str(place)).entries(),
}
CODECS = {
    "filter": {"filters": [{"id": "pickle"}]},
    "compressor": {"compressor": {"id": "pickle", "protocol": 4}},
    "behind another": {"filters": [{"id": "pickle"}], "compressor": {"id": "zlib", "level": 1}},
    "bytes": {"dtype": "|u1", "compressor": {"id": "pickle"}},
    "json2": {"filters": [{"id": "json2"}]},
    "msgpack2": {"filters": [{"id": "msgpack2"}]},
    "module": {"filters": [{"id": "os"}]},
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("codec", CODECS)
def test_codecs_of_zarr_stores_that_run_code_are_refused(tmp_path, evidence, monkeypatch, reader, codec):
    """Also where numcodecs would run them."""
    monkeypatch.setattr("numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE", True)
    store = zarr_v2(tmp_path / "x.zarr", evidence, **CODECS[codec])
    word = codec if codec in ("json2", "msgpack2") else "os" if codec == "module" else "pickle"
    with pytest.raises(InputError, match=rf"codec '{word}'.* none of those that are known to run nothing"):
        READERS[reader](store)


def test_codecs_within_shards_are_refused(tmp_path):
    shard = {"name": "numcodecs.pickle", "configuration": {}}
    codecs = [{"name": "sharding_indexed", "configuration": {"chunk_shape": [1], "codecs": [shard]}}]
    about = {"zarr_format": 3, "node_type": "array", "shape": [1], "data_type": "uint8", "fill_value": 0}
    about |= {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1]}}, "codecs": codecs}
    about |= {"chunk_key_encoding": {"name": "default"}, "attributes": {}}
    (tmp_path / "a.zarr" / "x").mkdir(parents=True)
    (tmp_path / "a.zarr" / "x" / "zarr.json").write_text(json.dumps(about))
    (tmp_path / "a.zarr" / "zarr.json").write_text(
        '{"zarr_format": 3, "node_type": "group", "attributes": {}}'
    )
    with pytest.raises(InputError, match=r"codec 'pickle'"):
        open_files(str(tmp_path / "a.zarr"))


def test_stores_of_references_are_refused():
    for path, engine in (
        ("refs.json", "kerchunk"),
        ("reference://::refs.json.zarr", None),
        ("reference://x.zarr", "zarr"),
    ):
        with pytest.raises(InputError, match=r"there is no engine|store of references"):
            open_files(path, engine)


SECRET = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)


def hdf5_external_storage(file, secret):
    (secret.with_suffix(".raw")).write_bytes(SECRET.tobytes())
    file.create_dataset("x", SECRET.shape, "u1", external=[(str(secret.with_suffix(".raw")), 0, SECRET.size)])


def hdf5_virtual(file, secret):
    layout = h5py.VirtualLayout(SECRET.shape, "u1")
    layout[:] = h5py.VirtualSource(secret, "x", SECRET.shape)
    file.create_virtual_dataset("x", layout)


def hdf5_external_link(file, secret):
    file["x"] = h5py.ExternalLink(str(secret), "x")


def hdf5_link_in_a_group(file, secret):
    file.create_group("inner")["x"] = h5py.ExternalLink(str(secret), "x")
    file["x"] = h5py.SoftLink("/inner/x")


@pytest.mark.parametrize(
    "attack", [hdf5_external_storage, hdf5_virtual, hdf5_external_link, hdf5_link_in_a_group]
)
def test_hdf5_files_show_no_other_file(tmp_path, attack):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = SECRET
    received = tmp_path / "received"
    received.mkdir()
    with h5py.File(received / "a.h5", "w", userblock_size=512) as file:
        attack(file, secret)
    with pytest.raises(InputError, match=r"x .*what is stored in other files is not read"):
        ArrayFiles(path=str(received)).entries()
    for engine in (None, "h5netcdf"):
        with pytest.raises(InputError, match=r"what is stored in other files is not read|of no kind"):
            open_files(str(received / "a.h5"), engine)


def test_hdf5_files_may_refer_to_themselves(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["y"] = SECRET
        file["link"] = h5py.SoftLink("/y")
    assert len(ArrayFiles(path=str(tmp_path)).entries()) == 1
    with xr.open_dataset(tmp_path / "a.h5", engine="h5netcdf", phony_dims="access") as dataset:
        assert dataset.link.shape == SECRET.shape
    (opened,) = open_files(str(tmp_path / "a.h5"))
    assert opened[1].link.shape == SECRET.shape


@pytest.mark.parametrize(
    ("unpacked", "says"), [(0, "is packed by the HDF5 filter known .*hdf5plugin"), (1, "")]
)
def test_filters_of_hdf5_files_that_are_not_installed_are_told(tmp_path, monkeypatch, unpacked, says):
    """Before HDF5 calls the file damaged; chunks that a filter left alone are read without it."""
    monkeypatch.setitem(hdf5.PLUGINS, 32999, "known")
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk(SECRET.shape)
    plan.set_filter(32999, h5py.h5z.FLAG_OPTIONAL)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        space = h5py.h5s.create_simple(SECRET.shape)
        h5py.h5d.create(file.id, b"x", h5py.h5t.STD_U8LE, space, plan).write_direct_chunk(
            (0, 0, 0), SECRET.tobytes(), unpacked
        )
    readers = [lambda: ArrayFiles(path=str(tmp_path)).entries(), lambda: open_files(str(tmp_path / "a.h5"))]
    for read in readers:
        with pytest.raises(InputError, match=rf"a.h5, /x, {says}") if says else nullcontext():
            read()
    if not says:
        np.testing.assert_array_equal(readers[1]()[0][1].x, SECRET)


@pytest.mark.parametrize("codec", OPTIONAL)
def test_codecs_of_zarr_stores_that_are_not_installed_are_told(tmp_path, monkeypatch, evidence, codec):
    monkeypatch.delitem(codec_registry, codec, raising=False)
    store = zarr_v2(tmp_path / "x.zarr", evidence, dtype="|u1", compressor={"id": codec})
    with pytest.raises(InputError, match=rf"x.zarr, array .*, is packed by .*'numcodecs\[{codec}\]'"):
        open_files(str(store))


def picture(place, content, name="000.png"):
    (place / "clip").mkdir(parents=True)
    (place / "clip" / name).write_bytes(content)
    return FrameFolders(path=str(place))


def test_a_frame_that_is_postscript_starts_no_program(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *a, **k: started.append(a))
    head = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
    collection = picture(tmp_path, head)
    refused(collection, collection.entries()[0], "000.png cannot be read")
    assert not started


def test_only_formats_of_frames_are_tried(tmp_path, monkeypatch):
    """No other reader of Pillow is asked, whatever a frame begins with."""

    def asked(*_):
        raise AssertionError("another reader was asked")

    Image.init()
    for kind in set(Image.OPEN) - set(pictures.FORMATS):
        monkeypatch.setitem(Image.OPEN, kind, (asked, None))
    collection = picture(tmp_path, b"anything")
    refused(collection, collection.entries()[0], "000.png cannot be read .*identify")


def test_pictures_of_too_many_pixels_are_not_decoded(tmp_path):
    content = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(content, "png")
    assert len(content.getvalue()) < 50_000
    for number, (width, height) in enumerate(((12_000, 12_000), (60_000, 60_000))):
        head = bytearray(content.getvalue())
        head[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        head[29:33] = zlib.crc32(bytes(head[12:29])).to_bytes(4, "big")
        collection = picture(tmp_path / str(number), bytes(head))
        refused(collection, collection.entries()[0], "pixels")


def huge_npz(place):
    """A header that promises 32 TiB over a body of nothing."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (2**31, 128, 128)}
    )
    with zipfile.ZipFile(place / "a.npz", "w") as file:
        file.writestr("x.npy", header.getvalue())


def huge_npy(place):
    with open(place / "a.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (2**31, 128, 128)}
        )


def huge_frames(place):
    with h5py.File(place / "a.h5", "w") as file:
        file.create_dataset("x", (32, 2**20, 2**20), "u1", chunks=(1, 64, 64))


def huge_labels(place):
    with h5py.File(place / "a.h5", "w") as file:
        file.create_dataset("x", (2**40, 4, 8, 8, 1), "u1", chunks=(1, 4, 8, 8, 1))
        file.create_dataset("labels", (2**40,), "i8", chunks=(64,))


def huge_bomb(place):
    """A header that is honest, over a body of zeros: 1 KB for every MB."""
    with zipfile.ZipFile(place / "a.npz", "w", zipfile.ZIP_DEFLATED) as file, file.open("x.npy", "w") as x:
        header = {"descr": "|u1", "fortran_order": False, "shape": (4, 1024, 1024)}
        np.lib.format.write_array_header_1_0(x, header)
        x.write(bytes(4 * 2**20))


@pytest.mark.parametrize("attack", [huge_npz, huge_npy, huge_frames, huge_labels, huge_bomb])
def test_arrays_that_promise_more_than_the_memory_are_refused(tmp_path, monkeypatch, attack):
    if attack is huge_bomb:  # as if the machine were smaller
        monkeypatch.setattr("rolling.data.untrusted.sizes.SHARE", 1e-6)
    attack(tmp_path)
    collection = ArrayFiles(path=str(tmp_path))
    with pytest.raises(InputError, match=r"promises|greater than"):
        for entry in collection.entries():
            for _ in collection.read(entry, Picture(height=0, width=0)):
                raise AssertionError("it was read")


def zarr_v3(place, shape, chunks, dtype="uint8"):
    """A store without any chunk."""
    about = {"zarr_format": 3, "node_type": "array", "shape": shape, "data_type": dtype, "fill_value": 0}
    about |= {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}}}
    about |= {"chunk_key_encoding": {"name": "default"}, "codecs": [{"name": "bytes"}], "attributes": {}}
    about |= {"dimension_names": ["time", "y", "x"][: len(shape)]}
    name = "x" if len(shape) > 1 else "time"
    (place / name).mkdir(parents=True)
    (place / name / "zarr.json").write_text(json.dumps(about))
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    (place / "zarr.json").write_text(json.dumps(group))
    return str(place)


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [([2**42], [64]), ([9, 2**20, 2**20], [9, 2**20, 2**20]), ([9, 2**24, 2**20], [9, 64, 64])],
)
def test_zarr_stores_that_promise_more_than_the_memory_are_refused(tmp_path, shape, chunks):
    """As a coordinate, a chunk or a field."""
    with pytest.raises(InputError, match="promises"):
        open_files(zarr_v3(tmp_path / "a.zarr", shape, chunks))


@pytest.mark.parametrize("form", [2, 3])
def test_honest_zarr_stores_are_opened(tmp_path, form):
    """Here and by an address; texts along an axis are no objects."""
    texts = {"x": ("time", [1, 2]), "place": ("time", ["a", "bb"])}
    xr.Dataset(texts).to_zarr(tmp_path / "a.zarr", zarr_format=form, consolidated=form == 2)
    for path in (str(tmp_path / "a.zarr"), f"file://{tmp_path}/a.zarr"):
        assert [dataset.x.shape for _, dataset in open_files(path)] == [(2,)]


def test_axes_of_netcdf_files_that_promise_more_than_the_memory_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.create_dataset("time", (2**42,), "f8", chunks=(64,)).make_scale("time")
    with pytest.raises(InputError, match="/time promises"):
        open_files(str(tmp_path / "a.nc"))


def test_fields_of_grib_files_that_promise_more_than_the_memory_are_refused(tmp_path, monkeypatch):
    """60,000 x 60,000 of one value take no bits; ecCodes ends the process where it finds no room for them."""
    eccodes = pytest.importorskip("eccodes")
    message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    eccodes.codes_set(message, "Ni", 4)
    eccodes.codes_set(message, "Nj", 3)
    eccodes.codes_set_values(message, [1.0] * 12)
    content = bytearray(eccodes.codes_get_message(message))
    eccodes.codes_release(message)
    (tmp_path / "a.grib").write_bytes(content)
    assert len(open_files(str(tmp_path / "a.grib"))) == 1
    at = 16  # a section is its length in four bytes and its number in one
    while at < len(content) - 4:
        if content[at + 4] == 3:
            content[at + 30 : at + 38] = (60_000).to_bytes(4, "big") * 2
        place = {3: 6, 5: 5}.get(content[at + 4])
        if place:
            content[at + place : at + place + 4] = (60_000**2).to_bytes(4, "big")
        at += int.from_bytes(content[at : at + 4], "big")
    (tmp_path / "a.grib").write_bytes(content)
    monkeypatch.setattr("rolling.common.machine.memory", lambda: 16 * 2**30)
    for engine in (None, "cfgrib"):
        with pytest.raises(InputError, match=r"a field of .*a.grib promises 27 GiB"):
            open_files(str(tmp_path / "a.grib"), engine)


def test_pipes_are_not_waited_for(tmp_path):
    """An archive may hold them, and reading one would never end."""
    for name in ("a.npy", "a.nc", "0.png"):
        (tmp_path / name).mkdir()
        os.mkfifo(tmp_path / name / name)
    with pytest.raises(InputError, match="no regular file"):
        ArrayFiles(path=str(tmp_path / "a.npy")).entries()
    with pytest.raises(InputError, match="no regular file"):
        open_files(str(tmp_path / "a.nc"))
    frames = FrameFolders(path=str(tmp_path / "0.png"))
    refused(frames, frames.entries()[0], "no regular file")


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{0}\n#EXT-X-ENDLIST\n"
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><image href="{0}"/></svg>'
PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile '{0}'\n",
    "hls": HLS,
    "hls over a protocol": HLS.replace("{0}", "concat:{0}|{0}"),
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{0}</BaseURL></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\n{0}\n",
    "svg": SVG,
}


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_playlists_fetch_nothing(tmp_path, suffix):
    secret = write_video(tmp_path / "secret.mkv", levels(3))
    for kind, text in PLAYLISTS.items():
        received = tmp_path / kind
        received.mkdir()
        (received / f"a.{suffix}").write_text(text.format(secret))
        videos = Videos(path=str(received))
        refused(videos, videos.entries()[0], "none of the formats|cannot be decoded")


def test_names_of_files_are_no_addresses(tmp_path, monkeypatch):
    write_video(tmp_path / "secret.mkv", levels(3))
    received = tmp_path / "received"
    (received / "concat:..").mkdir(parents=True)
    (received / "concat:.." / "secret.mkv").write_bytes(b"no video")
    monkeypatch.chdir(received)
    videos = Videos(path=".")
    assert videos.entries()[0].name == "concat:../secret.mkv"
    refused(videos, videos.entries()[0], "none of the formats|cannot be decoded")


def test_videos_of_too_many_pixels_are_not_decoded(tmp_path):
    """60,000 x 60,000, by the header of a GIF that holds one pixel."""
    screen = b"GIF89a" + (60_000).to_bytes(2, "little") * 2 + b"\x80\0\0" + bytes(3) + b"\xff" * 3
    image = b"," + bytes(4) + (60_000).to_bytes(2, "little") * 2 + b"\0\x02\x02D\x01\0;"
    (tmp_path / "a.gif").write_bytes(screen + image)
    videos = Videos(path=str(tmp_path))
    refused(videos, videos.entries()[0], "pixels|cannot be decoded")


@pytest.mark.parametrize("name", ["../secret", "/{}/secret"])
def test_lists_of_clips_lead_to_no_file_outside(tmp_path, name):
    write_video(tmp_path / "secret.mkv", levels(3)).rename(tmp_path / "secret.webm")
    received = tmp_path / "received"
    received.mkdir()
    identity = name.format(tmp_path)
    for split in ("train", "test"):
        (received / f"{split}.json").write_text(json.dumps([{"id": identity, "label": "walking"}]))
    collection = SomethingSomething(path=str(received))
    refused(collection, collection.entries()[0], "leads out of the folder")


def test_names_of_arrays_are_of_a_usual_length(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x" * 50_000] = SECRET
    with pytest.raises(InputError, match="longer than"):
        ArrayFiles(path=str(tmp_path)).entries()


@pytest.mark.parametrize(
    "name", ["..", "a/../../b", "/etc/x", "a\nb\x1b[2J", "-rf", "x" * 5000, "\udcff", "con\0"]
)
def test_names_of_clips_become_names_of_files(tmp_path, name):
    file = tmp_path / safe_name(name)
    file.touch()
    assert list(tmp_path.iterdir()) == [file] and file.name.isprintable() and file.name[0] not in ".-"


@pytest.mark.parametrize("name", ["../up", "/etc/x", "a/b", "", "..", "a\x1b[2J", "x" * 5000, ".zattrs"])
@pytest.mark.parametrize("part", ["variables", "axes", "coordinates"])
def test_names_of_a_layout_are_those_of_arrays(name, part):
    """They become folders of forecasts, and lines on a page."""
    named = {"variables": Variable, "coordinates": Coordinate, "axes": functools.partial(Axis, values=(0.0,))}
    layout = codec.encode(PLANE) | {part: codec.encode((named[part](name=name),))}
    with pytest.raises(InputError, match="becomes a folder") as told:
        codec.decode(layout)
    assert len(str(told.value)) < 200 and str(told.value).isprintable()


@pytest.mark.parametrize("attributes", ["[" * 100_000, "[]", "{"])
def test_attributes_of_a_coordinate_are_a_json_object(attributes):
    layout = codec.encode(PLANE) | {"coordinates": codec.encode((Coordinate(name="crs"),))}
    layout["coordinates"][0]["attributes"] = attributes
    with pytest.raises(InputError, match="coordinate 'crs' are no JSON object"):
        codec.decode(layout)


ATTRIBUTES = {
    "given_frames": [10**9, -1, 0, "many", 2.5, None],
    "sequence_names": ["ab", ["a"], [1, 2], {"a": 1}],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in ATTRIBUTES.items() for v in values])
def test_attributes_of_a_forecast_suit_it(tmp_path, name, value):
    write_plain(tmp_path)
    zarr.open_group(tmp_path / "forecast.zarr", mode="r+").attrs[name] = value
    with pytest.raises(InputError, match="attributes that do not suit its 2 starts"):
        open_forecast(tmp_path / "forecast.zarr", box().layout)


@pytest.mark.parametrize("name", ["start", "number", "prediction_timedelta", "x"])
def test_sizes_of_a_forecast_are_those_of_one(tmp_path, name):
    """A thousand million starts, members or leads: nobody wrote them, and they cost nothing on a disk."""
    write_plain(tmp_path)
    for array in (tmp_path / "forecast.zarr").glob("*/zarr.json"):
        about = json.loads(array.read_text())
        for axis, dimension in enumerate(about["dimension_names"]):
            if dimension == name:
                about["shape"][axis] = 10**9
        array.write_text(json.dumps(about))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="promises"):
        open_forecast(tmp_path / "forecast.zarr", box().layout)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB


def test_a_forecast_has_no_more_starts_than_there_are_frames(tmp_path):
    write_plain(tmp_path)
    found = open_forecast(tmp_path / "forecast.zarr", box().layout)
    many = dataclasses.replace(found, sequence=np.zeros(10**6, int), frame=np.ones(10**6, int))
    with pytest.raises(InputError, match="has 1000000 starts, and these test data 60 frames"):
        many.truth_leads(box())


def test_settings_of_matplotlib_in_the_current_folder_start_no_tex(monkeypatch):
    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)

    @styled
    def drawn():
        figure = Figure(layout="constrained")
        figure.text(0, 0, "a")
        return figure

    assert not drawn().texts[0].get_usetex() and matplotlib.rcParams["text.usetex"]
