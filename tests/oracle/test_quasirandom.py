"""Sobol' points beside PyTorch's."""

from __future__ import annotations

import pytest
from both import same

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("dimension", [1, 3, 40])
@pytest.mark.parametrize("options", [{}, {"scramble": True}, {"scramble": True, "seed": 5}], ids=str)
def test_points(dimension, options):
    def program(t):
        t.manual_seed(3)
        engine = t.quasirandom.SobolEngine(dimension, **options)
        found = [
            engine.draw(),
            engine.draw(1),
            engine.draw(4),
            engine.num_generated,
            engine.shift,
            engine.quasi.clone(),
            engine.sobolstate,
        ]
        found += [
            engine.fast_forward(3).draw(2, dtype=t.float64),
            engine.reset().draw_base2(3),
            engine.draw_base2(3),
        ]
        found += [engine.reset().fast_forward(2).draw(3), repr(engine), engine.draw(0).shape, t.rand(1)]
        out = t.empty(0)
        return [*found, engine.draw(2, out=out), out]

    same(program, warned=False)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t.quasirandom.SobolEngine(0),
        lambda t: t.quasirandom.SobolEngine(30000),
        lambda t: t.quasirandom.SobolEngine(2).fast_forward(3).draw_base2(3),
    ],
)
def test_errors(wrong):
    same(wrong)
