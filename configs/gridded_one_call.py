"""Any gridded file. Rolling diffusion with the schedule and the solver for one call per frame."""

from configs.families import one_call
from configs.gridded import experiment as gridded

experiment = one_call(gridded)
