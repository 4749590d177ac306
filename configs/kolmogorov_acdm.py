"""Kolmogorov flow. Next-frame diffusion whose context is as noisy as the frame (ACDM)."""

from configs.families import acdm
from configs.kolmogorov import experiment as kolmogorov

experiment = acdm(kolmogorov)
