"""What PyTorch warns of, in the same words, and how often."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
from both import collect, same

import clew

torch = pytest.importorskip("torch")


def number(t: Any) -> Any:
    return t.tensor(2.5, requires_grad=True)


def p_float(t):
    return float(number(t)), float(number(t) * 2)


def p_complex(t):
    return complex(number(t))


def p_functions_of_math(t):
    return math.sqrt(number(t)), math.floor(number(t))


def p_text(t):
    return f"{number(t):.2f}", "%.1f" % number(t)  # noqa: UP031


def p_whole_numbers_and_items(t):
    return int(number(t)), number(t).item(), bool(number(t)), float(number(t).detach())


def p_without_recording(t):
    with t.no_grad():
        return float(number(t))


def p_lists_of_tensors(t):
    return t.tensor([number(t), 1.0])


def p_a_schedule_told_of_a_loss(t):
    optimizer = t.optim.SGD([number(t)], 0.1)
    t.optim.lr_scheduler.ReduceLROnPlateau(optimizer).step(number(t) * 2)


def p_lu(t):
    return t.lu(t.eye(2)), t.eye(2).lu(get_infos=True)


@collect(globals())
def test_programs(program):
    same(program)


@pytest.mark.parametrize("program", [p_float, p_lu])
def test_once_is_enough(program):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            program(clew)
    assert len(caught) <= 1
    assert not any(w.filename != __file__ for w in caught)
