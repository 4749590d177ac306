"""Any gridded file. ERDM: rolling in EDM's sigma, Heun, correlated noise, from persistence."""

from configs.families import erdm
from configs.gridded import experiment as gridded

experiment = erdm(gridded)
