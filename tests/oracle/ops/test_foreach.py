"""Operations on lists of tensors beside PyTorch's."""

from __future__ import annotations

import pytest
from both import same

torch = pytest.importorskip("torch")

from clew.ops import foreach

SCALARS = [2, [1.5, -2.0]]


def lists(t, count=2):
    return [t.linspace(0.1, 0.9, 4 + i, requires_grad=False) for i in range(count)]


def both_forms(t, name, *others, **options):
    found = [getattr(t, f"_foreach_{name}")(lists(t), *others, **options)]
    written = lists(t)
    result = getattr(t, f"_foreach_{name}_")(written, *others, **options)
    return [type(found[0]).__name__, *found[0], type(result).__name__, *written]


@pytest.mark.parametrize("name", foreach.UNARY)
def test_of_one(name):
    same(lambda t: both_forms(t, name))


@pytest.mark.parametrize("name", [n for n in foreach.BINARY if n != "lerp"])
def test_of_two(name):
    same(lambda t: both_forms(t, name, [x + 0.3 for x in lists(t)]))
    for scalar in SCALARS:
        same(lambda t, scalar=scalar: both_forms(t, name, scalar))


@pytest.mark.parametrize("name", foreach.TERNARY)
def test_of_three(name):
    def program(t):
        others = [x + 0.3 for x in lists(t)], [x + 0.6 for x in lists(t)]
        return [*both_forms(t, name, *others), *both_forms(t, name, *others, 2.5), *both_forms(t, name, *others, value=3),
                *both_forms(t, name, *others, [1.5, 2.5])]  # fmt: skip

    same(program)


def test_in_between():
    same(lambda t: both_forms(t, "lerp", [x + 1 for x in lists(t)], 0.25))
    same(lambda t: both_forms(t, "lerp", [x + 1 for x in lists(t)], [x / 2 for x in lists(t)]))


def test_scaled_sums_and_powers():
    same(lambda t: both_forms(t, "add", [x + 1 for x in lists(t)], alpha=2))
    same(lambda t: t._foreach_pow(2.0, lists(t)))


def test_copies_norms_and_zeros():
    def program(t):
        a, b = lists(t), [x + 1 for x in lists(t)]
        c = t._foreach_clone(a)
        t._foreach_copy_(a, b)
        norms = t._foreach_norm(a), t._foreach_norm(a, 1), t._foreach_norm(a, float("inf"))
        largest = t._foreach_max(a)
        return [*a, *c, norms, largest, t._foreach_zero_(b), b]

    same(program)


def test_derivatives():
    def program(t):
        xs = [x.requires_grad_() for x in lists(t)]
        sum(y.sum() for y in t._foreach_mul(t._foreach_exp(xs), [2.0, 3.0])).backward()
        return [x.grad for x in xs]

    same(program)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t._foreach_add(lists(t), lists(t, 3)),
        lambda t: t._foreach_add(lists(t), [1.0]),
        lambda t: t._foreach_sqrt([]),
    ],
)
def test_errors(wrong):
    same(wrong)
