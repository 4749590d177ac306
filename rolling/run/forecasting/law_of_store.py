"""What a store of several modalities holds, and what it was made of."""

import dataclasses
from pathlib import Path

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
    made = groups(store, test)
    if not made:
        raise InputError(f"{store} has none of the modalities {', '.join(test.parts)}: roll out again")
    forecast = open_forecast(store / made[0], test.parts[made[0]].layout)
    with forecast.dataset:
        noted = forecast.dataset.attrs.get(IDENTITY, "{}")
    try:
        found = codec.upgraded_fields("sampling", parse_json(noted))
        law = {name: codec.decode(found[name]) for name in ("given", "absent", "window") if name in found}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{store} does not say how it was made ({error}): roll out again") from error
    return dataclasses.replace(recipe, **law)
