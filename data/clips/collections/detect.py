"""Detects the kind of the clips at a path."""

from collections.abc import Callable
from pathlib import Path

from rolling.common.errors import InputError
from rolling.data.clips.collections.array_files import ArrayFiles
from rolling.data.clips.collections.containers import is_container
from rolling.data.clips.collections.folders import VIDEO_SUFFIXES, Videos, video_files
from rolling.data.clips.collections.frames import PICTURE_SUFFIXES, FrameFolders
from rolling.data.clips.collections.rolling_stores import ForecastClips, PreparedClips, forecast_store
from rolling.data.clips.protocol import Collection, Entry
from rolling.data.clips.store.reader import is_prepared_store
from rolling.data.untrusted.videos import open_video

LOSSY_PICTURES = (".jpg", ".jpeg", ".webp")


def collection_at(path: str, scale: str = "levels") -> Collection:
    """The collection at a path: a prepared store, a forecast, a folder of videos, a file or folder of arrays,
    or a folder of folders of frames, tried in this order. `scale` is the range of the values of arrays.

    Raises `InputError` if there is nothing, or nothing that is a clip.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise InputError(f"there is no {path}: give a folder, a file of arrays or a store of clips")
    for lies_there, reader in _kinds(scale):
        if lies_there(place):
            return reader(path)
    raise InputError(
        f"there are no clips in {path}: no videos, arrays or folders of frames, and it is no store of ours"
    )


def hint(path: str, collection: Collection) -> str:
    """The end of a sentence on a path where a collection finds nothing: what lies there, if it is another
    kind; else empty."""
    place = Path(path).expanduser()
    others = {
        "array_files": (ArrayFiles, is_container, "arrays"),
        "frame_folders": (FrameFolders, _is_picture, "pictures"),
    }
    for name, (kind, wanted, what) in others.items():
        if path and place.exists() and not isinstance(collection, kind) and _holds(place, wanted):
            return f"; it holds {what}: give --source.collection {name}"
    return ""


def _kinds(scale: str) -> tuple[tuple[Callable[[Path], bool], Callable[[str], Collection]], ...]:
    return (
        (is_prepared_store, lambda path: PreparedClips(path=path)),
        (_is_zarr, lambda path: ForecastClips(path=path)),
        (lambda place: place.is_dir() and bool(video_files(place)), lambda path: Videos(path=path)),
        (lambda place: _holds(place, is_container), lambda path: ArrayFiles(path=path, scale=scale)),
        (lambda place: _holds(place, _is_picture), lambda path: FrameFolders(path=path)),
    )


def _is_zarr(place: Path) -> bool:
    return (forecast_store(place) / "zarr.json").is_file()


def _is_picture(file: Path) -> bool:
    return file.name.lower().endswith(PICTURE_SUFFIXES)


def _holds(place: Path, wanted: Callable[[Path], bool]) -> bool:
    """Whether a file, or any file below a folder, is wanted."""
    return wanted(place) if place.is_file() else any(map(wanted, place.rglob("*")))


def is_compressed(collection: Collection, entry: Entry) -> bool:
    """Whether a clip is stored with lossy compression, such as mp4 or JPEG."""
    place = Path(getattr(collection, "path", "")).expanduser() / entry.name
    if place.is_dir():
        return any(file.suffix.lower() in LOSSY_PICTURES for file in place.iterdir())
    return place.suffix.lower() in VIDEO_SUFFIXES and _is_lossy(place)


def _is_lossy(video: Path) -> bool:
    try:
        import av

        with open_video(av, video) as container:
            return bool(container.streams.video[0].codec_context.codec.lossy)
    except (ImportError, OSError, ValueError, IndexError, AttributeError):
        return False  # reading it will say what is wrong
