"""Kolmogorov flow. Standard diffusion: all new frames of a chunk share one clock."""

from configs.families import full_sequence
from configs.kolmogorov import experiment as kolmogorov

experiment = full_sequence(kolmogorov)
