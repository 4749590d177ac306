"""What restarts do to the drift of networks that are wrong, on the linear-Gaussian sequence.

    python benchmarks/restart.py

AR(1), 0.99, of variance 1, 60 frames from the truth, `UniPC`, 8 calls per frame besides restarts in a rolling
window and 16 one frame at a time. The network is the exact denoiser with one of three errors: `early`,
predictions 2 % too large where logsnr < 0; `always`, 0.2 % too large; `context`, 2 % more of what the context
contributes. Printed are the variance of the last frame and, in brackets, its growth a frame in per cent, over
the last 20.
"""

import jax
import jax.numpy as jnp
import numpy as np

from rolling import Autoregressive, Oracle, Restart, Rolling, UniPC
from rolling.denoisers import Denoiser
from rolling.noise import expand
from rolling.oracle import autoregressive_covariance, exact_denoiser
from rolling.windows import Window

PROCESS = (0.99,)
WAYS = {
    "rolling": (Rolling(size=6, context=2), 8, (0.5, 1.0)),
    "one at a time": (Autoregressive(context=1), 16, (0.5, 0.75)),
}
"""Windows with their calls per frame and the levels of restarts."""


def denoiser(error: str, window: Window) -> Denoiser:
    with jax.enable_x64(True):
        exact = exact_denoiser(jnp.asarray(autoregressive_covariance(PROCESS, window.size)))
        context = (jnp.arange(window.size) < window.context)[None]

    def denoise(z, logsnr, condition):
        x = exact(z, logsnr, condition)
        if error == "context":
            return x + 0.02 * exact(jnp.where(expand(context, z), z, 0.0), logsnr, condition)
        return x * (1 + (0.02 * expand(logsnr < 0, z) if error == "early" else 0.002))

    return denoise


def drift(window: Window, calls: int, restart: Restart, error: str) -> str:
    oracle = Oracle(
        window=window,
        solver=UniPC(order=2),
        calls_per_frame=calls,
        correlation=PROCESS,
        frames=60,
        restart=restart,
    )
    variance = (oracle.coefficients(denoiser(error, window)) ** 2).sum(1)
    return f"{variance[-1]:.3f} ({5 * np.log(variance[-1] / variance[-21]):.2f})"


if __name__ == "__main__":
    for name, (window, calls, levels) in WAYS.items():
        restarts = {"none": Restart()} | {f"level {level}": Restart(times=1, level=level) for level in levels}
        print(f"{name:16s}" + "".join(f"{shown:>16s}" for shown in restarts))
        for error in ("early", "always", "context"):
            found = (drift(window, calls, restart, error) for restart in restarts.values())
            print(f"{error:16s}" + "".join(f"{shown:>16s}" for shown in found), flush=True)
