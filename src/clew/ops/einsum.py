"""Contractions: `einsum`, `tensordot`, and products of several matrices.

All are made of views, sums and matrix products, so that derivatives come of themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np

from clew.core.inplace import store_out
from clew.core.modes import altered, switches
from clew.core.primitive import Primitive
from clew.core.variable import Variable, wrap
from clew.dtypes import legacy_name
from clew.ops import arithmetic
from clew.ops import shape as shapes
from clew.ops._arguments import check_tensor, wrap_dims
from clew.ops._autocast import lowered
from clew.ops.linalg import _bmm, _c_name, matmul, mm
from clew.ops.reduce import sum as total

__all__ = ["bilinear", "chain_matmul", "einsum", "kron", "matrix_power", "tensordot", "trace"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
NO_OPERANDS = "einsum(): must specify the equation string and at least one operand, or at least one operand and its subscripts list"


# ---- einsum: reading the equation --------------------------------------------------------------------------------------
def _from_lists(args: Sequence[Any]) -> tuple[str, list[Any]]:
    """The equation of `einsum(a, [0, 1], b, [1, 2], [0, 2])`."""

    def subscripts(numbers: Any) -> str:
        found = ""
        for n in numbers:
            if n is not Ellipsis and not 0 <= n < 52:
                raise ValueError(
                    "einsum(): subscript in subscript list is not within the valid range [0, 52)"
                )
            found += "..." if n is Ellipsis else LETTERS[n]
        return found

    equation = ",".join(subscripts(s) for s in args[1::2])
    if len(args) % 2:
        equation = ",".join(subscripts(s) for s in args[1:-1:2]) + "->" + subscripts(args[-1])
    return equation, list(args[: len(args) // 2 * 2 : 2])


def _read(equation: str, count: int) -> tuple[list[list[str]], list[str] | None]:
    """Each operand's labels, and the result's where the equation names it; an ellipsis is the label `.`."""
    left, arrow, right = equation.partition("->")
    operands: list[list[str]] = [[]]
    position = 0
    while position < len(left):
        letter = left[position]
        if letter == ".":
            which = len(operands) - 1
            if "." in operands[-1]:
                raise RuntimeError(
                    f"einsum(): found '.' for operand {which} for which an ellipsis was already found"
                )
            if left[position : position + 3] != "...":
                raise RuntimeError(
                    f"einsum(): found '.' for operand {which} that is not part of any ellipsis"
                )
            operands[-1].append(".")
            position += 2
        elif letter == ",":
            operands.append([])
            if len(operands) > count:
                raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
        elif letter != " ":
            _check_letter(letter, position)
            operands[-1].append(letter)
        position += 1
    if len(operands) < count:
        raise RuntimeError("einsum(): more operands were provided than specified in the equation")
    return operands, _read_result(right, len(left) + 2, operands) if arrow else None


def _read_result(right: str, start: int, operands: list[list[str]]) -> list[str]:
    found: list[str] = []
    position = 0
    while position < len(right):
        letter = right[position]
        if letter == ".":
            if "." in found:
                raise RuntimeError("einsum(): found '.' for output but an ellipsis (...) was already found")
            if right[position : position + 3] != "...":
                raise RuntimeError("einsum(): found '.' for output that is not part of any ellipsis (...)")
            found.append(".")
            position += 2
        elif letter != " ":
            _check_letter(letter, start + position)
            if letter in found:
                raise RuntimeError(
                    f"einsum(): output subscript {letter} appears more than once in the output"
                )
            if not any(letter in labels for labels in operands):
                raise RuntimeError(
                    f"einsum(): output subscript {letter} does not appear in the equation for any input operand"
                )
            found.append(letter)
        position += 1
    return found


def _check_letter(letter: str, position: int) -> None:
    if letter not in LETTERS:
        raise RuntimeError(
            f"einsum(): invalid subscript given at index {position} in the equation string, subscripts must be in [a-zA-Z]"
        )


def _spell_out(operands: list[list[str]], result: list[str] | None, tensors: list[Any]) -> list[str]:
    """Replace every ellipsis by labels `.0`, `.1` … counted from the right, in place; the result's labels."""
    longest = 0
    for number, (labels, tensor) in enumerate(zip(operands, tensors, strict=True)):
        rank = tensor._array.ndim
        named = len(labels) - ("." in labels)
        if rank < named or (rank > named and "." not in labels):
            suffix = " and no ellipsis was given" if "." not in labels else ""
            word = (
                "does not match the number of dimensions"
                if "." not in labels
                else "is more than the number of dimensions"
            )
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) {word} ({rank}) for operand {number}{suffix}"
            )
        if "." in labels:
            at = labels.index(".")
            labels[at : at + 1] = [f".{k}" for k in reversed(range(rank - named))]
            longest = max(longest, rank - named)
    dots = [f".{k}" for k in reversed(range(longest))]
    if result is not None:
        return [label for name in result for label in (dots if name == "." else [name])]
    every = [label for labels in operands for label in labels]
    return dots + sorted(label for label in set(every) if label[0] != "." and every.count(label) == 1)


