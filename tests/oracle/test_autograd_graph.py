"""The graph as one can look at it, gradient edges, gradients where a function has an edge: as in PyTorch."""

from __future__ import annotations

import gc
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from both import collect, same


def leaf(t: Any, *values: float) -> Any:
    return t.tensor(list(values) or [1.0, 2.0, 3.0], requires_grad=True)


def saved(node: Any) -> list[Any]:
    return [(n, getattr(node, n)) for n in sorted(dir(node)) if n.startswith("_saved")]


# ---- looking at the graph ---------------------------------------------------------------------------------------------
def p_lab_graph(t):
    x = leaf(t, 3.0)
    y = (x * 3 - 13) ** 2
    node = y.grad_fn
    return (
        repr(node), node.name(), type(node).__name__, [f[0].name() for f in node.next_functions], saved(node), node.metadata,
        node.next_functions[0][1], node.requires_grad, [repr(f) for f, _ in node.next_functions],
    )  # fmt: skip


def p_saved_of_sub(t):
    return saved((leaf(t) - 3).grad_fn)


def p_saved_of_mul(t):
    x, w = leaf(t), leaf(t)
    node = (x * w).grad_fn
    return saved(node), node._saved_self is x, node._saved_other is w


def p_saved_of_exp(t):
    y = leaf(t).exp()
    return saved(y.grad_fn), y.grad_fn._saved_result.grad_fn is y.grad_fn


def p_saved_of_sum(t):
    return saved(leaf(t).sum(0).grad_fn)


def p_saved_of_relu(t):
    return saved(leaf(t).relu().grad_fn)


def p_saved_leaf_is_the_leaf(t):
    x = leaf(t)
    return (x**2).grad_fn._saved_self.is_leaf, (x**2).grad_fn._saved_self.requires_grad


def p_saved_missing(t):
    (leaf(t) * 2).grad_fn._saved_nothing


def p_accumulate_grad(t):
    x = leaf(t)
    sink = (x * 2).grad_fn.next_functions[0][0]
    return (
        repr(sink),
        sink.name(),
        sink.next_functions,
        sink.variable is x,
        type(sink).__name__,
        sink.metadata,
    )


def p_accumulate_grad_of_a_nameless_leaf(t):
    y = (leaf(t) * 2).sum()
    y.backward(retain_graph=True)
    sink = y.grad_fn.next_functions[0][0].next_functions[0][0]
    gc.collect()
    variable = sink.variable
    return (
        variable,
        variable.grad,
        variable.is_leaf,
        sink.variable is variable,
        sink.variable.sum().grad_fn.next_functions[0][0] is sink,
    )


def p_same_sink(t):
    x = leaf(t)
    y, z = x * 2, x * 3
    return y.grad_fn.next_functions[0][0] is z.grad_fn.next_functions[0][0]


def p_next_functions_of_plain_inputs(t):
    node = (leaf(t) * t.ones(3)).grad_fn
    return [f if f is None else f.name() for f, _ in node.next_functions], [n for _, n in node.next_functions]


def p_next_functions_of_multi_outputs(t):
    a, b = (leaf(t, 1.0, 2.0) * 1).unbind(0)
    node = (a * b).grad_fn
    return a.output_nr, b.output_nr, [(f.name(), n) for f, n in node.next_functions], a.grad_fn is b.grad_fn


def p_sequence_numbers_ascend(t):
    x = leaf(t)
    y = x * 2
    z = y + 1
    sink = y.grad_fn.next_functions[0][0]
    return z.grad_fn._sequence_nr() - y.grad_fn._sequence_nr(), sink._sequence_nr() > 10**18


def p_set_sequence_number(t):
    node = (leaf(t) * 2).grad_fn
    node._set_sequence_nr(7)
    return node._sequence_nr()


def p_metadata(t):
    node = (leaf(t) * 2).grad_fn
    node.metadata["mine"] = 3
    return node.metadata


def p_dir(t):
    return [
        n
        for n in (
            "metadata",
            "name",
            "next_functions",
            "register_hook",
            "register_prehook",
            "requires_grad",
            "_sequence_nr",
        )
        if n in dir((leaf(t) * 2).grad_fn)
    ]


