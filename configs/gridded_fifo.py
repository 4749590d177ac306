"""Any gridded file. FIFO: a queue longer than the network's window, in overlapping blocks."""

from configs.families import fifo
from configs.gridded import experiment as gridded

experiment = fifo(gridded)
