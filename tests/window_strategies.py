"""Random windows of every kind, for property tests."""

import dataclasses

import pytest

from rolling.windows import (
    Ahead,
    AlignedContext,
    Autoregressive,
    Every,
    FullSequence,
    HistoryDropout,
    IndependentTimes,
    NoisyContext,
    Pyramid,
    Rolling,
    TrainedOn,
    Trapezoid,
    Warped,
    Window,
)

st = pytest.importorskip("hypothesis").strategies


@dataclasses.dataclass(frozen=True, kw_only=True)
class Power(Warped):
    """`tau = u^power`."""

    inner: Window
    power: float = 2  # a whole number: a root is not rounded alike in every lane

    def warp(self, u):
        return u**self.power


# Every size is compiled anew, so there are few of them and every context.
shapes = st.sampled_from([1, 2, 3, 5]).flatmap(
    lambda size: st.tuples(st.just(size), st.integers(0, size - 1))
)
staggers = st.sampled_from([0.0, 1.0]) | st.floats(0.0, 1.0)


def _in_blocks(shape):
    size, context = shape
    blocks = [b for b in range(1, size - context + 1) if (size - context) % b == 0]
    return st.sampled_from(blocks).map(lambda block: Rolling(size=size, context=context, block=block))


rolling = shapes.flatmap(_in_blocks)
full = shapes.map(lambda shape: FullSequence(size=shape[0], context=shape[1]))
autoregressive = shapes.map(lambda shape: Autoregressive(context=shape[0] - 1))
pyramids = st.builds(
    lambda shape, stagger, block: Pyramid(size=shape[0], context=shape[1], stagger=stagger, block=block),
    shapes,
    staggers,
    st.integers(1, 3),
)
trapezoids = st.builds(
    lambda shape, stagger: Trapezoid(size=shape[0], context=shape[1], stagger=stagger), shapes, staggers
)
# Windows that train on their own clocks and show a clean context.
plain = st.one_of(rolling, full, autoregressive, pyramids, trapezoids)
shown = st.one_of(
    st.builds(lambda inner, level: NoisyContext(inner=inner, level=level), plain, st.floats(0.0, 1.0)),
    plain.map(lambda inner: AlignedContext(inner=inner)),
)
# Windows whose training times are others than their clocks.
retrained = st.one_of(
    st.builds(lambda inner, monotone: IndependentTimes(inner=inner, monotone=monotone), plain, st.booleans()),
    plain.map(lambda inner: TrainedOn(inner=inner)),
    shown.map(lambda inner: HistoryDropout(inner=inner)),
)
warped = plain.map(lambda inner: Power(inner=inner))
# Of several modalities: windows over ticks, and with frames ahead that are known.
slots = st.sampled_from([(4, 2, 2), (6, 2, 2), (6, 2, 4), (4, 0, 4)]).map(
    lambda shape: Rolling(size=shape[0], context=shape[1], block=shape[2])
)
ticks = slots.map(lambda inner: Every(inner=inner, every=2))
ahead = st.builds(lambda inner, count: Ahead(inner=inner, ahead=count), plain, st.sampled_from([0, 2]))
windows = st.one_of(plain, shown, retrained, warped, ticks, ahead)
