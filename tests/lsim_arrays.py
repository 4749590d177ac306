"""A file of LSiM's weights, of a pattern in closed form: the published ones are not part of this project."""

import numpy as np

from rolling.physics.lsim_network import shapes


def pattern(shape, phase):
    """Whole numbers made to fractions between -1/2 and 1/2, the same wherever they are computed."""
    n = np.arange(np.prod(shape), dtype=np.int64)
    return ((n * n % 1009 * 31 + 17 * n + 101 * phase) % 1009 / 1009 - 0.5).reshape(shape)


def arrays():
    """As small as in a network that keeps the size of what it is shown; some weights of channels are
    negative, which count as 0."""
    found = {}
    for phase, (name, shape) in enumerate(shapes().items()):
        values = pattern(shape, phase)
        if name == "normCount":
            values = 1000 + np.arange(len(values))
        elif name.startswith("normM2"):
            values = 1e5 * (values + 0.75)
        elif name.startswith("lin"):
            values = values + 0.3
        elif name.endswith("weight"):
            values = values * np.sqrt(24 / np.prod(shape[1:]))
        found[name] = values.astype(np.float32)
    return found


def fields(count, rows, columns, phase=0):
    """`[count, rows, columns]`: smooth, from 0 to 255, and the less alike the further apart."""
    i, x, y = np.meshgrid(np.arange(count), np.arange(rows), np.arange(columns), indexing="ij")
    short = np.sin(0.21 * x + 0.4 * i + phase) * np.cos(0.17 * y - 0.3 * i)
    long = np.sin(0.05 * x * (1 + 0.1 * i) + 0.09 * y)
    return (255 * (short + long + 2) / 4).astype(np.float32)
