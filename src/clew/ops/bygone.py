"""Functions that PyTorch has removed, which say what took their place; checks of conditions; functions called on each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clew.core.variable import Variable
from clew.dtypes import dtype as dtypes

__all__ = [
    "_assert", "_cast_Double", "_cast_Float", "_cast_Int", "_cast_Long", "_check", "_check_index", "_check_is_size",
    "_check_not_implemented", "_check_tensor_all", "_check_type", "_check_value", "cond", "eig", "lstsq", "matrix_rank", "solve",
    "symeig",
]  # fmt: skip

_GONE = "This function was deprecated since version 1.9 and is now removed."


# ---- removed -----------------------------------------------------------------------------------------------------------
def _removed(name: str, instead: str) -> Callable[..., Any]:
    def function(*_: Any, **__: Any) -> Any:
        raise RuntimeError(_GONE + instead)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Removed: RuntimeError that says what to call."
    return function


eig = _removed(
    "eig",
    " `torch.linalg.eig` returns complex tensors of dtype `cfloat` or `cdouble` rather than real tensors mimicking complex "
    "tensors.\n\nL, _ = torch.eig(A) should be replaced with:\nL_complex = torch.linalg.eigvals(A)\n\nand\n\n"
    "L, V = torch.eig(A, eigenvectors=True) should be replaced with:\nL_complex, V_complex = torch.linalg.eig(A)",
)
symeig = _removed(
    "symeig",
    " The default behavior has changed from using the upper triangular portion of the matrix by default to using the lower "
    "triangular portion.\n\nL, _ = torch.symeig(A, upper=upper) should be replaced with:\n"
    "L = torch.linalg.eigvalsh(A, UPLO='U' if upper else 'L')\n\nand\n\n"
    "L, V = torch.symeig(A, eigenvectors=True) should be replaced with:\n"
    "L, V = torch.linalg.eigh(A, UPLO='U' if upper else 'L')",
)
solve = _removed(
    "solve",
    " `torch.solve` is deprecated in favor of `torch.linalg.solve`. `torch.linalg.solve` has its arguments reversed and does "
    "not return the LU factorization.\n\nTo get the LU factorization see `torch.lu`, which can be used with `torch.lu_solve` "
    "or `torch.lu_unpack`.\nX = torch.solve(B, A).solution should be replaced with:\nX = torch.linalg.solve(A, B)",
)
lstsq = _removed(
    "lstsq",
    " `torch.lstsq` is deprecated in favor of `torch.linalg.lstsq`.\n`torch.linalg.lstsq` has reversed arguments and its "
    "residuals are a field of their own.\nX, _ = torch.lstsq(B, A).solution[:A.size(1)]\nshould be replaced with:\n"
    "X = torch.linalg.lstsq(A, B).solution",
)
matrix_rank = _removed(
    "matrix_rank",
    "\nPlease use the `torch.linalg.matrix_rank` function instead. The parameter 'symmetric' was renamed in "
    "`torch.linalg.matrix_rank()` to 'hermitian'.",
)


def reinforce(self: Any, reward: Any) -> Any:
    """Removed: RuntimeError that says what to call."""
    raise RuntimeError(
        "reinforce() was removed.\nUse torch.distributions instead: loss = -Categorical(probs).log_prob(action) * reward"
    )


# ---- conditions --------------------------------------------------------------------------------------------------------
def _checking(name: str, kind: type[Exception]) -> Callable[..., None]:
    def check(cond: Any, message: Callable[[], str] | None = None) -> None:
        if not isinstance(cond, bool):
            what = (
                "a Tensor. For tensor conditions, use torch._check_tensor_all() to assert that all elements are true."
                if isinstance(cond, Variable)
                else f"{type(cond)}"
            )
            raise TypeError(f"cond must be a bool, but got {what}")
        _hold(cond, message, kind)

    check.__name__ = check.__qualname__ = name
    check.__doc__ = f"{kind.__name__} unless the condition holds; `message()` is its sentence."
    return check


def _hold(cond: bool, message: Callable[[], str] | None, kind: type[Exception]) -> None:
    if not cond:
        raise kind(
            "Expected cond to be True, but got False. (Could this error message be improved?)"
            if message is None
            else str(message())
        )


_check = _checking("_check", RuntimeError)
_check_index = _checking("_check_index", IndexError)
_check_value = _checking("_check_value", ValueError)
_check_type = _checking("_check_type", TypeError)
_check_not_implemented = _checking("_check_not_implemented", NotImplementedError)


def _check_is_size(i: Any, message: Callable[[], str] | None = None, *, max: int | None = None) -> None:
    """RuntimeError unless 0 ≤ i ≤ max."""
    _hold(i >= 0 and (max is None or i <= max), message, RuntimeError)


def _check_tensor_all(cond: Any, message: Callable[[], str] | None = None) -> None:
    """RuntimeError unless all elements are true."""
    _hold(bool(np.all(cond._array)), message, RuntimeError)


def _assert(condition: Any, message: str) -> None:
    """AssertionError unless the condition holds."""
    assert condition, message


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Any = ()) -> Any:
    """true_fn(*operands) where `pred`, a truth value or a tensor of one, holds, else false_fn(*operands)."""
    if not isinstance(pred, (bool, Variable)):
        raise RuntimeError(f"Expected pred to be bool or tensor, but got {pred}.")
    if isinstance(pred, Variable) and pred.numel() != 1:
        raise RuntimeError(f"Expected pred to be bool or single-element tensor, but got {pred}.")
    return (true_fn if bool(pred) else false_fn)(*operands)


# ---- element by element --------------------------------------------------------------------------------------------------
def apply_(self: Any, callable: Callable[[Any], Any]) -> Any:
    """Each element replaced by what the Python function makes of it, one after the other (slow by its nature)."""
    if self.requires_grad:
        raise RuntimeError(
            "Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead."
        )
    return _filled(self, [callable(v) for v in self.reshape(-1).tolist()])


def map_(self: Any, tensor: Any, callable: Callable[[Any, Any], Any]) -> Any:
    """Each element replaced by what the Python function makes of it and its peer in `tensor`."""
    if self.requires_grad or tensor.requires_grad:
        raise RuntimeError(
            "Can't call map_() on Variable that requires grad. Use var.detach().map_() instead."
        )
    peers = tensor.expand(self.shape).reshape(-1).tolist()
    return _filled(self, [callable(v, w) for v, w in zip(self.reshape(-1).tolist(), peers, strict=True)])


def _filled(self: Any, values: list[Any]) -> Any:
    array = self.memory()
    array[...] = np.array(values).astype(array.dtype).reshape(array.shape)
    self.written()
    return self


def _cast(name: str) -> Callable[..., Any]:
    def cast(self: Any, non_blocking: bool = False) -> Any:
        return getattr(self, name.lower())()

    cast.__name__ = cast.__qualname__ = f"_cast_{name}"
    cast.__doc__ = f"The tensor as {name}."
    return cast


_cast_Double, _cast_Float, _cast_Int, _cast_Long = map(_cast, ("Double", "Float", "Int", "Long"))


def to_dense(self: Any, dtype: dtypes | None = None, *, masked_grad: bool | None = None) -> Any:
    """The tensor itself, which is dense; in another type if asked."""
    return self if dtype is None else self.to(dtype)


def as_subclass(self: Any, cls: type[Any]) -> Any:
    """The same memory and history under a class derived from Tensor."""
    if not issubclass(cls, Variable):
        raise TypeError(f"as_subclass(): argument 'cls' must be a subclass of Tensor, not {cls.__name__}")
    made = self.view_as(self)
    made.__class__ = cls
    return made
