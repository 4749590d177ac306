"""Any gridded file. Diffusion forcing: independent times in training, a pyramid in sampling."""

from configs.families import diffusion_forcing
from configs.gridded import experiment as gridded

experiment = diffusion_forcing(gridded)
