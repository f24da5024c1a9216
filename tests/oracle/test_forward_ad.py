"""Forward mode: the same programs under both."""

from __future__ import annotations

import pytest
from both import collect, same


def level(t):
    return t.autograd.forward_ad.dual_level()


def dual(t, *values):
    x = t.tensor(values or (1.5, -0.5, 2.0), dtype=t.float64)
    return t.autograd.forward_ad.make_dual(x, t.arange(1.0, len(x) + 1, dtype=t.float64))


def unpacked(t, x):
    primal, tangent = t.autograd.forward_ad.unpack_dual(x)
    return primal, tangent


def p_a_chain(t):
    with level(t):
        return unpacked(t, (dual(t).sin() * 3).exp().sum())


def p_nothing_changes(t):
    with level(t):
        return unpacked(t, t.ones(3) * 2)


def p_in_place(t):
    with level(t):
        x = dual(t)
        y = x * 2
        y.mul_(x)
        y[1:] = x[:2] ** 3
        y[0].add_(x[2])
        return unpacked(t, y), unpacked(t, x)


def p_overwritten_afterwards(t):
    with level(t):
        x = dual(t) * 1
        y = x.exp()
        x.zero_()
        return unpacked(t, y), unpacked(t, x)


def p_detached(t):
    with level(t):
        x = dual(t)
        return unpacked(t, x.detach()), unpacked(t, x.data), unpacked(t, x.clone())


def p_several_outputs(t):
    with level(t):
        x = dual(t)
        values, indices = t.sort(x)
        return unpacked(t, values), indices, [unpacked(t, v) for v in x.unbind()]


def p_matrix(t):
    with level(t):
        x = dual(t, 1.0, 2.0, 3.0, 4.0).reshape(2, 2)
        return unpacked(t, t.linalg.inv(x) @ x.T), unpacked(t, t.linalg.det(x))


def p_layers(t):
    t.manual_seed(0)
    net = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 2)).double()
    with level(t):
        out = net(dual(t)[None])
        primal, tangent = unpacked(t, (out.tanh() ** 2).mean())
        tangent.backward()
        return primal, tangent, [p.grad.detach() for p in net.parameters()]


def p_complex(t):
    with level(t):
        x = t.tensor([1 + 2j, -0.5 + 1j], dtype=t.complex128)
        x = t.autograd.forward_ad.make_dual(x, t.tensor([1j, 2 + 1j], dtype=t.complex128))
        return (
            unpacked(t, x.exp()),
            unpacked(t, x.abs()),
            unpacked(t, t.real(x * x)),
            unpacked(t, x.conj() * 2),
        )


def p_gradient_of_dual(t):
    w = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with level(t):
        x = t.autograd.forward_ad.make_dual(w, t.tensor([1.0, 0.0, 2.0]))
        (g,) = t.autograd.grad((x**3).sum(), w)
        return unpacked(t, g)[1].detach()


def p_second_order(t):
    w = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with level(t):
        x = t.autograd.forward_ad.make_dual(w, t.tensor([1.0, 0.0, 2.0]))
        _, tangent = unpacked(t, (x**3).sum())
        (g,) = t.autograd.grad(tangent, w)
        return g.detach()


def p_function(t):
    class Scale(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.save_for_forward(x)
            ctx.k = k
            return x * k

        @staticmethod
        def jvp(ctx, x_t, k_t):
            assert k_t is None
            return x_t * ctx.k + 0 * ctx.saved_tensors[0]

    with level(t):
        return unpacked(t, Scale.apply(dual(t), 3))


def p_function_without_rule(t):
    class Scale(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    with level(t):
        return unpacked(t, Scale.apply(dual(t)))


def p_function_with_wrong_shape(t):
    class Scale(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def jvp(ctx, x_t):
            return t.ones(7)

    with level(t):
        return unpacked(t, Scale.apply(dual(t)))


def p_after_the_level(t):
    with level(t):
        x = dual(t)
    return unpacked(t, x)


def p_outside(t):
    return t.autograd.forward_ad.make_dual(t.ones(3), t.ones(3))


def p_exit_without_level(t):
    t.autograd.forward_ad.exit_dual_level()


def p_nested(t):
    with level(t):
        t.autograd.forward_ad.enter_dual_level()


def p_integers(t):
    with level(t):
        t.autograd.forward_ad.make_dual(t.ones(3, dtype=t.int64), t.ones(3))


def p_integer_tangent(t):
    with level(t):
        t.autograd.forward_ad.make_dual(t.ones(3), t.ones(3, dtype=t.int64))


def p_other_shape(t):
    with level(t):
        t.autograd.forward_ad.make_dual(t.ones(3), t.ones(4))


def p_twice(t):
    with level(t):
        t.autograd.forward_ad.make_dual(dual(t), t.ones(3))


def p_no_tensor(t):
    with level(t):
        t.autograd.forward_ad.unpack_dual(3)


@collect(globals())
def test_same(program):
    same(program, warned=False)


@pytest.mark.parametrize("name", ["jacobian", "hessian"])
def test_forward_strategy(name):
    def program(t):
        x = t.tensor([0.5, -1.0, 2.0], dtype=t.float64)
        f = (lambda x: (x**3).sum()) if name == "hessian" else (lambda x: x.sin() * x.sum())
        options = {
            "outer_jacobian_strategy" if name == "hessian" else "strategy": "forward-mode",
            "vectorize": True,
        }
        return getattr(t.autograd.functional, name)(f, x, **options).detach() + 0

    same(program, warned=False)
