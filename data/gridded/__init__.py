"""Gridded fields in files that xarray opens."""

from rolling.data.gridded.source import Gridded

__all__ = ["Gridded"]
