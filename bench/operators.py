"""`python bench/operators.py [name ...]`: every operator's time against PyTorch's, on a small and on a middle-sized input.

Small: the first sample of PyTorch's own list of operators. Middle: 256 × 256 numbers for what works element by element
and for reductions, and for the rest the inputs written down below. What is more than ten times slower than PyTorch
must be listed with its reason in `SLOWER`.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "operators.md"
ROUNDS = 7
ROUND_SECONDS = 0.002
LIMIT = 10.0  # times slower than PyTorch that need no reason

# Why an operator may be slower than that.
SLOWER: dict[str, str] = {
    "half": "NumPy rounds to float16 by software, a number at a time",
    "special.i1e": "SciPy's kernel takes a number at a time",
    **dict.fromkeys(
        ("randn", "normal", "normal.in_place", "normal.number_mean"),
        "PyTorch's stream of random numbers, remade bit for bit out of array operations",
    ),
    **dict.fromkeys(
        (*[f"polygamma.polygamma_n_{n}" for n in range(5)], "special.polygamma.special_polygamma_n_0"),
        "ψ′ has no kernel of its own in NumPy: fifty calls on a few numbers",
    ),
    **dict.fromkeys(
        ("nn.functional.grid_sample", "grid_sampler_2d", "grid_sampler_3d"),
        "seventy calls of NumPy and more, on a few points",
    ),
    **dict.fromkeys(
        ("native_layer_norm", "native_batch_norm", "_native_batch_norm_legit", "mode", "ormqr"),
        "twenty calls of NumPy and more, on a few numbers",
    ),
}

# Middle-sized inputs, where the operator decides what that is. x, y: 256×256 in (0.1, 0.9); v: 256; k: 256 integers below
# 256; K: 256×256 of them; b: 256×256 booleans; i: 8 images of 16 channels, 32×32; s: 8×16×1024; a: symmetric positive 64×64.
MIDDLE: dict[str, str] = {
    "addmm": "t.addmm(x, x, y)", "addmv": "t.addmv(v, x, v)", "addbmm": "t.addbmm(i[0, 0], i[0], i[1])",
    "baddbmm": "t.baddbmm(i[0], i[0], i[1])", "bmm": "t.bmm(i[0], i[1])", "mm": "x @ y", "matmul": "t.matmul(x, y)",
    "mv": "t.mv(x, v)", "dot": "t.dot(v, v)", "vdot": "t.vdot(v, v)", "addr": "t.addr(x, v, v)", "inner": "t.inner(x, y)",
    "outer": "t.outer(v, v)", "kron": "t.kron(x[:16, :16], y[:16, :16])", "tensordot": "t.tensordot(x, y)",
    "einsum": "t.einsum('ij,jk->ik', x, y)", "cdist": "t.cdist(x[:, :32], y[:, :32])", "cross": "t.cross(x[:, :3], y[:, :3], dim=1)",
    "trace": "t.trace(x)", "tril": "t.tril(x)", "triu": "t.triu(x)", "diag": "t.diag(x)", "diag_embed": "t.diag_embed(v)",
    "cat": "t.cat([x, y])", "stack": "t.stack([x, y])", "hstack": "t.hstack([x, y])", "vstack": "t.vstack([x, y])",
    "chunk": "t.chunk(x, 4)", "split": "t.split(x, 64)", "unbind": "t.unbind(x)", "permute": "x.permute(1, 0)", "reshape": "x.reshape(-1)",
    "transpose": "x.transpose(0, 1)", "expand": "v.expand(256, 256)", "repeat": "v.repeat(256, 1)", "tile": "v.tile((256, 1))",
    "repeat_interleave": "t.repeat_interleave(x, 2)", "flip": "t.flip(x, (0, 1))", "roll": "t.roll(x, 3, 0)", "rot90": "t.rot90(x)",
    "gather": "t.gather(x, 0, K)", "scatter": "t.scatter(x, 0, K, y)", "scatter_add": "t.scatter_add(x, 0, K, y)",
    "scatter_reduce.sum": "t.scatter_reduce(x, 0, K, y, 'sum')", "scatter_reduce.amax": "t.scatter_reduce(x, 0, K, y, 'amax')",
    "scatter_reduce.mean": "t.scatter_reduce(x, 0, K, y, 'mean')", "scatter_reduce.prod": "t.scatter_reduce(x, 0, K, y, 'prod')",
    "index_select": "t.index_select(x, 0, k)", "index_add": "t.index_add(x, 0, k, y)", "index_copy": "t.index_copy(x, 0, k, y)",
    "index_fill": "t.index_fill(x, 0, k, 1.0)", "index_put": "t.index_put(x, (k,), v)", "index_reduce.mean": "t.index_reduce(x, 0, k, y, 'mean')",
    "take": "t.take(x, K)", "take_along_dim": "t.take_along_dim(x, K, 0)", "put": "t.put(x, K, y)", "__getitem__": "x[k]",
    "masked_fill": "x.masked_fill(b, 0.0)", "masked_select": "t.masked_select(x, b)", "masked_scatter": "x.masked_scatter(b, y)",
    "where": "t.where(b, x, y)", "nonzero": "t.nonzero(b)", "sort": "t.sort(x)", "argsort": "t.argsort(x)", "topk": "t.topk(x, 8)",
    "kthvalue": "t.kthvalue(x, 8)", "unique": "t.unique(K)", "unique_consecutive": "t.unique_consecutive(K)", "bincount": "t.bincount(k)",
    "histc": "t.histc(x)", "searchsorted": "t.searchsorted(v.sort().values, x)", "bucketize": "t.bucketize(x, v.sort().values)",
    "cumsum": "t.cumsum(x, 0)", "cumprod": "t.cumprod(x, 1)", "cummax": "t.cummax(x, 1)", "cummin": "t.cummin(x, 0)",
    "logcumsumexp": "t.logcumsumexp(x, 1)", "median": "t.median(x)", "mode": "t.mode(K)", "quantile": "t.quantile(x, 0.3)",
    "logsumexp": "t.logsumexp(x, 1)", "softmax": "x.softmax(1)", "log_softmax": "x.log_softmax(1)", "norm": "t.norm(x)",
    "linalg.inv": "t.linalg.inv(a)", "linalg.det": "t.linalg.det(a)", "linalg.cholesky": "t.linalg.cholesky(a)", "linalg.qr": "t.linalg.qr(a)",
    "linalg.svd": "t.linalg.svd(a)", "linalg.eigh": "t.linalg.eigh(a)", "linalg.eig": "t.linalg.eig(a)", "linalg.solve": "t.linalg.solve(a, a)",
    "linalg.lstsq": "t.linalg.lstsq(a, a)", "linalg.pinv": "t.linalg.pinv(a)", "matrix_exp": "t.matrix_exp(a / 64)",
    "linalg.lu": "t.linalg.lu(a)", "linalg.matrix_power": "t.linalg.matrix_power(a, 5)", "linalg.vector_norm": "t.linalg.vector_norm(x)",
    "linalg.solve_triangular": "t.linalg.solve_triangular(a.triu(), a, upper=True)",
    "fft.fft": "t.fft.fft(x)", "fft.rfft": "t.fft.rfft(x)", "fft.fft2": "t.fft.fft2(x)", "fft.irfft2": "t.fft.irfft2(t.fft.rfft2(x))",
    "stft": "t.stft(x.reshape(-1), 64, window=t.ones(64), return_complex=True)",
    "nn.functional.linear": "F.linear(x, y)", "nn.functional.conv1d": "F.conv1d(s, s[:, :, :3])", "nn.functional.conv2d": "F.conv2d(i, i[:, :, :3, :3])",
    "nn.functional.conv3d": "F.conv3d(i[:, :4].reshape(2, 4, 4, 32, 32), i[:4, :4, :9, 0].reshape(4, 4, 3, 3, 1))",
    "nn.functional.conv_transpose2d": "F.conv_transpose2d(i, i.transpose(0, 1)[:, :, :3, :3].contiguous())",
    "nn.functional.max_pool1d": "F.max_pool1d(s, 2)", "nn.functional.max_pool2d": "F.max_pool2d(i, 2)", "nn.functional.avg_pool2d": "F.avg_pool2d(i, 2)",
    "nn.functional.adaptive_avg_pool2d": "F.adaptive_avg_pool2d(i, 4)", "nn.functional.adaptive_max_pool2d": "F.adaptive_max_pool2d(i, 4)",
    "nn.functional.interpolate.bilinear": "F.interpolate(i, scale_factor=2, mode='bilinear')", "nn.functional.interpolate.nearest": "F.interpolate(i, scale_factor=2)",
    "nn.functional.interpolate.bicubic": "F.interpolate(i, scale_factor=2, mode='bicubic')",
    "nn.functional.grid_sample": "F.grid_sample(i, i[:, :2].permute(0, 2, 3, 1), align_corners=False)",
    "nn.functional.unfold": "F.unfold(i, 3)", "nn.functional.pad.constant": "F.pad(i, (1, 1, 1, 1))", "nn.functional.pad.reflect": "F.pad(i, (1, 1, 1, 1), 'reflect')",
    "nn.functional.batch_norm": "F.batch_norm(i, None, None, training=True)", "nn.functional.layer_norm": "F.layer_norm(x, (256,))",
    "nn.functional.group_norm": "F.group_norm(i, 4)", "nn.functional.instance_norm": "F.instance_norm(i)", "nn.functional.rms_norm": "F.rms_norm(x, (256,))",
    "nn.functional.local_response_norm": "F.local_response_norm(i, 3)", "nn.functional.normalize": "F.normalize(x)",
    "nn.functional.cross_entropy": "F.cross_entropy(x, k)", "nn.functional.nll_loss": "F.nll_loss(x, k)", "nn.functional.mse_loss": "F.mse_loss(x, y)",
    "nn.functional.l1_loss": "F.l1_loss(x, y)", "nn.functional.smooth_l1_loss": "F.smooth_l1_loss(x, y)", "nn.functional.huber_loss": "F.huber_loss(x, y)",
    "nn.functional.binary_cross_entropy": "F.binary_cross_entropy(x, y)", "nn.functional.kl_div": "F.kl_div(x, y)",
    "nn.functional.binary_cross_entropy_with_logits": "F.binary_cross_entropy_with_logits(x, y)",
    "nn.functional.cosine_similarity": "F.cosine_similarity(x, y)", "nn.functional.pairwise_distance": "F.pairwise_distance(x, y)", "nn.functional.pdist": "F.pdist(x[:, :32])",
    "nn.functional.embedding": "F.embedding(K, x)", "nn.functional.embedding_bag": "F.embedding_bag(K, x)", "nn.functional.one_hot": "F.one_hot(k)",
    "nn.functional.scaled_dot_product_attention": "F.scaled_dot_product_attention(i, i, i)", "nn.functional.bilinear": "F.bilinear(x[:, :16], y[:, :16], i[:, :, :16, 0].reshape(8, 16, 16))",
    "nn.functional.ctc_loss": "F.ctc_loss(i.reshape(128, 8, 128).log_softmax(2), k[:160].reshape(8, 20) % 127 + 1, (128,) * 8, (20,) * 8)",
    "nn.functional.dropout": "F.dropout(x)", "nn.functional.glu": "F.glu(x)", "nn.functional.prelu": "F.prelu(x, v)", "nn.functional.pixel_shuffle": "F.pixel_shuffle(i, 4)",
    "bernoulli": "t.bernoulli(x)", "multinomial": "t.multinomial(x, 8)", "randn": "t.randn(256, 256)", "randint": "t.randint(10, (256, 256))", "normal": "t.normal(x, y)",
    "arange": "t.arange(65536)", "linspace": "t.linspace(0, 1, 65536)", "zeros": "t.zeros(256, 256)", "ones": "t.ones(256, 256)", "full": "t.full((256, 256), 1.5)",
    "eye": "t.eye(256)", "meshgrid.variadic_tensors": "t.meshgrid(v, v, indexing='ij')", "isin": "t.isin(K, k)", "clone": "x.clone()", "to": "x.to(t.float64)",
}  # fmt: skip


def inputs(t: Any) -> dict[str, Any]:
    """The names that the expressions above speak of."""
    t.manual_seed(0)
    x, y = t.rand(256, 256) * 0.8 + 0.1, t.rand(256, 256) * 0.8 + 0.1
    a = t.rand(64, 64)
    k = t.randint(256, (256,))
    images = t.rand(8, 16, 32, 32)
    return {
        "t": t, "F": t.nn.functional, "x": x, "y": y, "v": x[0].clone(), "k": k, "K": t.randint(256, (256, 256)),
        "b": x > y, "i": images, "s": t.rand(8, 16, 1024), "a": a @ a.T + t.eye(64) * 64,
    }  # fmt: skip


def middle(name: str, op: Any, t: Any) -> Callable[[], Any] | None:
    """A call on a middle-sized input; None where none is written down."""
    from torch.testing._internal import opinfo

    text = MIDDLE.get(name) or MIDDLE.get(op.name)
    names = inputs(t)
    if text is not None:
        return eval(f"lambda: {text}", names)
    function = call_of(op, t)
    if isinstance(op, (opinfo.core.UnaryUfuncInfo, opinfo.core.ReductionOpInfo)):
        arguments: tuple[Any, ...] = (names["x"],)
    elif isinstance(op, opinfo.core.BinaryUfuncInfo):
        arguments = (names["x"], names["y"])
    else:
        return None
    return lambda: function(*arguments)


def call_of(op: Any, t: Any) -> Callable[..., Any]:
    """The function of an entry in PyTorch or clew."""
    import torch
    from conformance.translate import function

    return op.op if t is torch else function(op.op)


def small(op: Any, t: Any) -> Callable[[], Any] | None:
    """A call on PyTorch's first sample."""
    import torch
    from conformance.runs import Case, samples

    dtype = torch.float32 if torch.float32 in op.dtypes else next(iter(op.dtypes))
    case = Case(op, next(samples(op, dtype, False)))
    function = call_of(op, t)
    args, kwargs = (case.args, case.kwargs) if t is torch else (case.own_args, case.own_kwargs)
    return lambda: function(*args, **kwargs)