def p_node_is_node(t):
    y = leaf(t) * 2
    return isinstance(y.grad_fn, t.autograd.graph.Node), isinstance(
        y.grad_fn.next_functions[0][0], t.autograd.graph.Node
    )


def p_node_equal_and_hashable(t):
    y = leaf(t) * 2
    return y.grad_fn == y.grad_fn, len({y.grad_fn, y.grad_fn}), y.grad_fn is y.grad_fn


def p_attributes_of_tensors(t):
    x = leaf(t)
    y = x * 2
    v = y[:2]
    w = v[0]
    d = x.detach()
    return (
        [
            (
                a.is_leaf,
                a.requires_grad,
                a.output_nr,
                a.retains_grad,
                a._is_view(),
                a._base is None,
                a._version,
                a.grad_fn,
            )
            for a in (x, y, v, w, d)
        ],
        w._base is y,
        v._base is y,
    )


def p_views_of_plain_tensors(t):
    x = t.ones(3)
    v = x[:2]
    return v._is_view(), v._base is x, v[0]._base is x, x.detach()._is_view(), x.view(3, 1)._base is x


def p_grad_dtype(t):
    x = leaf(t)
    found = [x.grad_dtype, t.ones(3).grad_dtype]
    x.grad_dtype = None
    x.grad = t.ones(3, dtype=t.float64)
    return str(found), x.grad, x.grad_dtype


def p_grad_dtype_of_result(t):
    y = leaf(t) * 2
    return str(y.grad_dtype)


def p_grad_dtype_accumulates(t):
    x = leaf(t)
    x.grad_dtype = t.float64
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    return x.grad


def p_versions(t):
    x = t.ones(3)
    found = [x._version]
    x.add_(1)
    found.append(x._version)
    x[0] = 2
    v = x[1:]
    v.mul_(2)
    found += [x._version, v._version, x.detach()._version, x.data._version]
    x.data.add_(1)
    x.detach().add_(1)
    found += [x._version, x.clone()._version]
    x.zero_()
    t.add(x, 1, out=x)
    found.append(x._version)
    t.autograd.graph.increment_version(x)
    found.append(x._version)
    return found


