"""The time stepper of a vorticity and of a tracer that its flow carries, for `exponax`."""

import jax.numpy as jnp
from exponax import BaseStepper
from exponax.nonlin_fun import VorticityConvection2dKolmogorov
from jaxtyping import Array, Complex

Fields = Complex[Array, "2 x half"]  # the vorticity and the tracer


class TracerConvection(VorticityConvection2dKolmogorov):
    """`-u . grad w` and the force, and `-u . grad (c + gradient y)`, where `w = dv/dx - du/dy`."""

    gradient: float

    def __init__(self, *args, gradient: float, **settings):
        self.gradient = gradient
        super().__init__(*args, **settings)

    def __call__(self, u_hat: Fields) -> Fields:
        along_x, along_y = self.derivative_operator[0:1], self.derivative_operator[1:2]
        stream = self.inv_laplacian * u_hat[:1]
        u, v = self.ifft(-along_y * stream), self.ifft(along_x * stream)
        slope_x, slope_y = self.ifft(along_x * u_hat), self.ifft(along_y * u_hat)
        carried = u * slope_x + v * slope_y.at[1].add(self.gradient)
        return (-self.fft(carried)).at[0].add(self.injection[0])


class TracerFlow(BaseStepper):
    """That of `rolling.physics.flow_with_probes.KolmogorovTracer`; the axes of arrays are `[x, y]`."""

    viscosity: float
    drag: float
    diffusivity: float
    mode: int
    forcing: float
    gradient: float

    def __init__(
        self,
        num_spatial_dims: int,
        domain_extent: float,
        num_points: int,
        dt: float,
        *,
        viscosity: float,
        drag: float,
        diffusivity: float,
        mode: int,
        forcing: float,
        gradient: float,
        order: int,
    ):
        self.viscosity, self.drag, self.diffusivity = viscosity, drag, diffusivity
        self.mode, self.forcing, self.gradient = mode, forcing, gradient
        super().__init__(num_spatial_dims, domain_extent, num_points, dt, num_channels=2, order=order)

    def _build_linear_operator(self, derivative_operator: Complex[Array, "axis x half"]) -> Fields:
        square = jnp.sum(derivative_operator**2, axis=0)
        return jnp.stack([self.viscosity * square - self.drag, self.diffusivity * square])

    def _build_nonlinear_fun(self, derivative_operator: Complex[Array, "axis x half"]) -> TracerConvection:
        return TracerConvection(
            self.num_spatial_dims,
            self.num_points,
            injection_mode=self.mode,
            injection_scale=self.forcing,
            derivative_operator=derivative_operator,
            dealiasing_fraction=2 / 3,
            gradient=self.gradient,
        )
