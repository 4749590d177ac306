"""A forecast streamed to a store; killed at any moment, it resumes to the identical store."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from rolling.common import signals
from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.data.conditions import check_actions
from rolling.data.joint_sequences import JointSequences
from rolling.data.source import Sequences
from rolling.data.statistics import finite
from rolling.run import model
from rolling.run.experiment import Forecast, codec
from rolling.run.forecasting import zarr_writer
from rolling.run.forecasting.forecaster import Forecaster, sequence_keys
from rolling.run.forecasting.init_times import InitTime, choose_starts
from rolling.run.forecasting.known_frames import Source
from rolling.run.forecasting.stored_modalities import OnePart, SeveralParts, parts_of
from rolling.sampling import Carry, sampler_of


class NotFinite(InputError):
    """A forecast that blew up."""


@dataclasses.dataclass
class _Batch:
    """Forecasts sampled together; the last batch may be padded by repetition."""

    places: list[tuple[int, int]]
    size: int

    @property
    def padded(self) -> list[tuple[int, int]]:
        return self.places + [self.places[-1]] * (self.size - len(self.places))


def write_forecast(
    forecaster: Forecaster,
    test: Sequences | JointSequences,
    forecast: Forecast,
    path: Path,
    label: str,
    *,
    overwrite: bool = False,
    given: int = 0,
    starts: list[InitTime] | None = None,
    known: Mapping[str, Source] | None = None,
) -> Path:
    """Streams a forecast to a store at `path`, or continues the one that was started there.

    Unless they are named, `starts` are chosen where there is truth: every one has at least `given` frames
    before it, and no fewer than the window's context, so that with the same `given`, two windows have the
    same starts. `known` says where frames of modalities are that are known and not made.

    Memory does not grow with the number of frames. After each chunk the carry is saved beside the store; a
    killed run resumes from it to the identical store. A store of another forecast is replaced only with
    `overwrite`, and anything else never.
    """
    # Persistence, the baseline of every forecast, needs a frame even where the window is given none.
    parts = parts_of(test, forecaster.recipe)
    parts.check(forecast.frames)
    before = max(forecaster.recipe.given_frames, given, parts.slot)
    if starts is None:
        starts = choose_starts(
            test,
            before,
            forecast.frames,
            forecast.starts,
            from_clip_start=forecast.from_clip_start,
            unit=parts.slot,
        )
        if len(starts) < forecast.starts:
            print(f"{path.name}: {len(starts)} of {forecast.starts} starts: the held-out part has no more")
    for start in starts:
        check_actions(test, start.sequence, start.frame + forecast.frames)
    cycles = forecaster.cycles(forecast.frames, forecast.chunk)
    frames = None
    if known:
        frames = forecaster.known_frames(known, cast(SeveralParts, parts), starts, forecast.members)
    identity = _identity(forecaster, parts, forecast, starts)
    identity |= {"known": frames.checksums} if frames else {}
    target = parts.store(path, identity)
    begun = target.exists() and target.check_identity(overwrite=overwrite)
    if begun and target.is_complete():
        return path
    with target.alone():
        note = target.load_note() if begun else None
        if note is None:
            coordinates = parts.coordinates(starts, forecast, forecaster.recipe.given_frames)
            target.create(coordinates, forecaster.rollout(cycles).frames_per_chunk)
        _write_batches(forecaster, test, forecast, starts, cycles, target, note, label, frames)
        target.complete()
    return path


def _identity(
    forecaster: Forecaster, parts: OnePart | SeveralParts, forecast: Forecast, starts: list[InitTime]
) -> dict[str, Any]:
    """Everything that determines the frames of a forecast."""
    times = parts.last_given_times(starts)
    return {
        **{name: codec.encode(part) for name, part in vars(forecaster.recipe).items()},
        "forecast": codec.encode(forecast),
        "checkpoint": forecaster.step,
        "parameters": forecaster.fingerprint(),
        "starts": [[s.sequence, s.frame, str(time)] for s, time in zip(starts, times, strict=True)],
        zarr_writer.CHECKSUM: parts.checksum(starts, forecaster.recipe.given_frames, forecast.frames),
    }


def _write_batches(forecaster, test, forecast, starts, cycles, target, note, label, known):
    places = [(start, member) for start in range(len(starts)) for member in range(forecast.members)]
    size = min(forecast.batch, len(places))
    batches = [_Batch(places[i : i + size], size) for i in range(0, len(places), size)]
    first, lead = _reached(note, len(batches), forecast.frames)
    done = sum(len(batch.places) for batch in batches[:first]) * forecast.frames
    done += lead * len(batches[first].places)
    with Progress(label, len(places) * forecast.frames, unit="frame", done=done, compiles=True) as progress:
        for number in range(first, len(batches)):
            resume = None if note is None else _unpack(note, forecaster, size)
            note = None
            for lead, frames, carry in _sample_batch(
                forecaster, test, forecast, starts, cycles, batches[number], resume, known
            ):
                count = _ticks(frames, forecaster.layout)
                _check_all_finite(frames, forecaster, batches[number].places, lead, starts, target.path)
                with signals.deferred():
                    for place, (start, member) in enumerate(batches[number].places):
                        target.write(start, member, lead, jax.tree.map(lambda part, i=place: part[i], frames))
                    target.save_note(_pack(number, lead + count, carry))
                progress.update(count * len(batches[number].places))
            if number + 1 < len(batches):
                target.save_note({"batch": np.asarray(number + 1), "lead": np.asarray(0)})


def _ticks(frames: Any, layout: Any) -> int:
    """The length of a chunk: in frames, or in ticks."""
    if not isinstance(frames, dict):
        return frames.shape[1]
    name, first = next(iter(frames.items()))
    return first.shape[1] * layout.every[name]


def _sample_batch(forecaster, test, forecast, starts, cycles, batch, resume, frames):
    n = forecaster.recipe.given_frames
    chosen = [starts[start] for start, _ in batch.padded]
    read = [test.read(s.sequence, s.frame - n, s.frame) for s in chosen]
    given = jax.tree.map(lambda *each: np.stack(each), *read)
    shown = model.shown_modalities(forecaster.recipe, forecaster.statistics)
    places = [(s.sequence, s.frame - n) for s in chosen]
    known = model.Known(test, places, forecaster.statistics.mask, shown)
    keys = sequence_keys(forecast.seed, batch.padded)
    standing = frames and frames.batch(batch.padded, n, forecaster.statistics)
    return forecaster.sample(given, known, keys, forecast.frames, cycles, resume, standing)


def _check_all_finite(frames, forecaster, places, lead, starts, path):
    """As `_check_finite`, of each modality."""
    if not isinstance(frames, dict):
        return _check_finite(frames, forecaster.statistics.mask, places, lead, starts, path)
    for name, part in frames.items():
        own = lead // forecaster.layout.every[name]
        _check_finite(part, forecaster.statistics.mask[name], places, own, starts, path / name)


def _check_finite(frames, mask, places, lead, starts, path):
    """`frames [batch, time, ...]`: all cells that `mask` does not mask must be finite."""
    sane = np.all(finite(frames, mask).reshape(*frames.shape[:2], -1), axis=2)
    for (start, member), good in zip(places, sane, strict=False):
        if not good.all():
            bad = lead + int(np.argmin(good))
            raise NotFinite(
                f"the forecast from {starts[start]} (member {member}) is not finite at lead {bad + 1}; the"
                f" leads before it are in {path}: train longer, or use more --calls-per-frame"
            )


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _pack(batch: int, lead: int, carry: Carry) -> dict[str, np.ndarray]:
    """A carry as named arrays; keys as their raw data."""
    leaves = [jax.random.key_data(leaf) if _is_key(leaf) else leaf for leaf in jax.tree.leaves(carry)]
    named = {f"carry{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    return {"batch": np.asarray(batch), "lead": np.asarray(lead), **named}


def _reached(note: dict[str, np.ndarray] | None, batches: int, frames: int) -> tuple[int, int]:
    """The batch and the lead that a note continues. Raises `InputError` where there are none such."""
    if note is None:
        return 0, 0
    batch, lead = (note.get(name, np.asarray(-1)) for name in ("batch", "lead"))
    if not (batch.shape == lead.shape == () and 0 <= batch < batches and 0 <= lead <= frames):
        raise _other_carry()
    return int(batch), int(lead)


def _other_carry() -> InputError:
    return InputError("the saved carry belongs to another forecast: start again with --overwrite")


def _unpack(note: dict[str, np.ndarray], forecaster: Forecaster, size: int) -> tuple[int, Carry] | None:
    """The lead and the carry of a note; None at the start of a batch."""
    if int(note["lead"]) == 0:
        return None
    layout: Any = forecaster.layout
    sampler: Any = sampler_of(forecaster.recipe, layout)
    shape = lambda count, part: jax.ShapeDtypeStruct((size, count, *part.shape), jnp.float32)  # noqa: E731
    window, every = sampler.window.size, getattr(layout, "every", None)
    frames = (
        {name: shape(window // every[name], part) for name, part in layout.of.items()}
        if every
        else shape(window, layout)
    )
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), size))
    structure = []

    def flat_carry(frames, keys):
        leaves, treedef = jax.tree.flatten(sampler.place(frames, keys, 0))
        structure.append(treedef)
        return leaves

    like = jax.eval_shape(flat_carry, frames, keys)
    if any(f"carry{i}" not in note for i in range(len(like))):
        raise _other_carry()
    saved = [jnp.asarray(note[f"carry{i}"]) for i in range(len(like))]
    leaves = [jax.random.wrap_key_data(b) if _is_key(a) else b for a, b in zip(like, saved, strict=True)]
    if [leaf.shape for leaf in leaves] != [leaf.shape for leaf in like]:
        raise _other_carry()
    return int(note["lead"]), jax.tree.unflatten(structure[0], leaves)
