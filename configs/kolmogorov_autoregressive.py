"""Kolmogorov flow. Next-frame diffusion: one frame at a time, given the context."""

from configs.families import autoregressive
from configs.kolmogorov import experiment as kolmogorov

experiment = autoregressive(kolmogorov)
