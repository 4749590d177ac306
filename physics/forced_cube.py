"""The time stepper of a flow in a periodic cube under a force of any shape, for `exponax`.

exponax has one for the force `sin(mode y)`; of its spectrum version 0.2 keeps one of the two conjugate modes,
which makes it half a cosine.
"""

import jax.numpy as jnp
from exponax.nonlin_fun import ProjectedConvection3d
from exponax.stepper import NavierStokesVelocity
from jaxtyping import Array, Complex, Float


class ForcedConvection(ProjectedConvection3d):
    """`P(u x w) + f`, with `P` the projection on fields without divergence."""

    force: Complex[Array, "3 x y half"]

    def __init__(self, *args, force: Complex[Array, "3 x y half"], **settings):
        self.force = force
        super().__init__(*args, **settings)

    def __call__(self, u_hat):
        return super().__call__(u_hat) + self.force


class ForcedFlow(NavierStokesVelocity):
    """`NavierStokesVelocity` with a force that does not depend on time and has no divergence."""

    force: Complex[Array, "3 x y half"]

    def __init__(self, *args, force: Float[Array, "3 x y z"], **settings):
        self.force = jnp.fft.rfftn(force, axes=(1, 2, 3))
        super().__init__(*args, **settings)

    def _build_nonlinear_fun(self, derivative_operator):
        return ForcedConvection(
            self.num_spatial_dims,
            self.num_points,
            derivative_operator=derivative_operator,
            dealiasing_fraction=self.dealiasing_fraction,
            force=self.force,
        )
