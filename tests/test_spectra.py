"""Spectra, vorticity and divergence against closed forms, on every kind of grid."""

import numpy as np
import pytest

from rolling.geometry import EARTH_RADIUS, Axis
from rolling.layout import Layout, Variable
from rolling.metrics.spectra import Planar, Spectrum, Zonal, spectrum
from rolling.physics.flow import Kinematics, velocities, vorticities


def axis(name, count, length=2 * np.pi, periodic=True, units="1"):
    values = tuple(float(v) for v in (np.arange(count) + 0.5) * length / count)
    return Axis(name=name, values=values, units=units, boundary="periodic" if periodic else "open")


def plane(height=24, width=32, names=("f",), lengths=(2 * np.pi, 2 * np.pi), periodic=(True, True)):
    return Layout(
        variables=tuple(Variable(name=name) for name in names),
        axes=(axis("y", height, lengths[0], periodic[0]), axis("x", width, lengths[1], periodic[1])),
    )


def globe(height=19, width=36, names=("f",), extent=(-90.0, 90.0), circle=True):
    latitude = np.linspace(*extent[::-1], height)  # from north to south, as weather data are
    longitude = np.arange(width) * (360.0 / width if circle else 0.5)
    return Layout(
        variables=tuple(Variable(name=name, units="m s-1") for name in names),
        axes=(
            Axis(name="latitude", values=tuple(map(float, latitude)), units="degrees_north"),
            Axis(
                name="longitude",
                values=tuple(map(float, longitude)),
                units="degrees_east",
                boundary="periodic" if circle else "open",
            ),
        ),
    )


def mesh(layout):
    return np.meshgrid(layout.y.values, layout.x.values, indexing="ij")


GRIDS = {
    "periodic": plane(),
    "odd": plane(15, 21),
    "channel": plane(20, 32, periodic=(False, True)),
    "channel the other way": plane(20, 32, periodic=(True, False)),
    "box": plane(17, 24, periodic=(False, False)),
    "oblong": plane(16, 48, lengths=(1.0, 3.0)),
    "region": globe(20, 30, extent=(45.0, 60.0), circle=False),
    "one row": plane(1, 16),
}


@pytest.mark.parametrize("layout", GRIDS.values(), ids=GRIDS)
def test_parseval_on_a_plane(layout):
    field = np.random.default_rng(0).normal(size=(2, 3, *layout.shape[:2])) + 5.0
    energy = spectrum(layout)(field)
    assert isinstance(spectrum(layout), Planar)
    assert isinstance(spectrum(layout), Spectrum)
    assert energy.shape == (2, 3, len(spectrum(layout).wavenumbers))
    np.testing.assert_allclose(energy.sum(-1), (field**2).mean((-2, -1)) / 2, rtol=1e-13)
    # The mean alone is in shell 0.
    np.testing.assert_allclose(energy[..., 0], field.mean((-2, -1)) ** 2 / 2, rtol=1e-12)


@pytest.mark.parametrize("width", [36, 35])
def test_parseval_on_the_globe(width):
    layout = globe(width=width)
    field = np.random.default_rng(1).normal(size=(4, *layout.shape[:2])) + 5.0
    energy = spectrum(layout)(field)
    assert isinstance(spectrum(layout), Zonal)
    assert isinstance(spectrum(layout), Spectrum)
    area = layout.area_weights()
    np.testing.assert_allclose(energy.sum(-1), (field**2 * area).mean((-2, -1)) / 2, rtol=1e-13)


def test_one_wave_is_in_one_shell():
    layout = plane(32, 32)
    y, x = mesh(layout)
    field = 3.0 * np.cos(3 * x + 4 * y)
    energy = spectrum(layout)(field)
    expected = np.zeros_like(energy)
    expected[5] = 9.0 / 4
    np.testing.assert_allclose(energy, expected, atol=1e-12)


def test_wavenumbers_count_waves_along_the_longer_side():
    layout = GRIDS["oblong"]
    y, _ = mesh(layout)
    energy = spectrum(layout)(np.cos(2 * np.pi * 2 * y / 1.0))
    assert energy.argmax() == 6
    assert spectrum(layout).resolved == 23


@pytest.mark.parametrize("waves", [1, 2, 5])
def test_a_cosine_between_walls_is_in_one_shell(waves):
    layout = GRIDS["box"]
    _, x = mesh(layout)
    # A free mode of the box: whole waves count in full, half waves count up.
    energy = spectrum(layout)(np.cos(waves * x))
    np.testing.assert_allclose(energy[waves], 0.25, atol=1e-12)
    half = spectrum(layout)(np.cos((waves - 0.5) * x))
    np.testing.assert_allclose(half[waves], 0.25, atol=1e-12)


def test_a_slope_leaves_no_white_tail_in_a_box():
    """A cosine transform of a linear slope falls as k^-4; a Fourier transform, with its jump, as k^-2."""
    steps = np.arange(64.0)[None, :] * np.ones((64, 1))
    box, torus = (spectrum(plane(64, 64, periodic=(p, p)))(steps) for p in (False, True))
    assert box[20] / box[1] < 0.02 * torus[20] / torus[1]


def test_zonal_wave():
    layout = globe()
    latitude, longitude = (np.deg2rad(a) for a in mesh(layout))
    field = np.cos(latitude) * np.cos(7 * longitude)
    energy = spectrum(layout)(field)
    area = layout.area_weights()[:, 0]
    expected = 0.25 * (area * np.cos(np.deg2rad(layout.y.values)) ** 2).sum() / area.sum()
    np.testing.assert_allclose(energy[7], expected, rtol=1e-12)
    np.testing.assert_allclose(energy.sum(), expected, rtol=1e-12)


