"""Archives of simulations: trajectories of one to three axes, with their parameters and constant fields."""

from rolling.data.simulations.source import Simulations

__all__ = ["Simulations"]
