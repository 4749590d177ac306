"""Any gridded file. Next-frame diffusion: one frame at a time, given the context."""

from configs.families import autoregressive
from configs.gridded import experiment as gridded

experiment = autoregressive(gridded)
