"""`autograd.functional` and `gradcheck`: values, shapes and sentences as in PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from both import collect, same


def x1(t: Any) -> Any:
    return t.tensor([1.0, 2.0, 3.0])


def f(x: Any) -> Any:
    return x**2 * x.sum()


def two(x: Any, y: Any) -> Any:
    return (x * y).sum(), x.exp()


def energy(x: Any) -> Any:
    return (x**3).sum() * x[0]


def p_jacobian(t):
    return t.autograd.functional.jacobian(f, x1(t))


def p_jacobian_of_several(t):
    return t.autograd.functional.jacobian(two, (x1(t), t.ones(3)))


def p_jacobian_of_matrix(t):
    return t.autograd.functional.jacobian(lambda a: a @ a, t.ones(2, 2)).shape


def p_jacobian_vectorized(t):
    return t.autograd.functional.jacobian(f, x1(t), vectorize=True)


def p_jacobian_with_graph(t):
    x = x1(t).requires_grad_()
    j = t.autograd.functional.jacobian(f, x, create_graph=True)
    return j, t.autograd.grad(j.sum(), x)


def p_jacobian_with_graph_of_plain(t):
    return t.autograd.functional.jacobian(f, x1(t), create_graph=True)


def p_jacobian_under_no_grad(t):
    with t.no_grad():
        return t.autograd.functional.jacobian(f, x1(t))


def p_jacobian_of_number(t):
    return t.autograd.functional.jacobian(lambda x: 3, x1(t))


def p_jacobian_of_tuple_with_number(t):
    return t.autograd.functional.jacobian(lambda x: (x, 3), x1(t))


def p_jacobian_input_number(t):
    return t.autograd.functional.jacobian(f, 3)


def p_jacobian_input_list(t):
    return t.autograd.functional.jacobian(f, [x1(t)])


def p_jacobian_input_tuple_with_number(t):
    return t.autograd.functional.jacobian(two, (x1(t), 3))


def p_jacobian_constant(t):
    return t.autograd.functional.jacobian(lambda x: t.ones(2), x1(t))


def p_jacobian_constant_strict(t):
    return t.autograd.functional.jacobian(lambda x: t.ones(2), x1(t), strict=True)


def p_jacobian_detached_strict(t):
    return t.autograd.functional.jacobian(lambda x: x.detach() * 2, x1(t), strict=True)


def p_jacobian_independent(t):
    return t.autograd.functional.jacobian(lambda x, y: x * 2, (x1(t), x1(t)))


def p_jacobian_independent_strict(t):
    return t.autograd.functional.jacobian(lambda x, y: x * 2, (x1(t), x1(t)), strict=True)


def p_jacobian_linear_strict_with_graph(t):
    return t.autograd.functional.jacobian(lambda x: x * 2, x1(t), strict=True, create_graph=True)


def p_jacobian_strict_vectorized(t):
    return t.autograd.functional.jacobian(f, x1(t), strict=True, vectorize=True)


def p_jacobian_bad_strategy(t):
    return t.autograd.functional.jacobian(f, x1(t), strategy="sideways")


def p_jacobian_forward_mode_not_vectorized(t):
    return t.autograd.functional.jacobian(f, x1(t), strategy="forward-mode")


def p_jacobian_forward_mode(t):
    return t.autograd.functional.jacobian(f, x1(t), strategy="forward-mode", vectorize=True)


def p_jacobian_forward_mode_with_graph(t):
    return t.autograd.functional.jacobian(
        f, x1(t), strategy="forward-mode", vectorize=True, create_graph=True
    )


def p_hessian(t):
    return t.autograd.functional.hessian(energy, x1(t))


def p_hessian_of_several(t):
    return t.autograd.functional.hessian(lambda x, y: (x * y * x).sum(), (x1(t), t.ones(3)))


def p_hessian_with_graph(t):
    x = x1(t).requires_grad_()
    h = t.autograd.functional.hessian(energy, x, create_graph=True)
    return h, t.autograd.grad(h.sum(), x)


def p_hessian_non_scalar(t):
    return t.autograd.functional.hessian(f, x1(t))


def p_hessian_tuple(t):
    return t.autograd.functional.hessian(lambda x: (x.sum(), x.sum()), x1(t))


def p_hessian_one_element(t):
    return t.autograd.functional.hessian(lambda x: (x**2).sum().view(1), x1(t))


def p_hessian_linear(t):
    return t.autograd.functional.hessian(lambda x: x.sum(), x1(t))


def p_hessian_linear_strict(t):
    return t.autograd.functional.hessian(lambda x: x.sum(), x1(t), strict=True)


def p_hessian_constant_strict(t):
    return t.autograd.functional.hessian(lambda x: t.ones(()), x1(t), strict=True)


def p_hessian_vectorized(t):
    return t.autograd.functional.hessian(energy, x1(t), vectorize=True)


def p_vjp(t):
    return t.autograd.functional.vjp(f, x1(t), t.ones(3))


def p_vjp_scalar(t):
    return t.autograd.functional.vjp(energy, x1(t))


def p_vjp_without_v(t):
    return t.autograd.functional.vjp(f, x1(t))


def p_vjp_wrong_size(t):
    return t.autograd.functional.vjp(f, x1(t), t.ones(2))


def p_vjp_wrong_number(t):
    return t.autograd.functional.vjp(two, (x1(t), x1(t)), (t.ones(()),))


def p_vjp_too_many(t):
    return t.autograd.functional.vjp(f, x1(t), (t.ones(3), t.ones(3)))


def p_vjp_wrong_size_in_tuple(t):
    return t.autograd.functional.vjp(two, (x1(t), x1(t)), (t.ones(()), t.ones(2)))


def p_vjp_several(t):
    return t.autograd.functional.vjp(two, (x1(t), t.ones(3)), (t.ones(()), t.ones(3)))


def p_vjp_with_graph(t):
    x = x1(t).requires_grad_()
    out, g = t.autograd.functional.vjp(f, x, t.ones(3), create_graph=True)
    return out, g, t.autograd.grad(g.sum(), x)


def p_vjp_strict(t):
    return t.autograd.functional.vjp(lambda x, y: x * 2, (x1(t), x1(t)), t.ones(3), strict=True)


def p_vjp_strict_with_graph(t):
    return t.autograd.functional.vjp(lambda x: x * 2, x1(t), t.ones(3), strict=True, create_graph=True)


def p_vjp_independent(t):
    return t.autograd.functional.vjp(lambda x, y: x * 2, (x1(t), x1(t)), t.ones(3))


def p_jvp(t):
    return t.autograd.functional.jvp(f, x1(t), t.tensor([1.0, 0.0, 2.0]))


def p_jvp_several(t):
    return t.autograd.functional.jvp(two, (x1(t), t.ones(3)), (t.ones(3), t.zeros(3)))


def p_jvp_without_v(t):
    return t.autograd.functional.jvp(f, x1(t))


def p_jvp_of_number(t):
    return t.autograd.functional.jvp(lambda x: x * x1(t), t.tensor(2.0))


def p_jvp_wrong_size(t):
    return t.autograd.functional.jvp(f, x1(t), t.ones(2))


def p_jvp_wrong_type(t):
    return t.autograd.functional.jvp(f, x1(t), 3)


def p_jvp_with_graph(t):
    x = x1(t).requires_grad_()
    out, g = t.autograd.functional.jvp(f, x, t.ones(3), create_graph=True)
    return out, g, t.autograd.grad(g.sum(), x)


def p_jvp_linear(t):
    return t.autograd.functional.jvp(lambda x: x * 2, x1(t), t.ones(3))


def p_jvp_constant(t):
    return t.autograd.functional.jvp(lambda x: t.ones(2), x1(t), t.ones(3))


def p_jvp_constant_strict(t):
    return t.autograd.functional.jvp(lambda x: t.ones(2), x1(t), t.ones(3), strict=True)


def p_jvp_strict_independent(t):
    return t.autograd.functional.jvp(lambda x, y: x * 2, (x1(t), x1(t)), (t.ones(3), t.ones(3)), strict=True)


def p_jvp_strict_with_graph(t):
    return t.autograd.functional.jvp(lambda x: x * 2, x1(t), t.ones(3), strict=True, create_graph=True)


def p_hvp(t):
    return t.autograd.functional.hvp(energy, x1(t), t.tensor([1.0, 0.0, 2.0]))


def p_vhp(t):
    return t.autograd.functional.vhp(energy, x1(t), t.tensor([1.0, 0.0, 2.0]))


def p_hvp_several(t):
    return t.autograd.functional.hvp(
        lambda x, y: (x * y * x).sum(), (x1(t), t.ones(3)), (t.ones(3), t.zeros(3))
    )


def p_vhp_several(t):
    return t.autograd.functional.vhp(
        lambda x, y: (x * y * x).sum(), (x1(t), t.ones(3)), (t.ones(3), t.zeros(3))
    )


def p_hvp_with_graph(t):
    x = x1(t).requires_grad_()
    out, g = t.autograd.functional.hvp(energy, x, t.ones(3), create_graph=True)
    return out, g, t.autograd.grad(g.sum(), x)


def p_vhp_with_graph(t):
    x = x1(t).requires_grad_()
    out, g = t.autograd.functional.vhp(energy, x, t.ones(3), create_graph=True)
    return out, g, t.autograd.grad(g.sum(), x)


def p_hvp_non_scalar(t):
    return t.autograd.functional.hvp(f, x1(t), t.ones(3))


def p_vhp_tuple(t):
    return t.autograd.functional.vhp(two, (x1(t), x1(t)), (x1(t), x1(t)))


def p_hvp_without_v(t):
    return t.autograd.functional.hvp(energy, x1(t))


def p_hvp_linear(t):
    return t.autograd.functional.hvp(lambda x: x.sum(), x1(t), t.ones(3))


def p_vhp_linear(t):
    return t.autograd.functional.vhp(lambda x: x.sum(), x1(t), t.ones(3))


def p_vhp_linear_strict(t):
    return t.autograd.functional.vhp(lambda x: x.sum(), x1(t), t.ones(3), strict=True)


def p_hvp_linear_strict(t):
    return t.autograd.functional.hvp(lambda x: x.sum(), x1(t), t.ones(3), strict=True)


# ---- gradcheck -----------------------------------------------------------------------------------------------------------
def double(t: Any) -> Any:
    return t.tensor([0.3, 0.7], dtype=t.float64, requires_grad=True)


def p_gradcheck(t):
    return t.autograd.gradcheck(lambda x: x.sin() * x.sum(), double(t)), t.autograd.gradgradcheck(
        lambda x: x.sin() * x.sum(), double(t)
    )


def p_gradcheck_of_several(t):
    return t.autograd.gradcheck(lambda x, y, k: (x * y, x.exp() * k), (double(t), double(t), 3))


def p_gradcheck_complex(t):
    z = t.tensor([0.3 + 1j, 0.7 - 2j], dtype=t.complex128, requires_grad=True)
    return t.autograd.gradcheck(lambda z: (z * z.conj(), z.abs(), z.exp()), z)


def wrong(t: Any) -> Any:
    class F(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    return F.apply


def p_gradcheck_fails(t):
    t.autograd.gradcheck(wrong(t), double(t))


def p_gradcheck_fails_whole_sentence(t):
    try:
        t.autograd.gradcheck(wrong(t), double(t))
    except RuntimeError as error:
        return str(error)


def p_gradcheck_fails_quietly(t):
    return t.autograd.gradcheck(wrong(t), double(t), raise_exception=False)


def p_gradcheck_single_precision(t):
    return t.autograd.gradcheck(lambda x: x.sin(), t.tensor([1.0, 1.0], requires_grad=True))


def p_gradcheck_without_grad(t):
    t.autograd.gradcheck(lambda x: x.sin(), t.ones(2, dtype=t.float64))


def p_gradcheck_tolerance(t):
    return t.autograd.gradcheck(wrong(t), double(t), atol=2.0)


def p_gradcheck_integer_output(t):
    return t.autograd.gradcheck(lambda x: (x > 0.5).long(), double(t))


def p_gradcheck_overlapping(t):
    t.autograd.gradcheck(lambda x: x * 2, t.ones(1, dtype=t.float64).expand(3).requires_grad_())


@collect(globals())
def test_the_same(program) -> None:
    same(program)
