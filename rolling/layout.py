"""The layout of frames: variables on a grid of one to three axes, with a fixed time step.

A `Layout` is metadata only. It is kept in the checkpoint, so that a forecast is written with the names, units
and coordinates of the data that the network was trained on.
"""

import dataclasses
import math

import numpy as np

from rolling.common.errors import InputError
from rolling.common.files import check_name
from rolling.geometry import Axis, Coordinate, Grid, grid_of

COLOUR = ("red", "green", "blue")
GREY = ("luma",)
HOURS, MONTHS = "hours", "months"  # units of the time between frames that have dates
MEAN_MONTH = 730.485  # hours
DECADE = 10.0  # the logarithm is taken of positive parameters that span this factor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variable:
    """One channel of a frame."""

    name: str
    """In the file and in the store; with its level, `u_500`."""
    units: str = "1"
    """As the file writes them."""
    long_name: str = ""
    """For titles of figures."""
    standard_name: str = ""
    """Of the CF conventions; metrics recognise velocities and vorticity by it."""
    dtype: str = "float32"
    """How values are stored. `"uint8"` is for grey levels of a picture, whole numbers from 0 to 255."""

    def stored(self, values: np.ndarray) -> np.ndarray:
        """Values as they are stored: for an integer dtype, rounded and clipped to its range."""
        dtype = np.dtype(self.dtype)
        if dtype.kind == "f":
            return values.astype(dtype, copy=False)
        limits = np.iinfo(dtype)
        return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Covariate:
    """A number or a field that is known of a sequence: the Reynolds number of a simulation, its obstacles.

    The network is shown `(f(value) - mean) / std`, where `f` is the natural logarithm or nothing.
    """

    name: str
    """As the data call it."""
    mean: float = 0.0
    """Over the training part, of what `f` makes of it."""
    std: float = 1.0
    """The same."""
    log: bool = False
    """Whether `f` is the logarithm: for values above zero that span a factor of ten."""

    @classmethod
    def of(cls, name: str, values: np.ndarray, *, logarithm: bool = True) -> "Covariate | None":
        """With the scale of the values of a training part; None where all are the same."""
        values = np.asarray(values, np.float64)
        log = bool(logarithm and values.min() > 0 and values.max() >= DECADE * values.min())
        values = np.log(values) if log else values
        if np.ptp(values) <= 1e-6 * np.abs(values).max():
            return None
        return cls(name=name, mean=float(values.mean()), std=float(values.std()), log=log)

    def scaled(self, values: np.ndarray | float) -> np.ndarray:
        """What the network is shown, float32. Raises `InputError` for numbers that have no logarithm."""
        values = np.asarray(values, np.float64)
        if self.log and not (values > 0).all():
            raise InputError(f"{self.name} must be above 0, not {values.min():g}")
        shown = np.log(values) if self.log else values
        return ((shown - self.mean) / self.std).astype(np.float32)

    def unscaled(self, shown: np.ndarray) -> np.ndarray:
        """The values of what the network is shown, float32."""
        values = np.asarray(shown, np.float64) * self.std + self.mean
        return (np.exp(values) if self.log else values).astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """Variables, grid and time step of a data set.

    `step` is the time between frames in `time_units`: `"hours"` or calendar `"months"` where times are dates
    (`datetime64`, or objects of cftime for the calendars of climate models), `"1"` where time is a plain
    number. `features` are functions of the time that are
    known for the future (names in `data/calendar.py`); `phase` is what the climatology depends on: `"none"`,
    or a name in `data/calendar.py`. Of the conditioning of sequences, `labels` names their classes, `tokens`
    is the size of the embeddings that describe one, `actions` the count of numbers with each frame, and
    `forcings` that of the known fields with each frame: 0 where there are none. `parameters` are numbers that
    are known of each sequence, and `constants` fields.
    """

    variables: tuple[Variable, ...]
    """The channels of a frame."""
    axes: tuple[Axis, ...]
    """The axes of space in the order of the arrays: `(x,)`, `(y, x)` or `(z, y, x)`."""
    step: float = 1.0
    """Time between frames, in `time_units`."""
    time_units: str = "1"
    """hours or, of data whose steps are calendar months, months, where times are dates; else any."""
    features: tuple[str, ...] = ()
    """Functions of time known for the future, names in `data/calendar.py`."""
    phase: str = "none"
    """What the climatology depends on: none, or a name in `data/calendar.py`."""
    labels: tuple[str, ...] = ()
    """Names of the classes of sequences."""
    tokens: int = 0
    """Size of the embeddings that describe a sequence."""
    actions: int = 0
    """Count of the numbers with each frame."""
    forcings: int = 0
    """Count of the known fields with each frame."""
    parameters: tuple[Covariate, ...] = ()
    """Numbers that are known of each sequence, such as a Reynolds number."""
    constants: tuple[Covariate, ...] = ()
    """Fields that are known of each sequence and do not change, such as obstacles."""
    coordinates: tuple[Coordinate, ...] = ()
    """Coordinates over (y, x) and grid mappings, which forecasts carry on; they decide the area weights."""

    def __post_init__(self):
        """Names become those of folders and of lines on a page, and may come from anyone."""
        if not 1 <= len(self.axes) <= 3:
            raise InputError(f"frames have one to three axes of space, not {len(self.axes)}")
        for what, parts in (
            ("variable", self.variables),
            ("axis", self.axes),
            ("coordinate", self.coordinates),
            ("parameter", self.parameters),
            ("constant field", self.constants),
        ):
            for part in parts:
                check_name(part.name, f"the name of a {what} of the data")

    @property
    def is_video(self) -> bool:
        """Whether a frame is a picture: grey levels of red, green and blue, or of luma alone."""
        of_colours = self.names in (COLOUR, GREY) and all(v.dtype == "uint8" for v in self.variables)
        return of_colours and len(self.axes) == 2

    @property
    def x(self) -> Axis:
        """The last axis: of columns."""
        return self.axes[-1]

    @property
    def y(self) -> Axis:
        """The axis before `x`: of rows. Raises `InputError` where there is none."""
        return self._axis(2, "y")

    @property
    def z(self) -> Axis:
        """The axis before `y`, of volumes. Raises `InputError` where there is none."""
        return self._axis(3, "z")

    def _axis(self, place: int, name: str) -> Axis:
        if len(self.axes) < place:
            names = ", ".join(axis.name for axis in self.axes)
            raise InputError(f"frames have no axis {name}: theirs is {names}, in {len(self.axes)}-D")
        return self.axes[-place]

    @property
    def space(self) -> tuple[int, ...]:
        """The number of cells along each axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def size(self) -> str:
        """The number of cells along each axis, in words: `32 x 64`."""
        return " x ".join(map(str, self.space))

    @property
    def shape(self) -> tuple[int, ...]:
        """`(*space, channel)` of one frame."""
        return *self.space, len(self.variables)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(variable.name for variable in self.variables)

    @property
    def is_torus(self) -> bool:
        """Whether a frame is a plane that is periodic in both directions."""
        return len(self.axes) == 2 and all(axis.periodic for axis in self.axes)

    @property
    def has_calendar(self) -> bool:
        return self.time_units in (HOURS, MONTHS)

    def same_frames(self, other: "Layout") -> bool:
        """Whether frames of both are the same, up to what only describes them and rounding of the step."""
        mine, theirs = (
            dataclasses.replace(
                layout,
                coordinates=(),
                step=other.step,
                axes=tuple(dataclasses.replace(axis, standard_name="", bounds=()) for axis in layout.axes),
            )
            for layout in (self, other)
        )
        return mine == theirs and math.isclose(self.step, other.step, rel_tol=1e-6)

    @property
    def grid(self) -> Grid:
        """What its cells are parts of: a box, the sphere, or the sphere on rows and columns of any shape."""
        return grid_of(self.axes, self.coordinates)

    @property
    def weighting(self) -> str:
        """What means over space are weighted by."""
        return self.grid.areas()[0]

    def area_weights(self) -> np.ndarray:
        """`[*space]` with a mean of one: the areas of the cells, as the grid has them."""
        weights = self.grid.areas()[1]
        return weights / weights.mean()


def video(height: int, width: int, *, rate: float = 1.0, colour: bool = True, **conditioning) -> Layout:
    """The layout of pictures, `rate` per second, row 0 at the top; `conditioning`: labels, tokens,
    actions."""
    return Layout(
        variables=tuple(Variable(name=name, dtype="uint8") for name in (COLOUR if colour else GREY)),
        axes=(
            Axis(name="y", values=tuple(float(i) for i in range(height - 1, -1, -1)), units="pixel"),
            Axis(name="x", values=tuple(float(i) for i in range(width)), units="pixel"),
        ),
        step=1 / rate,
        time_units="s",
        **conditioning,
    )
