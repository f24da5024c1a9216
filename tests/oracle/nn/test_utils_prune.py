"""Pruning beside PyTorch's: masks, names, random numbers, errors."""

from __future__ import annotations

import pytest
from both import collect, same

torch = pytest.importorskip("torch")
pytest.importorskip("torch.nn.utils.prune")  # torch.nn.utils does not import it


def linear(t, *sizes):
    t.manual_seed(0)
    return t.nn.Linear(*(sizes or (5, 4)))


def report(t, module):
    module(t.ones(1, module.in_features)).sum().backward()
    hooks = [type(hook).__name__ for hook in module._forward_pre_hooks.values()]
    return (
        repr(module), list(module.state_dict().items()), [n for n, _ in module.named_parameters()], module.weight,
        t.nn.utils.prune.is_pruned(module), hooks, [p.grad for p in module.parameters()],
    )  # fmt: skip


GOOD = {
    "identity": lambda p, m, t: p.identity(m, "weight"),
    "l1 count": lambda p, m, t: p.l1_unstructured(m, "weight", 2),
    "l1 fraction": lambda p, m, t: p.l1_unstructured(m, "weight", 0.3),
    "l1 scores": lambda p, m, t: p.l1_unstructured(m, "weight", 7, importance_scores=t.arange(20.0).view(4, 5)),
    "random": lambda p, m, t: p.random_unstructured(m, "weight", 0.5),
    "none": lambda p, m, t: p.random_unstructured(m, "weight", 0),
    "random rows": lambda p, m, t: p.random_structured(m, "weight", 0.5, 0),
    "random columns": lambda p, m, t: p.random_structured(m, "weight", 2, -1),
    "norm columns": lambda p, m, t: p.ln_structured(m, "weight", 2, 2, 1),
    "norm rows": lambda p, m, t: p.ln_structured(m, "weight", 0.5, float("-inf"), 0),
    "mask": lambda p, m, t: p.custom_from_mask(m, "weight", t.ones(4, 5).tril()),
    "twice": lambda p, m, t: p.l1_unstructured(p.random_unstructured(m, "weight", 0.5), "weight", 3),
    "thrice": lambda p, m, t: p.ln_structured(
        p.l1_unstructured(p.random_unstructured(m, "weight", 0.3), "weight", 3), "weight", 1, 1, 0
    ),
    "removed": lambda p, m, t: p.remove(p.l1_unstructured(m, "weight", 2), "weight"),
}  # fmt: skip


@pytest.mark.parametrize("prune", GOOD.values(), ids=GOOD)
def test_pruned(prune):
    same(lambda t: report(t, prune(t.nn.utils.prune, linear(t), t)))


BAD = {
    "not pruned": lambda p, m, t: p.remove(m, "weight"),
    "too many": lambda p, m, t: p.l1_unstructured(m, "weight", 30),
    "negative": lambda p, m, t: p.l1_unstructured(m, "weight", -2),
    "fraction": lambda p, m, t: p.random_structured(m, "weight", 1.5, 0),
    "type": lambda p, m, t: p.ln_structured(m, "weight", "a", 2, 0),
    "dim": lambda p, m, t: p.ln_structured(m, "weight", 1, 2, 5),
    "vector": lambda p, m, t: p.ln_structured(m, "bias", 1, 2, 0),
    "scores": lambda p, m, t: p.l1_unstructured(m, "weight", 1, importance_scores=t.ones(3)),
    "abstract": lambda p, m, t: p.BasePruningMethod(),
    "structured": lambda p, m, t: p.global_unstructured([(m, "weight")], p.LnStructured, amount=2, n=2),
    "no pairs": lambda p, m, t: p.global_unstructured(3, p.L1Unstructured, amount=2),
    "no method": lambda p, m, t: p.PruningContainer().add_pruning_method(3),
    "no name": lambda p, m, t: p.PruningContainer(p.L1Unstructured(2)),
}  # fmt: skip


@pytest.mark.parametrize("prune", BAD.values(), ids=BAD)
def test_refused(prune):
    same(lambda t: prune(t.nn.utils.prune, linear(t), t))


def test_a_failed_pruning_leaves_the_module_as_it_was():
    def program(t):
        module = linear(t)
        try:
            t.nn.utils.prune.l1_unstructured(module, "weight", 30)
        except ValueError:
            return report(t, module)

    same(program)


def p_global(t):
    first, second = linear(t), t.nn.Linear(2, 2)
    prune = t.nn.utils.prune
    pairs = [(first, "weight"), (second, "weight")]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.5)
    once = first.weight_mask, second.weight_mask
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=4)
    return once, first.weight_mask, second.weight_mask


def p_global_scores(t):
    first, second = linear(t), t.nn.Linear(2, 2)
    prune = t.nn.utils.prune
    scores = {(first, "weight"): t.arange(20.0).view(4, 5)}
    prune.global_unstructured(
        [(first, "weight"), (second, "weight")], prune.L1Unstructured, importance_scores=scores, amount=5
    )
    return first.weight_mask, second.weight_mask


def p_method_without_module(t):
    prune, x, mask = t.nn.utils.prune, t.tensor([1.0, 2.0, 3.0, 4.0]), t.tensor([1.0, 0.0, 1.0, 1.0])
    return prune.L1Unstructured(0.5).prune(x, default_mask=mask), prune.L1Unstructured(2).compute_mask(
        x, mask
    )


def p_own_method(t):
    prune = t.nn.utils.prune

    class EverySecond(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    module = linear(t)
    EverySecond.apply(module, "weight")
    prune.ln_structured(module, "weight", 1, 2, 0)
    return report(t, module)


def p_container(t):
    prune = t.nn.utils.prune
    module = prune.l1_unstructured(prune.random_unstructured(linear(t), "weight", 0.5), "weight", 3)
    (container,) = module._forward_pre_hooks.values()
    return (
        len(container),
        [type(m).__name__ for m in container],
        type(container[0]).__name__,
        container._tensor_name,
    )


@collect(globals())
def test_programs(program):
    same(program)
