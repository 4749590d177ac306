"""Checkpoints: one orbax composite with everything that a run needs to continue training or to forecast.

Items: `params`, `ema`, `optimiser`, `progress` (step and key), `iterator` (of the input pipeline),
`experiment`, `layout` (variables, units, coordinates), `lengths` (of the sequences), `statistics`,
`objective` (its state, where it keeps one), `best` (with validation, see `Best`) and `seal` (checksums of all
others). Orbax renames a finished checkpoint into place, so a killed run never leaves a partial one, nor one
without its seal.
"""

import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from rolling.common import seal
from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.common.files import one_line
from rolling.common.machine import FULL
from rolling.data.joint_statistics import from_arrays
from rolling.run.experiment import Experiment, codec, presets, registry

for _name in ("absl", "asyncio"):  # orbax logs every step of a save, and every task that failed with another
    logging.getLogger(_name).setLevel(logging.CRITICAL)

TREES = ("params", "ema", "optimiser", "progress", "statistics")
JSON = ("iterator", "experiment", "layout", "lengths")
"""The items of every checkpoint. Any other one is a tree, too."""
FORECASTING = ("progress", "statistics", "experiment", "layout")
"""The items that forecasts are made with, beside the parameters: `best`, or `ema` without validation."""
DOCUMENTS = ("metadata", "_METADATA", "_sharding")  # names of orbax, which reads them however large they are
OF_STEP = "_CHECKPOINT_METADATA"
UNFINISHED = "*.orbax-checkpoint-tmp*"  # names of orbax
ADVICE = "delete that folder to use the one before it"


def _ignore_closed_loops() -> None:
    """When orbax fails to read or write one file, Python tells of every other file that has no one left to
    report to: dozens of lines above the sentence that matters."""
    hook = sys.unraisablehook
    if getattr(hook, "__name__", "") != "unless_closed":

        def unless_closed(lost: Any) -> None:
            if str(lost.exc_value) != "Event loop is closed":
                hook(lost)

        sys.unraisablehook = unless_closed


def _host(tree: Any) -> Any:
    """Copies on the host: the next training step donates the arrays themselves."""
    return jax.tree.map(lambda leaf: np.array(leaf, copy=True), tree)


def _checksum(name: str, item: Any) -> int:
    return seal.checksum_of_json(item) if name in JSON else seal.checksum_of_arrays(leaves_by_path(item))


