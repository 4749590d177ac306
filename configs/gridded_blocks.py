"""Any gridded file. Rolling in blocks of two frames that share a clock."""

from configs.families import blocks
from configs.gridded import experiment as gridded

experiment = blocks(gridded)
