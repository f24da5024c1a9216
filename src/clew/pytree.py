"""Trees: values in nested lists, tuples, dicts and named tuples. None is a leaf."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any


class TreeSpec:
    """The shape of a tree: a container's type, what is needed to make it again, and the shapes of its children."""

    __slots__ = ("children", "context", "kind", "num_leaves")

    num_leaves: int

    def __init__(self, kind: Any, context: Any, children: list[TreeSpec]) -> None:
        self.kind = kind  # None: a leaf
        self.context = context
        self.children = children
        self.num_leaves = 1 if kind is None else sum(child.num_leaves for child in children)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeSpec) and (self.kind, self.context, self.children) == (
            other.kind,
            other.context,
            other.children,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        inner = ", ".join(map(repr, self.children))
        return f"TreeSpec({self.kind.__name__}, {self.context}, [{inner}])"


LEAF = TreeSpec(None, None, [])


def _children(tree: Any) -> tuple[Any, list[Any]] | None:
    """What is needed to make a container again, and its children; None for a leaf."""
    kind = type(tree)
    if kind in (list, tuple):
        return None, list(tree)
    if kind in (dict, OrderedDict):
        return list(tree), list(tree.values())
    if kind is defaultdict:
        return (tree.default_factory, list(tree)), list(tree.values())
    if kind is deque:
        return tree.maxlen, list(tree)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind, list(tree)
    return None


def _made(spec: TreeSpec, children: list[Any]) -> Any:
    """A container from its children."""
    kind, context = spec.kind, spec.context
    if kind in (list, tuple):
        return kind(children)
    if kind in (dict, OrderedDict):
        return kind(zip(context, children, strict=True))
    if kind is defaultdict:
        return defaultdict(context[0], zip(context[1], children, strict=True))
    if kind is deque:
        return deque(children, maxlen=context)
    return kind(*children)


def tree_flatten(tree: Any) -> tuple[list[Any], TreeSpec]:
    """The leaves, left to right, and the shape."""
    leaves: list[Any] = []

    def walk(tree: Any) -> TreeSpec:
        found = _children(tree)
        if found is None:
            leaves.append(tree)
            return LEAF
        return TreeSpec(type(tree), found[0], [walk(child) for child in found[1]])

    spec = walk(tree)
    return leaves, spec


def tree_unflatten(leaves: Any, spec: TreeSpec) -> Any:
    """The tree of a shape with these leaves. ValueError where their number differs."""
    leaves = list(leaves)
    if len(leaves) != spec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but the spec refers to a pytree that holds "
            f"{spec.num_leaves} items ({spec})."
        )
    source: Iterator[Any] = iter(leaves)

    def build(spec: TreeSpec) -> Any:
        return next(source) if spec.kind is None else _made(spec, [build(child) for child in spec.children])

    return build(spec)


def tree_map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """The same tree with a function applied to every leaf (and those of other trees at the same place)."""
    leaves, spec = tree_flatten(tree)
    others = [tree_flatten(other)[0] for other in rest]
    return tree_unflatten([function(*values) for values in zip(leaves, *others, strict=True)], spec)


def tree_leaves(tree: Any) -> list[Any]:
    """The leaves, left to right."""
    return tree_flatten(tree)[0]


def broadcast_to_and_flatten(tree: Any, spec: TreeSpec) -> list[Any] | None:
    """One leaf of `tree` for each leaf of a shape: a leaf of `tree` stands for a whole subtree. None where it does not fit."""
    if spec.kind is None:
        return [tree] if _children(tree) is None else None
    found = _children(tree)
    if found is None:
        return [tree] * spec.num_leaves
    if type(tree) is not spec.kind or len(found[1]) != len(spec.children) or found[0] != spec.context:
        return None
    parts = [
        broadcast_to_and_flatten(child, inner) for child, inner in zip(found[1], spec.children, strict=True)
    ]
    if any(part is None for part in parts):
        return None
    return [value for part in parts for value in part or ()]
