"""The joint U-ViT: a video U-ViT for each of several modalities, which share their coarsest level.

Every frame has its own clock, and each modality its own rate, grid and levels. On the coarsest grids, where a
frame is a few tokens, they see each other: all tokens of all of them attend to all.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from rolling.common.errors import InputError
from rolling.denoisers import NOTHING, OF_FRAMES, OF_SEQUENCES, Condition, Inputs
from rolling.video.uvit.blocks import BlockInputs, Keys, Modality
from rolling.video.uvit.joint_places import Grid, joint_places
from rolling.video.uvit.layers import Frames
from rolling.video.uvit.network import VideoUViT, VideoUViTModule

OF_ALL = ("label", "tokens")
"""The parts of a condition that belong to all modalities together."""
OF_ONE = tuple(name for name in (*OF_SEQUENCES, *OF_FRAMES, "static") if name not in (*OF_ALL, "known"))
"""The parts that belong to one modality."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tower:
    """The network of one modality."""

    name: str = "frames"
    """The modality's."""
    network: VideoUViT = VideoUViT()
    """Its levels; the last one is that of all towers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointUViT:
    """Settings of the joint U-ViT.

    Each modality `m` has the embedder, stem, finer levels and head of a `VideoUViT`, and the coarsest level
    `C` is one for all:

        h_m, kept_m = descend_m(z_m, logsnr_m)
        h'_1, h'_2, ... = C(h_1 + e_1, h_2 + e_2, ...)
        y_m = ascend_m(h'_m, kept_m)

    In each block of `C` all tokens of all frames of all modalities attend to one another. A token is
    modulated by the embedding of its own frame, thus by its own clock and modality. Its rotary position in
    time is the tick at which its frame ends, `every (j + 1) - 1` for frame `j`, with `every` from `Inputs`;
    those in space are of its own grid, see `joint_places`. `e_m` is a learned vector, zero at first. If the
    networks are `causal`, a token sees the tokens of its own tick and of earlier ones. As built, each
    modality is modelled by itself, frame by frame.

    The parameters of `C` are part of the first tower, as in its own `VideoUViT`; the other towers have all
    but these. With a single tower, of a frame to each tick, this is its `VideoUViT`: the same parameters,
    under `towers.NAME`, and the same outputs, to the bit.

    All modalities as tokens of one U-ViT, each with a clock: UniDiffuser (arXiv 2303.06555); a clock for each
    modality and frame: AVDiT (arXiv 2405.13762); rotary positions in a time common to all rates: LTX-2 (arXiv
    2601.03233).

    Raises `InputError` where a name is given twice, and where the coarsest levels of towers differ, are no
    transformers or have factorised attention: modalities have neither the cells in common over which to
    attend frame by frame, nor the frames over which to attend cell by cell.
    """

    towers: tuple[Tower, ...] = ()
    """The network of each modality."""

    def __post_init__(self):
        names = [tower.name for tower in self.towers]
        if not names:
            raise InputError("the joint U-ViT has no tower: give one for each modality")
        if repeated := [name for name in names if names.count(name) > 1]:
            raise InputError(f"two towers are named {repeated[0]!r}: give each the name of its modality")
        for tower in self.towers:
            if not tower.network.transformer_levels:
                raise InputError(
                    f"the coarsest level of the tower {tower.name!r} is no transformer, and in that level the"
                    " modalities attend to one another: set its transformer_levels to 1 or more"
                )
            if tower.network.attention != "joint":
                raise InputError(
                    f"the attention of the tower {tower.name!r} is {tower.network.attention}, and modalities"
                    " have neither cells nor frames in common to attend over in turn: set it to joint"
                )
        first, *others = self.towers
        for other in others:
            mine, its = (_coarsest(tower.network) for tower in (first, other))
            if differ := [name for name in mine if mine[name] != its[name]]:
                raise InputError(
                    f"the towers {first.name!r} and {other.name!r} have one coarsest level, and their"
                    f" {differ[0]} are {mine[differ[0]]} and {its[differ[0]]}: make them equal"
                )

    def build(self, inputs: Inputs | Mapping[str, Inputs], rngs: nnx.Rngs) -> "JointUViTModule":
        """Raises `InputError` where the modalities are not those of the towers, where a tower does not suit
        its frames, or where the modalities differ in labels or tokens."""
        if isinstance(inputs, Inputs):
            raise InputError(
                "the joint U-ViT is a network of several modalities, and these data are of one:"
                " choose video_uvit"
            )
        names = [tower.name for tower in self.towers]
        _same_names(names, inputs, "the inputs")
        for part in ("labels", "tokens"):
            found = [getattr(inputs[name], part) for name in names]
            if len(set(found)) > 1:
                raise InputError(
                    f"the modalities {', '.join(names)} have {', '.join(map(str, found))} {part}, and these"
                    " belong to all: give the same number for each"
                )
        settings = {}
        for tower in self.towers:
            with _said_of(tower.name):
                settings[tower.name] = tower.network.suited(inputs[tower.name])
        return JointUViTModule(settings, inputs, rngs)


def _coarsest(network: VideoUViT) -> dict[str, Any]:
    """What the coarsest level of a network is built from."""
    names = ("heads", "expansion", "embedding", "causal", "dropout", "remat", "dtype")
    ends = {"last channels": network.channels[-1], "last blocks": network.blocks[-1]}
    return ends | {name: getattr(network, name) for name in names}


@contextlib.contextmanager
def _said_of(name: str) -> Iterator[None]:
    """An `InputError` names the modality."""
    try:
        yield
    except InputError as error:
        raise InputError(f"of the modality {name!r}: {error}") from error


def _same_names(names: Collection[str], given: Collection[str], what: str) -> None:
    """Raises `InputError` where what is given is not of the network's modalities."""
    missing, unknown = ([name for name in a if name not in b] for a, b in ((names, given), (given, names)))
    if missing or unknown:
        wrong = f"lack {', '.join(missing)}" if missing else f"are also of {', '.join(unknown)}"
        raise InputError(f"{what} {wrong}: the network's modalities are {', '.join(names)}, give just these")


class JointUViTModule(nnx.Module):
    """The network: `(z, logsnr, condition) -> output`, each but the condition a dict by modality."""

    def __init__(self, settings: Mapping[str, VideoUViT], inputs: Mapping[str, Inputs], rngs: nnx.Rngs):
        self.names = tuple(settings)
        self.towers = nnx.Dict(
            {
                name: VideoUViTModule(config, inputs[name], rngs, whole=name == self.names[0])
                for name, config in settings.items()
            }
        )
        if len(self.names) > 1:
            self.marks = nnx.Dict(
                {name: nnx.Param(jnp.zeros(config.channels[-1])) for name, config in settings.items()}
            )

    def __call__(
        self,
        z: Mapping[str, Frames],
        logsnr: Mapping[str, Array],
        condition: Condition = NOTHING,
        dropout_key: Array | None = None,
    ) -> dict[str, Frames]:
        """Outputs of the shapes of `z`, float32.

        `condition.of[name]` has what belongs to one modality; label and tokens belong to all. Raises
        `InputError` where modalities are missing or unknown, or their frames do not end together.
        """
        self.check(z, logsnr, condition)
        keys, told, coarse, kept = Keys(dropout_key), {}, {}, {}
        for name in self.names:
            h, told[name] = self.enter(name, z[name], logsnr[name], condition, keys)
            coarse[name], kept[name] = self.towers[name].level.descend(h, told[name])
        coarse = self.together(coarse, told)
        outputs = {}
        for name in self.names:
            tower = self.towers[name]
            h = tower.level.ascend(coarse[name], kept[name], told[name])
            outputs[name] = tower.leave(h, told[name], z[name].shape[2:-1])
        return outputs

    def enter(
        self, name: str, z: Frames, logsnr: Array, condition: Condition, keys: Keys
    ) -> tuple[Frames, BlockInputs]:
        """What the levels of a tower receive."""
        own = (condition.of or {}).get(name, NOTHING)
        own = dataclasses.replace(own, **{part: getattr(condition, part) for part in OF_ALL})
        with _said_of(name):
            return self.towers[name].enter(z, logsnr, own, keys)

    def together(self, coarse: Mapping[str, Frames], told: Mapping[str, BlockInputs]) -> dict[str, Frames]:
        """The coarsest level, of the tokens of all modalities."""
        first = self.towers[self.names[0]]
        heads, causal = first.config.heads, first.config.causal
        tokens = [self.tokens(name, coarse[name]) for name in self.names]
        grids = [self.grid(name, coarse[name]) for name in self.names]
        places = joint_places(grids, first.config.channels[-1] // heads, causal)
        named = zip(self.names, places, strict=True)
        modalities = tuple(Modality(told[name].embedding, own) for name, own in named)
        inputs = told[self.names[0]]._replace(modalities=modalities)
        mixed = first.level.coarsest(jnp.concatenate(tokens, axis=1), inputs)
        ends = itertools.accumulate(part.shape[1] for part in tokens)
        parts = jnp.split(mixed, list(ends)[:-1], axis=1)
        return {name: part.reshape(coarse[name].shape) for name, part in zip(self.names, parts, strict=True)}

    def tokens(self, name: str, h: Frames) -> Float[Array, "batch token channel"]:
        flat = h.reshape(h.shape[0], -1, h.shape[-1])
        return flat + self.marks[name][...].astype(h.dtype)[None, None] if len(self.names) > 1 else flat

    def grid(self, name: str, h: Frames) -> Grid:
        every, tower = self.towers[name].inputs.every, self.towers[name]
        ticks = tuple(every * (j + 1) - 1 for j in range(h.shape[1]))
        return Grid(ticks, h.shape[2:-1], tower.config.periodic)

    def check(self, z: Mapping[str, Frames], logsnr: Mapping[str, Array], condition: Condition) -> None:
        """Raises `InputError` if the modalities are not those that the network was built for."""
        for what, given in (("the frames", z), ("the clocks", logsnr)):
            if not isinstance(given, Mapping):
                raise InputError(
                    f"{what} are one array, and the network's modalities are {', '.join(self.names)}: give a"
                    " dict with an array for each"
                )
            _same_names(self.names, given, what)
        ticks = {name: z[name].shape[1] * self.towers[name].inputs.every for name in self.names}
        if len(set(ticks.values())) > 1:
            found = ", ".join(f"those of {name} {count}" for name, count in ticks.items())
            raise InputError(
                f"the frames of the modalities do not span the same ticks, but {found}: give frames of the"
                " same time"
            )
        if len({z[name].shape[0] for name in self.names}) > 1:
            raise InputError(
                "the modalities have batches of different sizes: give the same sequences of each"
            )
        _check_condition(self.names, condition)


def _check_condition(names: Collection[str], condition: Condition) -> None:
    """Raises `InputError` where a part of a condition is not looked for."""
    of = condition.of or {}
    if unknown := [name for name in of if name not in names]:
        raise InputError(
            f"the condition is of {unknown[0]!r}, too, and the network's modalities are {', '.join(names)}:"
            " leave it out"
        )
    if whole := [part for part in OF_ONE if getattr(condition, part) is not None]:
        raise InputError(f"the condition's {whole[0]} belong to one modality: give them in its `of`, by name")
    if own := [part for part in OF_ALL for each in of.values() if getattr(each, part) is not None]:
        raise InputError(f"a modality's condition has a {own[0]}, which belongs to all: give it beside `of`")
