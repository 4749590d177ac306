"""The files of weights that measures want from outside: `rolling weights NAME`."""

from video.i3d_weights import I3D

weights = (I3D,)
