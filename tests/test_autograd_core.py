"""The behaviours of autograd that programs rest on; expected values worked out by hand."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest

import clew as torch


def leaf(*values: float) -> Any:
    return torch.tensor(list(values) or [1.0, 2.0, 3.0], requires_grad=True)


def line_of(marker: str) -> str:
    """`file.py:12` of the line of the calling test that ends in a marker comment."""
    frame = inspect.currentframe().f_back  # type: ignore[union-attr]
    lines, first = inspect.getsourcelines(frame.f_code)  # type: ignore[union-attr]
    number = next(i for i, line in enumerate(lines) if line.rstrip().endswith(f"# {marker}"))
    return f"{__file__}:{first + number}"


# ---- errors name the lines ------------------------------------------------------------------------------------------------
def test_the_second_backward_names_the_first() -> None:
    x = leaf()
    y = (x * x).sum()  # recorded
    y.backward()  # first
    with pytest.raises(RuntimeError, match=r"^Trying to backward through the graph a second time") as caught:
        y.backward()
    assert line_of("recorded") in str(caught.value)
    assert line_of("first") in str(caught.value)


def test_the_in_place_error_names_both_lines() -> None:
    y = leaf().exp()  # saved
    y.add_(1)  # changed
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as caught:
        y.sum().backward()
    assert line_of("saved") in str(caught.value)
    assert line_of("changed") in str(caught.value)


def test_an_optimizer_step_between_two_passes_is_named() -> None:
    w = torch.ones(2, 2, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    loss = (w @ (w @ torch.ones(2, requires_grad=True))).sum()  # saved
    loss.backward(retain_graph=True)
    optimizer.step()  # changed
    with pytest.raises(RuntimeError, match=r"is at version 1; expected version 0 instead") as caught:
        loss.backward()
    assert line_of("saved") in str(caught.value)
    assert line_of("changed") in str(caught.value)


def test_a_function_of_ones_own_names_its_line() -> None:
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x.exp()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * x.exp()

    x = leaf() * 1
    y = Exp.apply(x).sum()  # saved
    x.zero_()  # changed
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as caught:
        y.backward()
    assert line_of("saved") in str(caught.value)
    assert line_of("changed") in str(caught.value)


def test_anomaly_mode_shows_the_forward_call() -> None:
    x = leaf(0.0)
    with torch.autograd.set_detect_anomaly(True):
        y = x.sqrt() * 0  # forward
        with (
            pytest.warns(UserWarning, match="Error detected in SqrtBackward0") as warned,
            pytest.raises(
                RuntimeError, match=r"^Function 'SqrtBackward0' returned nan values in its 0th output.$"
            ),
        ):
            y.sum().backward()
    assert "# forward" in str(warned[0].message)
    assert f"line {line_of('forward').rpartition(':')[2]}" in str(warned[0].message)


# ---- graph -----------------------------------------------------------------------------------------------------------------
def test_looking_at_the_graph() -> None:
    x = torch.tensor(3.0, requires_grad=True)
    y = (x * 3 - 13) ** 2
    node = y.grad_fn
    assert node.name() == "PowBackward0"
    assert node._saved_exponent == 2
    assert node._saved_self.item() == -4
    assert [f.name() for f, _ in node.next_functions] == ["SubBackward0"]
    mul = node.next_functions[0][0].next_functions[0][0]
    sink, number = mul.next_functions[0]
    assert (sink.variable is x, number) == (True, 0)
    assert mul.next_functions[1] == (None, 0)
    assert node._sequence_nr() > mul._sequence_nr()
    assert isinstance(node, torch.autograd.graph.Node)


def test_versions_and_views() -> None:
    x = torch.ones(3)
    v = x[1:]
    assert (v._is_view(), v._base is x, x._is_view(), x._version) == (True, True, False, 0)
    v.mul_(2)
    assert (x._version, v._version, x.detach()._version, x.data._version) == (1, 1, 1, 0)


def test_edges_stand_for_tensors() -> None:
    x = leaf()
    y = x * 2
    edge = torch.autograd.graph.get_gradient_edge(y)
    at_y, at_x = torch.autograd.grad((y**2).sum(), [edge, x], retain_graph=True)
    assert (at_y.tolist(), at_x.tolist()) == ([4.0, 8.0, 12.0], [8.0, 16.0, 24.0])
    torch.autograd.backward(edge, torch.ones(3))
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_grad_at_a_node_on_the_way() -> None:
    x = leaf()
    y = x * x
    z = y.exp()
    (g,) = torch.autograd.grad(z.sum(), y)
    assert torch.allclose(g, y.exp())
    (h,) = torch.autograd.grad(y.sum(), x)  # what lies before y was not freed
    assert h.tolist() == [2.0, 4.0, 6.0]


def test_backward_into_some_inputs_only() -> None:
    x, w = leaf(), leaf()
    y = x * w
    (y * 3).sum().backward(inputs=[y, w])
    assert x.grad is None
    assert w.grad.tolist() == [3.0, 6.0, 9.0]
    assert y.grad.tolist() == [3.0, 3.0, 3.0]


def test_unused_inputs() -> None:
    x, z = leaf(), torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="appears to not have been used"):
        torch.autograd.grad(x.sum(), z)
    assert torch.autograd.grad(x.sum(), z, allow_unused=True) == (None,)
    assert torch.autograd.grad(x.sum(), z, materialize_grads=True)[0].tolist() == [0.0, 0.0]


def test_batched_cotangents() -> None:
    x = leaf()
    (rows,) = torch.autograd.grad(x**2, x, torch.eye(3), is_grads_batched=True)
    assert rows.tolist() == [[2.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 6.0]]


def test_third_derivative() -> None:
    x = torch.tensor(2.0, requires_grad=True)
    y = x**4
    for want in (32.0, 48.0, 48.0, 24.0):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        assert y.item() == want


# ---- hooks -----------------------------------------------------------------------------------------------------------------
def test_hooks_run_in_order() -> None:
    seen: list[str] = []
    x = leaf()
    y = x * 2
    sink = y.grad_fn.next_functions[0][0]
    for node, name in ((y.grad_fn, "y"), (sink, "x")):
        node.register_prehook(lambda gs, name=name: seen.append(f"{name} prehook"))
        node.register_hook(lambda gi, go, name=name: seen.append(f"{name} posthook"))
    x.register_post_accumulate_grad_hook(lambda p: seen.append("x post-accumulate"))
    x.register_hook(lambda g: seen.append("x tensor"))
    y.register_hook(lambda g: seen.append("y tensor"))
    y.sum().backward()
    assert seen == [
        "y tensor", "y prehook", "y posthook", "x tensor", "x prehook", "x post-accumulate", "x posthook",
    ]  # fmt: skip


def test_a_leaf_fires_as_soon_as_it_is_complete() -> None:
    seen: list[int] = []
    layers = [leaf() for _ in range(3)]
    y = torch.ones(3)
    for i, w in enumerate(layers):
        w.register_post_accumulate_grad_hook(lambda p, i=i: seen.append(i))
        y = (y * w).tanh()
        y.register_hook(lambda g, i=i: seen.append(10 + i))
    y.sum().backward()
    assert seen == [12, 2, 11, 1, 10, 0]


def test_retained_gradients_come_after_the_hooks() -> None:
    x = leaf()
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    assert (y.grad.tolist(), x.grad.tolist()) == ([10.0] * 3, [20.0] * 3)


@pytest.mark.parametrize(("mode", "calls"), [("all", [2, 3]), ("any", [1, 1])])
def test_hooks_over_several_tensors(mode: str, calls: list[int]) -> None:
    seen: list[int] = []
    x, y, z = leaf(), leaf(), leaf()

    def hook(grads: Any) -> None:
        seen.append(sum(g is not None for g in grads) if mode == "all" else 1)

    handle = torch.autograd.graph.register_multi_grad_hook([x, y, z], hook, mode=mode)
    (x * y).sum().backward()
    (x * y * z).sum().backward()
    handle.remove()
    (x * y * z).sum().backward()
    assert seen == calls


def test_hooks_do_not_record() -> None:
    modes: list[bool] = []
    x = leaf()
    y = x * x
    y.register_hook(lambda g: modes.append(torch.is_grad_enabled()))
    y.grad_fn.register_hook(lambda gi, go: modes.append(torch.is_grad_enabled()))
    x.register_post_accumulate_grad_hook(lambda p: modes.append(torch.is_grad_enabled()))
    y.sum().backward()
    assert modes == [False] * 3
    assert torch.is_grad_enabled()


# ---- flags, detach, data ----------------------------------------------------------------------------------------------------
def test_detach_in_place() -> None:
    y = leaf() * 2
    assert y.detach_() is y
    assert (y.requires_grad, y.is_leaf, y.grad_fn) == (False, True, None)
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        torch.ones(3)[:2].detach_()


def test_setting_data() -> None:
    x = leaf()
    x.data = torch.tensor([4.0, 5.0, 6.0])
    (x * x).sum().backward()
    assert x.grad.tolist() == [8.0, 10.0, 12.0]
    with pytest.raises(TypeError, match="Variable data has to be a tensor"):
        x.data = 3
    with pytest.raises(RuntimeError, match="must be floating point or complex"):
        x.data = torch.arange(3)


def test_grad_dtype() -> None:
    x = leaf()
    x.grad_dtype = torch.float64
    for _ in range(2):
        (x * 2).sum().backward()
    assert (x.grad.dtype, x.grad.tolist()) == (torch.float64, [4.0] * 3)


# ---- inference mode -----------------------------------------------------------------------------------------------------------
def test_inference_tensors_stay_out_of_graphs() -> None:
    with torch.inference_mode():
        x = torch.ones(3) * 2
        x.add_(1)
    assert x.is_inference() and torch.is_inference(x) and not x.clone().is_inference()
    for refused in (
        lambda: leaf() * x, lambda: x.add_(1), lambda: x.requires_grad_(), lambda: x._version,
        lambda: torch.add(torch.ones(3), 1, out=x),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=r"[Ii]nference"):
            refused()
    assert x.tolist() == [3.0] * 3  # nothing was half done
    (leaf() * x.clone()).sum().backward()


def test_nothing_is_recorded_in_inference_mode() -> None:
    with torch.inference_mode(), torch.enable_grad():
        assert not (leaf() * 2).requires_grad


# ---- saved-tensor hooks --------------------------------------------------------------------------------------------------------
def test_saved_tensor_hooks_nest_by_the_innermost() -> None:
    seen: list[str] = []

    def pair(name: str) -> Any:
        return torch.autograd.graph.saved_tensors_hooks(
            lambda t: seen.append(f"pack {name}") or t, lambda t: seen.append(f"unpack {name}") or t
        )

    x = leaf()
    with pair("outer"):
        y = x**2
        with pair("inner"):
            z = y**3
    z.sum().backward()
    assert seen == ["pack outer", "pack inner", "unpack inner", "unpack outer"]
    assert x.grad.tolist() == [6.0, 192.0, 1458.0]


def test_mutation_of_saved_tensors_can_be_allowed() -> None:
    x = leaf()
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        y = x * 1
        z = y**2
        y.zero_()
        z.sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]


# ---- functional ------------------------------------------------------------------------------------------------------------------
def test_matrices_of_derivatives() -> None:
    x = torch.tensor([1.0, 2.0])
    functional = torch.autograd.functional
    assert functional.jacobian(lambda x: x**2, x).tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert functional.hessian(lambda x: (x**3).sum(), x).tolist() == [[6.0, 0.0], [0.0, 12.0]]


@pytest.mark.parametrize("name", ["hvp", "vhp"])
def test_products_with_the_hessian(name: str) -> None:
    x, v = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 10.0])
    value, product = getattr(torch.autograd.functional, name)(lambda x: (x**3).sum() * x[0], x, v)
    # f = x⁴ + x y³, so ∂²f/∂x² = 12 x², ∂²f/∂x∂y = 3 y², ∂²f/∂y² = 6 x y: all 12 at (1, 2)
    assert value.item() == 9.0
    assert product.tolist() == [12.0 + 120.0, 12.0 + 120.0]


def test_products_with_the_jacobian() -> None:
    x, v = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 10.0])

    def f(x: Any) -> Any:
        return torch.stack([x[0] * x[1], x[1] ** 2, x.sum()])

    assert torch.autograd.functional.jvp(f, x, v)[1].tolist() == [12.0, 40.0, 11.0]
    assert torch.autograd.functional.vjp(f, x, torch.tensor([1.0, 1.0, 1.0]))[1].tolist() == [3.0, 6.0]


def test_strict_refuses_what_does_not_depend() -> None:
    def f(x: Any) -> Any:
        return torch.ones(2)

    assert torch.autograd.functional.jacobian(f, torch.ones(3)).tolist() == [[0.0] * 3] * 2
    with pytest.raises(
        RuntimeError, match="Output 0 of the user-provided function does not require gradients"
    ):
        torch.autograd.functional.jacobian(f, torch.ones(3), strict=True)


# ---- gradcheck -------------------------------------------------------------------------------------------------------------------
def test_gradcheck_finds_a_wrong_derivative() -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 3

    x = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="Jacobian mismatch for output 0 with respect to input 0"):
        torch.autograd.gradcheck(Wrong.apply, x)
    assert not torch.autograd.gradcheck(Wrong.apply, x, raise_exception=False)
    assert torch.autograd.gradcheck(torch.sin, x)
    assert torch.autograd.gradgradcheck(torch.sin, x)


# ---- gradients where a function has an edge --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("function", "values", "want"),
    [
        (lambda x: x.abs(), [0.0], [0.0]),
        (lambda x: x.relu(), [0.0], [0.0]),
        (lambda x: x.sqrt(), [0.0], [math.inf]),
        (lambda x: x.max(), [2.0, 2.0, 1.0], [0.5, 0.5, 0.0]),
        (lambda x: x.max(0)[0], [2.0, 2.0, 1.0], [1.0, 0.0, 0.0]),
        (lambda x: x.median(), [1.0, 1.0, 1.0], [1 / 3] * 3),
        (lambda x: x.norm(), [0.0, 0.0], [0.0, 0.0]),
        (lambda x: x.clamp(0, 1), [0.0, 1.0, 2.0], [1.0, 1.0, 0.0]),
        (lambda x: torch.maximum(x, torch.ones(2)), [1.0, 2.0], [0.5, 1.0]),
        (lambda x: x**0, [0.0], [0.0]),
        (lambda x: x.prod(), [0.0, 3.0, 2.0], [6.0, 0.0, 0.0]),
        (lambda x: torch.where(x > 0, x.sqrt(), torch.zeros(2)), [-1.0, 1.0], [math.nan, 0.5]),
        (lambda x: x.logsumexp(0), [0.0, -math.inf], [1.0, 0.0]),
        (lambda x: x.std(), [1.0, 1.0], [0.0, 0.0]),
    ],
)
def test_gradient_at_an_edge(function: Callable[[Any], Any], values: list[float], want: list[float]) -> None:
    x = leaf(*values)
    function(x).sum().backward()
    assert x.grad.tolist() == pytest.approx(want, nan_ok=True)


def test_complex_gradients_are_conjugate() -> None:
    z = torch.tensor(1 + 2j, requires_grad=True)
    (z**2).real.backward()
    assert z.grad.item() == 2 - 4j


def test_a_switch_set_inside_no_grad_holds_after_it():
    with torch.no_grad():
        torch.autograd.set_detect_anomaly(True)
    try:
        x = torch.zeros(1, requires_grad=True)
        with (
            pytest.warns(UserWarning, match="Error detected in SqrtBackward0"),
            pytest.raises(RuntimeError, match="returned nan values"),
        ):
            (x.sqrt() * 0).backward()
    finally:
        torch.autograd.set_detect_anomaly(False)
