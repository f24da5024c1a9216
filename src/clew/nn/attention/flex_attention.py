"""Attention whose scores a function of the program changes: softmax(f(Q·Kᵀ/√d, b, h, q, k))·V.

`score_mod(score, b, h, q_idx, kv_idx)` gives another score, `mask_mod(b, h, q_idx, kv_idx)` whether the pair counts; both are
written for one pair and mapped over all of them by `vmap`. A `BlockMask` says which blocks of pairs count at all, so that
a GPU's kernel can leave the others out; here all scores are worked out, and the mask's function alone decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

import numpy as np

from clew.core.variable import wrap
from clew.dtypes import float32, float64
from clew.ops.create import zeros
from clew.ops.elementwise import where
from clew.ops.ranges import arange
from clew.ops.softmax import logsumexp, softmax

__all__ = [
    "AuxOutput", "AuxRequest", "BlockMask", "FlexKernelOptions", "and_masks", "create_block_mask", "create_mask",
    "flex_attention", "noop_mask", "or_masks",
]  # fmt: skip

Function = Callable[..., Any]


class FlexKernelOptions(TypedDict, total=False):
    """Options of a GPU's kernel: accepted, without effect."""

    BACKEND: str
    PRESCALE_QK: bool


class AuxOutput(NamedTuple):
    """What attention gives besides its result."""

    lse: Any = None
    max_scores: Any = None


class AuxRequest(NamedTuple):
    """What attention is asked for besides its result."""

    lse: bool = False
    max_scores: bool = False


# ---- functions of one pair, mapped over all --------------------------------------------------------------------------------
def _mapped(function: Function, scored: bool) -> Function:
    """The function of one pair over (B, H, Q, K) of them: mapped over the keys, the queries, the heads, then the batch."""
    from clew.func import vmap

    first = (0,) if scored else ()
    for dims in ((None, None, None, 0), (None, None, 0, None), (None, 0, None, None), (0, None, None, None)):
        function = vmap(function, in_dims=(*first, *dims))
    return function


