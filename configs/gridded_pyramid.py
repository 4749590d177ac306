"""Any gridded file. A pyramid: frames of a chunk start, and finish, one after another."""

from configs.families import pyramid
from configs.gridded import experiment as gridded

experiment = pyramid(gridded)