def p_function_node(t):
    class F(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.k = k
            ctx.save_for_backward(x)
            return x * k

        @staticmethod
        def backward(ctx, g):
            return g * ctx.k, None

    x = leaf(t)
    y = F.apply(x, 3)
    node = y.grad_fn
    return (
        repr(node), node.name(), type(node).__name__, [f if f is None else f.name() for f, _ in node.next_functions], node.k,
        node.saved_tensors[0] is x, node.needs_input_grad, isinstance(node, F._backward_cls), node.metadata, node.requires_grad,
        [repr(f) for f, _ in node.next_functions],
    )  # fmt: skip


# ---- edges -----------------------------------------------------------------------------------------------------------------
def p_edge_as_input(t):
    x = leaf(t)
    y = x * 2
    edge = t.autograd.graph.get_gradient_edge(y)
    return t.autograd.grad((y**2).sum(), [edge, x]), edge.output_nr, edge.node is y.grad_fn, len(edge)


def p_edge_of_a_leaf(t):
    x = leaf(t)
    edge = t.autograd.graph.get_gradient_edge(x)
    (x**2).sum().backward(inputs=edge)
    return x.grad, edge.node.name()


def p_edge_as_root(t):
    x = leaf(t)
    y = x * 2
    edge = t.autograd.graph.get_gradient_edge(y)
    t.autograd.backward(edge, t.ones(3))
    return x.grad


def p_edge_as_root_in_grad(t):
    x = leaf(t)
    y = (x * x).sum()
    edge = t.autograd.graph.GradientEdge(y.grad_fn, 0)
    return t.autograd.grad(edge, x, t.tensor(2.0))


def p_edge_as_root_without_gradient(t):
    x = leaf(t)
    y = (x * x).sum()
    t.autograd.backward(t.autograd.graph.get_gradient_edge(y))
    return x.grad


def p_edge_of_second_output(t):
    a, b = (leaf(t, 1.0, 2.0) * 1).unbind(0)
    return t.autograd.grad(a * b, [t.autograd.graph.get_gradient_edge(b), a])


def p_edge_unused(t):
    t.autograd.grad(leaf(t).sum(), t.autograd.graph.get_gradient_edge(leaf(t)))


def p_edge_materialized(t):
    t.autograd.grad(leaf(t).sum(), t.autograd.graph.get_gradient_edge(leaf(t)), materialize_grads=True)


def p_backward_inputs(t):
    x, w = leaf(t), leaf(t)
    y = x * w
    (y * 3).sum().backward(inputs=[w])
    return x.grad, w.grad


def p_backward_inputs_non_leaf(t):
    x, w = leaf(t), leaf(t)
    y = x * w
    (y * 3).sum().backward(inputs=[y, x])
    return x.grad, w.grad, y.grad


def p_backward_inputs_one_tensor(t):
    x, w = leaf(t), leaf(t)
    (x * w).sum().backward(inputs=x)
    return x.grad, w.grad


def p_backward_inputs_dict(t):
    x, w = leaf(t), leaf(t)
    (x * w).sum().backward(inputs={"x": x})
    return x.grad, w.grad


def p_backward_inputs_unused(t):
    x, w = leaf(t), leaf(t)
    x.sum().backward(inputs=[w])
    return x.grad, w.grad


def p_backward_inputs_twice(t):
    x, w = leaf(t), leaf(t)
    y = (x * w).sum()
    y.backward(inputs=[x], retain_graph=True)
    y.backward(inputs=[x, w])
    return x.grad, w.grad


def p_backward_inputs_without_grad(t):
    leaf(t).sum().backward(inputs=[t.ones(3)])


def p_backward_inputs_same_twice(t):
    x = leaf(t)
    (x * 2).sum().backward(inputs=[x, x])
    return x.grad


def p_backward_inputs_with_hooks(t):
    x = leaf(t)
    seen = []
    x.register_hook(lambda g: g * 2)
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    (x * 2).sum().backward(inputs=[x])
    return x.grad, seen


def p_grad_of_the_root(t):
    x = leaf(t)
    y = x.sum()
    return t.autograd.grad(y, [y, x])


def p_grad_of_a_leaf_root(t):
    x = t.tensor(1.0, requires_grad=True)
    return t.autograd.grad(x, x)


def p_grad_repeated_inputs(t):
    x = leaf(t)
    return t.autograd.grad((x * x).sum(), [x, x])


def p_grad_of_dict(t):
    x, w = leaf(t), leaf(t)
    return t.autograd.grad((x * w).sum(), {"a": x, "b": w})


def p_grad_frees(t):
    x = leaf(t)
    y = (x * x).sum()
    t.autograd.grad(y, x)
    t.autograd.grad(y, x)


def p_grad_frees_only_what_it_walked(t):
    x = leaf(t)
    y = x * x
    z = y.exp()
    t.autograd.grad(z.sum(), y)
    return t.autograd.grad(y.sum(), x)


def p_grad_batched(t):
    x = leaf(t)
    return t.autograd.grad((x**2), x, t.eye(3), is_grads_batched=True)


def p_grad_batched_with_graph(t):
    x = leaf(t)
    (h,) = t.autograd.grad((x**3), x, t.eye(3), is_grads_batched=True, create_graph=True)
    return h, t.autograd.grad(h.sum(), x)


def p_grad_batched_unused(t):
    x, w = leaf(t), leaf(t)
    return t.autograd.grad(x * 2, [x, w], t.eye(3), is_grads_batched=True, allow_unused=True)


def p_grad_several_outputs(t):
    x = leaf(t)
    return t.autograd.grad([x.sum(), x * 2], x, [None, t.ones(3)])


def p_grad_with_graph(t):
    x = leaf(t)
    (g,) = t.autograd.grad((x**3).sum(), x, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), x, create_graph=True)
    (k,) = t.autograd.grad(h.sum(), x)
    return g.requires_grad, g.detach(), h.detach(), k


