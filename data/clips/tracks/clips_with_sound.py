"""Clips and their sound as two modalities of one folder."""

import dataclasses

from rolling.data.clips.protocol import Picture
from rolling.data.clips.source import Clips
from rolling.data.clips.tracks.sound_tracks import SoundTracks
from rolling.data.source import Source, Split
from rolling.data.together import NamedSource, Together
from rolling.joint_layout import JointLayout


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipsWithSound:
    """The modalities `video`, the pictures of videos, and `sound`, their `SoundTracks`, joined by time:

        Together(parts=(
            NamedSource(name="video", source=clips),
            NamedSource(name="sound", source=SoundTracks(clips=clips, rate=rate, per_frame=per_frame)),
        ))

    with the `clips` of the folder `path`, which is named once. Classes are left out, as `Together` has none.
    """

    path: str = ""
    """The folder of the videos, in place of that of `clips`."""
    clips: Clips = Clips(picture=Picture(rate=16.0))
    """How they are read; their pictures need a rate."""
    rate: int = 8192
    """Samples per second, an even multiple of the frames of sound per second."""
    per_frame: int = 4
    """Frames of sound to each picture."""

    def __post_init__(self):
        self._sound()

    def source_of(self, modality: str) -> Source:
        """That of `video` or `sound`."""
        return self._together().source_of(modality)

    def layout(self) -> JointLayout:
        """Those of both. Raises `InputError` for rates that are no whole multiple of each other."""
        return self._together().layout()

    def open(self) -> Split:
        """Prepares pictures and sound at the first call. Raises `InputError` where there is nothing to
        prepare, and for rates that do not suit each other before anything is."""
        self.layout()
        return self._together().open()

    def _together(self) -> Together:
        sound = self._sound()
        video = NamedSource(name="video", source=sound.clips)
        return Together(parts=(video, NamedSource(name="sound", source=sound)))

    def _sound(self) -> SoundTracks:
        clips = dataclasses.replace(self.clips, path=self.path or self.clips.path, labelled=False)
        return SoundTracks(clips=clips, rate=self.rate, per_frame=self.per_frame)
