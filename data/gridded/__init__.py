"""Gridded fields, and series at stations, in files that xarray opens."""

from rolling.data.gridded.source import Gridded
from rolling.data.gridded.stations import Stations

__all__ = ["Gridded", "Stations"]
