"""torch.func: the same programs under both."""

from __future__ import annotations

from both import collect, same


def x3(t):
    return t.tensor([0.5, -1.0, 2.0])


def p_grad(t):
    return t.func.grad(lambda x: (x**3).sum())(x3(t))


def p_grad_of_grad(t):
    f = t.func.grad(t.func.grad(lambda x: x**4))
    return f(t.tensor(2.0)), t.func.grad(f)(t.tensor(2.0))


def p_grad_with_aux(t):
    return t.func.grad(lambda x, y: ((x * y).sum(), {"y": y}), argnums=(0, 1), has_aux=True)(x3(t), x3(t) * 2)


def p_grad_and_value(t):
    return t.func.grad_and_value(lambda x: (x**3).sum())(x3(t))


def p_grad_of_a_dict(t):
    return t.func.grad(lambda p: (p["a"] * p["b"]).sum())({"a": x3(t), "b": x3(t) + 1})


def p_grad_of_what_does_not_matter(t):
    return t.func.grad(lambda x, y: y.sum())(x3(t), x3(t))


def p_grad_not_scalar(t):
    t.func.grad(lambda x: x * 2)(x3(t))


def p_grad_no_tensor(t):
    t.func.grad(lambda x: 3)(x3(t))


def p_grad_argnum(t):
    t.func.grad(lambda x: x.sum(), argnums=1)(x3(t))


def p_grad_integers(t):
    t.func.grad(lambda x: x.sum())(t.arange(3))


def p_grad_inside_backward(t):
    x = x3(t).requires_grad_()
    y = t.func.grad(lambda x: (x**3).sum())(x)
    y.sum().backward()
    return y.detach(), y.requires_grad, x.grad


def p_grad_of_captured(t):
    w = x3(t).requires_grad_()
    y = t.func.grad(lambda x: (x**2 * w).sum())(x3(t))
    y.sum().backward()
    return y.requires_grad, w.grad


def p_grad_under_no_grad(t):
    with t.no_grad():
        return t.func.grad(lambda x: (x**3).sum())(x3(t))


def p_vjp(t):
    out, pull = t.func.vjp(lambda x, y: (x * y, {"a": x.sum()}), x3(t), x3(t) + 1)
    return out, pull((x3(t), {"a": t.tensor(2.0)})), pull((x3(t) * 0, {"a": t.tensor(1.0)}))


def p_vjp_one(t):
    out, pull = t.func.vjp(lambda x: x.sin(), x3(t))
    return out, pull(t.ones(3))


def p_jvp(t):
    return t.func.jvp(lambda x, y: (x * y).sin(), (x3(t), x3(t)), (t.ones(3), x3(t)))


def p_jvp_aux(t):
    return t.func.jvp(lambda x: (x.exp(), x * 2), (x3(t),), (t.ones(3),), has_aux=True)


def p_jvp_no_tuple(t):
    t.func.jvp(lambda x: x, x3(t), x3(t))


def p_jacobians(t):
    def f(x):
        return x[:2] * x.sum()

    return t.func.jacrev(f)(x3(t)), t.func.jacfwd(f)(x3(t))


def p_jacobians_of_several(t):
    def f(x, y):
        return {"product": x * y, "sum": x.sum() + y.prod()}

    a, b = x3(t), x3(t) + 1
    return (
        t.func.jacrev(f, argnums=(0, 1))(a, b),
        t.func.jacfwd(f, argnums=(0, 1))(a, b),
        t.func.jacfwd(f, argnums=1)(a, b),
    )


def p_hessian(t):
    return t.func.hessian(lambda x: (x**3).sum() + x.prod())(x3(t))


def p_hessian_vector_product(t):
    f = lambda x: (x**3).sum() * x.prod()
    return t.func.jvp(t.func.grad(f), (x3(t),), (t.ones(3),))


def p_nested_forward(t):
    return t.func.jacfwd(t.func.jacfwd(lambda x: x**3))(x3(t)) + 0


def p_linearize(t):
    out, change = t.func.linearize(lambda x: x.sin(), x3(t))
    return out, change(t.ones(3))


# ---- vmap --------------------------------------------------------------------------------------------------------------
def batch(t):
    return t.arange(6.0).reshape(2, 3)


def p_vmap(t):
    return t.vmap(lambda x: x * x.sum())(batch(t)), t.func.vmap(t.dot)(batch(t), batch(t))


def p_vmap_dims(t):
    return t.vmap(lambda x, y: x + y, in_dims=(1, None), out_dims=1)(batch(t), t.ones(2))


def p_vmap_trees(t):
    return t.vmap(lambda d: {"s": d["a"].sum(), "p": (d["a"], d["b"])}, in_dims=({"a": 0, "b": None},))(
        {"a": batch(t), "b": t.ones(2)}
    )


def p_vmap_twice(t):
    return t.vmap(t.vmap(lambda x, y: x * y), in_dims=(0, None))(batch(t), t.ones(3))


def p_per_sample_gradients(t):
    t.manual_seed(0)
    net = t.nn.Linear(3, 2)
    params = {k: v.detach() for k, v in net.named_parameters()}

    def loss(params, x, y):
        out = t.func.functional_call(net, params, (x[None],))
        return t.nn.functional.cross_entropy(out, y[None])

    return t.vmap(t.func.grad(loss), in_dims=(None, 0, 0))(params, batch(t), t.tensor([0, 1]))


def p_vmap_random_error(t):
    t.vmap(lambda x: x + t.rand(1))(batch(t))


def p_vmap_random_different(t):
    t.manual_seed(0)
    return t.vmap(lambda x: x + t.rand(1), randomness="different")(batch(t))


def p_vmap_random_same(t):
    t.manual_seed(0)
    return t.vmap(lambda x: t.rand(2), randomness="same")(batch(t))


def p_vmap_no_tensor(t):
    t.vmap(lambda x: x)(3)


def p_vmap_sizes(t):
    t.vmap(lambda x, y: x)(t.ones(2), t.ones(3))


def p_vmap_dim(t):
    t.vmap(lambda x: x, in_dims=2)(t.ones(2))


def p_vmap_result(t):
    t.vmap(lambda x: 3)(t.ones(2))


def p_vmap_no_inputs(t):
    t.vmap(lambda: 3)()


def p_vmap_gradient(t):
    x = batch(t).requires_grad_()
    t.vmap(lambda x: (x**2).sum())(x).sum().backward()
    return x.grad


# ---- modules -----------------------------------------------------------------------------------------------------------
def p_functional_call(t):
    t.manual_seed(0)
    net = t.nn.Sequential(t.nn.Linear(3, 2), t.nn.BatchNorm1d(2))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    out = t.func.functional_call(net, {"0.weight": t.ones(2, 3), "nothing": t.ones(1)}, batch(t))
    return out.detach(), [bool((before[k] == v).all()) for k, v in net.state_dict().items()]


def p_stacked_modules(t):
    t.manual_seed(0)
    nets = [t.nn.Linear(3, 1) for _ in range(4)]
    params, buffers = t.func.stack_module_state(nets)
    out = t.vmap(lambda p, x: t.func.functional_call(nets[0], p, (x,)), in_dims=(0, None))(params, batch(t))
    return {k: v.detach() for k, v in params.items()}, buffers, out.detach()


@collect(globals())
def test_same(program):
    same(program, warned=False)
