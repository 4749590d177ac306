"""Kolmogorov flow. ERDM: rolling in EDM's sigma, Heun, correlated noise, from persistence."""

from configs.families import erdm
from configs.kolmogorov import experiment as kolmogorov

experiment = erdm(kolmogorov)
