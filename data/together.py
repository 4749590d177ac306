"""Several modalities as one data set: sources joined by time."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from rolling.common.errors import InputError
from rolling.common.files import check_name
from rolling.data.joint_sequences import JointSequences
from rolling.data.set_apart import Place, ranges
from rolling.data.source import Described, Sequences, Source, Split, present
from rolling.data.stretches import common_stretches, covered
from rolling.joint_layout import JointLayout, NamedLayout
from rolling.layout import Layout


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedSource:
    """The source of one modality."""

    name: str
    """The modality's."""
    source: Source
    """Its data."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Together:
    """Sources joined by time, each a modality: fields with stations, video with sound.

    A joined sequence is a stretch of a sequence of each part; all cover the same whole slots (see
    `rolling.joint_layout.JointLayout`). The time of a frame is the end of its interval: the slot of an hourly
    and a 6-hourly part that ends with the field of 06:00 has the stations of 01:00 to 06:00. Where times only
    count from the start of a sequence (`rolling.data.source.Counting`: clips, simulated trajectories), the
    sequences begin together, and frame `k` of each ends `k + 1` of its steps later; simulations of one system
    with different steps do so where their spin-up is whole tens of frames of each. Calendar months are
    counted as such, and a frame ends with its month.

    Sequences with dates are joined wherever they overlap in time; others where they have the same name, or
    the same place where not all have names, and overlap, too. A gap in one part is one in all. Training is
    joined with training and test with test, so that nothing of any test part is seen in training.

    Frames of a part may be missing (`rolling.data.source.WithGaps`), such as the sound of a silent film: what
    is there of it is trained on, and it is left out of the test part.
    """

    parts: tuple[NamedSource, ...] = ()
    """The modalities, two or more."""
    paths: tuple[str, ...] = ()
    """Where the data of the parts are, in their order, or one path for all; none: where each part says."""

    def __post_init__(self):
        names = [part.name for part in self.parts]
        for part in self.parts:
            check_name(part.name, "the name of a modality")
            if isinstance(part.source, Together):
                raise _joint_already(part.name)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"two parts of the source are named {twice!r}: give each a name of its own")
        if len(self.paths) not in (0, 1, len(names)):
            raise InputError(
                f"source.paths are those of {', '.join(names)}, one for each or one for all, and these are"
                f" {len(self.paths)}"
            )

    def source_of(self, modality: str) -> Source:
        """That of one modality."""
        return self._sources[modality]

    @property
    def _sources(self) -> dict[str, Source]:
        """By modality, at their paths."""
        paths = self.paths * (len(self.parts) if len(self.paths) == 1 else 1) or [""] * len(self.parts)
        return {part.name: _placed(part, path) for part, path in zip(self.parts, paths, strict=True)}

    def layout(self) -> JointLayout:
        """That of each part, where all know theirs before they are opened. Raises `InputError` otherwise."""
        self._check_count()
        found = {}
        for name, source in self._sources.items():
            if not isinstance(source, Described):
                raise InputError(
                    f"the source of {name}, {type(source).__name__}, does not tell its layout before it is"
                    " opened: open it"
                )
            with _said_of(name):
                found[name] = source.layout()
        return _joint_layout(found)

    def open(self) -> Split:
        """`train`, `test` and, where each part has one, `validation` are
        `rolling.data.joint_sequences.JointSequences`. Raises `InputError` for parts that cannot be joined."""
        self._check_count()
        self._check_beforehand()
        opened = {}
        for name, source in self._sources.items():
            with _said_of(name):
                opened[name] = source.open()
        for name, split in opened.items():
            if isinstance(split.train, JointSequences):
                raise _joint_already(name)
        notices = [f"{name}: {notice}" for name, split in opened.items() for notice in split.notices]
        train = _join({name: split.train for name, split in opened.items()}, "training", notices)
        test = _join({name: split.test for name, split in opened.items()}, "test", notices, whole=True)
        known = {name: split.validation for name, split in opened.items()}
        parts = {name: part for name, part in known.items() if part is not None}
        validation = None
        if len(parts) == len(known):
            validation = _join(parts, "validation", notices)
        elif parts:
            lacking = " and ".join(name for name in known if name not in parts)
            notices.append(f"The validation part of {' and '.join(parts)} is not used: {lacking} has none.")
        skipped = tuple(
            (f"{name}: {what}", why) for name, split in opened.items() for what, why in split.skipped
        )
        return Split(train=train, test=test, validation=validation, skipped=skipped, notices=tuple(notices))

    def _check_count(self) -> None:
        if len(self.parts) < 2:
            known = f"only {self.parts[0].name}" if self.parts else "none"
            raise InputError(
                f"several modalities are joined, and source.parts has {known}: name two or more sources"
            )

    def _check_beforehand(self) -> None:
        """Before a source simulates or prepares anything, if it can be known so early."""
        try:
            sources = self._sources.items()
            found = {name: part.layout() for name, part in sources if isinstance(part, Described)}
        except InputError:  # to be told by the source itself when it is opened
            return
        _joint_layout(found)


def _placed(part: NamedSource, path: str) -> Source:
    """The source of a part at another path; at its own where that is empty."""
    if not path:
        return part.source
    source: Any = part.source
    if not hasattr(source, "path"):
        kind = type(source).__name__
        raise InputError(f"source.paths names a path for {part.name}, and {kind} has none: leave it out")
    return dataclasses.replace(source, path=path)


@contextlib.contextmanager
def _said_of(name: str) -> Iterator[None]:
    """An `InputError` names the part, and the option for its path."""
    try:
        yield
    except InputError as error:
        said = re.sub(r"--source\.path\b", "--source.paths", str(error))
        raise InputError(f"{name}: {said}") from error


def _joint_layout(layouts: Mapping[str, Layout]) -> JointLayout:
    """Raises `InputError` for layouts that cannot be joined."""
    for name, layout in layouts.items():
        if not isinstance(layout, Layout):
            raise _joint_already(name)
        for what in ("labels", "tokens"):
            if getattr(layout, what):
                raise InputError(
                    f"the sequences of {name} have {what}, which a network of several modalities is not told:"
                    " open its source without them, clips with labelled=False"
                )
    return JointLayout(
        modalities=tuple(NamedLayout(name=name, layout=layout) for name, layout in layouts.items())
    )


def _join(parts: dict[str, Sequences], what: str, notices: list[str], *, whole: bool = False) -> Sequences:
    """The joined sequences of one part of a split; what is left out is added to the notices. With `whole`
    those of which frames are missing are."""
    layout = _joint_layout({name: part.layout for name, part in parts.items()})
    stretches = common_stretches(layout, parts, what)
    told = []
    for (name, part), found in zip(parts.items(), zip(*stretches, strict=True), strict=True):
        total = sum(part.length(i) for i in range(len(part)))
        if left := total - covered(found):
            told.append(f"{left} of {total} frames of {name}")
    if told:
        notices.append(
            f"Of the {what} part, {' and '.join(told)} are left out, where the others do not cover the same"
            f" time in whole slots of {layout.slot} ticks."
        )
    if whole:
        stretches = _without_gaps(stretches, parts, what, notices)
    places = zip(parts.items(), zip(*stretches, strict=True), strict=True)
    joined = {name: ranges(part, found) for (name, part), found in places}
    # A split names the sequences of one modality; those who take several ask for what is in it.
    return cast(Sequences, JointSequences(joined))


def _without_gaps(
    stretches: list[tuple[Place, ...]], parts: dict[str, Sequences], what: str, notices: list[str]
) -> list[tuple[Place, ...]]:
    """Those of which all frames are there. Raises `InputError` where none is left."""
    kept, lacking = [], set()
    for places in stretches:
        pairs = zip(parts.items(), places, strict=True)
        without = {name for (name, part), place in pairs if not present(part, *place).all()}
        kept += [] if without else [places]
        lacking |= without
    if not lacking:
        return kept
    names = " and ".join(name for name in parts if name in lacking)
    if not kept:
        raise InputError(
            f"frames of {names} are missing in all {len(stretches)} joined sequences of the {what} part: hold"
            " out some that have them"
        )
    notices.append(
        f"Of the {what} part, {len(stretches) - len(kept)} of {len(stretches)} joined sequences are left out,"
        f" as frames of {names} are missing in them."
    )
    return kept


def _joint_already(name: str) -> InputError:
    return InputError(
        f"the source of {name} has several modalities already: name its parts beside the others"
    )
