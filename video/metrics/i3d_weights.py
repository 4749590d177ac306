"""The weights of I3D: the file of the public checkpoint `rgb_scratch`, read with numpy alone.

The file holds nothing but the tensors, sorted by name, in float32, little-endian, without gaps. So the
network itself determines where each one is: neither a table of offsets nor TensorFlow is needed.
"""

import math
from collections.abc import Mapping

import numpy as np
from flax import nnx

from rolling.common.errors import InputError
from rolling.metrics.weights import PublishedWeights
from rolling.video.metrics.i3d import SCOPE, structure

I3D_WEIGHTS = PublishedWeights(
    name="i3d",
    use="the Frechet and kernel video distances, `fvd` and `kvd`",
    source=(
        "https://github.com/google-deepmind/kinetics-i3d/raw/master/"
        "data/checkpoints/rgb_scratch/model.ckpt.data-00000-of-00001"
    ),
    licence="Apache-2.0",
    size=50_818_176,
    sha1="fa7df95674dbf3579e7fccd954e51e706b4734c1",
)
TYPE = np.dtype("<f4")


def shapes() -> dict[str, tuple[int, ...]]:
    """The shapes of the network's tensors by their names in the checkpoint, sorted."""
    _, state = structure()
    return dict(sorted((_name(path), leaf.shape) for path, leaf in nnx.to_flat_state(state)))


def tensors(content: bytes) -> dict[str, np.ndarray]:
    """The tensors in a file's content, by name. Raises `InputError` for content of another size."""
    known = shapes()
    size = TYPE.itemsize * sum(map(math.prod, known.values()))
    if len(content) != size:
        raise InputError(f"the tensors of I3D take {size} bytes, and the file has {len(content)}")
    found, offset = {}, 0
    for name, shape in known.items():
        found[name] = np.frombuffer(content, TYPE, math.prod(shape), offset).reshape(shape)
        offset += found[name].nbytes
    return found


def filled(values: Mapping[str, np.ndarray]) -> tuple[nnx.GraphDef, nnx.State]:
    """The network filled with the tensors of these names."""
    graph, state = structure()
    leaves = [(path, leaf.replace(values[_name(path)])) for path, leaf in nnx.to_flat_state(state)]
    return graph, nnx.from_flat_state(leaves)


def _name(path: tuple) -> str:
    return "/".join([SCOPE, *map(str, path)])
