"""Derivatives as functions: `grad(f)` is the function x ↦ ∇f(x). They nest, and go together with `backward`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from clew.autograd.backward import grad as autograd_grad
from clew.autograd.forward_ad import moves, started
from clew.autograd.grad_mode import enable_grad
from clew.core.forward import Level
from clew.core.modes import transforms
from clew.core.node import AccumulateGrad, Node
from clew.core.variable import Variable
from clew.ops.create import zeros_like
from clew.ops.join import stack
from clew.pytree import tree_flatten, tree_map, tree_unflatten

Function = Callable[..., Any]


# ---- inputs that are differentiated ------------------------------------------------------------------------------------
def _tracked(tree: Any, own: set[Node]) -> Any:
    """The tree with tensors that gradients are asked of: leaves of their own, or copies that keep their history."""

    def track(value: Any) -> Any:
        if not isinstance(value, Variable):
            return value
        if value.edge() is not None:
            return value.view_as(value)
        leaf = value.detach().requires_grad_()
        own.add(leaf._edge[0])
        return leaf

    return tree_map(track, tree)


def _settled(tree: Any, own: set[Node]) -> Any:
    """The results without history, unless something outside the function takes part in it."""
    return tree_map(lambda v: v.detach() if isinstance(v, Variable) and not _outside(v, own) else v, tree)


def _outside(tensor: Any, own: set[Node]) -> bool:
    """Whether a tensor's history reaches a leaf, or a start of forward mode, that the transform did not make."""
    edge = tensor.edge()
    if edge is None:
        return False
    seen, stack_ = {edge[0]}, [edge[0]]
    while stack_:
        node = stack_.pop()
        if node not in own and (node.__class__ is AccumulateGrad or moves(node)):
            return True
        for following in node.edges:
            if following is not None and following[0] not in seen:
                seen.add(following[0])
                stack_.append(following[0])
    return False


def _chosen(args: tuple[Any, ...], argnums: int | Sequence[int]) -> list[int]:
    """The positions, counted from the front. RuntimeError for one that is not there."""
    positions = [argnums] if isinstance(argnums, int) else list(argnums)
    for position in positions:
        if not -len(args) <= position < len(args):
            raise RuntimeError(f"Got argnum={position}, but only {len(args)} positional inputs")
    return [p % len(args) for p in positions]


def _tensors(tree: Any) -> list[Any]:
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Variable)]


def _whole(func: Function, *args: Any, **kwargs: Any) -> Any:
    """Call a function whose gradients are to have a history: what is compiled inside runs as it was written."""
    transforms.append(func)
    try:
        return func(*args, **kwargs)
    finally:
        transforms.pop()


# ---- reverse mode ------------------------------------------------------------------------------------------------------
def grad_and_value(func: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Function:
    """The function that gives (∇f, f); with has_aux, `f` gives (value, aux) and the result is (∇f, (value, aux)).

    argnums: the arguments to differentiate by. RuntimeError unless `f` gives a scalar tensor.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        positions = _chosen(args, argnums)
        own: set[Node] = set()
        with enable_grad():
            tracked = list(args)
            for p in positions:
                tracked[p] = _tracked(args[p], own)
            output = _whole(func, *tracked, **kwargs)
            aux = None
            if has_aux:
                if not isinstance(output, tuple) or len(output) != 2:
                    raise RuntimeError(
                        "grad_and_value(f)(*args): output of function f should be a tuple: (output, aux) if has_aux is True"
                    )
                output, aux = output
            if not isinstance(output, Variable):
                raise RuntimeError(
                    f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(output)}"
                )
            if output._array.ndim:
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with "
                    f"{output._array.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            wanted = (
                tracked[positions[0]] if isinstance(argnums, int) else tuple(tracked[p] for p in positions)
            )
            leaves, spec = tree_flatten(wanted)
            found = _gradients([output], leaves, None)
        result = tree_unflatten(found, spec)
        value = (output, aux) if has_aux else output
        return _settled(result, own), _settled(value, own)

    return wrapper


def grad(func: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Function:
    """The function ∇f; with has_aux, `f` gives (value, aux) and the result is (∇f, aux)."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return wrapper


def _gradients(outputs: list[Any], leaves: list[Any], weights: Any) -> list[Any]:
    """Gradients with history, zeros where nothing depends on a leaf."""
    roots = [
        (o, None if weights is None else w)
        for o, w in zip(outputs, weights or outputs, strict=True)
        if o.edge() is not None
    ]
    if not roots:
        return [zeros_like(leaf) for leaf in leaves]
    found = autograd_grad(
        [o for o, _ in roots], leaves, None if weights is None else [w for _, w in roots],
        create_graph=True, allow_unused=True,
    )  # fmt: skip
    return [zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)]


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> Any:
    """(f(x), v ↦ vᵀ·J), with has_aux also aux. The second may be called often; it gives one gradient for each primal."""
    own: set[Node] = set()
    with enable_grad():
        tracked = _tracked(primals, own)
        output = _whole(func, *tracked)
        aux = None
        if has_aux:
            if not isinstance(output, tuple) or len(output) != 2:
                raise RuntimeError(
                    "vjp(f, *primals): output of function f should be a tuple: (output, aux) if has_aux is True"
                )
            output, aux = output
    results, spec = tree_flatten(output)
    for result in results:
        if not isinstance(result, Variable):
            raise RuntimeError(
                f"vjp(f, *primals): Expected f(*primals) to return only tensors, got unsupported type {type(result)}"
            )
    leaves, shape = tree_flatten(tracked)

    def wrapper(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        weights, given = tree_flatten(cotangents)
        if given != spec:
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
                f"cotangents: {given}, primal output: {spec}"
            )
        with enable_grad():
            found = tree_unflatten(_gradients(results, leaves, weights), shape)
        return _settled(found, own)

    value = _settled(output, own)
    return (value, wrapper, _settled(aux, own)) if has_aux else (value, wrapper)


