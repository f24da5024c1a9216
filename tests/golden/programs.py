"""Small programs, one line each, whose results under PyTorch are recorded in programs.json.

A program is an expression over the module `t`, `F` = t.nn.functional and the tensors a, b, … of the shapes given; every
floating tensor requires grad. Compared are values, types, the name of `grad_fn`, and gradients of a fixed cotangent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PROGRAMS: dict[str, str] = {
    "lab": "((a * 3 - 10) ** 2)",
    "chain": "(a.exp().sin() / (b * b + 1)).sqrt().abs()",
    "broadcast": "a * b - b / (a * a + 2)",
    "powers": "(a.abs() + 0.5) ** b",
    "comparison": "(a > b).float() + (a <= 0)",
    "where": "t.where(a > b, a * 2, b.tanh())",
    "clamp": "a.clamp(-0.5, 0.5) + b.clamp(min=0)",
    "maximum": "t.maximum(a, b) - t.minimum(a, b)",
    "activations": "F.relu(a) + F.gelu(a) + F.silu(a) + F.elu(a) + F.softplus(a) + F.leaky_relu(a)",
    "sum": "a.sum() + a.sum(0).sum() + a.sum(-1, keepdim=True).mean()",
    "statistics": "a.mean(1) + a.var(1) * a.std(1)",
    "extremes": "a.max() + a.min() + a.max(1).values.sum() + a.amax(0).sum()",
    "norms": "a.norm() + a.norm(1, dim=1).sum() + a.norm(float('inf'))",
    "logsumexp": "a.logsumexp(1)",
    "softmax": "a.softmax(-1)",
    "log_softmax": "a.log_softmax(0)",
    "cumulative": "a.cumsum(0) * a.cumprod(1)",
    "order": "a.sort(1).values * a.topk(2, dim=1).values.sum()",
    "median": "a.median() + a.median(1).values.sum()",
    "matmul": "a @ b",
    "batched": "t.bmm(a, b)",
    "matmul_broadcast": "a @ b",
    "vectors": "t.dot(a, b) + (a.outer(b)).sum()",
    "einsum": "t.einsum('ij,jk->ki', a, b)",
    "linear": "F.linear(a, b, c)",
    "addmm": "t.addmm(c, a, b, beta=0.5, alpha=2)",
    "views": "a.view(2, 6).t()[1:, ::1].reshape(-1).unsqueeze(0).expand(3, -1)",
    "permute": "a.permute(2, 0, 1).transpose(0, 1).flatten(1)",
    "join": "t.cat([a, b * 2], 0) + t.stack([a, b]).sum(0).repeat(2, 1)",
    "split": "a.split([1, 2], 0)[1] * a.chunk(3, 0)[0]",
    "roll": "a.roll(1, 0).flip(1) + a.tril() + a.triu(1)",
    "index": "a[1:, [0, 2]] * a[a.argmax(0), 0][:2, None]",
    "mask": "a[a > 0].sum() + a.masked_fill(a < 0, 1.5)",
    "gather": "a.gather(1, b)",
    "scatter": "a.scatter_add(1, b, a * a)",
    "embedding": "F.embedding(b, a, padding_idx=1)",
    "in_place": "a.clone().mul_(2).add_(a).exp_()",
    "in_place_view": "[x := a.clone(), x[0].mul_(a[1]), x[:, 1].fill_(2.0), x][-1]",
    "set_item": "[x := a * 1, x.__setitem__((slice(None), 0), a[:, 1] * 3), x][-1]",
    "conv1d": "F.conv1d(a, b, c, stride=2, padding=1)",
    "conv2d": "F.conv2d(a, b, c, padding=1, dilation=1, groups=1)",
    "conv2d_groups": "F.conv2d(a, b, stride=(2, 1), groups=2)",
    "conv_transpose2d": "F.conv_transpose2d(a, b, c, stride=2, padding=1, output_padding=1)",
    "max_pool2d": "F.max_pool2d(a, 2)",
    "avg_pool2d": "F.avg_pool2d(a, 3, stride=1, padding=1)",
    "adaptive_pool": "F.adaptive_avg_pool2d(a, (2, 3))",
    "pad": "F.pad(a, (1, 2), mode='constant', value=0.5)",
    "layer_norm": "F.layer_norm(a, (4,), b, c)",
    "batch_norm": "F.batch_norm(a, None, None, b, c, training=True)",
    "group_norm": "F.group_norm(a, 2, b, c)",
    "cross_entropy": "F.cross_entropy(a, b)",
    "cross_entropy_smooth": "F.cross_entropy(a, b, label_smoothing=0.1, reduction='sum')",
    "nll": "F.nll_loss(a.log_softmax(1), b, reduction='none')",
    "mse": "F.mse_loss(a, b)",
    "bce_logits": "F.binary_cross_entropy_with_logits(a, b.sigmoid())",
    "smooth_l1": "F.smooth_l1_loss(a, b) + F.huber_loss(a, b, delta=0.3) + F.l1_loss(a, b)",
    "attention": "F.scaled_dot_product_attention(a, b, c, is_causal=True)",
    "cosine": "F.cosine_similarity(a, b)",
    "complex_abs": "t.view_as_complex(a).abs()",
    "complex_product": "t.view_as_real(t.view_as_complex(a) * t.view_as_complex(b).conj())",
    "inverse": "t.linalg.inv(a @ a.T + 2 * t.eye(3, dtype=a.dtype))",
    "integers": "t.arange(7) // 2 * 3 % 4",
    "promotion": "t.arange(3) * 2.5 + t.tensor(True)",
}  # fmt: skip

# The shapes of a, b, c where they are not (3, 4) twice; ("i5", shape): integers below 5.
_SHAPES: dict[str, list[Any]] = {
    "lab": [()], "broadcast": [(3, 1), (4,)], "matmul": [(3, 4), (4, 2)], "batched": [(2, 3, 4), (2, 4, 2)],
    "matmul_broadcast": [(2, 1, 3, 4), (3, 4, 2)], "vectors": [(4,), (4,)], "einsum": [(3, 4), (4, 2)],
    "linear": [(5, 4), (3, 4), (3,)], "addmm": [(3, 4), (4, 2), (2,)], "permute": [(2, 3, 4)],
    "gather": [(3, 4), ("i4", (3, 2))], "scatter": [(3, 4), ("i4", (3, 4))], "embedding": [(5, 3), ("i5", (2, 4))],
    "conv1d": [(2, 3, 8), (4, 3, 3), (4,)], "conv2d": [(2, 3, 6, 5), (4, 3, 3, 3), (4,)],
    "conv2d_groups": [(2, 4, 6, 5), (6, 2, 3, 2)], "conv_transpose2d": [(2, 3, 4, 4), (3, 2, 3, 3), (2,)],
    "max_pool2d": [(2, 3, 6, 6)], "avg_pool2d": [(2, 3, 5, 5)], "adaptive_pool": [(2, 3, 5, 7)], "pad": [(2, 3)],
    "layer_norm": [(3, 4), (4,), (4,)], "batch_norm": [(5, 4), (4,), (4,)], "group_norm": [(2, 4, 3), (4,), (4,)],
    "cross_entropy": [(4, 5), ("i5", (4,))], "cross_entropy_smooth": [(4, 5), ("i5", (4,))], "nll": [(4, 5), ("i5", (4,))],
    "attention": [(2, 3, 4), (2, 3, 4), (2, 3, 2)], "complex_abs": [(3, 2)], "complex_product": [(3, 2), (3, 2)],
    "inverse": [(3, 3)], "integers": [], "promotion": [],
}  # fmt: skip


def inputs(module: Any, name: str) -> dict[str, Any]:
    """The tensors a, b, … of a program."""
    rng = np.random.default_rng(sum(map(ord, name)))
    made = {}
    for letter, shape in zip("abcd", _SHAPES.get(name, [(3, 4), (3, 4)]), strict=False):
        if shape and isinstance(shape[0], str):
            array = rng.integers(0, int(shape[0][1:]), shape[1])
            made[letter] = module.tensor(array.tolist())
        else:
            array = np.round(rng.standard_normal(shape), 3)
            made[letter] = (
                module.tensor(array.tolist(), dtype=module.float64).reshape(tuple(shape)).requires_grad_()
            )
    return made


def results(module: Any, name: str) -> dict[str, Any]:
    """What a program gives, as plain data."""
    tensors = inputs(module, name)
    out = eval(PROGRAMS[name], {"t": module, "F": module.nn.functional, **tensors})
    found = {"value": out.tolist(), "dtype": str(out.dtype), "shape": list(out.shape)}
    if out.requires_grad:
        found["grad_fn"] = out.grad_fn.name()
        leaves = {letter: x for letter, x in tensors.items() if x.requires_grad}
        cotangent = module.linspace(0.5, 1.5, out.numel(), dtype=out.dtype).reshape(tuple(out.shape))
        gradients = module.autograd.grad(out, list(leaves.values()), cotangent, allow_unused=True)
        found["gradients"] = {
            k: None if g is None else g.tolist() for k, g in zip(leaves, gradients, strict=True)
        }
    return found