def p_grad_penalty(t):
    x, w = leaf(t), leaf(t, 0.5, -1.0, 2.0)
    y = (x * w).tanh().sum()
    (g,) = t.autograd.grad(y, x, create_graph=True)
    (y + (g.norm() - 1) ** 2).backward()
    return x.grad, w.grad


def p_accumulation(t):
    x = leaf(t)
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    return x.grad, first is x.grad, first, x.grad._version


def p_accumulation_into_assigned(t):
    x = leaf(t)
    mine = t.ones(3)
    x.grad = mine
    (x * 3).sum().backward()
    return x.grad is mine, mine


def p_grad_is_not_the_cotangent(t):
    x = leaf(t)
    g = t.ones(3)
    x.backward(g)
    x.grad.add_(1)
    return g, x.grad


def p_two_leaves_do_not_share_gradients(t):
    x, w = leaf(t), leaf(t)
    (x + w).sum().backward()
    x.grad.zero_()
    return x.grad, w.grad


def p_grad_layout(t):
    x = t.ones(2, 3).t().requires_grad_()
    (x * 2).sum().backward()
    return x.grad.stride(), x.grad.shape == x.shape


# ---- detach, data, flags -----------------------------------------------------------------------------------------------------
def p_detach_in_place(t):
    x = leaf(t)
    y = x * 2
    z = y.detach_()
    return z is y, y.grad_fn, y.is_leaf, y.requires_grad, y._version


def p_detach_in_place_of_leaf(t):
    x = leaf(t)
    x.detach_()
    return x.requires_grad, x.is_leaf


def p_detach_shares(t):
    x = leaf(t)
    d = x.detach()
    d[0] = 9.0
    return x, d.requires_grad, d._version, x._version


def p_detach_is_a_view(t):
    x = leaf(t)
    return x.detach()._is_view(), t.ones(3).detach()._is_view()


def p_data_setter(t):
    x = leaf(t)
    _ = x * x
    x.data = t.tensor([5.0, 6.0])
    return x, x.is_leaf, x.requires_grad, x._version


def p_data_setter_of_other_dtype(t):
    x = t.ones(3)
    x.data = t.zeros(2, dtype=t.float64)
    return x


def p_data_setter_shares(t):
    x = leaf(t)
    z = t.zeros(3)
    x.data = z
    z.add_(1)
    return x, z._version, x._version


def p_data_setter_of_number(t):
    t.ones(3).data = 3


def p_data_setter_int_on_leaf(t):
    x = leaf(t)
    x.data = t.arange(3)


def p_data_setter_then_backward(t):
    x = leaf(t)
    x.data = t.tensor([4.0, 5.0, 6.0])
    (x * x).sum().backward()
    return x.grad


def p_data_does_not_require(t):
    y = leaf(t) * 2
    d = y.data
    return d.requires_grad, d.grad_fn, d.is_leaf, d._is_view()


def p_requires_grad_off_and_on(t):
    x = leaf(t)
    x.sum().backward()
    x.requires_grad = False
    found = [x.grad, (x * 2).requires_grad]
    x.requires_grad_(True)
    (x * 3).sum().backward()
    return found, x.grad


def p_requires_grad_off_keeps_graph(t):
    x = leaf(t)
    y = (x * x).sum()
    x.requires_grad_(False)
    y.backward()
    return x.grad


def p_view_of_leaf_made_before_requires_grad(t):
    x = t.ones(3)
    v = x[:2]
    x.requires_grad_()
    return v.requires_grad, x[:2].requires_grad, v.is_leaf


def p_view_requires_grad(t):
    x = t.ones(3)
    v = x[:2].requires_grad_()
    (v * 2).sum().backward()
    return v.grad, x.grad, v.is_leaf, v._is_view()


def p_writing_history_into_plain(t):
    x = leaf(t)
    y = t.zeros(3)
    y[1:] = x[1:] * 2
    y.sum().backward()
    return x.grad, y.requires_grad, y.grad_fn.name(), y.is_leaf


