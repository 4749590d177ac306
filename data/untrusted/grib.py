"""GRIB files: a field of one value needs no bits, may be of any size, and ecCodes makes room for it."""

from pathlib import Path

from rolling.data.untrusted.sizes import check_memory

SIZES = ("numberOfPoints", "numberOfDataPoints", "numberOfValues")
NUMBER = 8  # bytes: ecCodes decodes to double precision


def holds_grib(file: Path) -> bool:
    """By its first bytes, or by its name, as other bytes may come before them."""
    with file.open("rb") as handle:
        return handle.read(4) == b"GRIB" or file.suffix.lower().startswith((".grib", ".grb"))


def check_file(file: Path) -> None:
    """Raises `Refused` where a field is larger than the memory. What cannot be read, or not without ecCodes,
    is left to whoever opens it."""
    try:
        import eccodes
    except (ImportError, RuntimeError):
        return
    with file.open("rb") as handle:
        while True:
            try:
                message = eccodes.codes_grib_new_from_file(handle, headers_only=True)
                if message is None:
                    return
                try:
                    size = max(int(str(eccodes.codes_get(message, name))) for name in SIZES)
                finally:
                    eccodes.codes_release(message)
            except (eccodes.CodesInternalError, ValueError):
                return
            check_memory(f"a field of {file}", (size,), NUMBER)
