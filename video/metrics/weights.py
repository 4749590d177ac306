"""Files of weights that metrics need and that are no part of this package: found, and known by a hash."""

import dataclasses
import hashlib
import os
from pathlib import Path

from rolling.common.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One file, and no other: `size` bytes whose git blob hash is `sha1`.

    Its path is the value of the environment variable `variable`, or is given to any command by `option`.
    Nothing is downloaded, and nothing of the file is executed.
    """

    name: str
    use: str
    source: str
    licence: str
    size: int
    sha1: str

    @property
    def option(self) -> str:
        return f"--metrics.{self.name}-weights"

    @property
    def variable(self) -> str:
        return f"ROLLING_{self.name.upper()}_WEIGHTS"

    @property
    def path(self) -> Path | None:
        """Where the user says that the file is; None where nothing is said."""
        value = os.environ.get(self.variable, "")
        return Path(value).expanduser() if value else None

    @property
    def how(self) -> str:
        """How to get the file and say where it is."""
        return (
            f"get {self.source} ({self.size} bytes, {self.licence}) and name it with {self.option} FILE or"
            f" the environment variable {self.variable}"
        )

    def read(self) -> bytes:
        """The bytes of the file. Raises `InputError` where it is not named, not there, or another one."""
        path = self.path
        if path is None:
            raise InputError(f"there are no {self.name} weights: {self.how}")
        try:
            found = path.stat().st_size
            content = path.read_bytes() if found == self.size else b""
        except OSError as error:
            raise InputError(
                f"the {self.name} weights {path} cannot be read ({error.strerror}): {self.how}"
            ) from error
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

    def told(self) -> str:
        """What the file is for, where to get it, and whether the one that is named is the right one.

        Raises `InputError` where it is not.
        """
        facts = {
            "for": self.use,
            "from": self.source,
            "licence": self.licence,
            "size": f"{self.size} bytes",
            "git hash": f"{self.sha1} (`git hash-object FILE`)",
            "named by": f"{self.option} FILE, or the environment variable {self.variable}",
        }
        facts["here"] = "no file is named"
        if self.path is not None:
            self.read()
            facts["here"] = f"{self.path}: the right file"
        return "\n".join([f"{self.name} weights", *(f"  {name:10s}{fact}" for name, fact in facts.items())])


def git_hash(content: bytes) -> str:
    """The name that git gives to a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