def _places(shape: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(arange(n) for n in shape)


def noop_mask(batch: Any, head: Any, token_q: Any, token_kv: Any) -> Any:
    """Every pair counts."""
    return batch.new_ones((), dtype=_bool())


def _bool() -> Any:
    from clew.dtypes import bool_

    return bool_


def _joined(
    name: str, masks: tuple[Function, ...], combine: Callable[[Any, Any], Any], start: bool
) -> Function:
    if not all(callable(mask) for mask in masks):
        raise RuntimeError(f"All inputs should be callable mask_mods: {masks}")

    def joined(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        result = b.new_full((), start, dtype=_bool())
        for mask in masks:
            result = combine(result, mask(b, h, q_idx, kv_idx))
        return result

    joined.__name__ = name
    return joined


def and_masks(*mask_mods: Function) -> Function:
    """Pairs that count for all of the masks."""
    return _joined("and_mask", mask_mods, lambda a, b: a & b, True)


def or_masks(*mask_mods: Function) -> Function:
    """Pairs that count for one of the masks at least."""
    return _joined("or_mask", mask_mods, lambda a, b: a | b, False)


def create_mask(
    mod_fn: Function, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = None
) -> Any:
    """The mask as booleans (B, H, Q, K); of a `score_mod` the scores it makes of zeros."""
    shape = (B or 1, H or 1, Q_LEN, KV_LEN)
    count = mod_fn.__code__.co_argcount if hasattr(mod_fn, "__code__") else 4
    if count == 5:
        return where(
            _mapped(mod_fn, True)(zeros(shape), *_places(shape)) == -math.inf, wrap(np.False_), wrap(np.True_)
        )
    found = _mapped(mod_fn, False)(*_places(shape))
    return found.expand(shape).to(_bool())


# ---- masks by blocks -----------------------------------------------------------------------------------------------------
class BlockMask:
    """Which blocks of (queries, keys) hold pairs that count: some (`kv_…`), or nothing else (`full_kv_…`).

    kv_num_blocks (B, H, rows): how many such blocks a row of blocks has; kv_indices (B, H, rows, columns): which, first.
    q_…: the same by columns. RuntimeError for fewer than two dimensions.
    """

    def __init__(
        self, seq_lengths: tuple[int, int], kv_num_blocks: Any, kv_indices: Any, full_kv_num_blocks: Any, full_kv_indices: Any,
        q_num_blocks: Any, q_indices: Any, full_q_num_blocks: Any, full_q_indices: Any, BLOCK_SIZE: tuple[int, int], mask_mod: Function,
    ) -> None:  # fmt: skip
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        self.seq_lengths = seq_lengths
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self.BLOCK_SIZE, self.mask_mod = BLOCK_SIZE, mask_mod

    @classmethod
    def from_kv_blocks(
        cls, kv_num_blocks: Any, kv_indices: Any, full_kv_num_blocks: Any = None, full_kv_indices: Any = None,
        BLOCK_SIZE: int | tuple[int, int] = 128, mask_mod: Function | None = None, seq_lengths: tuple[int, int] | None = None,
        compute_q_blocks: bool = True,
    ) -> BlockMask:  # fmt: skip
        """The mask whose rows of blocks are listed; the columns follow from them."""
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError("full_kv_num_blocks and full_kv_indices must be both provided or omitted")
        size = _pair(BLOCK_SIZE)
        if seq_lengths is None:
            seq_lengths = (kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1])
        some: list[Any] = [None, None]
        full: list[Any] = [None, None]
        if compute_q_blocks:
            some = _listed(_dense(kv_num_blocks, kv_indices).transpose(-2, -1))
        if compute_q_blocks and full_kv_num_blocks is not None:
            full = _listed(_dense(full_kv_num_blocks, full_kv_indices).transpose(-2, -1))
        return cls(
            seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, some[0], some[1],
            full[0], full[1], size, mask_mod or noop_mask,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, H, Q, K)."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """How many pairs there are."""
        return math.prod(self.shape)

    def to_dense(self) -> Any:
        """1 for every block that holds pairs that count."""
        made = _dense(self.kv_num_blocks, self.kv_indices)
        if self.full_kv_num_blocks is not None:
            made = made | _dense(self.full_kv_num_blocks, self.full_kv_indices)
        return made

    def sparsity(self) -> float:
        """The share, in percent, of pairs that lie in no such block."""
        computed = int(self.to_dense().sum()) * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1]
        return 100 * (1 - computed / self.numel())

    def to(self, device: Any) -> BlockMask:
        """The mask itself: there is one device."""
        return self

    def __getitem__(self, index: Any) -> BlockMask:
        """The mask of some batches and heads."""
        index = tuple(slice(i, i + 1) if isinstance(i, int) and i >= 0 else i for i in np.index_exp[index])
        parts: list[Any] = [
            None if part is None else part[index]
            for part in (self.kv_num_blocks, self.kv_indices, self.full_kv_num_blocks, self.full_kv_indices)
        ]
        return BlockMask.from_kv_blocks(
            parts[0], parts[1], parts[2], parts[3], self.BLOCK_SIZE, self.mask_mod, self.seq_lengths
        )

    def to_string(self, grid_size: Any = None, limit: int = 4) -> str:
        """The blocks as a picture, a line for a row of blocks, of the first `limit` batches and heads."""
        dense, parts = self.to_dense(), []
        for number, place in enumerate(np.ndindex(*dense.shape[:-2])):
            if number == limit:
                parts.append(
                    "...\nTo print out more, set BlockMask.to_string(limit=N)\nYou can also index (BlockMask[batch, head]) to "
                    "choose a specific batch or head"
                )
                break
            rows = ["".join("██" if block else "  " for block in row) for row in dense[place].tolist()]
            parts.append("\n".join([str(place), *rows, ""]))
        return "\n".join(parts).rstrip()

    def __str__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%, \n{self.to_string()}\n)"

    def __repr__(self) -> str:
        names = ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices", "q_num_blocks", "q_indices",
                 "full_q_num_blocks", "full_q_indices")  # fmt: skip
        parts = [f"{n}={None if getattr(self, n) is None else getattr(self, n).shape}" for n in names]
        parts += [f"BLOCK_SIZE={self.BLOCK_SIZE}", f"shape={self.shape}", f"sparsity={self.sparsity():.2f}%"]
        parts.append(f"mask_mod={getattr(self.mask_mod, '__name__', self.mask_mod)}")
        return "BlockMask(\n    " + ",\n    ".join(parts) + "\n)"


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _listed(dense: Any) -> list[Any]:
    """How many blocks of each row are set, and which, those first."""
    blocks = np.asarray(dense._array).astype(np.int32)
    order = np.argsort(-blocks, axis=-1, kind="stable").astype(np.int32)
    return [wrap(blocks.sum(-1, dtype=np.int32)), wrap(order)]


def _dense(number: Any, places: Any) -> Any:
    """1 for the blocks listed."""
    count, index = np.asarray(number._array), np.asarray(places._array)
    made = np.zeros(index.shape, np.int32)
    listed = np.arange(index.shape[-1]) < count[..., None]
    *lead, _ = np.nonzero(listed)
    made[(*lead, index[listed])] = 1
    return wrap(made)


def create_block_mask(
    mask_mod: Function, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = 128, _compile: bool = False, separate_full_blocks: bool = True, **_: Any,
) -> BlockMask:  # fmt: skip
    """The blocks in which `mask_mod` is true somewhere, and those in which it is true everywhere."""
    rows, columns = _pair(BLOCK_SIZE)
    mask = np.asarray(create_mask(mask_mod, B, H, Q_LEN, KV_LEN)._array)
    padded = np.pad(mask, ((0, 0), (0, 0), (0, -Q_LEN % rows), (0, -KV_LEN % columns)))
    b, h, q, k = padded.shape
    counts = padded.reshape(b, h, q // rows, rows, k // columns, columns).sum((3, 5))
    full = (counts == rows * columns) & separate_full_blocks
    some, whole = (
        _listed(wrap((counts > 0) & ~full)),
        _listed(wrap(full)) if separate_full_blocks else [None, None],
    )
    return BlockMask.from_kv_blocks(
        some[0], some[1], whole[0], whole[1], (rows, columns), mask_mod, (Q_LEN, KV_LEN)
    )


# ---- attention -----------------------------------------------------------------------------------------------------------
def _check(query: Any, key: Any, value: Any, block_mask: Any, enable_gqa: bool) -> None:
    if any(t.dim() != 4 for t in (query, key, value)):
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")
    if not enable_gqa and query.shape[1] != key.shape[1]:
        raise ValueError(
            f"Expect query and key/value to have the same number of heads but got Hq={query.shape[1]} and "
            f"Hkv={key.shape[1]}. Try setting enable_gqa=True for GQA."
        )
    if query.shape[1] % key.shape[1]:
        raise ValueError(
            "Expect number of query heads to be a multiple of kv heads for GQA but got "
            f"Hq={query.shape[1]} and Hkv={key.shape[1]}."
        )
    if query.shape[0] != key.shape[0] and (block_mask is None or key.shape[0] != 1):
        raise ValueError(
            "Expect query and key/value to have the same batch size, or non-none block_mask, but got "
            f"block_mask={block_mask}, Bq={query.shape[0]}, and Bkv={key.shape[0]}."
        )
    if block_mask is not None and block_mask.shape[-2:] != (query.shape[-2], key.shape[-2]):
        have = block_mask.shape[-2:]
        if have[0] < query.shape[-2] or have[1] < key.shape[-2]:
            raise ValueError(
                f"block_mask was created for block_mask.shape={block_mask.shape} but got q_len={query.shape[-2]} and "
                f"kv_len={key.shape[-2]}. As the block mask was created for a smaller length than you're using it for, you "
                "likely need to create a new block mask."
            )


def flex_attention(
    query: Any, key: Any, value: Any, score_mod: Function | None = None, block_mask: BlockMask | None = None,
    scale: float | None = None, enable_gqa: bool = False, return_lse: bool = False, kernel_options: Any = None, *,
    return_aux: AuxRequest | None = None,
) -> Any:  # fmt: skip
    """softmax(score_mod(Q·Kᵀ·scale))·V over the pairs that the mask lets count; a query without any gives 0.

    query (B, H, Q, d), key (B, H', K, d), value (B, H', K, e) with H' = H, or H a multiple of it (`enable_gqa`). scale: 1/√d.
    return_lse: also the logarithm of each query's sum of exponentials.
    """
    _check(query, key, value, block_mask, enable_gqa)
    times = query.shape[1] // key.shape[1]
    if times > 1:
        key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
    work = float64 if query.dtype is float64 else float32
    scores = (query @ key.transpose(-2, -1)).to(work)
    scores = scores * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    places = _places(tuple(scores.shape))
    if score_mod is not None:
        scores = _mapped(score_mod, True)(scores, *places).to(work)
    if block_mask is not None:
        scores = where(_mapped(block_mask.mask_mod, False)(*places), scores, -math.inf)
    empty = (scores == -math.inf).all(-1)
    weights = where(empty.unsqueeze(-1), 0.0, softmax(scores, -1))
    out = weights.to(query.dtype) @ value
    wants_lse = return_lse or (return_aux is not None and return_aux.lse)
    if not wants_lse and return_aux is None:
        return out
    lse = where(empty, -math.inf, logsumexp(scores, -1)) if wants_lse else None
    if return_aux is None:
        return out, lse
    if return_aux.max_scores:
        raise NotImplementedError("Returning max scores is not supported on CPU/MPS.")
    return out, AuxOutput(lse, None)