def p_writing_history_into_plain_through_view(t):
    x = leaf(t)
    y = t.zeros(3)
    v = y[:2]
    v.copy_(x[:2])
    (y * 3).sum().backward()
    return x.grad, v.grad_fn, y.grad_fn


def p_no_grad_update_of_leaf(t):
    x = leaf(t)
    with t.no_grad():
        x -= 0.5
        x.mul_(2)
        x[0] = 7.0
    return x, x.is_leaf, x._version


def p_result_under_no_grad(t):
    x = leaf(t)
    with t.no_grad():
        y = x * 2
        z = x.view(3)
        w = x.clone().requires_grad_()
    return y.requires_grad, y.is_leaf, z.requires_grad, z.is_leaf, w.requires_grad, w.is_leaf


# ---- modes -------------------------------------------------------------------------------------------------------------------
def p_grad_modes(t):
    found = [t.is_grad_enabled()]
    with t.no_grad():
        found.append(t.is_grad_enabled())
        with t.enable_grad():
            found.append(t.is_grad_enabled())
        found.append(t.is_grad_enabled())
        with t.set_grad_enabled(True):
            found.append(t.is_grad_enabled())
    found.append(t.is_grad_enabled())
    t.set_grad_enabled(False)
    found.append(t.is_grad_enabled())
    t.set_grad_enabled(True)

    @t.no_grad()
    def inside():
        return t.is_grad_enabled()

    @t.no_grad
    def inside_too():
        return t.is_grad_enabled()

    @t.set_grad_enabled(False)
    def inside_three():
        return t.is_grad_enabled()

    @t.enable_grad()
    def enabled():
        return t.is_grad_enabled()

    found += [inside(), inside_too(), inside_three(), t.is_grad_enabled()]
    with t.no_grad():
        found.append(enabled())
    return found


def p_mode_left_by_an_error(t):
    try:
        with t.no_grad():
            raise KeyError
    except KeyError:
        return t.is_grad_enabled()


def p_generator_mode(t):
    @t.no_grad()
    def numbers():
        for _ in range(2):
            yield t.is_grad_enabled()

    found = []
    for inside in numbers():
        found += [inside, t.is_grad_enabled()]
    return found


def p_mode_reused(t):
    mode = t.no_grad()
    found = []
    for _ in range(2):
        with mode:
            found.append(t.is_grad_enabled())
        found.append(t.is_grad_enabled())
    return found


def p_mode_nested_in_itself(t):
    mode = t.no_grad()
    with mode:
        with mode:
            pass
        inside = t.is_grad_enabled()
    return inside


def p_inference_mode(t):
    x = leaf(t)
    found = [t.is_inference_mode_enabled()]
    with t.inference_mode():
        y = x * 2
        found += [
            t.is_inference_mode_enabled(),
            t.is_grad_enabled(),
            y.is_inference(),
            x.is_inference(),
            x.view(3).is_inference(),
        ]
        with t.inference_mode(False):
            z = x * 2
            found += [t.is_inference_mode_enabled(), t.is_grad_enabled(), z.is_inference(), z.requires_grad]
        with t.enable_grad():
            w = x * 2
            found += [w.requires_grad, w.is_inference()]
        found += [
            t.is_inference(y),
            y.requires_grad,
            y.is_leaf,
            y.detach().is_inference(),
            t.ones(3).is_inference(),
        ]
    found += [
        y.clone().is_inference(),
        (y * 2).is_inference(),
        y[:2].is_inference(),
        y.detach().is_inference(),
        y.is_inference(),
    ]
    found += [y._is_view()]

    @t.inference_mode()
    def f(a):
        return a * 2

    @t.inference_mode
    def g(a):
        return a * 2

    return [*found, f(x).is_inference(), g(x).is_inference()]


def p_inference_clone_in_autograd(t):
    x = leaf(t)
    with t.inference_mode():
        y = t.ones(3) * 2
    (x * y.clone()).sum().backward()
    return x.grad


