"""Whether an object of PyTorch's and one of clew's are the same, types and memory layout included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import values

import clew

torch = pytest.importorskip("torch")


def same_object(theirs: Any, ours: Any, where: str = "object") -> None:
    """Fail where they differ."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, clew.Tensor), where
        assert type(theirs).__name__ == type(ours).__name__, where
        (name, want), (own, have) = values(theirs), values(ours)
        assert name == own, where
        np.testing.assert_array_equal(np.asarray(have, want.dtype), want, err_msg=where)
        assert theirs.requires_grad == ours.requires_grad, where
        if theirs.numel():
            assert (tuple(theirs.stride()), theirs.storage_offset()) == (
                tuple(ours.stride()),
                ours.storage_offset(),
            ), where
    elif isinstance(theirs, dict):
        assert list(theirs) == list(ours), where
        assert type(theirs).__name__ == type(ours).__name__, where
        for key in theirs:
            same_object(theirs[key], ours[key], f"{where}[{key!r}]")
    elif isinstance(theirs, (list, tuple)) and not isinstance(theirs, torch.Size):
        assert type(theirs) is type(ours) and len(theirs) == len(ours), where
        for i, (a, b) in enumerate(zip(theirs, ours, strict=True)):
            same_object(a, b, f"{where}[{i}]")
    elif isinstance(theirs, (torch.Size, torch.dtype, torch.device)):
        assert repr(theirs) == repr(ours), where
    else:
        assert theirs == ours and type(theirs) is type(ours), where
