"""How projects lay out their simulations on disk: one small class and file each."""

from rolling.data.simulations.archives.acdm import ACDM as ACDM
from rolling.data.simulations.archives.apebench import APEBench as APEBench
from rolling.data.simulations.archives.bubble_ml import BubbleML as BubbleML
from rolling.data.simulations.archives.labelled import Labelled as Labelled
from rolling.data.simulations.archives.nn_benchmark import NnBenchmark as NnBenchmark
from rolling.data.simulations.archives.oisst import OISST as OISST
from rolling.data.simulations.archives.pdearena import PDEArena as PDEArena
from rolling.data.simulations.archives.pdebench import PDEBench as PDEBench
from rolling.data.simulations.archives.real_pdebench import RealPDEBench as RealPDEBench
from rolling.data.simulations.archives.the_well import TheWell as TheWell
from rolling.data.simulations.trajectories import Archive as Archive