# ---- einsum: computing ---------------------------------------------------------------------------------------------------
def _aligned(tensor: Any, labels: list[str], order: list[str], number: int, sizes: dict[str, int]) -> Any:
    """An operand with its dimensions in the order of all labels, of size 1 where it lacks one."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            n, m = tensor._array.shape[first], tensor._array.shape[second]
            if n != m:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {number} but the sizes don't match, {m} != {n}"
                )
            tensor = shapes.movedim(shapes.diagonal(tensor, 0, first, second), -1, first)
            del labels[second]
    for label, n in zip(labels, tensor._array.shape, strict=True):
        have = sizes.get(label, 1)
        if n != 1 and have not in (1, n):
            if label[0] == ".":
                raise RuntimeError(
                    f"The size of tensor a ({have}) must match the size of tensor b ({n}) at non-singleton dimension 0"
                )
            raise RuntimeError(
                f"einsum(): subscript {label} has size {n} for operand {number} which does not broadcast with "
                f"previously seen size {have}"
            )
        sizes[label] = n if have == 1 else have
    missing = [label for label in order if label not in labels]
    for _ in missing:
        tensor = shapes.unsqueeze(tensor, -1)
    have_labels = labels + missing
    return shapes.permute(tensor, tuple([have_labels.index(label) for label in order]))


def _contract(a: Any, b: Any, summed: list[int]) -> Any:
    """∑ a·b over `summed`, of two tensors with the same labels (size 1 broadcasts); summed dimensions stay, of size 1.

    Dimensions of both that stay form the batch of one batched matrix product.
    """
    if not summed:
        return arithmetic.mul(a, b)
    sa, sb = a._array.shape, b._array.shape
    rank = len(sa)
    rest = [d for d in range(rank) if d not in summed]
    both = [d for d in rest if sa[d] != 1 and sb[d] != 1]
    left = [d for d in rest if sb[d] == 1]  # of a, or of neither
    right = [d for d in rest if sa[d] == 1 and sb[d] != 1]
    if a._array.dtype != b._array.dtype:
        raise RuntimeError(
            f"expected scalar type {legacy_name(a._array.dtype)} but found {legacy_name(b._array.dtype)}"
        )

    def size(shape: Sequence[int], dims: list[int]) -> int:
        return math.prod([shape[d] for d in dims])

    x = shapes.reshape(
        shapes.permute(a, (*both, *left, *summed, *right)), size(sa, both), size(sa, left), size(sa, summed)
    )
    y = shapes.reshape(
        shapes.permute(b, (*both, *summed, *right, *left)), size(sb, both), size(sb, summed), size(sb, right)
    )
    order = [*both, *left, *summed, *right]
    kept = [1 if d in summed else max(sa[d], sb[d]) if sa[d] and sb[d] else 0 for d in order]
    product = shapes.view(_bmm(x, y), *kept)
    product = shapes.permute(product, tuple([order.index(d) for d in range(rank)]))
    return shapes.view(product, *[kept[order.index(d)] for d in range(rank)])


def einsum(*args: Any) -> Any:
    """Einstein's summation: `einsum("ij,jk->ik", a, b)` is the matrix product.

    Labels shared by operands are multiplied along, labels absent from the result are summed, a label twice in one
    operand takes the diagonal, `...` stands for dimensions that broadcast. Without `->` the result has the labels that
    occur once, in alphabetical order. Also `einsum(a, [0, 1], b, [1, 2], [0, 2])`. Operands are contracted from left
    to right. RuntimeError for an equation that does not fit the operands.
    """
    if len(args) < 2:
        raise ValueError(NO_OPERANDS)
    if isinstance(args[0], str):
        equation, tensors = args[0], list(args[1:])
        if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
            tensors = list(tensors[0])
    else:
        equation, tensors = _from_lists(args)
    for position, tensor in enumerate(tensors):
        check_tensor(tensor, "einsum", "operands", position + 2)
    if altered and switches.autocast:
        tensors = list(lowered(*tensors))
    operands, named = _read(equation, len(tensors))
    result = _spell_out(operands, named, tensors)
    order = result + sorted({label for labels in operands for label in labels} - set(result))
    sizes: dict[str, int] = {}
    aligned = [
        _aligned(t, labels, order, i, sizes)
        for i, (t, labels) in enumerate(zip(tensors, operands, strict=True))
    ]
    return _contracted(aligned, len(result), len(order))


def _contracted(tensors: list[Any], kept: int, rank: int) -> Any:
    """The aligned operands multiplied, all dimensions from `kept` on summed: each with the last operand that has it."""
    made, *others = tensors
    for i, other in enumerate(others):
        later = others[i + 1 :]
        last = [d for d in range(kept, rank) if all(t._array.shape[d] == 1 for t in later)]
        ones = made._array.shape, other._array.shape
        pair = [d for d in last if ones[0][d] != 1 and ones[1][d] != 1]
        only_left = tuple([d for d in last if ones[0][d] != 1 and ones[1][d] == 1])
        only_right = tuple([d for d in last if ones[0][d] == 1 and ones[1][d] != 1])
        if only_left:
            made = total(made, only_left, True)
        if only_right:
            other = total(other, only_right, True)
        made = _contract(made, other, pair)
    if kept == rank:
        return made
    if not others:
        return total(made, tuple(range(kept, rank)))
    return shapes.view(made, *made._array.shape[:kept])


# ---- tensordot, kron, bilinear ------------------------------------------------------------------------------------------
def tensordot(a: Any, b: Any, dims: Any = 2, out: Any = None) -> Any:
    """The sum of products over pairs of dimensions: the last `dims` of `a` with the first of `b`, or two lists of them.

    RuntimeError where sizes of a pair differ.
    """
    check_tensor(a, "tensordot", "self")
    check_tensor(b, "tensordot", "other", 2)
    first, second = _pairs(a, b, dims)
    ra, rb = a._array.ndim, b._array.ndim
    one, two = wrap_dims(first, ra, empty_is_all=False), wrap_dims(second, rb, empty_is_all=False)
    for i, j, d, e in zip(one, two, first, second, strict=True):
        n, m = a._array.shape[i], b._array.shape[j]
        if n == 1 and m != 1:
            b = total(b, j, True)
        elif m == 1 and n != 1:
            a = total(a, i, True)
        elif n != m:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {n} in dim {d} and second has size {m} in dim {e}"
            )
    rest1 = [d for d in range(ra) if d not in one]
    rest2 = [d for d in range(rb) if d not in two]
    sa, sb = a._array.shape, b._array.shape
    inner = math.prod([sa[d] for d in one])
    x = shapes.reshape(shapes.permute(a, (*rest1, *one)), math.prod([sa[d] for d in rest1]), inner)
    y = shapes.reshape(shapes.permute(b, (*two, *rest2)), inner, math.prod([sb[d] for d in rest2]))
    result = shapes.reshape(mm(x, y), *[sa[d] for d in rest1], *[sb[d] for d in rest2])
    return result if out is None else store_out(out, result)


def _pairs(a: Any, b: Any, dims: Any) -> tuple[list[int], list[int]]:
    """The dimensions to be contracted, of each tensor."""
    if isinstance(dims, Variable):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a._array.ndim, b._array.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        return list(range(-dims, 0)), list(range(dims))
    first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    return first, second


def kron(input: Any, other: Any, *, out: Any = None) -> Any:
    """Kronecker's product: entry (i·m + k, j·n + l) is aᵢⱼ·bₖₗ, for any number of dimensions."""
    check_tensor(input, "kron")
    check_tensor(other, "kron", "other", 2)
    sa, sb = input._array.shape, other._array.shape
    rank = max(len(sa), len(sb))
    sa, sb = (1,) * (rank - len(sa)) + sa, (1,) * (rank - len(sb)) + sb
    x = shapes.reshape(input, *[n for size in sa for n in (size, 1)])
    y = shapes.reshape(other, *[n for size in sb for n in (1, size)])
    size = tuple([n * m for n, m in zip(sa, sb, strict=True)])
    result = shapes._unsafe_view(arithmetic.mul(x, y), size=size)
    return result if out is None else store_out(out, result)


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """yₒ = ∑ᵢⱼ x1ᵢ·Wₒᵢⱼ·x2ⱼ + bₒ. input1: (…, i); input2: (…, j); weight: (o, i, j); bias: (o)."""
    for position, (value, name) in enumerate(((input1, "input1"), (input2, "input2"), (weight, "weight"))):
        check_tensor(value, "bilinear", name, position + 1)
    s1, s2, (o, i, j) = input1._array.shape, input2._array.shape, weight._array.shape
    _check_bilinear(s1, s2, (o, i, j), None if bias is None else bias._array.shape)
    count = math.prod(s1[:-1])
    table = shapes.reshape(shapes.permute(weight, (1, 0, 2)), i, o * j)
    half = shapes.reshape(mm(shapes.reshape(input1, count, i), table), count, o, j)
    made = _bmm(half, shapes.reshape(input2, count, j, 1))
    result = shapes.reshape(made, *s1[:-1], o)
    return result if bias is None else arithmetic.add(result, bias)


