"""Checkpoints: one orbax composite with everything that a run needs, to train on or to forecast.

Items: `params`, `ema`, `optimiser`, `progress` (step and key), `iterator` (of the input pipeline),
`experiment`, `layout` (variables, units, coordinates), `lengths` (of the sequences) and `statistics`. Orbax
renames a finished checkpoint into its place, so that a killed run never leaves half of one.
"""

import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from rolling.common.errors import InputError

logging.getLogger("absl").setLevel(logging.ERROR)  # orbax narrates every step of a save

TREES = ("params", "ema", "optimiser", "progress", "statistics")
JSON = ("iterator", "experiment", "layout", "lengths")


def _host(tree: Any) -> Any:
    """Copies on the host: the arrays themselves are given away by the next training step."""
    return jax.tree.map(lambda leaf: np.array(leaf, copy=True), tree)


class Checkpoints:
    """The checkpoints of a run, in `folder`."""

    def __init__(self, folder: Path, keep: int = 2):
        self.folder = folder
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def save(self, step: int, items: dict[str, Any]) -> None:
        """Writes in the background; `items` has the keys of `TREES` and `JSON`."""
        arguments = {name: ocp.args.StandardSave(_host(items[name])) for name in TREES}
        arguments |= {name: ocp.args.JsonSave(items[name]) for name in JSON}
        self._manager.save(step, args=ocp.args.Composite(**arguments))

    def latest(self) -> int | None:
        return self._manager.latest_step()

    def restore(self, names: tuple[str, ...], like: dict[str, Any] | None = None) -> dict[str, Any]:
        """Items of the latest checkpoint. With `like`, trees must have the structure and shapes given."""
        step = self.latest()
        if step is None:
            raise InputError(f"there is no checkpoint in {self.folder}: train the run first")
        arguments = {}
        for name in names:
            if name in JSON:
                arguments[name] = ocp.args.JsonRestore()
            else:
                arguments[name] = ocp.args.StandardRestore((like or {}).get(name))
        try:
            restored = self._manager.restore(step, args=ocp.args.Composite(**arguments))
        except Exception as error:
            raise InputError(
                f"the checkpoint {self.folder / str(step)} cannot be read"
                f" ({str(error).splitlines()[0][:200]}): if it is damaged, delete that folder to go back to"
                " the one before"
            ) from error
        return {name: restored[name] for name in names}

    def wait(self) -> None:
        """Until what was saved is on disk; raises what went wrong in the background."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        self._manager.close()


def check_shapes(found: Any, wanted: Any, where: str) -> None:
    """Raises `InputError` where parameters from a checkpoint do not fit a network."""
    flat = {jax.tree_util.keystr(k): np.shape(v) for k, v in jax.tree_util.tree_leaves_with_path(found)}
    want = {jax.tree_util.keystr(k): np.shape(v) for k, v in jax.tree_util.tree_leaves_with_path(wanted)}
    for name in [*want, *flat]:
        if flat.get(name) != want.get(name):
            raise InputError(
                f"{where} comes from another architecture: {name} is {flat.get(name)} there and"
                f" {want.get(name)} here; use the experiment.json that belongs to it"
            )
