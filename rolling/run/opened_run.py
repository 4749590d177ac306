"""A trained run and its data."""

from pathlib import Path

from rolling.common.errors import InputError
from rolling.common.files import check_links
from rolling.data.source import Split
from rolling.run.experiment import Experiment, codec
from rolling.run.forecasting.forecaster import Forecaster, load
from rolling.run.training import held_out


def open_run(folder: Path) -> tuple[Experiment, Forecaster, Split]:
    """A trained run and its data, whose layout must be the one it was trained on."""
    check_links(folder)
    forecaster = load(folder)
    return forecaster.experiment, forecaster, data_of(forecaster, folder)


def data_of(forecaster: Forecaster, folder: Path) -> Split:
    """Raises `InputError` where they are not those that it was trained on."""
    split = forecaster.experiment.split()
    if not forecaster.layout.same_frames(split.test.layout):
        changed = codec.differences(codec.encode(forecaster.layout), codec.encode(split.test.layout))
        raise InputError(
            f"the data have changed since {folder} was trained (then / now: {'; '.join(changed)}): restore"
            " the old data, or train again"
        )
    held_out.check(split, folder)
    return split