def _check_bilinear(s1: Any, s2: Any, weight: Any, bias: Any) -> None:
    if len(s1) != len(s2):
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {len(s1)} and {len(s2)}")
    for d, (n, m) in enumerate(zip(s1[:-1], s2[:-1], strict=True)):
        if n != m:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match at dim {d}: got {n} and {m}")
    for number, (n, m) in enumerate(((s1[-1], weight[1]), (s2[-1], weight[2]))):
        if n != m:
            raise RuntimeError(
                f"bilinear(): input{number + 1} size does not match weight size: got {n} but expected {m}"
            )
    if bias is not None and bias[0] != weight[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias[0]} but expected {weight[0]}"
        )


# ---- products of several matrices ------------------------------------------------------------------------------------------
def multi_dot(tensors: Any, *, out: Any = None) -> Any:
    """The product of matrices in the cheapest order; the first and the last may be vectors.

    The order is found by dynamic programming over sub-products (Cormen et al., "Introduction to Algorithms", 15.2).
    """
    tensors = list(tensors)
    _check_chain(tensors)
    first, last = tensors[0]._array.ndim == 1, tensors[-1]._array.ndim == 1
    size = (*(() if first else tensors[0]._array.shape[:1]), *(() if last else tensors[-1]._array.shape[1:]))
    if first:
        tensors[0] = shapes.unsqueeze(tensors[0], 0)
    if last:
        tensors[-1] = shapes.unsqueeze(tensors[-1], -1)
    for i, (x, y) in enumerate(pairwise(tensors)):
        if x._array.shape[1] != y._array.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(x._array.shape)} and {list(y._array.shape)} cannot "
                "be multiplied"
            )
    cut = _cheapest([t._array.shape[0] for t in tensors] + [tensors[-1]._array.shape[1]])

    def product(i: int, j: int) -> Any:
        return tensors[i] if i == j else mm(product(i, cut[i, j]), product(cut[i, j] + 1, j))

    result = shapes.view(product(0, len(tensors) - 1), *size)
    return result if out is None else store_out(out, result)


