"""Functions with a derivative of one's own: both styles, every mark, every mistake, as in PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from both import collect, same


def leaf(t: Any, *values: float) -> Any:
    return t.tensor(list(values) or [1.0, 2.0, 3.0], requires_grad=True)


def made(t: Any, forward: Any, backward: Any = None, **more: Any) -> Any:
    """A Function F of two functions (and further static methods)."""
    members = {"forward": staticmethod(forward), **{k: staticmethod(v) for k, v in more.items()}}
    if backward is not None:
        members["backward"] = staticmethod(backward)
    return type("F", (t.autograd.Function,), members)


def exp(t: Any) -> Any:
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y

    return made(t, forward, backward)


def square(t: Any) -> Any:
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g

    return made(t, lambda x: x**2, backward, setup_context=setup_context)


def p_ctx_style(t):
    x = leaf(t)
    y = exp(t).apply(x)
    y.sum().backward()
    return x.grad, y, y.grad_fn


def p_setup_context_style(t):
    x = leaf(t)
    y = square(t).apply(x)
    y.sum().backward()
    return x.grad, y


def p_saved_output_twice_differentiated(t):
    x = leaf(t)
    (g,) = t.autograd.grad(exp(t).apply(x).sum(), x, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), x, create_graph=True)
    return g, h, t.autograd.grad(h.sum(), x)


def p_saved_input_twice_differentiated(t):
    x = leaf(t)
    (g,) = t.autograd.grad(square(t).apply(x).sum(), x, create_graph=True)
    return g, t.autograd.grad(g.sum(), x)


def p_gradcheck(t):
    x = t.tensor([0.5, 1.5], dtype=t.float64, requires_grad=True)
    f, g = exp(t).apply, square(t).apply
    return [
        t.autograd.gradcheck(f, x),
        t.autograd.gradgradcheck(f, x),
        t.autograd.gradcheck(g, x),
        t.autograd.gradgradcheck(g, x),
    ]


def p_under_no_grad(t):
    with t.no_grad():
        y = exp(t).apply(leaf(t))
    return y.requires_grad, y.grad_fn


def p_of_plain_tensors(t):
    y = exp(t).apply(t.ones(3))
    return y, y.requires_grad, y.is_leaf


def p_grad_mode_inside(t):
    seen = []

    def forward(ctx, x):
        seen.append((t.is_grad_enabled(), x.requires_grad, (x * 2).requires_grad))
        return x * 2

    def backward(ctx, g):
        seen.append((t.is_grad_enabled(), g.requires_grad))
        return g * 2

    x = leaf(t)
    F = made(t, forward, backward)
    F.apply(x).sum().backward()
    t.autograd.grad(F.apply(x).sum(), x, create_graph=True)
    return seen


def p_needs_input_grad(t):
    seen = []

    def forward(ctx, x, y, k):
        seen.append(ctx.needs_input_grad)
        return x * k + y

    def backward(ctx, g):
        seen.append(ctx.needs_input_grad)
        return g * 3, None, None

    F = made(t, forward, backward)
    F.apply(leaf(t), t.ones(3), 3.0).sum().backward()
    with t.no_grad():
        F.apply(leaf(t), t.ones(3), 3.0)
    return seen


def p_several_outputs(t):
    def backward(ctx, a, b):
        return a * 2 + b * 3

    x = leaf(t)
    a, b = made(t, lambda ctx, x: (x * 2, x * 3), backward).apply(x)
    (a + b * 2).sum().backward()
    return x.grad, a.output_nr, b.output_nr, a.grad_fn is b.grad_fn


def p_unused_output_is_zeros(t):
    seen = []

    def backward(ctx, a, b):
        seen.append((a, b))
        return a * 2

    x = leaf(t)
    a, _ = made(t, lambda ctx, x: (x * 2, x[:2] * 3), backward).apply(x)
    a.sum().backward()
    return seen, x.grad


def p_unused_output_is_none(t):
    seen = []

    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    def backward(ctx, a, b):
        seen.append((a, b))
        return a * 2

    x = leaf(t)
    made(t, forward, backward).apply(x)[0].sum().backward()
    return seen


def p_non_differentiable(t):
    def forward(ctx, x):
        values, places = x.sort()
        mask = x > 1
        other = x * 0
        ctx.mark_non_differentiable(places, other)
        return values, places, mask, other

    seen = []

    def backward(ctx, g, p, m, o):
        seen.append((g, p, m, o))
        return g * 2

    x = leaf(t, 3.0, 1.0, 2.0)
    v, p, m, o = made(t, forward, backward).apply(x)
    found = [(y.requires_grad, y.is_leaf) for y in (v, p, m, o)]
    v.sum().backward()
    return found, seen, x.grad


def p_mark_dirty(t):
    def forward(ctx, x):
        x.add_(1)
        ctx.mark_dirty(x)
        return x

    x = leaf(t)
    y = x * 2
    F = made(t, forward, lambda ctx, g: g * 5)
    z = F.apply(y)
    z.sum().backward()
    return x.grad, z is y, y, y.grad_fn, y._version


def p_mark_dirty_of_leaf(t):
    def forward(ctx, x):
        x.add_(1)
        ctx.mark_dirty(x)
        return x

    made(t, forward, lambda ctx, g: g * 5).apply(leaf(t))


def p_mark_dirty_of_view(t):
    def forward(ctx, x):
        x.mul_(3)
        ctx.mark_dirty(x)
        return x

    x = leaf(t)
    y = x * 2
    made(t, forward, lambda ctx, g: g * 3).apply(y[:2])
    y.sum().backward()
    return x.grad, y


def p_mark_dirty_saved_by_other(t):
    def forward(ctx, x):
        x.mul_(3)
        ctx.mark_dirty(x)
        return x

    x = leaf(t)
    y = x * 2
    z = y.exp()
    made(t, forward, lambda ctx, g: g * 3).apply(z)
    z.sum().backward()


def p_dirty_not_returned(t):
    def forward(ctx, x):
        x.add_(1)
        ctx.mark_dirty(x)
        return x * 2

    made(t, forward, lambda ctx, g: g * 5).apply(leaf(t) * 1)


def p_input_returned(t):
    x = leaf(t)
    y = made(t, lambda ctx, x: x, lambda ctx, g: g * 7).apply(x)
    y.sum().backward()
    return x.grad, y is x, y.grad_fn, y.is_leaf


def p_input_returned_then_written(t):
    y = made(t, lambda ctx, x: x, lambda ctx, g: g * 7).apply(leaf(t) * 1)
    y.add_(1)


def p_view_returned(t):
    x = leaf(t)
    y = made(t, lambda ctx, x: x[:2], lambda ctx, g: t.cat([g, g[:1]])).apply(x)
    y.sum().backward()
    return x.grad, y.grad_fn


def p_view_returned_then_written(t):
    y = made(t, lambda ctx, x: x[:2], lambda ctx, g: t.cat([g, g[:1]])).apply(leaf(t) * 1)
    y.add_(1)


def p_view_as_returned(t):
    x = leaf(t)
    y = made(t, lambda ctx, x: x.view_as(x), lambda ctx, g: -g).apply(x)
    (y * 2).sum().backward()
    return x.grad


def p_output_written_later(t):
    x = leaf(t)
    y = exp(t).apply(x)
    y.add_(1)
    y.sum().backward()


def p_output_not_saved_written_later(t):
    x = leaf(t)
    y = made(t, lambda ctx, x: x * 2, lambda ctx, g: g * 2).apply(x)
    y.mul_(3)
    y.sum().backward()
    return x.grad, y.grad_fn


def p_input_written_later(t):
    x = leaf(t) * 1
    y = square(t).apply(x)
    x.add_(1)
    y.sum().backward()


def p_backward_twice(t):
    y = exp(t).apply(leaf(t)).sum()
    y.backward()
    y.backward()


def p_backward_twice_with_nothing_saved(t):
    x = leaf(t)
    y = made(t, lambda ctx, x: x * 2, lambda ctx, g: g * 2).apply(x).sum()
    y.backward()
    y.backward()
    return x.grad


def p_saved_after_free(t):
    y = exp(t).apply(leaf(t))
    y.sum().backward()
    return y.grad_fn.saved_tensors


def p_attributes_live(t):
    def forward(ctx, x):
        ctx.anything = [1, 2]
        return x * 2

    y = made(t, forward, lambda ctx, g: g * len(ctx.anything)).apply(leaf(t))
    return y.grad_fn.anything


def p_too_many_gradients(t):
    made(t, lambda ctx, x: x * 2, lambda ctx, g: (g, g)).apply(leaf(t)).sum().backward()


def p_trailing_nones(t):
    x = leaf(t)
    made(t, lambda ctx, x: x * 2, lambda ctx, g: (g, None, None)).apply(x).sum().backward()
    return x.grad


def p_too_few_gradients(t):
    made(t, lambda ctx, x, y: x * y, lambda ctx, g: g).apply(leaf(t), leaf(t)).sum().backward()


def p_wrong_shape(t):
    made(t, lambda ctx, x: x * 2, lambda ctx, g: t.ones(3, 4)).apply(leaf(t)).sum().backward()


def p_expandable_shape(t):
    x = leaf(t)
    made(t, lambda ctx, x: x * 2, lambda ctx, g: t.ones(2, 3)).apply(x).sum().backward()
    return x.grad


def p_narrow_shape(t):
    x = leaf(t)
    made(t, lambda ctx, x: x * 2, lambda ctx, g: t.ones(1)).apply(x).sum().backward()
    return x.grad


def p_other_dtype(t):
    x = leaf(t)
    made(t, lambda ctx, x: x * 2, lambda ctx, g: g.double()).apply(x).sum().backward()
    return x.grad


def p_gradient_is_number(t):
    made(t, lambda ctx, x: x * 2, lambda ctx, g: 3).apply(leaf(t)).sum().backward()


def p_gradient_for_number(t):
    made(t, lambda ctx, x, k: x * k, lambda ctx, g: (g, g)).apply(leaf(t), 3).sum().backward()


def p_gradient_none(t):
    x = leaf(t)
    made(t, lambda ctx, x: x * 2, lambda ctx, g: None).apply(x).sum().backward()
    return x.grad


def p_gradient_for_plain_tensor(t):
    x = leaf(t)
    made(t, lambda ctx, x, y: x * y, lambda ctx, g: (g, g)).apply(x, t.ones(3)).sum().backward()
    return x.grad


def p_no_backward(t):
    made(t, lambda ctx, x: x * 2).apply(leaf(t)).sum().backward()


def p_no_forward(t):
    type("F", (t.autograd.Function,), {}).apply(leaf(t))


def p_vjp_instead(t):
    x = leaf(t)
    made(t, lambda ctx, x: x * 2, vjp=lambda ctx, g: g * 4).apply(x).sum().backward()
    return x.grad


def p_vjp_and_backward(t):
    made(t, lambda ctx, x: x * 2, lambda ctx, g: g, vjp=lambda ctx, g: g * 4).apply(leaf(t)).sum().backward()


def p_not_static(t):
    class F(t.autograd.Function):
        def forward(self, x):
            return x

        def backward(self, g):
            return g

    return F()(leaf(t))


def p_instantiated(t):
    return type(made(t, lambda ctx, x: x, lambda ctx, g: g)()).__name__


def p_save_non_tensor(t):
    def forward(ctx, x):
        ctx.save_for_backward(3)
        return x * 2

    made(t, forward, lambda ctx, g: g).apply(leaf(t))


def p_save_none(t):
    def forward(ctx, x):
        ctx.save_for_backward(x, None)
        return x * 2

    seen = []

    def backward(ctx, g):
        seen.append(ctx.saved_tensors)
        return g

    made(t, forward, backward).apply(leaf(t)).sum().backward()
    return seen


def p_save_twice_keeps_the_last(t):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.save_for_backward(x * 2, x * 3)
        return x * 2

    def backward(ctx, g):
        return g * len(ctx.saved_tensors)

    x = leaf(t)
    made(t, forward, backward).apply(x).sum().backward()
    return x.grad


def p_save_intermediate(t):
    def forward(ctx, x):
        middle = x * 5
        ctx.save_for_backward(middle)
        return middle.sin()

    x = leaf(t)
    y = made(t, forward, lambda ctx, g: g * ctx.saved_tensors[0].cos() * 5).apply(x)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    return g, g.requires_grad


def p_once_differentiable(t):
    F = made(t, lambda ctx, x: x * 2, t.autograd.function.once_differentiable(lambda ctx, g: g * 2))
    x = leaf(t)
    F.apply(x).sum().backward()
    (g,) = t.autograd.grad((F.apply(x) ** 2).sum(), x, create_graph=True)
    return x.grad, g.requires_grad


def p_once_differentiable_twice(t):
    F = made(t, lambda ctx, x: x * 2, t.autograd.function.once_differentiable(lambda ctx, g: g * 2))
    x = leaf(t)
    (g,) = t.autograd.grad((F.apply(x) ** 2).sum(), x, create_graph=True)
    g.sum().backward()


def p_once_differentiable_linear(t):
    F = made(t, lambda ctx, x: x * 2, t.autograd.function.once_differentiable(lambda ctx, g: g * 2))
    x = leaf(t)
    (g,) = t.autograd.grad(F.apply(x).sum(), x, create_graph=True)
    g.sum().backward()


def p_tuple_and_single(t):
    x = leaf(t)
    F = made(t, lambda ctx, x: (x * 2,), lambda ctx, g: g * 2)
    y = F.apply(x)
    return isinstance(y, tuple), len(y)


def p_list_returned(t):
    y = made(t, lambda ctx, x: [x * 2, x * 3], lambda ctx, g, h: g * 2).apply(leaf(t))
    return type(y).__name__


def p_non_tensor_output(t):
    x = leaf(t)
    a, b, c = made(t, lambda ctx, x: (x * 2, 7, "word"), lambda ctx, g, *rest: g * 2).apply(x)
    a.sum().backward()
    return b, c, x.grad


def p_number_returned(t):
    return made(t, lambda ctx, x: 3, lambda ctx, g: g).apply(leaf(t))


def p_integer_output(t):
    y = made(t, lambda ctx, x: x.long(), lambda ctx, g: g).apply(leaf(t))
    return y.requires_grad, y.dtype.is_floating_point


def p_keyword_arguments(t):
    return made(t, lambda ctx, x, k=2: x * k, lambda ctx, g: g).apply(leaf(t), k=3)


def p_keyword_arguments_with_setup(t):
    F = made(
        t, lambda x, k=2: x * k, lambda ctx, g: (g, None), setup_context=lambda ctx, inputs, output: None
    )
    return F.apply(leaf(t), k=3)


def p_wrong_number_of_arguments(t):
    exp(t).apply(leaf(t), leaf(t))


def p_error_in_backward(t):
    def backward(ctx, g):
        raise KeyError("mine")

    made(t, lambda ctx, x: x * 2, backward).apply(leaf(t)).sum().backward()


def p_error_in_forward_leaves_grad_mode(t):
    def forward(ctx, x):
        raise KeyError("mine")

    try:
        made(t, forward).apply(leaf(t))
    except KeyError:
        return t.is_grad_enabled()


def p_nested_functions(t):
    inner = exp(t)

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        with t.enable_grad():
            y = x.detach().requires_grad_()
            return t.autograd.grad(inner.apply(y), y, g)[0]

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return inner.apply(x)

    x = leaf(t)
    made(t, forward, backward).apply(x).sum().backward()
    return x.grad


def p_straight_through(t):
    x = leaf(t, -0.4, 0.6, 1.5)
    F = made(t, lambda ctx, x: (x > 0).float(), lambda ctx, g: g.clamp(-1, 1))
    (F.apply(x) * t.tensor([3.0, 0.5, -2.0])).sum().backward()
    return x.grad


def p_gradient_reversal(t):
    def forward(ctx, x, k):
        ctx.k = k
        return x.view_as(x)

    x = leaf(t)
    made(t, forward, lambda ctx, g: (-ctx.k * g, None)).apply(x * 2, 0.5).sum().backward()
    return x.grad


def p_tensor_hooks_on_outputs(t):
    x = leaf(t)
    seen = []
    y = exp(t).apply(x)
    y.register_hook(seen.append)
    y.grad_fn.register_hook(lambda gi, go: seen.append((list(gi), list(go))))
    y.retain_grad()
    y.sum().backward()
    return seen, y.grad


def p_saved_tensor_hooks(t):
    x = leaf(t)
    seen = []
    with t.autograd.graph.saved_tensors_hooks(
        lambda v: seen.append("pack") or v * 1, lambda v: seen.append("unpack") or v
    ):
        y = exp(t).apply(x)
        z = square(t).apply(x)
    (y + z).sum().backward()
    return seen, x.grad


def p_same_input_twice(t):
    x = leaf(t)
    F = made(t, lambda ctx, x, y: x * y, lambda ctx, g: (g * 2, g * 3))
    F.apply(x, x).sum().backward()
    return x.grad


def p_inplace_function(t):
    return issubclass(
        t.autograd.function.InplaceFunction, t.autograd.Function
    ), t.autograd.function.InplaceFunction.__name__


def p_ctx_has(t):
    seen = []

    def forward(ctx, x):
        names = (
            "mark_dirty",
            "mark_non_differentiable",
            "mark_shared_storage",
            "save_for_backward",
            "save_for_forward",
            "set_materialize_grads",
            "needs_input_grad",
            "saved_tensors",
            "next_functions",
            "metadata",
            "name",
            "register_hook",
        )
        seen.append([n for n in names if not hasattr(ctx, n)])
        seen.append(isinstance(ctx, t.autograd.function.FunctionCtx))
        return x * 2

    made(t, forward, lambda ctx, g: g).apply(leaf(t))
    return seen


def p_backward_with_inputs(t):
    x, w = leaf(t), leaf(t)
    seen = []

    def backward(ctx, g):
        seen.append(ctx.needs_input_grad)
        return g * 2, g * 3

    y = made(t, lambda ctx, x, y: x * y, backward).apply(x, w)
    y.sum().backward(inputs=[w])
    return x.grad, w.grad, seen


def p_static_class_attribute(t):
    F = exp(t)
    return F.generate_vmap_rule, F.__name__


def p_direct_backward_call(t):
    class Context:
        saved_tensors = (t.ones(3),)

    return exp(t).backward(Context(), t.ones(3) * 2)


@collect(globals())
def test_the_same(program) -> None:
    same(program)