def flow(layout):
    """A random divergence-free flow from a stream function with k < 6, and its vorticity, exactly."""
    y, x = mesh(layout)
    rng = np.random.default_rng(2)
    u, v, vorticity = (np.zeros_like(x) for _ in range(3))
    for k in range(-5, 6):
        for m in range(6):
            amplitude, phase = rng.normal(), rng.uniform(0, 2 * np.pi)
            angle = k * x + m * y + phase
            u += -amplitude * m * -np.sin(angle)  # u = -d psi / dy
            v += amplitude * k * -np.sin(angle)  # v = d psi / dx
            vorticity += -amplitude * (k**2 + m**2) * np.cos(angle)
    return u, v, vorticity


def test_kinetic_energy_from_vorticity_is_that_of_the_velocities():
    layout = plane(24, 24)
    u, v, vorticity = flow(layout)
    energy = spectrum(layout)
    np.testing.assert_allclose(
        energy.kinetic_of_vorticity(vorticity)[1:], (energy(u) + energy(v))[1:], rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("flip", [False, True])
def test_vorticity_and_divergence_on_a_torus_are_exact(flip):
    layout = plane(24, 32)
    if flip:  # rows from top to bottom
        descending = Axis(name="y", values=layout.y.values[::-1], boundary="periodic")
        layout = Layout(variables=layout.variables, axes=(descending, layout.x))
    u, v, vorticity = flow(layout)
    kinematics = Kinematics(layout=layout)
    np.testing.assert_allclose(kinematics.vorticity(u, v), vorticity, atol=1e-10)
    np.testing.assert_allclose(kinematics.divergence(u, v), 0.0, atol=1e-10)
    np.testing.assert_allclose(kinematics.divergence(-v, u), -vorticity, atol=1e-10)


@pytest.mark.parametrize("periodic", [(False, True), (False, False)])
def test_differences_are_of_second_order(periodic):
    errors = []
    for count in (32, 64):
        layout = plane(count, count, periodic=periodic)
        u, v, vorticity = flow(layout)
        errors.append(np.abs(Kinematics(layout=layout).vorticity(u, v) - vorticity).max())
    assert errors[1] < 0.35 * errors[0]


@pytest.mark.parametrize("circle", [True, False])
def test_solid_rotation_and_a_source_on_the_sphere(circle):
    layout = globe(181, 360) if circle else globe(61, 80, extent=(40.0, 70.0), circle=False)
    latitude, _ = (np.deg2rad(a) for a in mesh(layout))
    speed = 10.0
    kinematics = Kinematics(layout=layout)
    u, zero = speed * np.cos(latitude), np.zeros_like(latitude)
    vorticity = kinematics.vorticity(u, zero)
    expected = 2 * speed * np.sin(latitude) / EARTH_RADIUS
    inside = slice(2, -2)  # beside a pole the differences are of first order
    np.testing.assert_allclose(vorticity[inside], expected[inside], rtol=2e-3, atol=1e-9)
    assert np.isfinite(vorticity).all()
    np.testing.assert_allclose(kinematics.divergence(u, zero), 0.0, atol=1e-18)
    np.testing.assert_allclose(
        kinematics.divergence(zero, u)[inside], -expected[inside], rtol=2e-3, atol=1e-9
    )


def test_holes_reach_their_neighbours_only():
    layout = plane(12, 12)
    u, v, _ = flow(layout)
    u[5, 5] = np.nan
    vorticity = Kinematics(layout=layout, holes=True).vorticity(u, v)
    assert np.argwhere(np.isnan(vorticity)).tolist() == [[4, 5], [6, 5]]


def named(*names, **standard):
    variables = [Variable(name=n) for n in names]
    variables += [Variable(name=n, standard_name=s) for n, s in standard.items()]
    return Layout(variables=tuple(variables), axes=(axis("y", 4), axis("x", 4)))


@pytest.mark.parametrize(
    ("layout", "pairs"),
    [
        (named("u", "v"), [(0, 1)]),
        (named("t2m", "v10", "u10"), [(2, 1)]),
        (named("u_500", "u_850", "v_500", "v_850"), [(0, 2), (1, 3)]),
        (named("uo", "vo"), [(0, 1)]),
        (named("10m_u_component_of_wind", "10m_v_component_of_wind"), [(0, 1)]),
        (named(east="eastward_wind", north="northward_wind"), [(0, 1)]),
        (named("u"), []),
        (named("u_500", "v_850"), []),
        (named("velocity_x", "velocity_y", "velocity_z"), [(0, 1)]),
        (named("density", "Vx", "Vy"), [(1, 2)]),
        (named("velx", "vely"), [(0, 1)]),
        (named("x", "y"), []),
        (named("temperature"), []),
    ],
)
def test_velocities_are_recognised(layout, pairs):
    assert [(velocity.u, velocity.v) for velocity in velocities(layout)] == pairs


@pytest.mark.parametrize(
    ("layout", "channels"),
    [
        (named("vorticity"), (0,)),
        (named("t", "vo"), (1,)),
        (named("uo", "vo"), ()),
        (named("vo_500", "vo_850"), (0, 1)),
        (named(w="atmosphere_relative_vorticity"), (0,)),
        (named("v"), ()),
    ],
)
def test_vorticities_are_recognised(layout, channels):
    assert vorticities(layout) == channels