def p_inference_requires_grad_inside(t):
    with t.inference_mode():
        x = t.ones(3, requires_grad=True)
        y = x * 2
        return x.requires_grad, y.requires_grad, x.is_inference()


def p_inference_write_inside(t):
    with t.inference_mode():
        x = t.ones(3)
        x.add_(1)
        x[0] = 5
        x[1:].mul_(2)
        return x


def p_view_of_graph_in_inference(t):
    x = leaf(t)
    y = x * 1
    with t.inference_mode():
        v = y[:2]
    return v.is_inference(), v.requires_grad, v._is_view()


def p_view_of_graph_in_inference_written(t):
    x = leaf(t)
    y = x * 1
    with t.inference_mode():
        v = y[:2]
    v.add_(1)


def p_names_in_autograd(t):
    a = t.autograd
    return [
        hasattr(a, n)
        for n in ("Variable", "Function", "backward", "grad_mode", "NestedIOFunction", "detect_anomaly", "enable_grad", "grad", "gradcheck", "gradgradcheck", "inference_mode", "no_grad", "set_detect_anomaly", "set_grad_enabled", "set_multithreading_enabled", "enforce_grad_layout_policy", "variable", "functional", "graph", "function", "anomaly_mode")
    ]  # fmt: skip


def p_names_in_graph(t):
    return [hasattr(t.autograd.graph, n) for n in ("saved_tensors_hooks", "save_on_cpu", "disable_saved_tensors_hooks", "register_multi_grad_hook", "allow_mutation_on_saved_tensors", "Node", "GradientEdge", "get_gradient_edge", "increment_version")]  # fmt: skip


def p_names_in_function(t):
    return [hasattr(t.autograd.function, n) for n in ("FunctionCtx", "BackwardCFunction", "FunctionMeta", "Function", "once_differentiable", "InplaceFunction", "NestedIOFunction")]  # fmt: skip


def p_variable(t):
    v = t.autograd.Variable(t.ones(2), requires_grad=True)
    w = t.autograd.Variable(v)
    return (
        v,
        isinstance(v, t.Tensor),
        isinstance(v, t.autograd.Variable),
        type(v).__name__,
        w.requires_grad,
        isinstance(3, t.autograd.Variable),
    )


@collect(globals())
def test_the_same(program) -> None:
    same(program)


