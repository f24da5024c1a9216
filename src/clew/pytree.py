"""Trees: values in nested lists, tuples, dicts, named tuples, and containers that programs register. None is a leaf."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_registered: dict[type, tuple[Callable[[Any], Any], Callable[[Any, Any], Any], Any]] = {}
_BUILT_IN = (list, tuple, dict, OrderedDict, defaultdict, deque)


class TreeSpec:
    """The shape of a tree: a container's type, what is needed to make it again, and the shapes of its children."""

    __slots__ = ("_children", "_context", "kind", "num_leaves", "num_nodes")

    num_leaves: int
    num_nodes: int

    def __init__(self, type: Any, context: Any, children_specs: list[TreeSpec]) -> None:
        self.kind = type  # None: a leaf
        self._context = context
        self._children = children_specs
        self.num_leaves = 1 if type is None else sum(child.num_leaves for child in children_specs)
        self.num_nodes = 1 + sum(child.num_nodes for child in children_specs)

    @property
    def type(self) -> Any:
        """The container's type (for named tuples: `namedtuple`); None for a leaf."""
        return namedtuple_type if _is_namedtuple(self.kind) else self.kind

    @property
    def context(self) -> Any:
        """What is needed to make the container again besides its children."""
        return self._context

    @property
    def num_children(self) -> int:
        """How many children the container has."""
        return len(self._children)

    def is_leaf(self) -> bool:
        """Whether the tree is a leaf."""
        return self.kind is None

    def children(self) -> list[TreeSpec]:
        """The shapes of the children."""
        return list(self._children)

    def child(self, index: int) -> TreeSpec:
        """The shape of one child."""
        return self._children[index]

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree of this shape with these leaves. ValueError where their number differs."""
        values = list(leaves)
        if len(values) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(values)} but the spec refers to a pytree that holds "
                f"{self.num_leaves} items ({self})."
            )
        source = iter(values)

        def build(spec: TreeSpec) -> Any:
            return next(source) if spec.kind is None else _made(spec, [build(c) for c in spec._children])

        return build(self)

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The subtrees of a tree where this shape has leaves. ValueError where the tree has another shape."""
        if self.kind is None:
            return [tree]
        found = _children(tree)
        if found is None or type(tree) is not self.kind:
            raise ValueError(f"Node type mismatch; expected {self.kind!r}, but got {type(tree)!r}.")
        if len(found[1]) != len(self._children):
            raise ValueError(f"Node arity mismatch; expected {len(self._children)}, but got {len(found[1])}.")
        children = found[1]
        if self.kind in (dict, OrderedDict) and set(tree) == set(self._context):
            children = [tree[key] for key in self._context]
        elif found[0] != self._context:
            raise ValueError(f"Node context mismatch for {self.kind!r}.")
        return [
            part
            for spec, child in zip(self._children, children, strict=True)
            for part in spec.flatten_up_to(child)
        ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeSpec) and (self.kind, self._context, self._children) == (
            other.kind,
            other._context,
            other._children,
        )

    def __hash__(self) -> int:
        return hash((self.kind, repr(self._context), *self._children))

    def __repr__(self) -> str:
        return self._text(0)

    def _text(self, indent: int) -> str:
        if self.kind is None:
            return "*"
        head = f"TreeSpec({self.type.__name__}, {self._context}, ["
        texts = [child._text(indent + 2) for child in self._children]
        return head + (",\n" + " " * (indent + 2)).join(texts) + "])"


class _NamedTuple:
    """What `TreeSpec.type` names for every named tuple."""


namedtuple_type: Any = _NamedTuple
_NamedTuple.__name__ = "namedtuple"
LEAF = TreeSpec(None, None, [])


def register(kind: type, flatten: Any, unflatten: Any, with_keys: Any = None) -> None:
    """Take a class as a container: flatten(tree) → (children, context), unflatten(children, context) → tree."""
    if kind in _registered or kind in _BUILT_IN:
        raise ValueError(f"{kind} is already registered as pytree node.")
    _registered[kind] = flatten, unflatten, with_keys


def _is_namedtuple(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def _children(tree: Any) -> tuple[Any, list[Any]] | None:
    """What is needed to make a container again, and its children; None for a leaf."""
    kind = type(tree)
    if kind in (list, tuple):
        return None, list(tree)
    if kind in (dict, OrderedDict):
        return list(tree), list(tree.values())
    if kind is defaultdict:
        return [tree.default_factory, list(tree)], list(tree.values())
    if kind is deque:
        return tree.maxlen, list(tree)
    if kind in _registered:
        children, context = _registered[kind][0](tree)
        return context, list(children)
    if _is_namedtuple(kind):
        return kind, list(tree)
    return None


def _made(spec: TreeSpec, children: list[Any]) -> Any:
    """A container from its children."""
    kind, context = spec.kind, spec._context
    if kind in (list, tuple):
        return kind(children)
    if kind in (dict, OrderedDict):
        return kind(zip(context, children, strict=True))
    if kind is defaultdict:
        return defaultdict(context[0], zip(context[1], children, strict=True))
    if kind is deque:
        return deque(children, maxlen=context)
    if kind in _registered:
        return _registered[kind][1](children, context)
    return kind(*children)


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves, left to right, and the shape. is_leaf: what else is taken as a leaf."""
    leaves: list[Any] = []

    def walk(tree: Any) -> TreeSpec:
        found = None if is_leaf is not None and is_leaf(tree) else _children(tree)
        if found is None:
            leaves.append(tree)
            return LEAF
        return TreeSpec(type(tree), found[0], [walk(child) for child in found[1]])

    spec = walk(tree)
    return leaves, spec


def tree_unflatten(leaves: Any, treespec: TreeSpec) -> Any:
    """The tree of a shape with these leaves. ValueError where their number differs."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            f"Expected `treespec` to be an instance of PyTreeSpec but got item of type {type(treespec)}."
        )
    return treespec.unflatten(leaves)


def tree_map(
    func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """The same tree with a function applied to every leaf (and to what stands there in other trees)."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [spec.flatten_up_to(other) for other in rests]
    return spec.unflatten([func(*values) for values in zip(leaves, *others, strict=True)])


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves, left to right."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Iterator[Any]:
    """The leaves, one after another."""
    return iter(tree_leaves(tree, is_leaf))


def broadcast_to_and_flatten(
    tree: Any, treespec: TreeSpec, is_leaf: Callable[[Any], bool] | None = None
) -> list[Any] | None:
    """One leaf of `tree` for each leaf of a shape: a leaf of `tree` stands for a whole subtree. None where it does not fit."""
    found = None if is_leaf is not None and is_leaf(tree) else _children(tree)
    if found is None:
        return [tree] * treespec.num_leaves
    if (
        type(tree) is not treespec.kind
        or len(found[1]) != treespec.num_children
        or found[0] != treespec._context
    ):
        return None
    parts = [
        broadcast_to_and_flatten(child, inner, is_leaf)
        for child, inner in zip(found[1], treespec._children, strict=True)
    ]
    if any(part is None for part in parts):
        return None
    return [value for part in parts for value in part or ()]
