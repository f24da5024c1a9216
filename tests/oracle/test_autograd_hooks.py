"""Hooks of every kind: which run, in which order, with what, as in PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from both import collect, same


def leaf(t: Any, *values: float) -> Any:
    return t.tensor(list(values) or [1.0, 2.0, 3.0], requires_grad=True)


def every_hook(t: Any, note: Any, tensor: Any, name: str) -> None:
    """All hooks a tensor and its node may have, each of which notes that it ran."""
    tensor.register_hook(lambda g: note((name, "tensor hook", g.clone())))
    if tensor.is_leaf:
        tensor.register_post_accumulate_grad_hook(lambda p: note((name, "post accumulate", p.grad.clone())))
        node = tensor.view_as(tensor).grad_fn.next_functions[0][0]
        tensor.kept_node = node
    else:
        node = tensor.grad_fn
    node.register_prehook(lambda gs: note((name, "prehook", list(gs))))
    node.register_hook(lambda gi, go: note((name, "posthook", list(gi), list(go))))


def p_order_of_everything(t):
    seen = []
    x, w = leaf(t), leaf(t)
    y = x * w
    z = y.exp()
    out = (z + y).sum()
    for tensor, name in ((x, "x"), (w, "w"), (y, "y"), (z, "z")):
        every_hook(t, seen.append, tensor, name)
    out.backward()
    return seen


def p_order_with_two_uses_of_a_leaf(t):
    seen = []
    x, w = leaf(t), leaf(t)
    y = x * w
    z = y.sin() * x
    out = (z + w).sum()
    for tensor, name in ((x, "x"), (w, "w"), (y, "y"), (z, "z")):
        every_hook(t, seen.append, tensor, name)
    out.backward()
    return seen


def p_leaf_of_last_layer_fires_first(t):
    seen = []
    params = [leaf(t) for _ in range(4)]
    y = t.ones(3)
    for i, p in enumerate(params):
        p.register_post_accumulate_grad_hook(lambda q, i=i: seen.append(i))
        y = (y * p).tanh()
        y.register_hook(lambda g, i=i: seen.append(("y", i)))
    y.sum().backward()
    return seen


def p_retain_grad_comes_last(t):
    x = leaf(t)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: g + 1)
    (y * 3).sum().backward()
    return y.grad, x.grad


def p_retain_grad_twice(t):
    x = leaf(t)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    (y * 3).sum().backward(retain_graph=True)
    first = y.grad.clone()
    (y * 3).sum().backward()
    return first, y.grad


def p_retain_grad_follows_in_place(t):
    x = leaf(t)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    y.sum().backward()
    return y.grad, x.grad


def p_hook_stays_with_the_value_before_in_place(t):
    x = leaf(t)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(("before", g)))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(("after", g)))
    y.sum().backward()
    return seen


def p_retain_grad_with_create_graph(t):
    x = leaf(t)
    y = x * 2
    y.retain_grad()
    (y**2).sum().backward(create_graph=True)
    return y.grad, y.grad.requires_grad


def p_hooks_and_captures(t):
    seen = []
    x = leaf(t)
    y = x * 2
    y.register_hook(lambda g: g * 5)
    y.grad_fn.register_prehook(lambda gs: seen.append(("pre", list(gs))))
    y.grad_fn.register_hook(lambda gi, go: seen.append(("post", list(gi), list(go))))
    x.register_hook(lambda g: g * 7)
    x.register_post_accumulate_grad_hook(lambda p: seen.append("post accumulate"))
    z = (y * 3).sum()
    return t.autograd.grad(z, [y, x], retain_graph=True), t.autograd.grad(z, y), seen


def p_capture_prehook_changes(t):
    x = leaf(t)
    y = x * 2
    y.grad_fn.register_prehook(lambda gs: (gs[0] * 4,))
    z = (y * 3).sum()
    return t.autograd.grad(z, [y, x], retain_graph=True), t.autograd.grad(z, y)


def p_hook_replaces(t):
    x = leaf(t)
    x.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: g + 1)
    (x * 3).sum().backward()
    return x.grad


def p_leaf_hook_runs_once_on_the_sum(t):
    x = leaf(t)
    seen = []
    x.register_hook(lambda g: seen.append(g.clone()))
    (x * 3 + x * x + x.exp()).sum().backward()
    return seen


def p_hook_twice_in_retained(t):
    x = leaf(t)
    seen = []
    y = x * x
    y.register_hook(lambda g: seen.append(g.clone()))
    y.sum().backward(retain_graph=True)
    y.mean().backward()
    return seen


def p_prehook_and_posthook_replace(t):
    x = leaf(t)
    y = x * 2
    y.grad_fn.register_prehook(lambda gs: (gs[0] + 1,))
    y.grad_fn.register_hook(lambda gi, go: (gi[0] * 100, None))
    y.sum().backward()
    return x.grad


def p_posthook_sees_none(t):
    x = leaf(t)
    seen = []
    y = x * t.ones(3)
    y.grad_fn.register_hook(lambda gi, go: seen.append((list(gi), list(go))))
    y.sum().backward()
    return seen


def p_hook_removed(t):
    x = leaf(t)
    seen = []
    handle = x.register_hook(lambda g: seen.append(1))
    other = x.register_hook(lambda g: seen.append(2))
    x.sum().backward()
    handle.remove()
    handle.remove()
    x.sum().backward()
    with other:
        pass
    x.sum().backward()
    return seen, type(handle).__name__, isinstance(handle.id, int)


def p_hook_removes_itself(t):
    x = leaf(t)
    seen = []

    def hook(g):
        seen.append(g.clone())
        handle.remove()

    handle = x.register_hook(hook)
    x.sum().backward()
    x.sum().backward()
    return seen


def p_post_accumulate_clears(t):
    x = leaf(t)
    seen = []

    def step(p):
        seen.append(p.grad.clone())
        with t.no_grad():
            p.sub_(p.grad, alpha=0.1)
        p.grad = None

    x.register_post_accumulate_grad_hook(step)
    (x * x).sum().backward()
    return x, x.grad, seen


def p_post_accumulate_order(t):
    x = leaf(t)
    seen = []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(1))
    x.register_post_accumulate_grad_hook(lambda p: seen.append(2))
    x.register_hook(lambda g: seen.append(0))
    x.sum().backward()
    return seen


def p_multi_grad_all(t):
    x, y, z = leaf(t), leaf(t), leaf(t)
    seen = []
    handle = t.autograd.graph.register_multi_grad_hook([x, y, z], lambda gs: seen.append(list(gs)))
    (x * y).sum().backward()
    (x * y * z).sum().backward()
    handle.remove()
    (x * y * z).sum().backward()
    return seen


def p_multi_grad_any(t):
    x, y, z = leaf(t), leaf(t), leaf(t)
    seen = []
    t.autograd.graph.register_multi_grad_hook([x, y, z], seen.append, mode="any")
    (x * y * 2).sum().backward()
    (x * y * z).sum().backward()
    return len(seen), seen


def p_multi_grad_with_inputs(t):
    x, y = leaf(t), leaf(t)
    u, v = x * 2, y * 3
    seen = []
    t.autograd.graph.register_multi_grad_hook([u, v], lambda gs: seen.append(list(gs)))
    (u * v).sum().backward(inputs=[x])
    return seen


def p_multi_grad_same_pass_twice(t):
    x = leaf(t)
    u, v = x * 2, x * 3
    seen = []
    t.autograd.graph.register_multi_grad_hook((u, v), lambda gs: seen.append(list(gs)))
    out = (u * v).sum()
    out.backward(retain_graph=True)
    out.backward()
    return seen


def p_multi_output_node(t):
    x = t.tensor([[3.0, 1.0], [2.0, 5.0]], requires_grad=True)
    seen = []
    a, b = x.unbind(0)
    a.register_hook(lambda g: seen.append(("a", g)))
    b.register_hook(lambda g: seen.append(("b", g)))
    a.grad_fn.register_prehook(lambda gs: seen.append(("pre", list(gs))))
    a.grad_fn.register_hook(lambda gi, go: seen.append(("post", list(gi), list(go))))
    (a * 2).sum().backward()
    return seen, x.grad


def p_hook_inside_create_graph(t):
    x = leaf(t)
    seen = []
    y = x * x
    y.register_hook(lambda g: seen.append((g, g.requires_grad, t.is_grad_enabled())))
    t.autograd.grad((y * y).sum(), x, create_graph=True)
    return seen


def p_hook_grad_mode(t):
    x = leaf(t)
    seen = []
    y = x * x
    y.register_hook(lambda g: seen.append((g.requires_grad, t.is_grad_enabled())))
    y.grad_fn.register_hook(lambda a, b: seen.append(t.is_grad_enabled()))
    x.register_post_accumulate_grad_hook(lambda p: seen.append(t.is_grad_enabled()))
    (y * y).sum().backward()
    return seen, t.is_grad_enabled()


def p_backward_inside_a_hook(t):
    x, w = leaf(t), leaf(t)
    y = x * 2

    def hook(g):
        with t.enable_grad():
            (w * g).sum().backward()

    y.register_hook(hook)
    y.sum().backward()
    return x.grad, w.grad


def p_root_is_a_leaf(t):
    x = t.tensor(2.0, requires_grad=True)
    seen = []
    x.register_hook(seen.append)
    x.backward()
    return x.grad, seen


def p_root_twice(t):
    x = leaf(t)
    y = x.sum()
    t.autograd.backward([y, y])
    return x.grad


def p_root_used_by_another_root(t):
    x = leaf(t)
    y = x * 2
    z = y.exp()
    t.autograd.backward([y, z], [t.ones(3), t.ones(3)])
    return x.grad


def p_saved_tensor_hooks(t):
    seen = []

    def pack(x):
        seen.append(("pack", x))
        return x.numpy() if not x.requires_grad else x.detach().numpy()

    def unpack(a):
        seen.append("unpack")
        return t.from_numpy(a)

    x, w = leaf(t), leaf(t)
    with t.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = (x * w).exp() + 1
    y.sum().backward()
    return x.grad, w.grad, len(seen)


def p_saved_tensor_hooks_order(t):
    seen = []
    x = leaf(t)
    with t.autograd.graph.saved_tensors_hooks(
        lambda v: seen.append(("pack 1", v)) or v, lambda v: seen.append("unpack 1") or v
    ):
        y = x * x
        with t.autograd.graph.saved_tensors_hooks(
            lambda v: seen.append(("pack 2", v)) or v, lambda v: seen.append("unpack 2") or v
        ):
            z = y**3
    z.sum().backward()
    return seen, x.grad


def p_save_on_cpu(t):
    x = leaf(t)
    with t.autograd.graph.save_on_cpu():
        y = x.exp() * x
    y.sum().backward()
    return x.grad


def p_saved_hooks_double_backward(t):
    x = leaf(t)
    with t.autograd.graph.saved_tensors_hooks(lambda v: v, lambda v: v):
        y = (x**3).sum()
        (g,) = t.autograd.grad(y, x, create_graph=True)
    return t.autograd.grad(g.sum(), x)


def p_allow_mutation(t):
    x = leaf(t)
    with t.autograd.graph.allow_mutation_on_saved_tensors():
        y = x * 1
        z = y.sin()
        y.add_(10)
        w = y**2
        y.zero_()
        (z + w).sum().backward()
    return x.grad


def p_register_hook_on_saved(t):
    x = leaf(t)
    y = x**2
    seen = []
    y.grad_fn._raw_saved_self.register_hooks(
        lambda v: seen.append("pack") or v, lambda v: seen.append("unpack") or v
    )
    y.sum().backward()
    return seen, x.grad


@collect(globals())
def test_the_same(program) -> None:
    same(program)