def _check_chain(tensors: list[Any]) -> None:
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    for i, tensor in enumerate(tensors):
        rank = tensor._array.ndim
        if 0 < i < len(tensors) - 1 and rank != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {rank}D")
        if rank not in (1, 2):
            which = "the first" if not i else "the last"
            raise RuntimeError(f"multi_dot(): {which} tensor must be 1D or 2D but got {rank}D")
        if tensor._array.dtype != tensors[0]._array.dtype:
            raise RuntimeError(
                "multi_dot(): all tensors must have be the same dtype but tensor 0 is "
                f"{_c_name(tensors[0]._array)} and tensor {i} {_c_name(tensor._array)}"
            )


def _cheapest(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to cut each chain i…j of matrices (sizes[i] × sizes[i+1]) in two."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    cut: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            costs = [
                cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)
            ]
            cost[i, j] = min(costs)
            cut[i, j] = i + costs.index(cost[i, j])
    return cut


def chain_matmul(*matrices: Any, out: Any = None) -> Any:
    """The product of matrices in the cheapest order (`linalg.multi_dot` of matrices)."""
    if len(matrices) == 1:
        return matrices[0]
    return multi_dot(matrices, out=out)


def matrix_power(input: Any, n: int, *, out: Any = None) -> Any:
    """Aⁿ of square matrices by repeated squaring; for n < 0 the power of the inverse."""
    array = check_tensor(input, "matrix_power")._array
    if array.ndim < 2:
        raise RuntimeError("linalg.matrix_power: The input tensor A must have at least 2 dimensions.")
    if array.shape[-1] != array.shape[-2]:
        raise RuntimeError(
            "linalg.matrix_power: A must be batches of square matrices, but they are "
            f"{array.shape[-2]} by {array.shape[-1]} matrices"
        )
    result = _power(input, n)
    return result if out is None else store_out(out, result)


