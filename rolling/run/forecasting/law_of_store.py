"""What a store of several modalities holds, and what it was made of."""

import dataclasses
from pathlib import Path
from typing import Any

from rolling.common.documents import parse_json
from rolling.common.errors import InputError
from rolling.common.forecast_schema import IDENTITY
from rolling.data.joint_sequences import JointSequences
from rolling.data.source import Sequences
from rolling.run.experiment import codec
from rolling.run.forecasting.zarr_reader import open_forecast
from rolling.sampling.joint_recipe import JointSampling


def groups(store: Path, test: Sequences | JointSequences) -> list[str]:
    """The modalities that a store has."""
    assert isinstance(test, JointSequences)
    return [name for name in test.parts if (store / name).is_dir()]


def law_of(store: Path, test: JointSequences, recipe: JointSampling) -> JointSampling:
    """The recipe of a run, with what decides the law as the store has it. Raises `InputError` where it does
    not say, or has nothing."""
    try:
        found = codec.upgraded_fields("sampling", _noted(store, test))
        law = {name: codec.decode(found[name]) for name in ("given", "absent", "window") if name in found}
    except (ValueError, TypeError, AttributeError) as error:
        raise _untold(store, error) from error
    return dataclasses.replace(recipe, **law)


def known_in(store: Path, test: JointSequences) -> tuple[str, ...]:
    """The modalities of which some frames were known. Raises `InputError` as `law_of` does."""
    try:
        return tuple(map(str, _noted(store, test).get("known", ())))
    except (ValueError, TypeError, AttributeError) as error:
        raise _untold(store, error) from error


def _noted(store: Path, test: JointSequences) -> Any:
    made = groups(store, test)
    if not made:
        raise InputError(f"{store} has none of the modalities {', '.join(test.parts)}: roll out again")
    forecast = open_forecast(store / made[0], test.parts[made[0]].layout)
    with forecast.dataset:
        return parse_json(forecast.dataset.attrs.get(IDENTITY, "{}"))


def _untold(store: Path, error: Exception) -> InputError:
    return InputError(f"{store} does not say how it was made ({error}): roll out again")
