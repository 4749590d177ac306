"""From a denoiser to sequences of any length: how a rollout begins, is swept, guided and continued.

`Sampling` is the recipe, `Sampler` advances one window by it, `Rollout` the loop.
"""

from rolling.sampling.carry import Carry
from rolling.sampling.constraints import Constraint, JointUnits, Units
from rolling.sampling.corrections import Correction
from rolling.sampling.coupling import Coupling
from rolling.sampling.guidance import Denoisers, Guidance
from rolling.sampling.joint_recipe import JointSampling, sampler_of
from rolling.sampling.modalities import Joint, JointCarry, Modality, joint
from rolling.sampling.partitions import Partition
from rolling.sampling.recipe import Sampling
from rolling.sampling.restart import Restart
from rolling.sampling.rollout import Chunk, Conditions, Rollout, first_guess
from rolling.sampling.sampler import Sampler
from rolling.sampling.starts import Guess, Start
from rolling.sampling.sweeps import Spacing, Sweep

__all__ = [
    "Carry",
    "Chunk",
    "Conditions",
    "Constraint",
    "Correction",
    "Coupling",
    "Denoisers",
    "Guess",
    "Guidance",
    "Joint",
    "JointCarry",
    "JointSampling",
    "JointUnits",
    "Modality",
    "Partition",
    "Restart",
    "Rollout",
    "Sampler",
    "Sampling",
    "Spacing",
    "Start",
    "Sweep",
    "Units",
    "first_guess",
    "joint",
    "sampler_of",
]
