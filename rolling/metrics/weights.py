"""Files of weights that metrics need and this package does not include: located and verified."""

import abc
import dataclasses
import hashlib
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common.errors import InputError

DAMAGED = (ValueError, EOFError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error)
MOST = 32  # bytes of a converted file for each number that is used: others may lie beside them


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightsFile(abc.ABC):
    """A file that the user gets and names: nothing is downloaded, and nothing in the file is executed.

    Its path is the value of the environment variable `variable`, or is given to any command by `option`.
    """

    name: str
    use: str
    source: str
    licence: str

    @property
    def option(self) -> str:
        return f"--metrics.{self.name}-weights"

    @property
    def variable(self) -> str:
        return f"ROLLING_{self.name.upper()}_WEIGHTS"

    @property
    def path(self) -> Path | None:
        """The path that the user gave; None if none was given."""
        value = os.environ.get(self.variable, "")
        return Path(value).expanduser() if value else None

    @property
    def how(self) -> str:
        """How to get the file and name it."""
        naming = f"name it with {self.option} FILE or the environment variable {self.variable}"
        return f"{self.getting} and {naming}"

    @property
    @abc.abstractmethod
    def getting(self) -> str:
        """How to get the file: an imperative."""

    @abc.abstractmethod
    def read(self) -> Any:
        """What the file holds. Raises `InputError` if it is not named, missing, or not the right one."""

    @abc.abstractmethod
    def told(self) -> dict[str, str]:
        """What `summary` says of this kind of file, by headings."""

    def named(self) -> Path:
        """The path. Raises `InputError` if the user gave none."""
        if self.path is None:
            raise InputError(f"there are no {self.name} weights: {self.how}")
        return self.path

    def unreadable(self, error: OSError) -> InputError:
        return InputError(
            f"the {self.name} weights {self.path} cannot be read ({error.strerror}): {self.how}"
        )

    def summary(self) -> str:
        """What the file is for, where to get it, and whether the named one is the right one.

        Raises `InputError` if it is not.
        """
        facts = {"for": self.use, "from": self.source, "licence": self.licence, **self.told()}
        facts["named by"] = f"{self.option} FILE, or the environment variable {self.variable}"
        facts["here"] = "no file is named"
        if self.path is not None:
            self.read()
            facts["here"] = f"{self.path}: the right file"
        return "\n".join([f"{self.name} weights", *(f"  {name:10s}{fact}" for name, fact in facts.items())])


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedWeights(WeightsFile):
    """One particular file, as it was published: `size` bytes whose git blob hash is `sha1`."""

    size: int
    sha1: str

    @property
    def getting(self) -> str:
        return f"get {self.source} ({self.size} bytes, {self.licence})"

    def told(self) -> dict[str, str]:
        return {"size": f"{self.size} bytes", "git hash": f"{self.sha1} (`git hash-object FILE`)"}

    def read(self) -> bytes:
        """The bytes of the file."""
        path = self.named()
        try:
            found = path.stat().st_size
            content = path.read_bytes() if found == self.size else b""
        except OSError as error:
            raise self.unreadable(error) from error
        if found != self.size:
            raise InputError(
                f"{path} is not the file of {self.name} weights: it has {found} bytes; {self.how}"
            )
        sha1 = git_hash(content)
        if sha1 != self.sha1:
            raise InputError(
                f"{path} is not the file of {self.name} weights, or is damaged: its git hash is {sha1}, not"
                f" {self.sha1}; {self.how}"
            )
        return content


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertedWeights(WeightsFile):
    """A file of numpy's, `.npz`, that the user makes of a published pickle, which is never loaded here: with
    arrays of the names and shapes `shapes`, and maybe others. `program` is what makes it, in Python, and
    `least` has the smallest value that an array may have, by its name."""

    shapes: Mapping[str, tuple[int, ...]]
    least: Mapping[str, float]
    program: str

    @property
    def getting(self) -> str:
        return (
            f"get {self.source} ({self.licence}), convert it with the few lines of Python that"
            f" `rolling weights {self.name}` shows,"
        )

    def told(self) -> dict[str, str]:
        indented = self.program.strip().replace("\n", "\n" + 12 * " ")
        return {"made by": f"these lines of Python\n{12 * ' '}{indented}"}

    def read(self) -> dict[str, np.ndarray]:
        """The arrays by name, float32: all are there, of the right shapes and finite and not too small."""
        path = self.named()
        try:
            with open(path, "rb") as file:  # as numpy leaves files open that turn out to be none of its own
                found = self._arrays(file)
        except OSError as error:
            raise self.unreadable(error) from error
        except InputError:
            raise
        except DAMAGED as error:
            raise self._wrong("it is not a whole file of numpy's arrays, `.npz`") from error
        for name, values in found.items():
            if not np.isfinite(values).all():
                raise self._wrong(f"its array {name} has values that are not finite")
            if values.min() < self.least.get(name, -np.inf):
                raise self._wrong(f"its array {name} has values below {self.least[name]:g}")
        return found

    def _arrays(self, file: Any) -> dict[str, np.ndarray]:
        found = {}
        with zipfile.ZipFile(file) as members:
            size = sum(member.file_size for member in members.infolist())
        if size > MOST * sum(map(math.prod, self.shapes.values())):
            raise self._wrong(f"it unpacks to {size} bytes")
        file.seek(0)
        held = np.load(file, allow_pickle=False)
        for name, shape in self.shapes.items():
            if name not in held:
                raise self._wrong(f"it has no array {name}")
            values = held[name]
            if values.shape != shape or values.dtype.kind not in "fiu":
                raise self._wrong(
                    f"its array {name} has the shape {values.shape} and the type {values.dtype}, and"
                    f" numbers of the shape {shape} are expected"
                )
            with np.errstate(over="ignore"):
                found[name] = values.astype(np.float32)
        return found

    def _wrong(self, why: str) -> InputError:
        return InputError(f"{self.path} is not the file of {self.name} weights: {why}; {self.how}")


def git_hash(content: bytes) -> str:
    """The hash under which git stores a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
