"""What goes wrong around autograd: the same error or warning, in the same words, as PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from both import collect, same


def leaf(t: Any, *values: float) -> Any:
    return t.tensor(list(values) or [1.0, 2.0, 3.0], requires_grad=True)


# ---- backward and grad -----------------------------------------------------------------------------------------------
def p_backward_twice(t):
    y = leaf(t).exp().sum()
    y.backward()
    y.backward()


def p_backward_twice_through_a_shared_part(t):
    x = leaf(t)
    y = x * x
    y.sum().backward()
    y.mean().backward()


def p_backward_twice_where_nothing_is_saved(t):
    x = leaf(t)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    return x.grad


def p_retained_graph(t):
    x = leaf(t)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


def p_non_scalar(t):
    leaf(t).exp().backward()


def p_no_requires_grad(t):
    t.ones(3).sum().backward()


def p_second_of_two_without_graph(t):
    t.autograd.backward([leaf(t).sum(), t.ones(1)])


def p_grad_unused(t):
    x, z = leaf(t), leaf(t)
    t.autograd.grad(x.sum(), [z])


def p_grad_unused_second(t):
    x, z = leaf(t), leaf(t)
    t.autograd.grad(x.sum(), [x, z])


def p_grad_unused_allowed(t):
    x, z = leaf(t), leaf(t)
    return t.autograd.grad(x.sum(), [z, x], allow_unused=True)


def p_grad_materialized(t):
    x, z = leaf(t), t.ones(2, 2, dtype=t.float64, requires_grad=True)
    return t.autograd.grad(x.sum(), [z, x], materialize_grads=True)


def p_grad_input_without_grad(t):
    t.autograd.grad(leaf(t).sum(), t.ones(3))


def p_materialize_but_not_unused(t):
    x = leaf(t)
    t.autograd.grad(x.sum(), x, allow_unused=False, materialize_grads=True)


def p_grad_shape(t):
    x = leaf(t, 1.0, 2.0)
    t.autograd.grad(x.exp(), x, t.ones(3))


def p_backward_shape(t):
    leaf(t).exp().backward(t.ones(2))


def p_grad_non_scalar(t):
    x = leaf(t)
    t.autograd.grad(x.exp(), x)


def p_grad_outputs_of_other_type(t):
    x = leaf(t)
    t.autograd.grad(x.exp(), x, [3.0])


def p_too_few_grad_outputs(t):
    x = leaf(t)
    t.autograd.backward([x.exp(), x.sin()], [t.ones(3)])


def p_too_few_grad_outputs_in_grad(t):
    x = leaf(t)
    t.autograd.grad([x.exp(), x.sin()], x, [t.ones(3)])


def p_grad_variables(t):
    x = leaf(t)
    t.autograd.backward(x.exp(), grad_variables=t.ones(3))
    return x.grad


def p_grad_variables_and_tensors(t):
    x = leaf(t)
    t.autograd.backward(x.exp(), t.ones(3), grad_variables=t.ones(3))


def p_only_inputs(t):
    x = leaf(t)
    return t.autograd.grad(x.sum(), x, only_inputs=False)


def p_empty_inputs(t):
    leaf(t).sum().backward(inputs=[])


def p_empty_grad_inputs(t):
    return t.autograd.grad(leaf(t).sum(), [])


def p_create_graph_warning(t):
    x = leaf(t)
    (x * x).sum().backward(create_graph=True)
    return x.grad, x.grad.grad_fn


def p_complex_scalar(t):
    z = t.tensor(1 + 2j, requires_grad=True)
    (z * z).backward()


def p_complex_cotangent_of_real(t):
    x = leaf(t)
    x.exp().backward(t.ones(3, dtype=t.complex64))


def p_float64_cotangent_of_float32(t):
    x = leaf(t)
    x.exp().backward(t.ones(3, dtype=t.float64))
    return x.grad


def p_integer_root(t):
    t.arange(3).sum().backward()


def p_grad_of_nothing(t):
    return t.autograd.grad([], [])


def p_backward_of_nothing(t):
    return t.autograd.backward([])


def p_None_cotangent_of_non_scalar(t):
    x = leaf(t)
    t.autograd.grad([x.exp(), x.sum()], x, [None, t.tensor(1.0)])


# ---- in-place -----------------------------------------------------------------------------------------------------------
def p_leaf_in_place(t):
    leaf(t).add_(1)


def p_leaf_item_assignment(t):
    leaf(t)[0] = 1.0


def p_leaf_in_place_operator(t):
    x = leaf(t)
    x *= 2


def p_view_of_leaf_in_place(t):
    leaf(t)[:2].add_(1)


def p_view_of_leaf_operator(t):
    x = leaf(t).view(3)
    x += 1


def p_result_overwritten(t):
    y = leaf(t).exp()
    y.add_(1)
    y.sum().backward()


def p_result_overwritten_twice(t):
    y = leaf(t).sigmoid()
    z = y * 2
    y.zero_()
    y.zero_()
    z.sum().backward()


def p_input_overwritten(t):
    x = leaf(t)
    y = x * 1
    z = y.sin()
    y.detach().mul_(5.0)
    z.sum().backward()


def p_input_without_history_overwritten(t):
    x, data = leaf(t), t.ones(3)
    y = (x * data).sum()
    data.mul_(2)
    y.backward()


def p_through_detach(t):
    y = leaf(t, 1.0, 2.0).exp()
    y.detach().zero_()
    y.sum().backward()


def p_through_data(t):
    x = leaf(t, 1.0, 2.0)
    y = x.exp()
    y.data.zero_()
    y.sum().backward()
    return x.grad


def p_optimizer_step_between(t):
    w = t.ones(2, 2, requires_grad=True)
    optimizer = t.optim.SGD([w], lr=0.1)
    x = t.ones(2, requires_grad=True)
    first = (w @ (w @ x)).sum()
    first.backward(retain_graph=True)
    optimizer.step()
    first.backward()


def p_optimizer_step_between_layers(t):
    t.manual_seed(0)
    net = t.nn.Sequential(t.nn.Linear(2, 3), t.nn.Linear(3, 1))
    optimizer = t.optim.SGD(net.parameters(), lr=0.1)
    loss = net(t.ones(4, 2)).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    loss.backward()


def p_multi_output_view(t):
    a, _ = (leaf(t, 1.0, 2.0) * 1).split(1)
    a.add_(1)


def p_unbind_view(t):
    a, _ = (leaf(t, 1.0, 2.0) * 1).unbind(0)
    a.mul_(2)


def p_chunk_view(t):
    (leaf(t, 1.0, 2.0) * 1).chunk(2)[1].mul_(2)


def p_base_of_multi_output_view(t):
    y = leaf(t, 1.0, 2.0) * 1
    a, _ = y.unbind(0)
    y.mul_(2)
    return (a * 2).requires_grad


def p_no_grad_view(t):
    y = leaf(t) * 1
    with t.no_grad():
        v = y[:2]
    v.mul_(2)


def p_no_grad_view_of_leaf(t):
    x = leaf(t)
    with t.no_grad():
        v = x[:2]
    v.mul_(2)


def p_no_grad_view_of_plain(t):
    x = t.ones(3)
    with t.no_grad():
        v = x[:2]
    v.mul_(leaf(t, 1.0, 2.0))
    return v, x


def p_detach_view_in_place(t):
    y = leaf(t) * 1
    y[:2].detach_()


def p_expanded_in_place(t):
    t.ones(1).expand(3).add_(1)


def p_result_type(t):
    t.arange(3).add_(1.5)


def p_result_shape(t):
    t.ones(3).add_(t.ones(2, 3))


# ---- flags and .grad --------------------------------------------------------------------------------------------------
def p_non_leaf_grad(t):
    return (leaf(t) * 2).grad


def p_non_leaf_grad_after_backward(t):
    y = leaf(t) * 2
    y.sum().backward()
    return y.grad


def p_requires_grad_of_non_leaf(t):
    y = leaf(t) * 2
    y.requires_grad = False


def p_requires_grad_of_non_leaf_true(t):
    y = leaf(t) * 2
    y.requires_grad = True
    return y.requires_grad_().grad_fn


def p_requires_grad_method_false_on_non_leaf(t):
    (leaf(t) * 2).requires_grad_(False)


def p_requires_grad_int(t):
    x = t.arange(3)
    x.requires_grad = True


def p_requires_grad_int_false(t):
    x = t.arange(3)
    x.requires_grad = False
    return x.requires_grad_(False)


def p_requires_grad_method_int(t):
    t.arange(3).requires_grad_()


def p_requires_grad_no_bool(t):
    t.ones(3).requires_grad = 1


def p_constructor_int(t):
    t.tensor([1, 2], requires_grad=True)


def p_ones_int(t):
    t.ones(3, dtype=t.int64, requires_grad=True)


def p_numpy(t):
    leaf(t).numpy()


def p_deepcopy_of_non_leaf(t):
    import copy

    copy.deepcopy(leaf(t) * 2)


def p_assign_grad_shape(t):
    x = leaf(t, 1.0, 2.0)
    x.grad = t.ones(3)


def p_assign_grad_dtype(t):
    x = leaf(t, 1.0, 2.0)
    x.grad = t.ones(2, dtype=t.float64)


def p_assign_grad_type(t):
    x = leaf(t)
    x.grad = 1


def p_assign_grad_to_itself(t):
    x = leaf(t)
    x.grad = x


def p_assign_grad_to_plain(t):
    x = t.ones(3)
    x.grad = t.ones(3)
    return x.grad


def p_delete_grad(t):
    x = leaf(t)
    x.sum().backward()
    del x.grad
    return x.grad


def p_assign_grad_to_non_leaf(t):
    y = leaf(t) * 2
    y.grad = t.ones(3)
    return y.grad


def p_retain_grad_without(t):
    t.ones(3).retain_grad()


def p_retain_grad_of_leaf(t):
    x = leaf(t)
    x.retain_grad()
    return x.retains_grad


def p_saved_after_free(t):
    y = leaf(t).exp()
    y.sum().backward()
    return y.grad_fn._saved_result


# ---- hooks --------------------------------------------------------------------------------------------------------------
def p_hook_returns_number(t):
    x = leaf(t)
    x.register_hook(lambda g: 1)
    x.sum().backward()


def p_hook_changes_shape(t):
    x = leaf(t)
    x.register_hook(lambda g: g[:2])
    x.sum().backward()


def p_hook_changes_type(t):
    x = leaf(t)
    x.register_hook(lambda g: g.double())
    x.sum().backward()
    return x.grad


def p_hook_without_grad(t):
    t.ones(3).register_hook(print)


def p_post_accumulate_hook_on_non_leaf(t):
    (leaf(t) * 2).register_post_accumulate_grad_hook(print)


def p_post_accumulate_hook_without_grad(t):
    t.ones(3).register_post_accumulate_grad_hook(print)


def p_post_accumulate_hook_returns(t):
    x = leaf(t)
    x.register_post_accumulate_grad_hook(lambda p: 3)
    x.sum().backward()


def p_hook_raises(t):
    x = leaf(t)

    def hook(g):
        raise KeyError("mine")

    x.register_hook(hook)
    x.sum().backward()


def p_prehook_returns_too_many(t):
    y = leaf(t) * 2
    y.grad_fn.register_prehook(lambda gs: (gs[0], gs[0]))
    y.sum().backward()


def p_posthook_returns_too_many(t):
    y = leaf(t) * 2
    y.grad_fn.register_hook(lambda gi, go: (gi[0], gi[0], gi[0], gi[0]))
    y.sum().backward()


def p_pack_hook_writes(t):
    with t.autograd.graph.saved_tensors_hooks(lambda x: x.mul_(2), lambda x: x):
        leaf(t).clone().exp()


def p_pack_hook_writes_input(t):
    y = leaf(t).clone()
    with t.autograd.graph.saved_tensors_hooks(lambda x: x.mul_(2), lambda x: x):
        y**2


def p_unpack_returns_number(t):
    y = leaf(t)
    with t.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: 3):
        z = y**2
    z.sum().backward()


def p_saved_hooks_disabled(t):
    with (
        t.autograd.graph.disable_saved_tensors_hooks("not here"),
        t.autograd.graph.saved_tensors_hooks(id, id),
    ):
        pass


def p_saved_hooks_disabled_inside(t):
    with (
        t.autograd.graph.saved_tensors_hooks(id, id),
        t.autograd.graph.disable_saved_tensors_hooks("not here"),
    ):
        pass


def p_nested_mutation(t):
    with (
        t.autograd.graph.allow_mutation_on_saved_tensors(),
        t.autograd.graph.allow_mutation_on_saved_tensors(),
    ):
        pass


def p_multi_hook_mode(t):
    t.autograd.graph.register_multi_grad_hook([leaf(t)], print, mode="some")


def p_multi_hook_without_grad(t):
    t.autograd.graph.register_multi_grad_hook([t.ones(3)], print)


def p_edge_without_grad(t):
    t.autograd.graph.get_gradient_edge(t.ones(3))


# ---- inference mode ------------------------------------------------------------------------------------------------------
def inference(t: Any) -> Any:
    with t.inference_mode():
        return t.ones(3)


def p_inference_tensor_saved(t):
    return leaf(t) * inference(t)


def p_inference_tensor_not_saved(t):
    return leaf(t) + inference(t)


def p_inference_tensor_written(t):
    inference(t).add_(1)


def p_inference_version(t):
    return inference(t)._version


def p_inference_requires_grad(t):
    inference(t).requires_grad_()


def p_inference_requires_grad_attribute(t):
    x = inference(t)
    x.requires_grad = True


def p_increment_version(t):
    t.autograd.graph.increment_version(inference(t))


def p_inference_backward(t):
    with t.inference_mode():
        (leaf(t) * 2).sum().backward()


def p_inference_view_written(t):
    inference(t)[:2].add_(1)


def p_inference_view_of_normal(t):
    x = t.ones(3)
    with t.inference_mode():
        v = x[:2]
    v.add_(1)
    return v, x, v.is_inference(), v._version


def p_inference_item_assignment(t):
    inference(t)[0] = 1


def p_normal_written_in_inference(t):
    x = t.ones(3)
    y = leaf(t) * 1
    with t.inference_mode():
        x.add_(1)
        y.add_(1)
    return x, x._version, y, y.grad_fn, y.is_inference()


def p_saved_written_in_inference(t):
    y = leaf(t) * 1
    z = y.exp()
    with t.inference_mode():
        z.add_(1)
    z.sum().backward()


def p_leaf_written_in_inference(t):
    x = leaf(t)
    with t.inference_mode():
        x.add_(1)
    return x, x._version


def p_out_of_inference_tensor(t):
    x = inference(t)
    t.add(t.ones(3), 1, out=x)


# ---- anomaly mode ------------------------------------------------------------------------------------------------------
def p_anomaly(t):
    x = leaf(t, 0.0)
    with t.autograd.detect_anomaly():
        y = x.sqrt() * 0
        y.sum().backward()


def p_anomaly_set(t):
    x = leaf(t, 0.0)
    with t.autograd.set_detect_anomaly(True):
        y = x.sqrt() * 0
        y.sum().backward()


def p_anomaly_without_nan_check(t):
    x = leaf(t, 0.0)
    with t.autograd.detect_anomaly(check_nan=False):
        y = x.sqrt() * 0
        y.sum().backward()
    return x.grad


def p_anomaly_forward_not_recorded(t):
    x = leaf(t, 0.0)
    y = x.sqrt() * 0
    with t.autograd.set_detect_anomaly(True):
        y.sum().backward()


def p_anomaly_in_place(t):
    with t.autograd.set_detect_anomaly(True):
        y = leaf(t).exp()
        y.add_(1)
        y.sum().backward()


def p_anomaly_of_function(t):
    class F(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * float("nan")

    with t.autograd.set_detect_anomaly(True):
        F.apply(leaf(t)).sum().backward()


def p_anomaly_state(t):
    found = [t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled()]
    with t.autograd.set_detect_anomaly(True, check_nan=False):
        found += [t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled()]
    return [*found, t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled()]


# ---- modes ----------------------------------------------------------------------------------------------------------------
def p_set_grad_enabled_of_int(t):
    t.set_grad_enabled(3)


@collect(globals())
def test_the_same(program) -> None:
    same(program)
