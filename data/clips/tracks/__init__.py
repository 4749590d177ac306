"""The sound of clips: read beside their pictures, and kept in a store of its own."""

from rolling.data.clips.tracks.clips_with_sound import ClipsWithSound
from rolling.data.clips.tracks.sound_tracks import SoundTracks

__all__ = ["ClipsWithSound", "SoundTracks"]