def _power(a: Any, n: int) -> Any:
    if n < 0:
        from clew.ops.solve import inv

        return inv(a) if n == -1 else _power(inv(a), -n)
    if n == 0:
        return shapes.clone(a).copy_(
            wrap(np.broadcast_to(np.eye(a._array.shape[-1], dtype=a._array.dtype), a._array.shape))
        )
    if n == 1:
        return shapes.clone(a)
    if n == 3:
        return matmul(matmul(a, a), a)
    squares, factors = a, []
    while n:
        if n & 1:
            factors.append(squares)
        n >>= 1
        squares = matmul(squares, squares) if n else squares
    return reduce(matmul, factors)


_trace = Primitive(
    "trace",
    lambda self: np.add.reduce(np.diagonal(self), dtype=self.dtype if self.dtype.kind in "fc" else None),
    {
        "self": lambda xp, g, self_shape: (
            g
            * xp.constant(
                np.eye(
                    *self_shape, dtype=g.dtype if isinstance(g, np.generic | np.ndarray) else g._array.dtype
                )
            )
        )
    },
    jvp="linear",
    explain="the sum of a matrix's diagonal; each entry there gets the gradient",
)


def trace(input: Any) -> Any:
    """∑ Aᵢᵢ of a matrix. RuntimeError for other shapes."""
    array = check_tensor(input, "trace")._array
    if array.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {array.ndim}")
    return _trace(input)
