"""Trees under PyTorch's names: `torch.utils._pytree`."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, NamedTuple

from clew.pytree import (
    LEAF,
    TreeSpec,
    _children,
    _registered,
    register,
    tree_flatten,
    tree_iter,
    tree_leaves,
    tree_map,
    tree_unflatten,
)
from clew.pytree import broadcast_to_and_flatten as _broadcast_to_and_flatten  # noqa: F401

PyTree = Context = Any
PyTreeSpec = TreeSpec
Leaf = Callable[[Any], bool] | None


def LeafSpec() -> TreeSpec:
    """The shape of a leaf."""
    return LEAF


def register_pytree_node(
    cls: type, flatten_fn: Any, unflatten_fn: Any, *, serialized_type_name: Any = None, to_dumpable_context: Any = None,
    from_dumpable_context: Any = None, flatten_with_keys_fn: Any = None,
) -> None:  # fmt: skip
    """Take a class as a container: flatten_fn(tree) → (children, context), unflatten_fn(children, context) → tree."""
    register(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn)


_register_pytree_node = register_pytree_node


def tree_structure(tree: Any, is_leaf: Leaf = None) -> TreeSpec:
    """The shape of a tree."""
    return tree_flatten(tree, is_leaf)[1]


def tree_is_leaf(tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether a value is no container."""
    return (is_leaf is not None and is_leaf(tree)) or _children(tree) is None


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Leaf = None) -> Any:
    """Call a function on every leaf; the tree itself is returned."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def _among(kinds: Any) -> Callable[[Any], bool]:
    return (
        kinds if callable(kinds) and not isinstance(kinds, type) else lambda value: isinstance(value, kinds)
    )


def map_only(kinds: Any) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """A decorator: the function for values of some types, others as they are."""
    wanted = _among(kinds)
    return lambda func: lambda value: func(value) if wanted(value) else value


def tree_map_only(kinds: Any, func: Callable[[Any], Any], tree: Any, is_leaf: Leaf = None) -> Any:
    """The tree with a function applied to the leaves of some types (or for which a condition holds)."""
    return tree_map(map_only(kinds)(func), tree, is_leaf=is_leaf)


def tree_map_only_(kinds: Any, func: Callable[[Any], Any], tree: Any, is_leaf: Leaf = None) -> Any:
    """Call a function on the leaves of some types; the tree itself is returned."""
    return tree_map_(map_only(kinds)(func), tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether a condition holds for all leaves."""
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether a condition holds for any leaf."""
    return any(map(pred, tree_iter(tree, is_leaf)))


def tree_all_only(kinds: Any, pred: Callable[[Any], bool], tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether a condition holds for all leaves of some types."""
    return all(pred(value) for value in tree_iter(tree, is_leaf) if _among(kinds)(value))


def tree_any_only(kinds: Any, pred: Callable[[Any], bool], tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether a condition holds for any leaf of some types."""
    return any(pred(value) for value in tree_iter(tree, is_leaf) if _among(kinds)(value))


# ---- places in a tree ------------------------------------------------------------------------------------------------------
class SequenceKey(NamedTuple):
    """The place in a list or tuple."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Any) -> Any:
        """What stands there."""
        return sequence[self.idx]


class MappingKey(NamedTuple):
    """The key of a dictionary."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Any) -> Any:
        """What stands there."""
        return mapping[self.key]


class GetAttrKey(NamedTuple):
    """The name of a field."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        """What stands there."""
        return getattr(obj, self.name)


def _keyed(tree: Any, children: list[Any]) -> list[tuple[Any, Any]]:
    """The children of a container with their places."""
    kind = type(tree)
    if kind in (dict, OrderedDict, defaultdict):
        return [(MappingKey(key), child) for key, child in zip(tree, children, strict=True)]
    if kind in _registered:
        with_keys = _registered[kind][2]
        if with_keys is None:
            raise ValueError(f"Did not find a flatten_with_keys_fn for type: {kind}. Please pass a flatten_with_keys_fn argument to register_pytree_node.")  # fmt: skip
        return list(with_keys(tree)[0])
    if hasattr(tree, "_fields"):
        return [(GetAttrKey(name), child) for name, child in zip(tree._fields, children, strict=True)]
    return [(SequenceKey(i), child) for i, child in enumerate(children)]


def tree_leaves_with_path(tree: Any, is_leaf: Leaf = None) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves, each with the way to it."""
    found: list[tuple[tuple[Any, ...], Any]] = []

    def walk(tree: Any, path: tuple[Any, ...]) -> None:
        inner = None if is_leaf is not None and is_leaf(tree) else _children(tree)
        if inner is None:
            found.append((path, tree))
            return
        for key, child in _keyed(tree, inner[1]):
            walk(child, (*path, key))

    walk(tree, ())
    return found


def tree_flatten_with_path(
    tree: Any, is_leaf: Leaf = None
) -> tuple[list[tuple[tuple[Any, ...], Any]], TreeSpec]:
    """The leaves, each with the way to it, and the shape."""
    return tree_leaves_with_path(tree, is_leaf), tree_structure(tree, is_leaf)


def tree_map_with_path(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Leaf = None) -> Any:
    """As `tree_map`; the function gets the way to the leaf first."""
    pairs, spec = tree_flatten_with_path(tree, is_leaf)
    others = [spec.flatten_up_to(other) for other in rests]
    values = [func(path, value, *more) for (path, value), *more in zip(pairs, *others, strict=True)]
    return spec.unflatten(values)


def keystr(kp: tuple[Any, ...]) -> str:
    """The way to a leaf as text, such as `['a'][0].b`."""
    return "".join(map(str, kp))


def key_get(obj: Any, kp: tuple[Any, ...]) -> Any:
    """What stands at the end of a way."""
    for key in kp:
        obj = key.get(obj)
    return obj


# ---- shapes as text --------------------------------------------------------------------------------------------------------
_PLAIN = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in (list, tuple, dict, OrderedDict, deque)}


