"""What a person does with an experiment: `load("runs/NAME")` gives the forecaster of a trained run."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rolling.run.forecasting.forecaster import Forecaster, load

__all__ = ["Forecaster", "load"]

if not TYPE_CHECKING:

    def __getattr__(name: str):
        # Every command imports this package: nothing is loaded before it is needed.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from rolling.run.forecasting import forecaster

        return getattr(forecaster, name)
