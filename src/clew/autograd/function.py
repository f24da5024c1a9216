"""`Function`: an operation whose derivative one writes oneself.

The context `ctx` that `forward` and `backward` share is the graph's node itself: what is stored on it lives as long as
the graph does.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from clew.autograd.grad_mode import no_grad
from clew.core.errors import raise_freed, raise_modified
from clew.core.inplace import REFUSALS, View, rebase
from clew.core.modes import is_grad_enabled, observe, observers, switches
from clew.core.node import AccumulateGrad, Edge, Freed, Node, next_seq, user_place
from clew.core.primitive import Primitive, watch
from clew.core.variable import Variable, wrap

NO_BACKWARD = (
    "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward "
    "mode AD."
)
NO_FORWARD = "You must implement the forward function for custom autograd.Function."
LEGACY = (
    "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function with "
    "static forward method. (Example: https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
)
WRONG_TANGENT = (
    "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
    "supported. Tensor is of size {} while the given forward gradient is of size {}."
)
LEAF_WRITTEN = "a leaf Variable that requires grad has been used in an in-place operation."


class _Custom:
    """What the engine asks of a primitive, for nodes whose formula is the user's."""

    joint = True  # never the plain way: `BackwardCFunction.pull` runs `backward`
    formulas = ()
    saved_names = ()
    inputs = ()

    def __init__(self, single: bool, frees: bool) -> None:
        self.single = single
        self.frees = frees

    def saved_attributes(self) -> tuple[str, ...]:
        return ()

    def saved_attribute(self, node: Any, attribute: str) -> Any:
        raise AttributeError(f"'{node.name()}' object has no attribute '{attribute}'")

    def saved_owner(self, node: Any, index: int) -> tuple[Any, Edge | None]:
        tensor = node.saved_tensor(index, checked=False)
        return tensor._array, tensor._edge


_CUSTOM: dict[tuple[bool, bool], Any] = {
    (single, frees): _Custom(single, frees) for single in (True, False) for frees in (True, False)
}


class FunctionCtx(Node):
    """The context of one application."""

    __slots__ = ("__dict__",)

    function: ClassVar[type[Function]]
    tensor_inputs: tuple[bool, ...]  # which arguments of `apply` are tensors
    needs_input_grad: tuple[bool, ...]  # which arguments want a gradient
    differentiable: tuple[int, ...]  # which outputs have one
    materialize_grads: bool
    to_save: tuple[Any, ...]
    dirty_tensors: tuple[Any, ...]
    non_differentiable: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"<torch.autograd.function.{self.name()} object at {id(self):#x}>"

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors for `backward`, guarded against writes in between. Only inputs and outputs need this."""
        self.to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for `jvp`."""
        for tensor in tensors:
            if not isinstance(tensor, Variable) and tensor is not None:
                raise TypeError(
                    "save_for_forward expects all arguments to be tensors; you should save non-tensors as attributes on ctx."
                )
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Any) -> None:
        """Say which inputs `forward` wrote to. They must be returned too."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args: Any) -> None:
        """Say which outputs have no gradient."""
        self.non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros for outputs without gradient (the default), or None."""
        self.materialize_grads = value

    def mark_shared_storage(self, *pairs: Any) -> None:
        """Deprecated by PyTorch and without effect."""
        warnings.warn(
            "mark_shared_storage is deprecated. Tensors with shared storages are automatically tracked. Note that calls to "
            "`set_()` are not tracked",
            FutureWarning,
            stacklevel=2,
        )


