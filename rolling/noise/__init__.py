"""Noise schedules, and conversions between what a network may predict.

A frame `x` at local time `tau` in [0, 1] is `z = alpha x + sigma eps` with
`alpha^2 = sigmoid(logsnr(tau))` and `sigma^2 = sigmoid(-logsnr(tau))`: variance preserving. A
variance-exploding or a flow-matching process is the same up to a known scale of `z`, so a schedule is just
the decreasing function `logsnr(tau)`, its inverse and its derivative.
"""

from rolling.noise.conversions import (
    alpha_sigma,
    diffuse,
    diffuse_further,
    eps_from_x,
    expand,
    flow_from_x,
    noise_removed,
    posterior,
    score_from_x,
    v_from_x,
    x_from_eps,
    x_from_flow,
    x_from_score,
    x_from_v,
)
from rolling.noise.cosine import Cosine, InterpolatedCosine
from rolling.noise.edm import Edm
from rolling.noise.linear import LinearLogsnr
from rolling.noise.logit import FlowMatching, Logit
from rolling.noise.schedule import NoiseSchedule, Times, invert
from rolling.noise.variance import LinearBeta, Sigmoid

__all__ = [
    "Cosine",
    "Edm",
    "FlowMatching",
    "InterpolatedCosine",
    "LinearBeta",
    "LinearLogsnr",
    "Logit",
    "NoiseSchedule",
    "Sigmoid",
    "Times",
    "alpha_sigma",
    "diffuse",
    "diffuse_further",
    "eps_from_x",
    "expand",
    "flow_from_x",
    "invert",
    "noise_removed",
    "posterior",
    "score_from_x",
    "v_from_x",
    "x_from_eps",
    "x_from_flow",
    "x_from_score",
    "x_from_v",
]
