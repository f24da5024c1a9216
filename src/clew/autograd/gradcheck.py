"""Derivatives held against finite differences: `gradcheck` and `gradgradcheck`.

Numerical: (f(x + ε) − f(x − ε)) / 2ε, one input element at a time. Analytical: one backward pass for each output element.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from clew.autograd.backward import grad
from clew.core.variable import Variable, wrap
from clew.ops.complex import view_as_real


class GradcheckError(RuntimeError):
    """A derivative that finite differences contradict."""


def _tensors(value: Any) -> list[Any]:
    if isinstance(value, Variable):
        return [value]
    return [v for v in value if isinstance(v, Variable)] if isinstance(value, (tuple, list)) else []


def _differentiable(outputs: Any) -> list[Any]:
    return [o for o in _tensors(outputs) if o.requires_grad]


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False, check_batched_grad: bool = False, check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False, check_backward_ad: bool = True, fast_mode: bool = False, masked: bool | None = None,
) -> bool:  # fmt: skip
    """Whether the gradients of `func` agree with finite differences, to |a − n| ≤ atol + rtol |n|.

    inputs: tensors (and other arguments); those with requires_grad, best in float64, are checked. GradcheckError, or
    False without `raise_exception`, where they disagree.
    """
    try:
        return _check(func, inputs, eps, atol, rtol, nondet_tol, check_undefined_grad, check_grad_dtypes)
    except GradcheckError:
        if raise_exception:
            raise
        return False


def _check(
    func: Any,
    inputs: Any,
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    undefined: bool,
    dtypes: bool,
) -> bool:
    args = (inputs,) if isinstance(inputs, Variable) else tuple(inputs)
    checked = _check_inputs(args)
    outputs = func(*args)
    for value in outputs if isinstance(outputs, (tuple, list)) else (outputs,):
        if not isinstance(value, Variable):
            raise AttributeError(f"'{type(value).__name__}' object has no attribute 'requires_grad'")
    found = _differentiable(outputs)
    if not found:
        return _check_constant(func, args, checked, eps)
    for number, output in enumerate(_floats(outputs)):
        if not output.requires_grad:
            continue
        for place, tensor in checked:
            numerical = _numerical(func, args, tensor, number, eps, output._array.dtype.kind == "c")
            analytical = _analytical(output, tensor, dtypes)
            again = _analytical(output, tensor, dtypes)
            if not np.allclose(analytical, again, rtol=0, atol=nondet_tol, equal_nan=True):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                    "different values, although analytical gradient matches numerical gradient."
                    f"The tolerance for nondeterminism was {nondet_tol}."
                )
            if not np.allclose(analytical, numerical, rtol=rtol, atol=atol, equal_nan=True):
                raise GradcheckError(_mismatch(number, place, numerical, analytical))
    if undefined:
        _check_undefined(found, [t for _, t in checked])
    return True


def _check_inputs(args: tuple[Any, ...]) -> list[tuple[int, Any]]:
    """The inputs that require grad, with their places; warns about those in low precision."""
    checked = []
    for place, tensor in enumerate(args):
        if isinstance(tensor, Variable) and tensor.requires_grad:
            if tensor._array.dtype not in (np.float64, np.complex128):
                warnings.warn(
                    f"Input #{place} requires gradient and is not a double precision floating point or complex. This check "
                    "will likely fail if all the inputs are not of double precision floating point or complex. ",
                    stacklevel=5,
                )
            array = tensor.memory()
            if any(s == 0 and n > 1 for s, n in zip(array.strides, array.shape, strict=True)):
                raise RuntimeError(
                    f"The {place}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                    "non-overlapping to be able to compute the numerical gradients correctly. You should call .contiguous "
                    "on the input before passing it to gradcheck."
                )
            checked.append((place, tensor))
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    return checked


def _values(func: Any, args: tuple[Any, ...], number: int) -> np.ndarray:
    return np.array(_floats(func(*args))[number]._array).reshape(-1)


def _floats(outputs: Any) -> list[Any]:
    """Those results that may have a derivative, in order."""
    return [o for o in _tensors(outputs) if o._array.dtype.kind in "fc"]


def _numerical(
    func: Any, args: tuple[Any, ...], tensor: Any, number: int, eps: float, complex_output: bool
) -> np.ndarray:
    """The Jacobian by central differences, inputs along rows. Of a complex input, ∂/∂re + i ∂/∂im, as PyTorch has it."""
    memory = tensor.memory()
    rows = []
    for index in np.ndindex(memory.shape):
        saved = memory[index].copy()
        steps = [eps, eps * 1j] if memory.dtype.kind == "c" else [eps]
        slopes = []
        for step in steps:
            memory[index] = saved + step
            above = _values(func, args, number)
            memory[index] = saved - step
            below = _values(func, args, number)
            memory[index] = saved
            slopes.append((above - below) / (2 * eps))
        rows.append(_convention(slopes, complex_output))
    count = rows[0].size if rows else 0
    return np.array(rows).reshape(len(rows), count)


def _convention(slopes: list[np.ndarray], complex_output: bool) -> np.ndarray:
    """The gradients for the cotangents 1 and (for a complex output) i, one after the other."""
    parts = [slopes[0].real, slopes[0].imag] if complex_output else [slopes[0].real]
    if len(slopes) == 2:
        other = [slopes[1].real, slopes[1].imag] if complex_output else [slopes[1].real]
        parts = [a + 1j * b for a, b in zip(parts, other, strict=True)]
    return np.concatenate(parts)


def _analytical(output: Any, tensor: Any, dtypes: bool) -> np.ndarray:
    """The Jacobian by backward passes, laid out as `_numerical` lays it out."""
    shape, kind = output._array.shape, output._array.dtype
    columns = []
    for unit in (1, 1j) if kind.kind == "c" else (1,):
        for index in np.ndindex(shape):
            cotangent = np.zeros(shape, kind)
            cotangent[index] = unit
            (g,) = grad(output, tensor, wrap(cotangent), retain_graph=True, allow_unused=True)
            if g is not None and dtypes and g._array.dtype != tensor._array.dtype:
                raise GradcheckError("Backward call returned gradient with incorrect type")
            if g is not None and g._array.shape != tensor._array.shape:
                raise GradcheckError("Analytical gradient has incorrect size")
            columns.append(
                np.zeros(tensor._array.size, tensor._array.dtype)
                if g is None
                else np.array(g._array).reshape(-1)
            )
    return np.array(columns).reshape(len(columns), tensor._array.size).T


def _mismatch(output: int, place: int, numerical: np.ndarray, analytical: np.ndarray) -> str:
    return (
        f"Jacobian mismatch for output {output} with respect to input {place},\n"
        f"numerical:{wrap(numerical)}\nanalytical:{wrap(analytical)}\n"
    )


def _check_constant(func: Any, args: tuple[Any, ...], checked: Sequence[tuple[int, Any]], eps: float) -> bool:
    """Outputs that do not require grad must not depend on the inputs."""
    outputs = [o for o in _tensors(func(*args)) if o._array.dtype.kind in "fc"]
    for number in range(len(outputs)):
        for _, tensor in checked:
            if np.any(
                _numerical(func, args, tensor, number, eps, outputs[number]._array.dtype.kind == "c") != 0
            ):
                raise GradcheckError("Numerical gradient for function expected to be zero")
    return True


def _check_undefined(outputs: Sequence[Any], inputs: Sequence[Any]) -> None:
    """A backward pass where one output gets no gradient must run."""
    for left_out in range(len(outputs)) if len(outputs) > 1 else ():
        rest = [o for i, o in enumerate(outputs) if i != left_out]
        grad(rest, inputs, [o.new_ones(o.shape) for o in rest], retain_graph=True, allow_unused=True)


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6, atol: float = 1e-5,
    rtol: float = 1e-3, gen_non_contig_grad_outputs: bool = False, raise_exception: bool = True, nondet_tol: float = 0.0,
    check_undefined_grad: bool = True, check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False, check_rev_over_rev: bool = True, fast_mode: bool = False, masked: bool = False,
) -> bool:  # fmt: skip
    """Whether the gradients of the gradients of `func` agree with finite differences (see `gradcheck`)."""
    args = (inputs,) if isinstance(inputs, Variable) else tuple(inputs)
    outputs = _differentiable(func(*args))
    if grad_outputs is None:
        cotangents = []
        for output in outputs:  # uniform, as PyTorch draws them, so that what is drawn next is the same
            drawn = output.detach().new_empty(output.shape)
            (drawn if output._array.dtype.kind != "c" else view_as_real(drawn)).uniform_(-1, 1)
            cotangents.append(drawn.requires_grad_())
    else:
        cotangents = _tensors(grad_outputs)
    count = len(args)

    def first_derivatives(*everything: Any) -> Any:
        values, weights = everything[:count], everything[count:]
        wanted = tuple(v for v in values if isinstance(v, Variable) and v.requires_grad)
        found = grad(_differentiable(func(*values)), wanted, weights, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    # A function that is linear in its inputs has gradients that do not depend on them: nothing then requires grad.
    return gradcheck(
        first_derivatives, (*args, *cotangents), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
    )  # fmt: skip


__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]