class BackwardCFunction(FunctionCtx):
    """The context as the graph's node."""

    __slots__ = ()

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept (in `jvp`: `save_for_forward`). RuntimeError where it was freed, or written to
        since."""
        if "pushing" in self.__dict__:
            return self.saved_for_forward
        if self.saved.__class__ is Freed:
            raise_freed(self)
        return tuple(self.saved_tensor(i) for i in range(len(self.saved)))

    saved_variables = saved_tensors

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        return tuple(
            (None, 0) if edge is None else edge
            for edge, given in zip(self.edges, self.tensor_inputs, strict=True)
            if given
        )

    def saved_tensor(self, index: int, checked: bool = True) -> Any:
        """One of the saved tensors, as it hangs in the graph."""
        value = self.saved[index]
        if value is None:
            return None
        kind, held, watched = value
        if checked and watched is not None and watched[0].n != watched[1]:
            raise_modified(self)
        if kind == "packed":
            return held[1](held[0])
        if kind == "output":
            array, number = held
            return wrap(array, (self, number) if number in self.differentiable else None)
        return held

    def _keep(self, outputs: Sequence[Any]) -> None:
        """Put the tensors to save into the node: outputs as arrays (no circle), inputs as they are."""
        for i, tensor in enumerate(self.to_save):
            if tensor is not None and not isinstance(tensor, Variable):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type {type(tensor).__name__}"
                )
        saved: list[Any] = []
        versions = []
        for tensor in self.to_save:
            if tensor is None:
                saved.append(None)
                continue
            number = next((i for i, out in enumerate(outputs) if out is tensor), None)
            watched = watch(tensor)
            if switches.saved_hooks:
                pack, unpack = switches.saved_hooks[-1]
                with no_grad():
                    saved.append(
                        ("packed", (pack(tensor.detach() if number is not None else tensor), unpack), None)
                    )
                continue
            versions.append(watched)
            saved.append(
                ("output", (tensor._array, number), watched)
                if number is not None
                else ("input", tensor, watched)
            )
        self.saved = tuple(saved)
        self.versions = tuple(versions)
        del self.to_save

    def fill(self, gs: Sequence[Any]) -> tuple[Any, ...]:
        return super().fill(gs) if self.materialize_grads else tuple(gs)

    def pull(self, xp: Any, g: Any, wanted: Sequence[bool], record: bool) -> Sequence[Any]:
        """Run the user's `backward`."""
        gs = tuple(g) if self.outputs > 1 else (g,)
        tensors = tuple(None if v is None else v if isinstance(v, Variable) else wrap(v) for v in gs)
        before = switches.grad
        switches.grad = record
        switches.note()
        try:
            result = self._backward()(self, *tensors)
        finally:
            switches.grad = before
            switches.note()
        return self._checked(result if isinstance(result, tuple) else (result,), record)

    def push(self, along: Sequence[Any]) -> Sequence[Any]:
        """The tangents of the outputs: the user's `jvp`, which gets None for what does not change."""
        self.pushing = True
        try:
            result = self.function.jvp(self, *along)
        finally:
            del self.pushing
        found = result if isinstance(result, tuple) else (result,)
        for tangent, (shape, _) in zip(found, self.more().shapes, strict=True):
            if tangent is not None and tangent._array.shape != shape:
                raise RuntimeError(WRONG_TANGENT.format(list(shape), list(tangent._array.shape)))
        return found

    def _backward(self) -> Callable[..., Any]:
        function = self.function
        custom = function.backward is not Function.backward
        if custom and function.vjp is not Function.vjp:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one "
                "of them."
            )
        return function.backward if custom else function.vjp

    def _checked(self, gradients: tuple[Any, ...], record: bool) -> list[Any]:
        """The gradients with the right number, type and shape."""
        name, count = self.name(), len(self.edges)
        if len(gradients) > count and all(g is None for g in gradients[count:]):
            gradients = gradients[:count]
        if len(gradients) != count:
            raise RuntimeError(
                f"function {name} returned an incorrect number of gradients (expected {count}, got {len(gradients)})"
            )
        found: list[Any] = []
        for i, (gradient, edge, given) in enumerate(
            zip(gradients, self.edges, self.tensor_inputs, strict=True)
        ):
            if gradient is not None and not given:
                raise RuntimeError(
                    f"function {name} returned a gradient different than None at position {i + 1}, but the corresponding "
                    "forward input was not a Variable"
                )
            if gradient is None or edge is None:
                found.append(None)
                continue
            if not isinstance(gradient, Variable):
                raise RuntimeError(f"expected Variable or None (got {type(gradient).__name__})")
            self._check_shape(i, gradient)
            found.append(gradient if record else gradient._array)
        return found

    def _check_shape(self, index: int, gradient: Any) -> None:
        assert self.metas is not None
        want, have = self.metas[index][0], gradient._array.shape  # type: ignore[index]
        if have != want:
            try:
                fits = len(have) >= len(want) and np.broadcast_shapes(want, have) == have
            except ValueError:
                fits = False
            if not fits:
                raise RuntimeError(
                    f"Function {self.name()} returned an invalid gradient at index {index} - got {list(have)} but expected "
                    f"shape compatible with {list(want)}"
                )


