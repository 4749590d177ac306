"""Kolmogorov flow. A pyramid: frames of a chunk start, and finish, one after another."""

from configs.families import pyramid
from configs.kolmogorov import experiment as kolmogorov

experiment = pyramid(kolmogorov)
