"""Kolmogorov flow. FIFO: a queue longer than the network's window, in overlapping blocks."""

from configs.families import fifo
from configs.kolmogorov import experiment as kolmogorov

experiment = fifo(kolmogorov)