class FunctionMeta(type):
    """Gives every Function its class of nodes, named as PyTorch names it (`ExpBackward`)."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        members = {"__slots__": (), "function": cls, "several": {}, "__module__": cls.__module__}
        cls._backward_cls = type(name + "Backward", (BackwardCFunction,), members)


class Function(metaclass=FunctionMeta):
    """Base of operations with a derivative of one's own.

        class Exp(Function):
            @staticmethod
            def forward(ctx, x):
                y = x.exp()
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx, g):
                (y,) = ctx.saved_tensors
                return g * y

        Exp.apply(x)

    `backward` gets a gradient for each output and returns one for each argument of `forward` (None where there is none).
    Instead of `ctx` in `forward`, `setup_context(ctx, inputs, output)` may be defined.
    """

    _backward_cls: ClassVar[type[BackwardCFunction]]
    generate_vmap_rule = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should invoke "
            "them on the class itself. Instantiating an autograd function will raise an error in a future version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(LEGACY)

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The operation."""
        raise NotImplementedError(NO_FORWARD)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keep on `ctx` what `backward` needs."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of the arguments from those of the outputs."""
        raise NotImplementedError(NO_BACKWARD)

    @staticmethod
    def vjp(ctx: Any, *grad_outputs: Any) -> Any:
        """Another name of `backward`."""
        raise NotImplementedError(NO_BACKWARD)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The forward-mode derivative."""
        raise NotImplementedError("You must implement the jvp function for custom autograd.Function to use it with forward mode AD.")  # fmt: skip

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """The batched operation."""
        raise NotImplementedError("To use autograd.Function with vmap, you must either override the vmap staticmethod or set generate_vmap_rule=True.")  # fmt: skip

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` and record it."""
        if "forward" in cls.__dict__ and not isinstance(cls.__dict__["forward"], (staticmethod, classmethod)):
            raise RuntimeError(LEGACY)
        node = _new_node(cls, args)
        separate = cls.setup_context is not Function.setup_context
        recorded = is_grad_enabled() and any(node.needs_input_grad)
        with no_grad():
            if separate:
                output = cls.forward(*args, **kwargs)
                cls.setup_context(node, args, output)
            else:
                output = cls.forward(node, *args, **kwargs)
        single = not isinstance(output, tuple)
        outputs = [output] if single else list(output)
        results = _hang(node, args, outputs, recorded)
        return results[0] if single else tuple(results)


