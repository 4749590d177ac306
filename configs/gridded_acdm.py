"""Any gridded file. Next-frame diffusion whose context is as noisy as the frame (ACDM)."""

from configs.families import acdm
from configs.gridded import experiment as gridded

experiment = acdm(gridded)
