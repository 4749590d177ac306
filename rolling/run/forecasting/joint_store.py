"""The store of a forecast of several modalities: a group for each, which is a store as that of one.

`xarray.open_zarr(path, group=NAME)` opens one of them, and `xarray.open_datatree(path)` all.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from rolling.common.errors import InputError
from rolling.common.files import new_folder
from rolling.layout import Layout
from rolling.run.forecasting.zarr_writer import ForecastStore, Noted, consolidate


class JointStore(Noted):
    """The groups of a store that is being written, and the note of all. Leads and chunks are in ticks, of
    which there are `every[name]` to a frame."""

    def __init__(
        self, path: Path, layouts: Mapping[str, Layout], every: Mapping[str, int], identity: dict[str, Any]
    ):
        super().__init__(path)
        self.every = every
        self.groups = {name: ForecastStore(path / name, part, identity) for name, part in layouts.items()}

    def create(self, coordinates: Mapping[str, xr.Dataset], chunk: int) -> None:
        """Empty groups; `chunk` ticks are written at a time."""
        with new_folder(self.path) as temporary:
            zarr.create_group(temporary, zarr_format=3)
            for name, group in self.groups.items():
                group.fill(temporary / name, coordinates[name], chunk // self.every[name])
            self._note.unlink(missing_ok=True)

    def write(self, start: int, member: int, lead: int, frames: Mapping[str, np.ndarray]) -> None:
        """Writes the frames of all that are made, from lead `lead` on."""
        for name, group in self.groups.items():
            group.write(start, member, lead // self.every[name], frames[name])

    def check_identity(self, *, overwrite: bool = False) -> bool:
        """As that of a store of one modality, of each group."""
        missing = [name for name, group in self.groups.items() if not group.exists()]
        if missing and not overwrite:
            raise InputError(
                f"{self.path} exists and has no forecast of {missing[0]}: choose another --output, or replace"
                " it with --overwrite"
            )
        # All are asked, so that the sentence of any comes before something is replaced.
        same = [group.check_identity(overwrite=overwrite) for group in self.groups.values() if group.exists()]
        return not missing and all(same)

    def complete(self) -> None:
        """Marks all groups as complete and deletes the note."""
        for group in self.groups.values():
            group.complete()
        consolidate(self.path)
        self._note.unlink(missing_ok=True)

    def is_complete(self) -> bool:
        return all(group.is_complete() for group in self.groups.values())
