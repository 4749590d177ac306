"""Kolmogorov flow. Diffusion forcing: independent times in training, a pyramid in sampling."""

from configs.families import diffusion_forcing
from configs.kolmogorov import experiment as kolmogorov

experiment = diffusion_forcing(kolmogorov)
