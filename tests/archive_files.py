"""Miniatures of archives of simulations, in the layouts of their projects, whose values say where they lie.

The value of a cell is `1000 b + 100 t + 10 i + j / 10 + k / 1000`, and a number for its channel behind that:
whatever is transposed or shifted is another number.
"""

from pathlib import Path

import h5py
import numpy as np

from rolling.array_types import SPACE


def coded(trajectories, frames, space, channel=0, first=0):
    """`[b, t, *space]`, float64, with the axes of space in the order of `space`, `{"x": 6, "y": 4}`; a value
    depends on its place along x, y and z, in whatever order they are stored."""
    grids = np.meshgrid(
        np.arange(first, first + trajectories),
        np.arange(frames),
        *map(np.arange, space.values()),
        indexing="ij",
    )
    factors = {"x": 10.0, "y": 0.1, "z": 0.001}
    value = 1000.0 * grids[0] + 100.0 * grids[1] + 1e-5 * channel
    for letter, grid in zip(space, grids[2:], strict=True):
        value = value + factors[letter] * grid
    return value


def expected(trajectory, start, stop, axes, channel=0):
    """The same of one trajectory, `[t, *space]` in our order of axes: z, y, x."""
    ours = {letter: axes[letter] for letter in SPACE if letter in axes}
    return coded(1, stop, ours, channel, first=trajectory)[0, start:]


def the_well(
    folder: Path, *, vectors=True, tensor=False, tiled=False, walls=True, numbers=(100.0, 200.0, 400.0)
):
    """A data set of The Well: 3 training files of 2 trajectories, 1 to validate on and 2 to test on."""
    space = {"x": 6, "y": 4}
    names = [*(f"train/s_Re_{n:g}" for n in numbers), "valid/s_Re_150", "test/s_Re_100", "test/s_Re_400"]
    said = [*numbers, 150.0, 100.0, 400.0]
    for place, (name, number) in enumerate(zip(names, said, strict=True)):
        file = folder / "data" / f"{name}.hdf5"
        file.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(file, "w") as held:
            held.attrs.update(
                dataset_name="mini", grid_type="cartesian", n_spatial_dims=2, n_trajectories=2, Re=number
            )
            held.attrs["simulation_parameters"] = np.array(["Re"], dtype=h5py.string_dtype())
            _dimensions(held, space)
            scalars = held.create_group("t0_fields")
            scalars.attrs["field_names"] = [b"density", b"mask", b"profile"]
            _field(scalars, "density", coded(2, 12, space, 1, first=2 * place))
            mask = (coded(1, 1, space)[0, 0] > 20).astype(np.float32)
            _field(scalars, "mask", mask, sample=False, time=False)
            profile = coded(2, 12, space, 2, first=2 * place)[:, :, :, :1]
            _field(scalars, "profile", profile if tiled else profile[..., 0], varies=(True, False))
            if vectors:
                vector = held.create_group("t1_fields")
                vector.attrs["field_names"] = ["velocity"]
                parts = [coded(2, 12, space, channel, first=2 * place) for channel in (3, 4)]
                _field(vector, "velocity", np.stack(parts, axis=-1))
            if tensor:
                group = held.create_group("t2_fields")
                group.attrs["field_names"] = ["D"]
                parts = [coded(2, 12, space, channel, first=2 * place) for channel in (5, 6, 6, 7)]
                stacked = np.stack(parts, axis=-1)
                _field(group, "D", stacked if tiled else stacked.reshape(*stacked.shape[:-1], 2, 2))
            _boundaries(held, space, walls)


def _dimensions(held, space):
    group = held.create_group("dimensions")
    group.attrs["spatial_dims"] = list(space)
    group["time"] = np.arange(12, dtype=np.float32) * 0.5
    group["time"].attrs["sample_varying"] = False
    for name, cells in space.items():
        group[name] = (np.arange(cells) + 0.5) / cells


def _field(group, name, values, *, sample=True, time=True, varies=(True, True)):
    group[name] = values
    group[name].attrs.update(dim_varying=varies, sample_varying=sample, time_varying=time)


def _boundaries(held, space, walls):
    group = held.create_group("boundary_conditions")
    for name, kind in zip(space, ("Periodic", "wall" if walls else "OPEN"), strict=True):
        part = group.create_group(f"{name}_{kind.lower()}")
        part.attrs.update(associated_dims=[name], associated_fields=[], bc_type=kind)
        part["mask"] = np.isin(np.arange(space[name]), (0, space[name] - 1))
