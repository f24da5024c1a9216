"""An operation on each tensor of a list: `_foreach_add(xs, ys)` is [x + y for x, y in zip(xs, ys)], and `_foreach_add_` writes
into the xs. PyTorch's optimizers and some training loops call them; here they are loops over the lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clew.core.variable import Variable

__all__ = ["_foreach_clone", "_foreach_copy_", "_foreach_max", "_foreach_norm", "_foreach_zero_"]

UNARY = (
    "abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor", "frac", "lgamma", "log", "log10",
    "log1p", "log2", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
)  # fmt: skip
BINARY = ("add", "clamp_max", "clamp_min", "div", "lerp", "maximum", "minimum", "mul", "pow", "sub")
TERNARY = ("addcdiv", "addcmul")
_OF_NUMBERS = {
    "maximum": "clamp_min",
    "minimum": "clamp_max",
}  # methods that take tensors only, and what takes numbers


def _tensors(self: Any, name: str) -> Sequence[Any]:
    """The list. RuntimeError where it is empty, TypeError where something else than tensors is in it."""
    if not isinstance(self, (list, tuple)) or not all(isinstance(t, Variable) for t in self):
        raise TypeError(f"{name}(): argument 'self' must be tuple of Tensors, not {type(self).__name__}")
    if not self:
        raise RuntimeError("Tensor list must have at least one tensor.")
    return self


def _each(values: Any, count: int) -> Sequence[Any]:
    """A list of operands, or one for all. RuntimeError for a list of another length."""
    if not isinstance(values, (list, tuple)):
        return [values] * count
    if len(values) != count:
        tensors = bool(values) and isinstance(values[0], Variable)
        raise RuntimeError(
            f"Tensor lists must have the same number of tensors, got {count} and {len(values)}"
            if tensors
            else "Tensor list must have same number of elements as scalar list."
        )
    return values


def _apply(tensor: Any, name: str, others: list[Any], options: dict[str, Any], write: bool) -> Any:
    if name in _OF_NUMBERS and not isinstance(others[0], Variable):
        name = _OF_NUMBERS[name]
    if not write:
        return getattr(tensor, name)(*others, **options)
    in_place = getattr(tensor, name + "_", None)
    return (
        in_place(*others, **options) if in_place else tensor.copy_(getattr(tensor, name)(*others, **options))
    )


def _family(name: str) -> None:
    """`_foreach_name` and `_foreach_name_`."""

    def run(self: Any, others: tuple[Any, ...], options: dict[str, Any], write: bool) -> list[Any]:
        tensors = _tensors(self, f"_foreach_{name}")
        if name in TERNARY and len(others) > 2:  # the factors: one for all, or a list
            others, options = others[:2], {"value": others[2]}
        named = ("other", "scalar", "scalars", "end", "weight", "tensors1", "tensor1", "tensor2", "exponent")
        options = dict(options)
        others = (*others, *[options.pop(n) for n in named if n in options])
        lists = [_each(o, len(tensors)) for o in others]
        made = []
        for i, tensor in enumerate(tensors):
            own = {n: _each(v, len(tensors))[i] for n, v in options.items()}
            made.append(_apply(tensor, name, [one[i] for one in lists], own, write))
        return made

    def foreach(self: Any, *others: Any, **options: Any) -> tuple[Any, ...]:
        if name == "pow" and not isinstance(self, (list, tuple)):  # one base, many exponents
            return tuple(exponent.__rpow__(self) for exponent in _tensors(others[0], "_foreach_pow"))
        return tuple(run(self, others, options, False))

    def foreach_(self: Any, *others: Any, **options: Any) -> list[Any]:
        return run(self, others, options, True)

    for function, own, says in (
        (foreach, f"_foreach_{name}", "of"),
        (foreach_, f"_foreach_{name}_", "written into"),
    ):
        function.__name__ = function.__qualname__ = own
        function.__doc__ = (
            f"`{name}` {says} each tensor of a list; other operands are lists as long, or one for all."
        )
        globals()[own] = function
        __all__.append(own)


for _name in (*UNARY, *BINARY, *TERNARY):
    _family(_name)


def _foreach_clone(self: Any) -> tuple[Any, ...]:
    """A copy of each tensor of a list."""
    return tuple(tensor.clone() for tensor in _tensors(self, "_foreach_clone"))


def _foreach_copy_(self: Any, src: Any, non_blocking: bool = False) -> list[Any]:
    """Each tensor of `src` copied into its peer."""
    tensors = _tensors(self, "_foreach_copy_")
    return [tensor.copy_(value) for tensor, value in zip(tensors, _each(src, len(tensors)), strict=True)]


def _foreach_zero_(self: Any) -> list[Any]:
    """Zeros into each tensor of a list."""
    return [tensor.zero_() for tensor in _tensors(self, "_foreach_zero_")]


def _foreach_norm(self: Any, ord: Any = 2, dtype: Any = None) -> tuple[Any, ...]:
    """The norm of each tensor of a list, its numbers taken as one vector."""
    return tuple(tensor.norm(ord, dtype=dtype) for tensor in _tensors(self, "_foreach_norm"))


def _foreach_max(self: Any) -> tuple[Any, ...]:
    """The largest number of each tensor of a list."""
    return tuple(tensor.max() for tensor in _tensors(self, "_foreach_max"))
