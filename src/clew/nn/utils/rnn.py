"""Sequences of different lengths: padded to one tensor, or packed step by step, the longest first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from clew.core.variable import Variable, wrap
from clew.ops.create import as_tensor, full
from clew.ops.join import cat, stack

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence",
    "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class _Packed(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_Packed):
    """The steps of several sequences one after another: `batch_sizes[t]` of them have a step t.

    data: (Σ lengths, …), all first steps, then all second ones …; sorted_indices: which sequence stands where.
    """

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> Any:
        if batch_sizes is None and isinstance(data, tuple):
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with other elements."""
        return PackedSequence(
            self.data.to(*args, **kwargs), self.batch_sizes, self.sorted_indices, self.unsorted_indices
        )

    def _with(self, method: str) -> PackedSequence:
        return PackedSequence(
            getattr(self.data, method)(), self.batch_sizes, self.sorted_indices, self.unsorted_indices
        )

    def double(self) -> PackedSequence:
        """In float64."""
        return self._with("double")

    def float(self) -> PackedSequence:
        """In float32."""
        return self._with("float")

    def cpu(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The sequence itself."""
        return self

    def pin_memory(self) -> PackedSequence:
        """The sequence itself."""
        return self

    @property
    def is_cuda(self) -> bool:
        """False."""
        return False

    def is_pinned(self) -> bool:
        """False."""
        return False


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes another."""
    return None if permutation is None else wrap(np.argsort(permutation.numpy()))


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack sequences padded to one tensor (T, B, …). lengths: of each; longest first unless enforce_sorted is False.

    RuntimeError for lengths that are not sorted, not positive, or not as many as sequences.
    """
    counts = [int(n) for n in (lengths.tolist() if isinstance(lengths, Variable) else lengths)]
    order = None
    if not enforce_sorted:
        order = sorted(range(len(counts)), key=lambda i: -counts[i])
        counts = [counts[i] for i in order]
    if batch_first:
        input = input.transpose(0, 1)
    if len(counts) != input.shape[1]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(counts)} (batch_size={input.shape[1]})"
        )
    if any(n <= 0 for n in counts):
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if any(a < b for a, b in pairwise(counts)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not "
            "need ONNX exportability."
        )
    if order is not None:
        input = input.index_select(1, as_tensor(order))
    sizes = [sum(n > t for n in counts) for t in range(counts[0])]
    data = cat([input[t, :size] for t, size in enumerate(sizes)])
    return PackedSequence(data, as_tensor(sizes), None if order is None else as_tensor(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:  # fmt: skip
    """(padded tensor, lengths): the inverse of `pack_padded_sequence`. total_length: pad to at least this."""
    sizes = sequence.batch_sizes.tolist()
    if total_length is not None and total_length < len(sizes):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {len(sizes)}"
        )
    data, batch = sequence.data, sizes[0]
    rows = []
    for step, size in zip(data.split(sizes), sizes, strict=True):
        more = full((batch - size, *data.shape[1:]), padding_value, dtype=data.dtype)
        rows.append(cat([step, more]) if size < batch else step)
    padded = stack(rows)
    if total_length is not None and total_length > len(sizes):
        padded = cat(
            [
                padded,
                full((total_length - len(sizes), batch, *data.shape[1:]), padding_value, dtype=data.dtype),
            ]
        )
    lengths = as_tensor([sum(size > i for size in sizes) for i in range(batch)])
    back = sequence.unsorted_indices
    if back is not None:
        padded, lengths = padded.index_select(1, back), lengths[back]
    return padded.transpose(0, 1) if batch_first else padded, lengths


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """Tensors (Tᵢ, …) as one (T, B, …), or (B, T, …), padded at the end (or `padding_side="left"`)."""
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    if not isinstance(sequences, (list, tuple)):
        if not isinstance(sequences, Variable):
            raise RuntimeError(
                f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
            )
        sequences = sequences.unbind(0)
    longest = max(s.shape[0] for s in sequences)
    rows = []
    for sequence in sequences:
        more = full(
            (longest - sequence.shape[0], *sequence.shape[1:]), padding_value, dtype=sequences[0].dtype
        )
        rows.append(
            cat([sequence, more] if padding_side == "right" else [more, sequence])
            if more.shape[0]
            else sequence
        )
    return stack(rows, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The tensors of different lengths again."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [row[:n] for row, n in zip(padded_sequences, lengths.tolist(), strict=True)]


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Pack tensors (Tᵢ, …)."""
    lengths = as_tensor([s.shape[0] for s in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """The tensors of a packed sequence."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))
