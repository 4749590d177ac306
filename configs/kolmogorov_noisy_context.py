"""Kolmogorov flow. Rolling diffusion with a slightly noised context, against drift."""

from configs.families import noisy_context
from configs.kolmogorov import experiment as kolmogorov

experiment = noisy_context(kolmogorov)
