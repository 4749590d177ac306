"""Constraints: nearest points of sets that hold the data, imposed on every prediction."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.layout import Layout, Variable, video
from rolling.noise import Cosine, alpha_sigma
from rolling.oracle import autoregressive_covariance, exact_denoiser
from rolling.physics.divergence_free import DivergenceFree
from rolling.sampling import Denoisers, Rollout, Sampler, Sampling, Units
from rolling.sampling.constraints import ConservedMean, DynamicThreshold, Limits, Masked
from rolling.sampling.guidance import HistoryGuidance
from rolling.sampling.partitions import Blocks
from rolling.sampling.sweeps import Picard
from rolling.solvers import Ancestral, Ddim, UniPC
from rolling.windows import Autoregressive, Pyramid, Rolling

GRID = 12


def plane(*names: str, periodic: bool = True) -> Layout:
    """A square of side 2 pi; rows run from top to bottom, as they often do."""
    cells = tuple(2 * np.pi * i / GRID for i in range(GRID))
    return Layout(
        variables=tuple(Variable(name=name, units="m s-1") for name in names),
        axes=(
            Axis(name="y", values=cells[::-1], boundary="periodic" if periodic else "open"),
            Axis(name="x", values=cells, boundary="periodic" if periodic else "open"),
        ),
    )


def units_of(layout: Layout, mask: np.ndarray | None = None) -> Units:
    count = len(layout.variables)
    return Units(layout, np.linspace(1, 2, count), np.linspace(0.5, 3, count), mask)


FLOW = plane("u", "v", "rain")
MEAN = np.asarray([0.7, -0.2])
HALF = np.arange(GRID)[:, None, None] + np.zeros((1, GRID, 3)) < GRID / 2
SETS = {
    "limits": (Limits(variables=("rain", "v"), low=0.0, high=2.5), units_of(FLOW)),
    "pictures": (Limits(), Units(video(GRID, GRID), np.full(3, 100.0), np.full(3, 60.0))),
    "mean": (ConservedMean(), units_of(FLOW)),
    "mean of one": (ConservedMean(variables=("rain",)), units_of(FLOW, HALF)),
    "masked": (Masked(), units_of(FLOW, HALF)),
    "divergence": (DivergenceFree(), units_of(FLOW)),
}


@pytest.mark.parametrize("name", SETS)
def test_the_nearest_point_of_a_convex_set(name):
    """It is in the set, and no point of the set is in the half-space beyond it: `(x - Px).(y - Px) <= 0`."""
    constraint, units = SETS[name]
    drawn = np.random.default_rng(0).standard_normal((3, 2, 4, GRID, GRID, 3))
    with jax.enable_x64(True):
        x, other, context = (jnp.asarray(3 * part) for part in drawn)
        found = constraint.constrain(x, context, units)
        again, inside = (constraint.constrain(part, context, units) for part in (found, other))
        np.testing.assert_allclose(again, found, atol=1e-12)
        assert float(jnp.abs(found - x).max()) > 0.1
        # Distances are those of physical units: a projection of flows is nearest in metres per second.
        x, found, inside = (units.physical(part) for part in (x, found, inside))
        beyond = ((x - found) * (inside - found)).sum((2, 3, 4))
        assert float(beyond.max()) < 1e-9


def test_limits_are_in_the_units_of_the_data():
    limits, units = SETS["limits"]
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 2, GRID, GRID, 3)) * 5, jnp.float32)
    before, after = (units.physical(part) for part in (x, limits.constrain(x, x[:, :0], units)))
    np.testing.assert_array_equal(before[..., 0], after[..., 0])
    for channel in (1, 2):
        np.testing.assert_allclose(after[..., channel], np.clip(before[..., channel], 0, 2.5), atol=1e-5)


def test_a_conserved_mean_is_that_of_the_area():
    """Rows at 60 degrees of latitude count half as much as those at the equator."""
    layout = Layout(
        variables=(Variable(name="mass"),),
        axes=(
            Axis(name="latitude", values=(0.0, 60.0), units="degrees_north"),
            Axis(name="longitude", values=(0.0, 180.0), units="degrees_east"),
        ),
    )
    context = jnp.asarray([[3.0, 3.0], [0.0, 0.0]])[None, None, ..., None]  # (2 * 3 + 0) / 3 = 2
    found = ConservedMean().constrain(jnp.zeros((1, 1, 2, 2, 1)), context, units_of(layout))
    np.testing.assert_allclose(found, 2.0, rtol=1e-6)


def test_only_the_rotating_part_of_a_flow_stays():
    """A stream function and a potential in closed form; a mean flow stays, too."""
    y, x = np.meshgrid(FLOW.y.values, FLOW.x.values, indexing="ij")
    turning = np.stack([-2 * np.sin(x) * np.sin(2 * y), -np.cos(x) * np.cos(2 * y)], -1)
    spreading = np.stack([3 * np.cos(3 * x + y), np.cos(3 * x + y)], -1)
    rain = np.ones((GRID, GRID, 1))
    units = units_of(FLOW)
    with jax.enable_x64(True):
        flow = np.concatenate([turning + spreading + MEAN, rain], -1)[None, None]
        found = units.physical(DivergenceFree().constrain(units.normalised(jnp.asarray(flow)), (), units))
    expected = np.concatenate([turning + MEAN, rain], -1)
    np.testing.assert_allclose(np.asarray(found)[0, 0], expected, atol=1e-12)


def test_a_dynamic_threshold_takes_back_what_contrast_was_added():
    rng = np.random.default_rng(0)
    frames = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], (2, 3, GRID, GRID, 3))
    units = Units(video(GRID, GRID), np.full(3, 90.0), np.full(3, 40.0))
    normal = lambda scaled: units.normalised(jnp.asarray((scaled + 1) * 127.5, jnp.float32))  # noqa: E731
    constrain = lambda x: DynamicThreshold().constrain(x, x[:, :0], units)  # noqa: E731
    np.testing.assert_allclose(constrain(normal(frames)), normal(frames), atol=1e-5)
    frames[1, 2, 0, 0] = 0.3  # each frame on its own
    gains = np.array([1.0, 1.5, 3.0])[None, :, None, None, None]
    np.testing.assert_allclose(constrain(normal(frames * gains)), normal(frames), atol=1e-5)


def two_values(z, logsnr, condition):
    """The exact denoiser of data that are 1 or -1, all independent: `tanh(alpha z / sigma^2)`."""
    alpha, sigma = (part[..., None, None, None] for part in alpha_sigma(logsnr))
    return jnp.tanh(alpha * z / sigma**2)


def pair(error):
    """The exact denoiser of two cells `u, -u` with `u` AR(1), plus an error that both cells share.

    `(z_1 - z_2) / 2 = alpha u + sigma eps / sqrt(2)`: what is known of `u`, at twice the ratio of signal to
    noise.
    """

    def denoise(z, logsnr, condition):
        k = jnp.asarray(autoregressive_covariance((0.9,), z.shape[1]), z.dtype)
        alpha, _ = alpha_sigma(logsnr)
        better = logsnr + jnp.log(jnp.asarray(2, z.dtype))
        scale = alpha_sigma(better)[0] / alpha
        middle = (z[..., :1, :] - z[..., 1:, :]) / 2 * scale[..., None, None, None]
        u = exact_denoiser(k)(middle, better)
        return jnp.concatenate([u, -u], axis=-2) + error * (1 + z.mean((2, 3, 4), keepdims=True))

    return denoise


def rolled(denoiser, sampling: Sampling, given: np.ndarray, units: Units | None, frames: int = 24):
    return roller(lambda params: denoiser, sampling, units)((), given, frames)


def roller(build, sampling: Sampling, units: Units | None):
    """Rollouts of `build(params)`, which are one program."""
    rollout = Rollout(Sampler(sampling), lambda params: Denoisers(build(params), units=units), cycles=8)

    def roll(params, given: np.ndarray, frames: int = 24):
        keys = jax.random.split(jax.random.key(1), len(given))
        chunks = rollout.chunks(params, jnp.asarray(given), keys, frames)
        return np.concatenate([np.asarray(chunk.frames) for chunk in chunks], axis=1)

    return roll


WAYS = [
    (Autoregressive(context=1), Ancestral()),
    (Rolling(size=5, context=1), Ddim()),
    (Pyramid(size=5, context=1), UniPC(order=2)),
]
CELLS = Layout(
    variables=(Variable(name="u"),), axes=(Axis(name="y", values=(0.0,)), Axis(name="x", values=(0.0, 1.0)))
)
PLAIN = Units(CELLS, np.zeros(1), np.ones(1))


@pytest.mark.slow
@pytest.mark.parametrize(("window", "solver"), WAYS)
def test_an_exact_denoiser_obeys_already(window, solver):
    """Nothing changes but the noise at which the schedule ends, and no error is left that leads out of a
    plane."""
    sampling = Sampling(window=window, solver=solver, schedule=Cosine(), calls_per_frame=4)
    given = np.ones((2, 1, 1, 2, 1), np.float32)
    limited = dataclasses.replace(sampling, constraints=(Limits(variables=("u",), low=-1.0, high=1.0),))
    with_and_without = rolled(two_values, limited, given, PLAIN), rolled(two_values, sampling, given, None)
    np.testing.assert_allclose(*with_and_without, atol=2e-3)

    given = np.asarray([1.0, -1.0], np.float32).reshape(1, 1, 1, 2, 1)
    free = roller(pair, sampling, None)
    conserved = roller(pair, dataclasses.replace(sampling, constraints=(ConservedMean(),)), PLAIN)
    none, some = jnp.float32(0), jnp.float32(0.05)
    exact = free(none, given)
    np.testing.assert_allclose(conserved(none, given), exact, atol=2e-3)
    np.testing.assert_allclose(conserved(some, given), exact, atol=2e-3)
    assert np.abs(free(some, given) - exact).max() > 0.05


def test_a_network_that_explodes_stays_within_its_limits():
    """`1.3` times the exact prediction grows without bound."""
    k = jnp.asarray(autoregressive_covariance((0.99,), 4), jnp.float32)
    louder = lambda z, logsnr, condition: 1.3 * exact_denoiser(k)(z, logsnr)  # noqa: E731
    sampling = Sampling(window=Rolling(size=4, context=1), solver=Ancestral(), schedule=Cosine())
    given = np.ones((3, 1, 1, 2, 1), np.float32)
    assert np.abs(rolled(louder, sampling, given, None, 60)).max() > 20
    limited = dataclasses.replace(sampling, constraints=(Limits(variables=("u",), low=-3.0, high=3.0),))
    assert 2.9 < np.abs(rolled(louder, limited, given, PLAIN, 60)).max() <= 3.0


@pytest.mark.parametrize(
    "way",
    [{"sweep": Picard(tolerance=0.0)}, {"partition": Blocks(size=4)}],
    ids=["picard", "blocks"],
)
def test_however_the_network_is_called_its_predictions_are_constrained(way):
    """Each by the context of its own sequence: a network without a view of other frames gives the same."""
    constraints = (Limits(variables=("u",), low=-1.5, high=1.5), ConservedMean())
    sampling = Sampling(
        window=Rolling(size=8, context=2), schedule=Cosine(), calls_per_frame=2, constraints=constraints
    )
    alone = lambda z, logsnr, condition: 1.3 * two_values(z, logsnr, condition)  # noqa: E731
    given = np.asarray([[1.0, 0.2], [-1.0, 0.4]], np.float32).reshape(2, 1, 1, 2, 1).repeat(2, axis=1)
    found, expected = (
        rolled(alone, each, given, PLAIN, 8) for each in (dataclasses.replace(sampling, **way), sampling)
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    means = given[:, -1:].mean((2, 3, 4)) + np.zeros((1, 8))
    np.testing.assert_allclose(expected.mean((2, 3, 4)), means, atol=1e-5)


@pytest.mark.parametrize(
    ("constraint", "layout", "said"),
    [
        (Limits(), FLOW, "the data are no pictures, whose grey levels are known"),
        (
            Limits(variables=("snow",), low=0.0),
            FLOW,
            "names the variables snow, and the data hold",
        ),
        (ConservedMean(variables=("snow",)), FLOW, "names the variables snow"),
        (DivergenceFree(), plane("rain"), "needs two velocities, and the data hold rain"),
        (DivergenceFree(), plane("u", "v", periodic=False), "these data are not periodic in both directions"),
    ],
)
def test_what_does_not_suit_the_data_is_refused(constraint, layout, said):
    with pytest.raises(InputError, match=said):
        Sampling(window=Rolling(size=4, context=1), constraints=(constraint,)).check_layout(layout)


def test_what_does_not_suit_the_sampling_is_refused():
    with pytest.raises(InputError, match="of the last frame of the context, and this window has none"):
        Sampling(window=Rolling(size=4, context=0), constraints=(ConservedMean(),))
    with pytest.raises(InputError, match="lowers the contrast that guidance raises, and there is none"):
        Sampling(constraints=(DynamicThreshold(),))
    Sampling(constraints=(DynamicThreshold(),), guidance=(HistoryGuidance(),))
    for wrong in ({"low": 1.0, "high": 0.0}, {"low": 0.0}, {"variables": ("u",)}):
        with pytest.raises(InputError, match="limits"):
            Limits(**wrong)
    with pytest.raises(InputError, match="a quantile in"):
        DynamicThreshold(quantile=0.0)
