"""Trees, hooks' handles and the older switches of torch.utils beside PyTorch's."""

from __future__ import annotations

import importlib
from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest
from both import same

torch = pytest.importorskip("torch")
Pair = namedtuple("Pair", "a b")
EVERY = {"a": [1, (2, 3)], "b": None, "c": OrderedDict(x=1), "d": defaultdict(list, {1: 2}), "e": deque([1, 2], maxlen=3), "f": Pair(1, [2])}  # fmt: skip


def trees(t):
    return importlib.import_module("torch.utils._pytree" if t is torch else "clew.utils._pytree")


PROGRAMS = {
    "flatten": lambda p: [str(x) for x in p.tree_flatten(EVERY)],
    "again": lambda p: str(p.tree_unflatten(range(11), p.tree_structure(EVERY))),
    "map": lambda p: p.tree_map(lambda x: x + 1, {"a": [1, 2]}),
    "map two": lambda p: p.tree_map(lambda x, y: x + y, [1, (2, 3)], [4, (5, 6)]),
    "map unlike": lambda p: p.tree_map(lambda x, y: x + y, [1, (2, 3)], [4, 5]),
    "map longer": lambda p: p.tree_map(lambda x, y: x + y, [1, 2], [4, 5, 6]),
    "map leaves": lambda p: p.tree_map(str, [1, (2, 3)], is_leaf=lambda x: isinstance(x, tuple)),
    "only": lambda p: p.tree_map_only(int, lambda x: x + 1, [1, "a", 2.0]),
    "only two": lambda p: p.tree_map_only((int, float), lambda x: x + 1, [1, "a", 2.0]),
    "only where": lambda p: p.tree_map_only(lambda x: x == 1, lambda x: x + 1, [1, "a", 2.0]),
    "all and any": lambda p: (
        p.tree_any(lambda x: x > 2, [1, 2]), p.tree_all(lambda x: x > 0, [1, 2]), p.tree_all_only(int, lambda x: x > 1, [1, 2.0]),
        p.tree_any_only(int, lambda x: x > 1, [1, 2.0]),
    ),
    "too few": lambda p: p.tree_unflatten([1, 2], p.tree_structure([1, 2, 3])),
    "no shape": lambda p: p.tree_unflatten([1, 2], 3),
    "leaves": lambda p: (p.tree_leaves([1, (2, None)]), list(p.tree_iter([1, [2]])), p.tree_is_leaf(3), p.tree_is_leaf([3])),
    "paths": lambda p: [(p.keystr(path), value) for path, value in p.tree_flatten_with_path(EVERY)[0]],
    "map paths": lambda p: p.tree_map_with_path(lambda path, x: (p.keystr(path), x), [1, {"a": 2}]),
    "counts": lambda p: (lambda s: (s.num_leaves, s.num_nodes, s.num_children, s.type, s.context, s.is_leaf()))(p.tree_structure([1, [2]])),
    "equal": lambda p: p.tree_structure([1, [2]]) == p.tree_structure([0, [0]]),
    "up to": lambda p: p.tree_structure([1, 2]).flatten_up_to([[1], 2]),
    "broadcast": lambda p: p._broadcast_to_and_flatten((0, None), p.tree_structure((1, [2, 3]))),
    "json": lambda p: (p.treespec_dumps(p.tree_structure([1, (2,)])), str(p.treespec_loads(p.treespec_dumps(p.tree_structure([1, (2,)]))))),
    "stars": lambda p: p.treespec_pprint(p.tree_structure([1, {"a": (2,)}])),
    "named": lambda p: (p.is_namedtuple(Pair(1, 2)), p.is_namedtuple_class(Pair), p.is_namedtuple_instance((1, 2)), p.is_structseq((1,))),
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_trees(program):
    same(lambda t: program(trees(t)))


def test_registered_containers():
    def program(t):
        tree = trees(t)

        class Box:
            def __init__(self, value):
                self.value = value

        tree.register_pytree_node(
            Box, lambda box: ([box.value], "lid"), lambda values, lid: Box((*values, lid))
        )
        doubled = tree.tree_map(lambda x: 2 * x, [Box(3)])
        shape = str(tree.tree_structure(Box([1, 2])))
        with pytest.raises(ValueError) as error:
            tree.register_pytree_node(Box, None, None)
        return doubled[0].value, shape, "is already registered as pytree node." in str(error.value)

    same(program)


def test_handles():
    def program(t):
        hooks = OrderedDict()
        handle = importlib.import_module(f"{'torch' if t is torch else 'clew'}.utils.hooks").RemovableHandle(
            hooks
        )
        hooks[handle.id] = print
        with handle:
            inside = len(hooks)
        return inside, len(hooks)

    same(program)


def test_hooks_that_are_not_saved():
    def program(t):
        hooks = importlib.import_module(f"{'torch' if t is torch else 'clew'}.utils.hooks")
        x = t.ones(2, requires_grad=True)
        x.register_hook(hooks.unserializable_hook(lambda g: g))
        hooks.warn_if_has_hooks(x)
        x.register_hook(report)
        hooks.warn_if_has_hooks(x)

    same(program)


class Report:
    def __call__(self, grad):
        return grad

    def __repr__(self):
        return "<a hook>"


report = Report()


def test_switches():
    def program(t):
        switches = importlib.import_module(f"{'torch' if t is torch else 'clew'}.utils.backcompat")
        before = switches.broadcast_warning.enabled, switches.keepdim_warning.enabled
        switches.broadcast_warning.enabled = True
        after = switches.broadcast_warning.enabled
        switches.broadcast_warning.enabled = False
        return before, after

    same(program)
