"""A folder, file or store of clips from anywhere, by what is in it."""

from pathlib import Path

from data.clips.collection import Collection, Entry
from data.clips.folders import SUFFIXES, Videos, video_files
from rolling.errors import InputError


def collection(path: str) -> Collection:
    """What reads the clips at a place; of a folder with several kinds the first that is found below.

    Raises `InputError` where there is nothing, or nothing that is a clip.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise InputError(f"there is no {place}: give a folder, a file or a store of clips")
    for is_it, kind in KINDS:
        if is_it(place):
            return kind(path=path)
    raise InputError(f"there are no clips in {place}: no videos, arrays, folders of frames or stores")


def is_compressed(collection: Collection, entry: Entry) -> bool:
    """Whether a clip lost something when it was written, as mp4 and JPEG do."""
    file = Path(getattr(collection, "path", "")).expanduser() / entry.name
    if file.suffix.lower() not in SUFFIXES:
        return False
    import av

    try:
        with av.open(str(file)) as container:
            return bool(container.streams.video[0].codec_context.codec.lossy)
    except (av.error.FFmpegError, IndexError, AttributeError):
        return False  # whoever reads it says what is wrong


KINDS = ((lambda place: place.is_dir() and bool(video_files(place)), Videos),)
