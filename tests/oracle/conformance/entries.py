"""The operators of PyTorch's list, and those left out on purpose."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import torch

# Left out, and why: the remainder that the page lists.
REASONS = {
    "jiterator": "compiles CUDA source at run time; there is no CPU form",
    "sparse": "clew has dense tensors only: no sparse layouts",
    "private": "a private entry of the dispatcher, which no program calls by name",
    "backward": "the kernel of a derivative, not a function that programs call: clew writes derivatives as formulas",
    "float8": "needs 8-bit floats, which clew does not have",
    "triton": "a GPU kernel",
    "complex32": "makes complex numbers of two 16-bit floats, which NumPy does not have",
}
LEFT_OUT = {
    "jiterator_unary": "jiterator",
    "jiterator_binary": "jiterator",
    "jiterator_4inputs_with_extra_args": "jiterator",
    "jiterator_binary_return_by_ref": "jiterator",
    "jiterator_2inputs_2outputs": "jiterator",
    "sparse.sampled_addmm": "sparse",
    "sparse.mm.reduce": "sparse",
    "to_sparse": "sparse",
    "torch._scaled_mm": "float8",
    "torch._scaled_mm_v2": "float8",
    "torch.ops.aten._flash_attention_forward": "private",
    "torch.ops.aten._efficient_attention_forward": "private",
    "torch.ops.aten._safe_softmax.default": "private",
    "slice": "private",
    "_batch_norm_with_update": "private",
    "_upsample_bilinear2d_aa": "private",
    "bmm.triton_optimized": "triton",
    "chalf": "complex32",
    "_softmax_backward_data": "backward",
    "native_dropout_backward": "backward",
    "max_pool2d_with_indices_backward": "backward",
}


def full_name(op: Any) -> str:
    """The entry's name with its variant."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


@functools.cache
def database() -> dict[str, Any]:
    """Every entry of `op_db` by its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return {full_name(op): op for op in op_db}


def main_dtype(op: Any) -> torch.dtype | None:
    """float64, or for an entry without it the widest type that it has."""
    for dtype in (torch.float64, torch.complex128, torch.int64, torch.float32, torch.bool):
        if dtype in op.dtypes:
            return dtype
    return None