# ---- gradients at the edges of functions -------------------------------------------------------------------------------------
EDGES: dict[str, Any] = {
    "abs": (lambda t, x: x.abs(), [0.0]),
    "relu": (lambda t, x: x.relu(), [0.0]),
    "sqrt": (lambda t, x: x.sqrt(), [0.0]),
    "max tie": (lambda t, x: x.max(), [2.0, 2.0, 1.0]),
    "min tie": (lambda t, x: x.min(), [1.0, 2.0, 1.0]),
    "max dim tie": (lambda t, x: x.max(0)[0], [2.0, 2.0, 1.0]),
    "amax tie": (lambda t, x: x.amax(0), [2.0, 2.0, 1.0]),
    "sort tie": (lambda t, x: x.sort()[0][0], [1.0, 1.0]),
    "median tie": (lambda t, x: x.median(), [1.0, 1.0, 1.0]),
    "norm 0": (lambda t, x: x.norm(), [0.0, 0.0]),
    "norm 1 of 0": (lambda t, x: x.norm(1), [0.0, 2.0]),
    "norm inf": (lambda t, x: x.norm(float("inf")), [2.0, 2.0]),
    "clamp edges": (lambda t, x: x.clamp(0, 1), [0.0, 1.0, 2.0]),
    "maximum tie": (lambda t, x: t.maximum(x, t.ones(2)), [1.0, 2.0]),
    "pow 0.5 at 0": (lambda t, x: x**0.5, [0.0]),
    "pow 0 at 0": (lambda t, x: x**0, [0.0]),
    "0 ** x": (lambda t, x: 0**x, [0.0, 1.0]),
    "x ** x": (lambda t, x: x**x, [0.0, 1.0]),
    "log 0": (lambda t, x: x.log(), [0.0]),
    "xlogy": (lambda t, x: t.xlogy(x, x), [0.0, 1.0]),
    "sign": (lambda t, x: x.sign(), [0.0]),
    "floor": (lambda t, x: x.floor(), [0.5]),
    "round": (lambda t, x: x.round(), [0.5]),
    "relu6": (lambda t, x: t.nn.functional.relu6(x), [0.0, 6.0]),
    "hardtanh": (lambda t, x: t.nn.functional.hardtanh(x), [-1.0, 1.0]),
    "leaky": (lambda t, x: t.nn.functional.leaky_relu(x), [0.0]),
    "elu": (lambda t, x: t.nn.functional.elu(x), [0.0]),
    "softplus": (lambda t, x: t.nn.functional.softplus(x), [20.0, 25.0]),
    "prod with two zeros": (lambda t, x: x.prod(), [0.0, 0.0, 2.0]),
    "prod with a zero": (lambda t, x: x.prod(), [0.0, 3.0, 2.0]),
    "huber": (lambda t, x: t.nn.functional.huber_loss(x, t.zeros(1)), [1.0]),
    "l1": (lambda t, x: t.nn.functional.l1_loss(x, t.zeros(1)), [0.0]),
    "smooth l1": (lambda t, x: t.nn.functional.smooth_l1_loss(x, t.zeros(1)), [1.0]),
    "cummax tie": (lambda t, x: x.cummax(0)[0], [1.0, 1.0]),
    "where nan": (lambda t, x: t.where(x > 0, x.sqrt(), t.zeros(2)), [-1.0, 1.0]),
    "atan2 at 0": (lambda t, x: t.atan2(x, t.zeros(1)), [0.0]),
    "fmod": (lambda t, x: x.fmod(2), [3.0]),
    "remainder": (lambda t, x: x % 2, [-3.0]),
    "std 0": (lambda t, x: x.std(), [1.0, 1.0]),
    "std of one": (lambda t, x: x.std(), [1.0]),
    "logsumexp -inf": (lambda t, x: x.logsumexp(0), [0.0, float("-inf")]),
    "logsumexp all -inf": (lambda t, x: x.logsumexp(0), [float("-inf"), float("-inf")]),
    "softmax -inf": (lambda t, x: x.softmax(0), [0.0, float("-inf")]),
    "asin 1": (lambda t, x: x.asin(), [1.0]),
    "hypot 0": (lambda t, x: t.hypot(x, t.zeros(1)), [0.0]),
    "cdist 0": (lambda t, x: t.cdist(x.view(1, 2), t.zeros(1, 2)), [0.0, 0.0]),
    "reciprocal 0": (lambda t, x: 1 / x, [0.0]),
    "sinc 0": (lambda t, x: x.sinc(), [0.0]),
    "var of one": (lambda t, x: x.var(), [2.0]),
    "nanmean": (lambda t, x: x.nanmean(), [float("nan"), 2.0]),
}
COMPLEX: dict[str, Any] = {
    "square, real": lambda t, z: (z**2).real,
    "abs": lambda t, z: z.abs(),
    "z conj z": lambda t, z: (z * z.conj()).real,
    "imag": lambda t, z: z.imag,
    "angle": lambda t, z: z.angle(),
    "abs at 0": lambda t, z: (z * 0).abs(),
    "exp": lambda t, z: z.exp().real,
    "times a real": lambda t, z: (z * t.tensor(2.0, requires_grad=True)).imag,
    "view_as_real": lambda t, z: t.view_as_real(z)[..., 1],
}


@pytest.mark.parametrize("name", EDGES)
def test_gradient_at_an_edge(name: str) -> None:
    function, values = EDGES[name]

    def program(t):
        x = t.tensor(values, requires_grad=True)
        return t.autograd.grad(function(t, x).sum(), x)

    same(program, warned=False)


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_gradient(name: str) -> None:
    def program(t):
        z = t.tensor(1 + 2j, requires_grad=True)
        COMPLEX[name](t, z).sum().backward()
        return z.grad

    same(program)
