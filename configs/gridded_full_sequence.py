"""Any gridded file. Standard diffusion: all new frames of a chunk share one clock."""

from configs.families import full_sequence
from configs.gridded import experiment as gridded

experiment = full_sequence(gridded)