# ---- forward mode ------------------------------------------------------------------------------------------------------
def jvp(func: Function, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """(f(x), J·ẋ), with has_aux also aux. `primals` and `tangents` are tuples of the same shape."""
    if not isinstance(primals, tuple):
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    values, spec = tree_flatten(primals)
    along, given = tree_flatten(tangents)
    if spec != given:
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals and tangents to have the same python structure. For example, if "
            f"primals is a tuple of 3 tensors, tangents also must be. Got primals with structure {spec} and tangents with "
            f"structure {given}"
        )
    own: set[Node] = set()
    with enable_grad(), Level() as level:
        moving = [started(level, v, t) for v, t in zip(values, along, strict=True)]
        own.update(m._edge[0] for m in moving)
        output = func(*tree_unflatten(moving, spec))
        aux = None
        if has_aux:
            if not isinstance(output, tuple) or len(output) != 2:
                raise RuntimeError(
                    "jvp(f, primals, tangents): output of function f should be a tuple: (output, aux) if has_aux is True"
                )
            output, aux = output
        results, shape = tree_flatten(output)
        for result in results:
            if not isinstance(result, Variable):
                raise RuntimeError(
                    f"jvp(f, primals, tangents): Expected f(*primals) to return only tensors, got unsupported type {type(result)}"
                )
        found = [level.tangent(result.edge()) for result in results]
        found = [zeros_like(r) if t is None else t for r, t in zip(results, found, strict=True)]
    value, change = _settled(output, own), _settled(tree_unflatten(found, shape), own)
    return (value, change, _settled(aux, own)) if has_aux else (value, change)


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """(f(x), ẋ ↦ J·ẋ)."""

    def change(*tangents: Any) -> Any:
        return jvp(func, primals, tangents)[1]

    return func(*primals), change


# ---- Jacobians ---------------------------------------------------------------------------------------------------------
def jacrev(
    func: Function, argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False, chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Function:  # fmt: skip
    """The function that gives the Jacobian, of shape (output…, input…), row by row in reverse mode."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        positions = _chosen(args, argnums)

        def of_chosen(*chosen: Any) -> Any:
            whole = list(args)
            for p, value in zip(positions, chosen, strict=True):
                whole[p] = value
            return func(*whole, **kwargs)

        made = vjp(of_chosen, *[args[p] for p in positions], has_aux=has_aux)
        output, pull = made[:2]
        results, spec = tree_flatten(output)
        jacobians = []
        for i, result in enumerate(results):
            rows = []
            for j in range(result.numel()):
                weights = [zeros_like(r).detach() for r in results]
                weights[i].view(-1)[j] = 1
                row = pull(tree_unflatten(weights, spec))
                rows.append(row[0] if len(positions) == 1 else row)
            jacobians.append(
                _piled(
                    rows,
                    result,
                    args[positions[0]] if len(positions) == 1 else tuple(args[p] for p in positions),
                )
            )
        if isinstance(argnums, tuple) and len(positions) == 1:
            jacobians = [(j,) for j in jacobians]
        found = tree_unflatten(jacobians, spec)
        return (found, made[2]) if has_aux else found

    return wrapper


def _piled(rows: list[Any], result: Any, like: Any) -> Any:
    """One tree of gradients for each output element as one tree of Jacobians."""
    if not rows:
        return tree_map(lambda leaf: leaf.new_zeros((*result.shape, *leaf.shape)), like)
    return tree_map(lambda *leaves: stack(list(leaves)).reshape(*result.shape, *leaves[0].shape), *rows)


def jacfwd(
    func: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Function:
    """The function that gives the Jacobian, of shape (output…, input…), column by column in forward mode."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        positions = _chosen(args, argnums)
        wanted = args[positions[0]] if isinstance(argnums, int) else tuple(args[p] for p in positions)
        leaves, spec = tree_flatten(wanted)

        def of_leaves(*values: Any) -> Any:
            chosen = tree_unflatten(values, spec)
            whole = list(args)
            for p, value in zip(positions, (chosen,) if isinstance(argnums, int) else chosen, strict=True):
                whole[p] = value
            return func(*whole, **kwargs)

        aux = shape = None
        columns: list[list[Any]] = []
        for i, leaf in enumerate(leaves):
            of_leaf = []
            for j in range(leaf.numel()):
                along = [zeros_like(v).detach() for v in leaves]
                along[i].view(-1)[j] = 1
                made = jvp(of_leaves, tuple(leaves), tuple(along), has_aux=has_aux)
                aux = made[2] if has_aux else None
                changes, shape = tree_flatten(made[1])
                of_leaf.append(changes)
            columns.append(of_leaf)
        if shape is None:
            raise RuntimeError("jacfwd: the inputs have no elements")
        count = next(len(c[0]) for c in columns if c)
        jacobians = []
        for k in range(count):
            parts = [
                stack([change[k] for change in of_leaf], -1).reshape(*of_leaf[0][k].shape, *leaf.shape)
                for of_leaf, leaf in zip(columns, leaves, strict=True)
            ]
            jacobians.append(tree_unflatten(parts, spec))
        found = tree_unflatten(jacobians, shape)
        return (found, aux) if has_aux else found

    return wrapper


def hessian(func: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    """The function that gives the second derivatives: the forward-mode Jacobian of the reverse-mode one."""
    return jacfwd(jacrev(func, argnums), argnums)