def seconds(call: Callable[[], Any]) -> float:
    """The best of some rounds."""
    call()
    start = perf_counter()
    call()
    count = max(1, int(ROUND_SECONDS / max(perf_counter() - start, 1e-7)))
    best = float("inf")
    for _ in range(ROUNDS):
        start = perf_counter()
        for _ in range(count):
            call()
        best = min(best, (perf_counter() - start) / count)
    return best


def measured(names: list[str]) -> Iterator[tuple[str, str, float, float]]:
    """Name, which input, PyTorch's seconds and clew's."""
    import torch
    from conformance.entries import LEFT_OUT, database

    import clew

    for name, op in database().items():
        if name in LEFT_OUT or (names and not any(re.fullmatch(n, name) for n in names)):
            continue
        for size in ("small", "middle"):
            try:
                calls = [small(op, t) if size == "small" else middle(name, op, t) for t in (torch, clew)]
                if calls[0] is None or calls[1] is None:
                    continue
                calls[0]()
            except Exception:  # PyTorch refuses this type or shape
                continue
            try:
                yield name, size, seconds(calls[0]), seconds(calls[1])
            except Exception as error:
                print(f"{name}, {size}: {type(error).__name__}: {error}", file=sys.stderr)


def main() -> int:
    """Exit status 1 where something is slower than it may be and no reason is given."""
    parser = argparse.ArgumentParser(prog="bench/operators.py", description=__doc__)
    parser.add_argument("names", nargs="*", help="regular expressions for whole names; default: all")
    names = parser.parse_args().names
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "oracle")]
    warnings.simplefilter("ignore")
    rows = list(measured(names))
    lines = [
        "| operator | input | PyTorch | clew | PyTorch / clew | |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    slow = []
    for name, size, theirs, ours in rows:
        why = ""
        if ours > LIMIT * theirs:
            why = SLOWER.get(name, "")
            if not why:
                slow.append(f"{name}, {size}: {ours / theirs:.1f} times slower")
        lines.append(
            f"| `{name}` | {size} | {theirs * 1e6:.1f} µs | {ours * 1e6:.1f} µs | {theirs / ours:.2f} | {why} |"
        )
    faster = sum(theirs > ours for _, _, theirs, ours in rows)
    head = f"{len(rows)} measurements; clew is faster in {faster}."
    print("\n".join([*lines, "", head, *slow]))
    if not names:
        about = "Written by `python bench/operators.py`: the best of some rounds, both libraries by turns with one call after another."
        PAGE.write_text("\n".join(["# Operators: time", "", about, "", head, "", *lines]) + "\n")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