def treespec_dumps(treespec: TreeSpec, protocol: int | None = None) -> str:
    """A shape as JSON. NotImplementedError for containers other than lists, tuples, dictionaries and deques."""

    def plain(spec: TreeSpec) -> dict[str, Any]:
        name = None if spec.kind is None else f"{spec.kind.__module__}.{spec.kind.__qualname__}"
        if name is not None and name not in _PLAIN:
            raise NotImplementedError(f"No registered serialization name for {spec.kind} found.")
        return {
            "type": name,
            "context": None if spec.kind is None else json.dumps(spec.context),
            "children_spec": [plain(child) for child in spec.children()],
        }

    return json.dumps([1 if protocol is None else protocol, plain(treespec)])


def treespec_loads(serialized: str) -> TreeSpec:
    """A shape from JSON."""

    def build(plain: dict[str, Any]) -> TreeSpec:
        if plain["type"] is None:
            return LEAF
        children = [build(child) for child in plain["children_spec"]]
        return TreeSpec(_PLAIN[plain["type"]], json.loads(plain["context"]), children)

    return build(json.loads(serialized)[1])


class _Star:
    def __repr__(self) -> str:
        return "*"


def treespec_pprint(treespec: TreeSpec) -> str:
    """A shape as the text of a tree of stars."""
    return repr(treespec.unflatten([_Star()] * treespec.num_leaves))


# ---- named tuples ----------------------------------------------------------------------------------------------------------
def is_namedtuple_class(cls: Any) -> bool:
    """Whether a class is a named tuple's."""
    return (
        isinstance(cls, type) and issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)
    )


def is_namedtuple_instance(obj: Any) -> bool:
    """Whether a value is a named tuple."""
    return is_namedtuple_class(type(obj))


def is_namedtuple(obj: Any) -> bool:
    """Whether a value or class is a named tuple's."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


def is_structseq_class(cls: Any) -> bool:
    """Whether a class is a struct sequence's, as C code makes them (`time.struct_time`)."""
    return isinstance(cls, type) and cls.__bases__ == (tuple,) and hasattr(cls, "n_sequence_fields")


def is_structseq_instance(obj: Any) -> bool:
    """Whether a value is a struct sequence."""
    return is_structseq_class(type(obj))


def is_structseq(obj: Any) -> bool:
    """Whether a value or class is a struct sequence's."""
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))


__all__ = [
    "Context", "GetAttrKey", "LeafSpec", "MappingKey", "PyTree", "PyTreeSpec", "SequenceKey", "TreeSpec", "is_namedtuple",
    "is_namedtuple_class", "is_namedtuple_instance", "is_structseq", "is_structseq_class", "is_structseq_instance", "key_get",
    "keystr", "register_pytree_node", "tree_all", "tree_all_only", "tree_any", "tree_any_only", "tree_flatten",
    "tree_flatten_with_path", "tree_is_leaf", "tree_iter", "tree_leaves", "tree_leaves_with_path", "tree_map", "tree_map_",
    "tree_map_only", "tree_map_only_", "tree_map_with_path", "tree_structure", "tree_unflatten", "treespec_dumps",
    "treespec_loads", "treespec_pprint",
]  # fmt: skip
