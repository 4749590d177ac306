"""The seal of a forecast store: a checksum of its metadata, in the attributes of its root.

A checksum in every Zstandard frame guards the chunks of a store, and the codec `crc32c` the index of a shard;
but no codec guards `zarr.json`, of which one bit changes a unit or a shape.
"""

import json
from pathlib import Path
from typing import Any

from rolling.common import forecast_schema as schema, seal
from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.common.files import one_line, write_text

METADATA = "zarr.json"
ADVICE = "delete it and roll out again"


def seal_store(path: Path) -> None:
    """Seals a store that has all its arrays; its frames are written afterwards."""
    metadata = _metadata(path)
    root = metadata[METADATA]
    root["attributes"][schema.SEAL] = seal.checksum_of_json(_lasting(metadata))
    write_text(path / METADATA, json.dumps(root))


def check_store_seal(path: Path) -> None:
    """Raises `InputError` where the metadata are not those that were sealed, and says where one of our stores
    has no seal."""
    try:
        metadata = _metadata(path)
        attributes = metadata[METADATA]["attributes"]
        found = attributes.get(schema.SEAL)
        whole = found is None or found == seal.checksum_of_json(_lasting(metadata))
        is_ours = schema.IDENTITY in attributes
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{path} cannot be read as a Zarr store ({one_line(error)}): {ADVICE}") from error
    if not whole:
        raise seal.damaged(f"the forecast {path}", ADVICE)
    if found is None and is_ours:
        seal.tell_missing(f"the forecast {path}")


def _metadata(path: Path) -> dict[str, Any]:
    files = [path / METADATA, *sorted(path.glob(f"*/{METADATA}"))]
    return {str(file.relative_to(path)): read_json(file) for file in files}


def _lasting(metadata: dict[str, Any]) -> dict[str, Any]:
    """What does not change while frames are written and at the end."""
    root = {name: value for name, value in metadata[METADATA].items() if name != "consolidated_metadata"}
    attributes = {
        name: value
        for name, value in root["attributes"].items()
        if name not in (schema.COMPLETE, schema.SEAL)
    }
    return metadata | {METADATA: root | {"attributes": attributes}}
