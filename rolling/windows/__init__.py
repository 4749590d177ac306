"""Windows: how the clocks of the frames run. A method of sequence generation is a choice of one of these.

The *clock* of a frame is its local diffusion time `tau`: 0 is clean, 1 is pure noise.

A window of `size` frames begins with `context` given ones. One *cycle* sweeps the global time `t` from 1
to 0. The `stride` frames after the context are then finished and leave, and as many frames of pure noise
enter on the right. A *warm-up* sweep leads from pure noise to the state in which the first frames are
finished. Both map `t` to one clock per frame, and training draws its clocks from the same two functions:
what is trained is what is sampled.

Windows that take another one as `inner` change one thing about it: its clocks, the times to train on, or
how the context is shown. They can be nested.
"""

from rolling.windows.ahead import Ahead
from rolling.windows.chunks import Autoregressive, FullSequence
from rolling.windows.context import AlignedContext, HistoryDropout, NoisyContext
from rolling.windows.every import Every
from rolling.windows.independent import IndependentTimes
from rolling.windows.protocol import (
    LocalTimes,
    SampledTimes,
    ShowsHistories,
    Window,
    check_frames,
    check_share,
    in_context,
    moving_frames,
    rounded,
    shows_history,
    stratified,
    sweep_times,
    training_frames,
    warmup_steps,
)
from rolling.windows.pyramid import Pyramid, Trapezoid
from rolling.windows.rolling import Rolling
from rolling.windows.tasks import JointTimes, Tasks, missing
from rolling.windows.warped import Warped
from rolling.windows.wrapper import TrainedOn, Wrapper

__all__ = [
    "Ahead",
    "AlignedContext",
    "Autoregressive",
    "Every",
    "FullSequence",
    "HistoryDropout",
    "IndependentTimes",
    "JointTimes",
    "LocalTimes",
    "NoisyContext",
    "Pyramid",
    "Rolling",
    "SampledTimes",
    "ShowsHistories",
    "Tasks",
    "TrainedOn",
    "Trapezoid",
    "Warped",
    "Window",
    "Wrapper",
    "check_frames",
    "check_share",
    "in_context",
    "missing",
    "moving_frames",
    "rounded",
    "shows_history",
    "stratified",
    "sweep_times",
    "training_frames",
    "warmup_steps",
]
