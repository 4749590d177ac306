"""One step of a training: the loss of an experiment, its gradient, and what the optimiser makes of it."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rolling.common import compiler
from rolling.denoisers import Apply
from rolling.run import model
from rolling.run.experiment import Experiment, Training
from rolling.run.experiment.objectives import LossInputs
from rolling.run.model import Pasts
from rolling.sampling.constraints import JointUnits, Units


class State(NamedTuple):
    params: Any
    ema: Any
    optimiser: Any
    step: jax.Array
    key: jax.Array
    objective: Any = None
    """What the objective keeps from one step to the next."""


def learning_rate(training: Training, peak: float) -> Callable[..., jax.Array]:
    """Rises over `warmup` steps, stays, falls to zero over the last fraction `decay` of the steps."""

    def rate(step):
        rise = (step + 1) / max(training.warmup, 1)
        fall = (training.steps - step) / max(training.decay * training.steps, 1)
        return peak * jnp.clip(jnp.minimum(rise, fall), 0.0, 1.0)

    return rate


def transformation(experiment: Experiment) -> optax.GradientTransformation:
    training, optimiser = experiment.training, experiment.optimiser
    rate = learning_rate(training, optimiser.peak)
    return optax.chain(optax.clip_by_global_norm(training.clip), optimiser.transform(rate))


def first_state(experiment: Experiment, params: Any, objective: Any = None) -> State:
    """`objective` is the first state of the experiment's objective, if it keeps one."""
    return State(
        params=params,
        ema=jax.tree.map(jnp.copy, params),
        optimiser=transformation(experiment).init(params),
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key(experiment.training.seed),
        objective=objective,
    )


def loss_inputs(experiment: Experiment, apply: Apply, units: Units | JointUnits, past: Pasts) -> LossInputs:
    """What the objective takes from an experiment and its network."""

    def of(params, dropout_key):
        network = partial(apply, params, dropout_key=dropout_key)
        return model.denoiser_of(network, experiment, past)

    def condition(batch, dropout_key):
        known = model.condition_of(batch, units.mask)
        if experiment.training.drop_condition == 0 or dropout_key is None:
            return known
        chance = jax.random.uniform(jax.random.fold_in(dropout_key, 1), (len(batch["x"]),))
        return known.dropped(chance < experiment.training.drop_condition)

    return LossInputs(of, condition, experiment, experiment.weighting, units)


def make_gradient(experiment: Experiment, inputs: LossInputs) -> Callable:
    """`(params, frozen, batch, key, state of the objective) -> ((loss, (next state, figures)), gradient)`,
    means over a batch of clips."""
    return jax.value_and_grad(partial(experiment.objective.loss_and_figures, inputs), has_aux=True)


def make_step(experiment: Experiment, apply: Apply, units: Units | JointUnits, past: Pasts) -> Callable:
    """The jitted `(state, batch, frozen) -> (state, figures)`: by name the loss, the norm of the gradient and
    what the objective tells of its loss.

    The state is donated. `frozen` are the parameters of the objective's teacher, if there is one.
    """
    training = experiment.training
    gradient = make_gradient(experiment, loss_inputs(experiment, apply, units, past))
    optimiser = transformation(experiment)

    def mean_gradient(params, frozen, batch, key, objective):
        parts = training.accumulate
        if parts == 1:
            return gradient(params, frozen, batch, key, objective)
        # Unrolled: inside a loop the gradient of a convolution loses its fast path. A part takes every
        # `parts`-th clip, so that on several devices each clip stays on its own.
        results = []
        for i in range(parts):
            part = jax.tree.map(lambda leaf, i=i: leaf[i::parts], batch)
            (loss, (objective, told)), gradients = gradient(
                params, frozen, part, jax.random.fold_in(key, i), objective
            )
            results.append((loss, told, gradients))
        loss, told, gradients = jax.tree.map(lambda *leaves: sum(leaves) / parts, *results)
        return (loss, (objective, told)), gradients

    def step(state, batch, frozen=None):
        key = jax.random.fold_in(state.key, state.step)
        (loss, (objective, told)), gradients = mean_gradient(
            state.params, frozen, batch, key, state.objective
        )
        updates, optimiser_state = optimiser.update(gradients, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        # The average forgets the first steps faster than with its final decay.
        decay = jnp.minimum(training.ema, (1 + state.step) / (10 + state.step))
        ema = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, state.ema, params)
        after = State(params, ema, optimiser_state, state.step + 1, state.key, objective)
        return after, {"loss": loss, **told, "gradient_norm": optax.tree.norm(gradients)}

    return jax.jit(step, donate_argnums=0, compiler_options=compiler.options())
