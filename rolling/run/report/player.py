"""The animation of a report: sprite sheets for a canvas, drawn by `player.js`.

A *reel* is one start of one variable. Its frames are side by side in a sheet, one row per panel (truth,
ensemble mean, members), in the colours of one scale, so that all panels of a variable can be compared by eye
and a colour can be mapped back to a value; pictures keep their own colours. The spread has its own sheet and
scale.
"""

import base64
import io
import json

import numpy as np
from PIL import Image

from rolling.layout import Layout
from rolling.run.report.colours import Palette, palette, spread_scale
from rolling.run.report.shown_clips import Clip
from rolling.run.report.words import Words, with_units

PACE = (500, 220, 500)
"""Milliseconds for which a given frame, a forecast frame and the last frame are shown."""
LARGEST = 2**19  # bytes of a losslessly compressed sheet
FASTEST, SLOWEST, REST = 40, 200, 1200  # the same for pictures, whose own pace is kept within bounds


def panels(clips: list[Clip]) -> list[dict]:
    """The panels of clips of one store: a name, a sheet (0: fields, 1: spread) and a row of that sheet."""
    fields = [{"name": name, "sheet": 0, "row": row} for row, name in enumerate(clips[0].fields)]
    spread = {"name": "Ensemble spread", "sheet": 1, "row": 0}
    return fields if clips[0].spread is None else [*fields, spread]


def manifest(clips: list[Clip], layout: Layout) -> str:
    """All that `player.js` needs, as JSON that may stand inside a `<script>` element."""
    words = Words(layout)
    scales = {name: _scales(group) for name, group in _by_variable(clips).items()}
    height, width = clips[0].fields["Truth"].shape[1:3]
    found = {
        "tile": [width, height],
        "pace": _pace(clips[0], layout),
        "panels": panels(clips),
        "scales": {
            name: [
                scale.bar(label, words.units(name))
                for scale, label in zip(group, _labels(name, words), strict=False)
            ]
            for name, group in scales.items()
        },
        "reels": [_reel(clip, scales[clip.variable.name], words) for clip in clips],
    }
    return json.dumps(found, separators=(",", ":")).replace("<", "\\u003c")


def _pace(clip: Clip, layout: Layout) -> tuple[int, int, int]:
    if not layout.is_video:
        return PACE
    shown = int(min(max(1000 * layout.step * int(clip.lead[-1] - clip.lead[-2]), FASTEST), SLOWEST))
    return shown, shown, REST


def _by_variable(clips: list[Clip]) -> dict[str, list[Clip]]:
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(clip.variable.name, []).append(clip)
    return groups


def _scales(clips: list[Clip]) -> list[Palette]:
    found: list[Palette] = [palette(clips)]
    spread = [clip.spread for clip in clips if clip.spread is not None]
    if spread:
        found.append(spread_scale(spread))
    return found


def _labels(name: str, words: Words) -> list[str]:
    """What the colours of the sheets mean."""
    if words.layout.is_video:
        return [name, "Ensemble spread (grey levels)"]
    title, units = words.title(name), words.units(name)
    return [with_units(title, units), with_units(f"Ensemble spread of {title}", units)]


def _reel(clip: Clip, scales: list[Palette], words: Words) -> dict:
    sheets = [_sheet(list(clip.fields.values()), scales[0])]
    if clip.spread is not None:
        sheets.append(_sheet([clip.spread], scales[1]))
    return {
        "variable": clip.variable.name,
        "given": int((clip.lead <= 0).sum()),
        "captions": [words.caption(lead, time) for lead, time in zip(clip.lead, clip.times, strict=True)],
        "sheets": sheets,
    }


def _sheet(rows: list[np.ndarray], scale: Palette) -> str:
    """Fields `[frame, y, x]`, one per row, as a data URI of `rows` x `frames` tiles."""
    tiles = scale.paint(np.stack(rows))
    count, frames, height, width, _ = tiles.shape
    sheet = tiles.transpose(0, 2, 1, 3, 4).reshape(count * height, frames * width, 3)
    for options in scale.saved:
        buffer = io.BytesIO()
        Image.fromarray(sheet).save(buffer, **options)
        if buffer.tell() <= LARGEST:
            break
    return data_uri(buffer.getvalue(), f"image/{options['format'].lower()}")


def data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
