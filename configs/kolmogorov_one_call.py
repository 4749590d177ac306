"""Kolmogorov flow. Rolling diffusion with the schedule and the solver for one call per frame."""

from configs.families import one_call
from configs.kolmogorov import experiment as kolmogorov

experiment = one_call(kolmogorov)
