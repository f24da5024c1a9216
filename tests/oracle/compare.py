"""Run the same program under PyTorch and under clew and compare what it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clew

torch = pytest.importorskip("torch")


def tensors(module: Any, arrays: tuple[Any, ...], requires_grad: bool) -> list[Any]:
    """NumPy arrays as tensors of `module`; other arguments as they are."""
    made = []
    for array in arrays:
        if isinstance(array, np.ndarray):
            tensor = module.tensor(array.tolist(), dtype=getattr(module, array.dtype.name)).reshape(
                array.shape
            )
            array = tensor.requires_grad_() if requires_grad and array.dtype.kind in "fc" else tensor
        made.append(array)
    return made


def values(result: Any) -> Any:
    """Nested results as comparable Python and NumPy values."""
    if isinstance(result, (torch.Tensor, clew.Tensor)):
        name = str(result.dtype)
        plain = result.detach()
        if name == "torch.bfloat16":
            plain = plain.float()
        return name, np.array(
            plain.resolve_conj().numpy(force=True) if isinstance(plain, torch.Tensor) else plain.numpy()
        )
    if isinstance(result, (tuple, list)):
        return [values(r) for r in result]
    return result


def assert_same(want: Any, have: Any, rtol: float, atol: float, where: str = "result") -> None:
    """Compare nested results: types of elements exactly, numbers to a tolerance."""
    if isinstance(want, tuple) and len(want) == 2 and isinstance(want[1], np.ndarray):
        assert isinstance(have, tuple), f"{where}: {have!r} is no tensor"
        assert want[0] == have[0], f"{where}: dtype {have[0]}, PyTorch has {want[0]}"
        assert want[1].shape == have[1].shape, f"{where}: shape {have[1].shape}, PyTorch has {want[1].shape}"
        np.testing.assert_allclose(have[1], want[1], rtol=rtol, atol=atol, err_msg=where)
    elif isinstance(want, list):
        assert isinstance(have, list) and len(want) == len(have), f"{where}: {have!r} against {want!r}"
        for i, (w, h) in enumerate(zip(want, have, strict=True)):
            assert_same(w, h, rtol, atol, f"{where}[{i}]")
    elif isinstance(want, float):
        assert have == pytest.approx(want, rel=rtol, abs=atol, nan_ok=True), where
    else:
        assert want == have, f"{where}: {have!r}, PyTorch has {want!r}"


def flat(result: Any) -> list[Any]:
    """The differentiable tensors of a nested result."""
    if isinstance(result, (torch.Tensor, clew.Tensor)):
        return [result] if result.requires_grad else []
    return [t for r in result for t in flat(r)] if isinstance(result, (tuple, list)) else []


def run(
    module: Any, program: Callable[..., Any], arrays: tuple[Any, ...], grad: bool, double: bool, names: bool
) -> list[Any]:
    """Everything to be compared: values, name of grad_fn, gradients, gradients of gradients."""
    inputs = tensors(module, arrays, grad)
    result = program(module, *inputs)
    found = [values(result)]
    outputs = flat(result)
    leaves = [t for t in inputs if isinstance(t, (torch.Tensor, clew.Tensor)) and t.requires_grad]
    if not grad or not outputs:
        return [*found, len(outputs)]
    if names:
        found.append([o.grad_fn.name() for o in outputs])

    def weights(tensor: Any, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        array = rng.uniform(0.5, 1.5, tuple(tensor.shape))
        if tensor.dtype.is_complex:
            array = array + 1j * rng.uniform(0.5, 1.5, tuple(tensor.shape))
        return module.tensor(array.tolist(), dtype=tensor.dtype).reshape(tuple(tensor.shape))

    cotangents = [weights(o, i) for i, o in enumerate(outputs)]
    first = module.autograd.grad(outputs, leaves, cotangents, create_graph=double, allow_unused=True)
    found.append([None if g is None else values(g) for g in first])
    again = [g for g in first if g is not None and g.requires_grad] if double else []
    if again:
        second = module.autograd.grad(
            again, leaves, [weights(g, 7 + i) for i, g in enumerate(again)], allow_unused=True
        )
        found.append([None if g is None else values(g) for g in second])
    return found


def check(
    program: Callable[..., Any],
    *arrays: Any,
    grad: bool = True,
    double: bool = True,
    names: bool = True,
    rtol: float = 1e-6,
    atol: float = 1e-8,
) -> None:
    """`program(torch, *tensors)` and `program(clew, *tensors)` give the same, derivatives included.

    grad: also compare gradients of a fixed cotangent; double: also their gradients; names: also the name of `grad_fn`.
    A gradient that PyTorch leaves None may be zeros in the second order.
    """
    want = run(torch, program, arrays, grad, double, names)
    have = run(clew, program, arrays, grad, double, names)
    for stage, w, h in zip(("value", "grad_fn", "gradient", "second") if names else ("value", "gradient", "second"), want, have, strict=False):  # fmt: skip
        if stage == "second":
            pairs = [(a, b) for a, b in zip(w, h, strict=True) if a is not None and b is not None]
            w, h = [a for a, _ in pairs], [b for _, b in pairs]
        assert_same(w, h, rtol, atol, stage)


def check_error(program: Callable[..., Any], *arrays: Any, first_line: bool = True) -> None:
    """Both raise the same type of error with the same (first line of the) sentence."""
    with pytest.raises(Exception) as want:
        program(torch, *tensors(torch, arrays, False))
    with pytest.raises(Exception) as have:
        program(clew, *tensors(clew, arrays, False))
    assert have.type is want.type or have.type.__name__ == want.type.__name__, repr(have.value)
    if first_line:
        assert str(have.value).splitlines()[0] == str(want.value).splitlines()[0]
