"""What decoders raise about a damaged clip, as one sentence: `BadClip`."""

import contextlib
import re
from collections.abc import Iterator

from rolling.common.errors import InputError
from rolling.data.clips.protocol import BadClip
from rolling.data.untrusted import Refused


@contextlib.contextmanager
def readable(name: str, kind: str) -> Iterator[None]:
    """Turns whatever a library raises about a file, or a part of it, into `BadClip`.

    For damaged files decoders raise anything from OSError to SyntaxError, so no narrower class would do.
    """
    try:
        yield
    except Refused as error:
        raise BadClip(f"{name}: {error}") from error
    except (InputError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise BadClip(f"{name} is not there") from error
    except Exception as error:
        # Without the path, so that the same fault in many clips is one reason.
        words = re.sub(r"['\"][^'\"]*[/\\][^'\"]*['\"]", "", str(error))
        words = " ".join(words.split()).rstrip(" :")[:200] or type(error).__name__
        raise BadClip(
            f"{name} cannot be read ({words}): it is damaged, cut short or not a valid {kind}"
        ) from error
