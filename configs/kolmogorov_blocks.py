"""Kolmogorov flow. Rolling in blocks of two frames that share a clock."""

from configs.families import blocks
from configs.kolmogorov import experiment as kolmogorov

experiment = blocks(kolmogorov)