class Checkpoints:
    """The checkpoints of a run, in `folder`. Raises `InputError` where one hides them all by its damage."""

    def __init__(self, folder: Path, keep: int = 2):
        self.folder = folder
        _ignore_closed_loops()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        try:
            for file in sorted(folder.glob(f"*/{OF_STEP}")):
                read_json(file)
            self._manager = ocp.CheckpointManager(folder.absolute(), options=options)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"the checkpoints in {folder} cannot be read ({one_line(error)[:200]}): the {OF_STEP} of one"
                f" is damaged; {ADVICE}"
            ) from error

    def save(self, step: int, items: dict[str, Any]) -> None:
        """Writes in the background; `items` has the keys of `TREES` and `JSON`, and may have more trees."""
        items = {name: item if name in JSON else _host(item) for name, item in items.items()}
        arguments = {
            name: ocp.args.JsonSave(item) if name in JSON else ocp.args.StandardSave(item)
            for name, item in items.items()
        }
        self.wait()
        self._remove_halves()
        arguments[seal.SEAL] = ocp.args.JsonSave({name: _checksum(name, items[name]) for name in items})
        with self._writing():
            self._manager.save(step, args=ocp.args.Composite(**arguments))

    def latest(self) -> int | None:
        return self._manager.latest_step()

    def found(self) -> int:
        """The latest step. Raises `InputError` where there is none."""
        step = self.latest()
        if step is None:
            raise InputError(f"there is no checkpoint in {self.folder}: train the run first")
        return step

    def forecasting(self) -> tuple[str, ...]:
        """The items of the latest checkpoint that forecasts are made with."""
        is_validated = (self.folder / str(self.found()) / "best").is_dir()
        return ("best" if is_validated else "ema", *FORECASTING)

    def restore(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Items of the latest checkpoint; trees are dicts and lists of host arrays, see `fitted`."""
        step = self.found()
        place = self.folder / str(step)
        is_sealed = (place / seal.SEAL).exists()
        arguments = {
            name: ocp.args.JsonRestore() if name in (*JSON, seal.SEAL) else ocp.args.StandardRestore()
            for name in (*names, *([seal.SEAL] if is_sealed else []))
        }
        try:
            for file in (place / name / each for name in arguments for each in DOCUMENTS):
                if file.exists():
                    read_json(file)
            restored = self._manager.restore(step, args=ocp.args.Composite(**arguments))
            found = {name: restored[name] for name in names}
            whole = not is_sealed or all(
                restored[seal.SEAL].get(name) == _checksum(name, item) for name, item in found.items()
            )
        except Exception as error:  # of orbax, tensorstore, a decoder
            raise InputError(
                f"the checkpoint {place} cannot be read ({one_line(error)[:200]}): if it is damaged, {ADVICE}"
            ) from error
        if not whole:
            raise seal.damaged(f"the checkpoint {place}", ADVICE)
        if not is_sealed:
            seal.tell_missing(f"the checkpoint {place}")
        return found

    def wait(self) -> None:
        """Blocks until everything saved is on disk; raises errors of the background thread."""
        with self._writing():
            self._manager.wait_until_finished()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """After an error nothing half written is left, and a full disk is called so."""
        try:
            yield
        except Exception as error:
            self._remove_halves()
            for code in FULL:
                if os.strerror(code) in str(error):
                    raise OSError(code, os.strerror(code), str(self.folder)) from None
            raise

    def _remove_halves(self) -> None:
        """Removes what is left of checkpoints that a full disk or a kill has cut short."""
        for half in self.folder.glob(UNFINISHED):
            shutil.rmtree(half, ignore_errors=True)

    def close(self) -> None:
        self._manager.close()


def leaves_by_path(tree: Any) -> dict[str, Any]:
    """Leaves by path, `embedder.label.kernel`; named tuples and dicts give the same paths."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def check_shapes(found: Any, like: Any, where: str) -> None:
    """Raises `InputError` where the shapes in a checkpoint are not those of the network."""
    flat, expected = (
        {name: np.shape(leaf) for name, leaf in leaves_by_path(tree).items()} for tree in (found, like)
    )
    for name in [*expected, *flat]:
        if flat.get(name) != expected.get(name):
            raise InputError(
                f"{where} comes from another architecture: {name} is {flat.get(name)} there and"
                f" {expected.get(name)} here; use the experiment.json that belongs to it"
            )


def fitted(found: Any, like: Any, where: str) -> Any:
    """The leaves of `found` in the structure of `like`. Raises `InputError` where they do not fit."""
    check_shapes(found, like, where)
    leaves = leaves_by_path(found)
    return jax.tree.unflatten(jax.tree.structure(like), [leaves[name] for name in leaves_by_path(like)])


class Best(NamedTuple):
    """The averaged parameters of the lowest validation loss so far, that loss, the step of both, and how many
    evaluations there have been since. Before the first one the step is 0, the loss infinite, and the
    parameters are the last ones."""

    params: Any
    loss: np.ndarray
    step: np.ndarray
    since: np.ndarray

    @classmethod
    def none_yet(cls, params: Any) -> "Best":
        return cls(params, np.asarray(np.inf), np.asarray(0), np.asarray(0))

    def after(self, params: Any, loss: float, step: int) -> "Best":
        """With one more evaluation, of `params` after `step`."""
        if loss < self.loss:
            return Best(_host(params), np.asarray(loss), np.asarray(step), np.asarray(0))
        return self._replace(since=self.since + 1)

    def ends(self, patience: int) -> bool:
        """Whether a training of this patience ends here."""
        return 0 < patience <= self.since

    def words(self) -> str:
        """Which parameters forecast, in one sentence."""
        return (
            f"forecasts are made with the average of step {self.step}, whose validation loss was lowest"
            f" ({self.loss:.4g})"
        )


class Trained(NamedTuple):
    """The parameters of a run's latest checkpoint that forecast, averages of those that were trained, and
    everything needed to forecast with them. They are those after `step`; `chosen` says so where validation
    has chosen them."""

    experiment: Experiment
    layout: Any
    """`Layout`, or `JointLayout` of several modalities; so with the statistics."""
    statistics: Any
    params: Any
    step: int
    chosen: str = ""


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[Checkpoints]:
    """The checkpoints of a run, to be read. Raises `InputError` where it has none."""
    if not (folder / "checkpoints").is_dir():
        raise InputError(
            f"{folder} is not a trained run, as it has no checkpoints: train it first with `rolling train`"
        )
    checkpoints = Checkpoints(folder / "checkpoints")
    try:
        yield checkpoints
    finally:
        checkpoints.close()


def check_trained(folder: Path) -> None:
    """Raises `InputError` where a folder holds no checkpoint."""
    with _opened(folder) as checkpoints:
        checkpoints.found()


def load_trained(folder: Path) -> Trained:
    """Raises `InputError` where there is no trained run."""
    with _opened(folder) as checkpoints:
        items = checkpoints.restore(checkpoints.forecasting())
    where = f"the checkpoint of {folder}"
    _tell_unreadable(folder / "experiment.json")
    experiment = presets.from_run(items["experiment"], where, folder)
    best = Best(**items["best"]) if "best" in items else None
    if best is None and experiment.validation.share:
        raise seal.damaged(where, ADVICE)
    return Trained(
        experiment,
        codec.decode(items["layout"], where=where),
        from_arrays(items["statistics"]),
        experiment.objective.forecasts(best.params if best else items["ema"]),
        int(best.step if best and best.step else items["progress"]["step"]),
        best.words() if best and best.step else "",
    )


def ended_early(folder: Path, experiment: Experiment) -> bool:
    """Whether validation has ended the training of a run that has checkpoints."""
    patience = experiment.validation.patience
    if not patience:
        return False
    with _opened(folder) as checkpoints:
        return Best(**checkpoints.restore(("best",))["best"]).ends(patience)


def _tell_unreadable(path: Path) -> None:
    """Says that an experiment.json is broken, which is no obstacle: the checkpoint holds it, too."""
    try:
        if not isinstance(codec.decode(read_json(path), where=str(path)), Experiment):
            raise InputError("it holds no experiment")
    except registry.UnknownPart:
        pass  # is said of the checkpoint's copy
    except FileNotFoundError:
        pass
    except (OSError, ValueError, InputError) as error:
        said = one_line(error)[:200]
        print(f"{path} cannot be read ({said}): the experiment is taken from the checkpoint", file=sys.stderr)


def copy_trained(folder: Path, copy: Path) -> None:
    """Copies what `load_trained` reads of a run, byte for byte, into the empty folder `copy`.

    Raises `InputError` where the run is not trained, and `OSError` where it cannot be copied.
    """
    with _opened(folder) as checkpoints:
        place, names = Path("checkpoints", str(checkpoints.found())), checkpoints.forecasting()
    (copy / place).mkdir(parents=True)
    for item in (folder / place).iterdir():
        if item.is_file():
            shutil.copyfile(item, copy / place / item.name)
        elif item.name in (*names, seal.SEAL):
            shutil.copytree(item, copy / place / item.name)