class InplaceFunction(Function):
    """An older base class, kept for programs that name it."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


NestedIOFunction = Function


def _new_node(cls: type[Function], args: tuple[Any, ...]) -> Any:
    node: Any = cls._backward_cls()
    node.primitive = _CUSTOM[True, False]
    tensors = tuple(isinstance(a, Variable) for a in args)
    node.tensor_inputs = tensors
    node.edges = tuple(a.edge() if t else None for a, t in zip(args, tensors, strict=True))
    node.needs_input_grad = tuple(e is not None for e in node.edges)
    node.metas = tuple(
        (a._array.shape, a._array.dtype) if t else None for a, t in zip(args, tensors, strict=True)
    )
    node.seq = next_seq()
    node.code, node.lasti = user_place(3)
    node.extras = None
    node.saved = node.versions = ()
    node.to_save = node.dirty_tensors = node.non_differentiable = ()
    node.materialize_grads = True
    node.differentiable = ()
    return node


def _hang(node: Any, args: tuple[Any, ...], outputs: list[Any], recorded: bool) -> list[Any]:
    """Give the outputs their place in the graph."""
    dirty = {id(t) for t in node.dirty_tensors}
    no_gradient = {id(t) for t in node.non_differentiable}
    given = {id(a): a for a in args if isinstance(a, Variable)}
    for tensor in node.dirty_tensors:
        if recorded and tensor._edge is not None and tensor._edge[0].__class__ is AccumulateGrad:
            raise RuntimeError(LEAF_WRITTEN)
        tensor.written()
    if dirty - {id(out) for out in outputs}:
        raise RuntimeError(
            "Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
            "modified inplace must all be outputs of the Function."
        )
    node.dirty_tensors = (
        node.non_differentiable
    ) = ()  # they will hang on the node: holding them would close a circle
    differentiable = []
    results = []
    for i, out in enumerate(outputs):
        if not isinstance(out, Variable):
            results.append(out)
            continue
        wants = recorded and id(out) not in no_gradient and out._array.dtype.kind in "fcV"
        if id(out) in given and id(out) not in dirty:  # an input returned as it is: an alias of it
            alias = wrap(out.memory())
            alias._counter = out.version()
            alias._view = None if not recorded else _custom_view(out)
            outputs[i] = out = alias
        if wants:
            differentiable.append(i)
        results.append(out)
    node.differentiable = tuple(differentiable)
    many = len(outputs) > 1
    if many:
        node.__class__ = _with_outputs(type(node), len(outputs))
        node.more().shapes = tuple(
            (o._array.shape, o._array.dtype) if isinstance(o, Variable) else ((), np.dtype(np.float32))
            for o in outputs
        )
    if recorded:
        for i, out in enumerate(results):
            if i not in node.differentiable:
                if isinstance(out, Variable) and id(out) in no_gradient:
                    out._edge = None
                continue
            if id(out) in dirty:
                rebase(out, (node, i))
            else:
                out._edge = (node, i)
                if out._view is not None:
                    out._view.created = "custom"
        node._keep(results)
        node.primitive = _CUSTOM[not many, bool(node.saved)]
        if switches.anomaly:
            from clew.core.anomaly import forward_stack

            node.more().stack = forward_stack()
        if observers:
            observe(node, args, results)
    return results


def _custom_view(tensor: Any) -> View:
    """An input returned as it is counts as a view that must not be written to."""
    view = View(tensor if tensor._view is None else tensor._view.base, ())
    view.created = "custom" if "custom" in REFUSALS else ""
    return view


def _with_outputs(cls: type, count: int) -> type:
    """The same class of nodes with several outputs. Kept by the class, so that both can go together."""
    known = cls.__dict__["several"]
    if count not in known:
        members = {"__slots__": (), "outputs": count, "__module__": cls.__module__}
        known[count] = type(cls.__name__, (cls,), members)
    return known[count]


# ---- once_differentiable -----------------------------------------------------------------------------------------------
def _refuse_twice(xp: Any, g: Any) -> Any:
    raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


_once = Primitive("delayed_error", lambda self: self.copy(), {"self": _refuse_twice}, node="Error")


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of `backward`: its result cannot be differentiated again, and trying to is an error."""

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any) -> Any:
        with no_grad():
            result = fn(ctx, *args)
        if not is_grad_enabled() or not any(isinstance(a, Variable) and a.requires_grad for a in args):
            return result
        outputs = result if isinstance(result, tuple) else (result,)
        marked = tuple(_once(o.detach().requires_grad_()) if isinstance(o, Variable) else o for o in outputs)
        return marked if isinstance(result, tuple) else marked[0]

    return wrapper


__all__ = [
    "BackwardCFunction", "Function", "FunctionCtx", "FunctionMeta", "InplaceFunction", "NestedIOFunction",
    "once_differentiable",
]  # fmt: skip
