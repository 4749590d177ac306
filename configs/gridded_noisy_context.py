"""Any gridded file. Rolling diffusion with a slightly noised context, against drift."""

from configs.families import noisy_context
from configs.gridded import experiment as gridded

experiment = noisy_context(gridded)
