"""A file of PDEBench, scored to the end of the held-out trajectories: give --source.path FILE."""

import dataclasses

from rolling.configs.simulations import experiment as simulations
from rolling.protocols import PDEBenchNrmse

experiment = dataclasses.replace(simulations, name="pdebench", protocols=(PDEBenchNrmse(),))
