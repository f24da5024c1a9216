"""What a primitive is: one operation, declared once.

    exp = Primitive("exp", np.exp, args=("self",), vjps={"self": lambda xp, g, out: g * out})

A declaration names the forward function on raw arrays and one derivative formula for each differentiable input. A
formula names what it needs: an input, a parameter, `out`, an auxiliary result, or `<input>_shape`. What it names is
what the node saves, so `exp` keeps its output and lets its input go.

Formulas speak the vocabulary `xp` (see `clew.core.raw`). The engine does what all of them would otherwise repeat: sum
over broadcast dimensions, cast to the input's dtype, skip inputs that want no gradient, conjugate for complex numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cache
from operator import itemgetter
from typing import Any

from numpy import asarray, float32, generic, ndarray

from clew.core.modes import altered, observe, observers, recordings, switches
from clew.core.node import AccumulateGrad, Edge, Extras, Node, Packed, next_seq, unpacked_tensor, user_place
from clew.core.variable import Variable, wrap
from clew.core.version import Version

Formula = Callable[..., Any]
PACK_WRITES = (
    "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook cannot be modified "
    "by in-place operations as this can lead to unexpected side-effects. Please open an issue if you need to perform "
    "in-place operations on the input to a pack hook."
)
HOOKS_ON_FREED = (
    "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values of the graph are freed "
    "when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph a "
    "second time or if you need to access saved variables after calling backward."
)
HOOKS_TWICE = (
    "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of hooks is allowed "
    "at a time."
)
_new = object.__new__
INFERENCE_SAVED = (
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
    "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in "
    "autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`."
)


def argument_names(function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The positional and the keyword-only argument names of a Python function."""
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    return positional, code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]


class once:
    """A property worked out when first read, then an attribute as any other.

    (`functools.cached_property` writes to `__dict__`; from then on CPython reads all attributes of the object slower.)
    """

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work = work
        self.__doc__ = work.__doc__

    def __get__(self, holder: Any, kind: Any = None) -> Any:
        value = self.work(holder)
        setattr(holder, self.work.__name__, value)
        return value


class Primitive:
    """An operation with its derivatives.

    name: PyTorch's name of the operation; the node's name follows from it (`exp` → `ExpBackward0`) unless `node` says.
    forward: `forward(*arrays, **params)` on raw arrays; returns the outputs, then the auxiliary results.
    vjps: by input name the formula `f(xp, g, *needed)`, or one `f(xp, g, needs, *needed)` that returns all of them
        (`needs` tells which are wanted). With several outputs `g` is a tuple; outputs without gradient give zeros.
    args: the input names where `forward` is not a Python function; keyword-only arguments are its parameters.
    outputs: the names of the outputs where there are several.
    aux: results of `forward` kept for the formulas but not returned, each with the formula that works it out again on
        tensors when the backward pass is itself recorded (None: no gradient flows through it, as through an index).
    jvp: the forward-mode rule: "linear" (the forward on the tangent), "partial" (one local derivative serves both
        modes), or a function.
    holomorphic: the formulas hold for complex numbers too, written without conjugation; the engine conjugates. A
        formula of a function that is not (abs, real, angle …) follows PyTorch's convention itself.
    variadic: the inputs are one list (`cat`); `vjps` is then a function and the list's name stands for all of them.
    """

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        vjps: Mapping[str, Formula] | Formula | None = None,
        *,
        args: Sequence[str] | None = None,
        params: Sequence[str] = (),
        outputs: Sequence[str] = ("out",),
        aux: Mapping[str, Formula | None] | None = None,
        node: str | None = None,
        jvp: Any = None,
        holomorphic: bool = True,
        variadic: bool = False,
        explain: str = "",
    ) -> None:
        self.name = name
        self.forward = forward
        if args is None:
            args, params = argument_names(forward)
        self.inputs = tuple(args)
        self.params = tuple(params)
        self.outputs = tuple(outputs)
        self.aux = dict(aux or {})
        self.jvp = jvp
        self.holomorphic = holomorphic
        self.variadic = variadic
        self.explain = explain
        self.single = len(self.outputs) == 1
        self.plain = self.single and not self.aux
        self.joint = callable(vjps)
        self._rounded: Primitive | None = None
        self._plans: dict[tuple[bool, ...], tuple[Any, tuple[int, ...], tuple[int, ...]]] = {}
        self.formulas: tuple[Formula | None, ...]
        if vjps is None:
            self.formulas = ()
        elif callable(vjps):
            self.formulas = (vjps,)
        else:
            self.formulas = tuple([vjps.get(name) for name in self.inputs])
        self._node_name = node
        self.frees = True  # whether a formula names a tensor's values; settled with `node_class`
        self.node: Callable[[], Node] = self._first_node

    # ---- what follows from the declaration, worked out when first asked for: most programs use few operations -----
    @once
    def node_class(self) -> type[Node]:
        """The class of the nodes that record this operation; `node` makes one of them."""
        tensors = {*self.inputs, *self.outputs, *self.aux}
        self.frees = any(n in tensors for n in self.saved_names)  # something to free, and to check for writes
        name = self._node_name or self.name.title().replace("_", "") + "Backward0"
        body: dict[str, Any] = {"__slots__": (), "outputs": len(self.outputs), "__module__": "clew"}
        for shown in (*map(_shown, self.saved_names), *self.inputs, *SHOWN_NUMBERS.get(name, ())):
            body["_saved_" + shown] = _saved("_saved_" + shown)
            body["_raw_saved_" + shown] = _saved("_raw_saved_" + shown)
        made = self.node = type(name, (Node,), body)
        return made

    def _first_node(self) -> Node:
        return self.node_class()

    @once
    def needs(self) -> tuple[tuple[str, ...], ...]:
        """What each formula names."""
        first = 3 if self.joint else 2
        return tuple([() if f is None else argument_names(f)[0][first:] for f in self.formulas])

    @once
    def saved_names(self) -> tuple[str, ...]:
        """What all formulas together name."""
        return tuple(dict.fromkeys([n for names in self.needs for n in names]))

    @once
    def gather(self) -> tuple[Callable[[Sequence[Any]], tuple[Any, ...]], ...]:
        """For each formula the function that picks its arguments out of (inputs, params, outputs, aux)."""
        return tuple([self._gatherer(names) for names in self.needs])

    @once
    def _slots(self) -> dict[str, int]:
        return {n: i for i, n in enumerate((*self.inputs, *self.params, *self.outputs, *self.aux))}

    def _gatherer(self, names: Sequence[str]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
        """A function that picks the named values out of (inputs, params, outputs, aux)."""
        if any(n not in self._slots for n in names):
            where = [self._locate(n) for n in names]
            return lambda values: tuple([values[i].shape if shape else values[i] for i, shape in where])
        slots = [self._slots[n] for n in names]
        if not slots:
            return lambda values: ()
        if len(slots) == 1:
            only = slots[0]
            return lambda values: (values[only],)
        return itemgetter(*slots)

    def _locate(self, name: str) -> tuple[int, bool]:
        if name in self._slots:
            return self._slots[name], False
        if name.endswith("_shape") and name.removesuffix("_shape") in self._slots:
            return self._slots[name.removesuffix("_shape")], True
        raise TypeError(f"{self.name}: a formula names '{name}', which is no input, parameter or output")

    def rounded(self) -> Primitive:
        """The same operation for 16-bit floats, as PyTorch's CPU kernels have it: computed in float32, then rounded."""
        if self._rounded is None:
            forward = self.forward

            def computed(*arrays: Any, **params: Any) -> Any:
                kind = next(a.dtype for a in arrays if a is not None)
                made = forward(*[a if a is None else a.astype(float32) for a in arrays], **params)
                if self.plain:
                    return made.astype(kind) if made.dtype == float32 else made
                count = len(self.outputs)
                return *[m.astype(kind) if m.dtype == float32 else m for m in made[:count]], *made[count:]

            _ = self.node_class  # one for both
            self._rounded = twin = copy(self)
            twin.forward = computed
        return self._rounded

    # ---- running -------------------------------------------------------------------------------------------------
    def on_arrays(self, *arrays: Any, **params: Any) -> Any:
        """The forward on raw arrays, without the auxiliary results."""
        made = self.forward(arrays, **params) if self.variadic else self.forward(*arrays, **params)
        if self.plain:
            return made
        return made[0] if self.single else tuple(made[: len(self.outputs)])

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        """Run on tensors (None for an input left out) and record."""
        arrays = [
            t if t is None else a if (a := t._array).__class__ is ndarray else asarray(a) for t in inputs
        ]
        if recordings:
            made = recordings[-1].forward(self, [arrays] if self.variadic else arrays, params)
        else:
            made = self.forward(arrays, **params) if self.variadic else self.forward(*arrays, **params)
        if self.plain:
            made = (made,)
        results = [wrap(array) for array in (made if not self.aux else made[: len(self.outputs)])]
        if self.formulas and not (altered and not switches.grad):
            edges = tuple([None if t is None else t._edge if t._view is None else t.edge() for t in inputs])
            for edge in edges:
                if edge is not None:
                    self.record(edges, inputs, arrays, params, results, made)
                    break
        return results[0] if self.single else tuple(results)

    def record(
        self,
        edges: tuple[Edge | None, ...],
        inputs: Sequence[Variable | None],
        arrays: Sequence[Any],
        params: Mapping[str, Any],
        results: Sequence[Variable],
        made: Sequence[Any],
    ) -> Node:
        """Make the node of a run and hang the results on it."""
        node = self.node()
        node.primitive = self
        node.edges = edges
        node.seq = next_seq()
        node.code, node.lasti = user_place(3)
        node.extras = None
        mask = tuple([e is not None for e in edges])
        gathers, watched_inputs, watched_outputs = self._plans.get(mask) or self._plan(mask)
        node.metas = tuple([(a.shape, a.dtype) if m else None for m, a in zip(mask, arrays)])
        options = [params[n] for n in self.params] if params else ()
        values = (tuple(arrays), *options, *made) if self.variadic else (*arrays, *options, *made)
        if self.joint:
            node.saved = self.gather[0](values)
        else:
            node.saved = tuple([None if gather is None else gather(values) for gather in gathers])
        found = [watch(t) for i in watched_inputs if (t := inputs[i]) is not None]
        node.versions = (*found, *[watch(results[i]) for i in watched_outputs])
        number = 0
        for result in results:
            kind = result._array.dtype.kind
            if kind in "fcV":
                result._edge = (node, number)
                if kind == "c" and self.holomorphic:
                    node.more().conj = True
            number += 1
        if number > 1:
            node.more().shapes = tuple([(r._array.shape, r._array.dtype) for r in results])
        if altered:
            note_modes(node)
        if observers:
            observe(node, inputs, results)
        return node

    def _plan(self, mask: tuple[bool, ...]) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
        """For a set of inputs that want a gradient, worked out once: how each formula's arguments are picked, and of
        which inputs and outputs the values are saved."""
        if self.joint:
            names = set(self.needs[0])
            gathers: Any = self.gather
        else:
            names = {n for want, needs in zip(mask, self.needs, strict=True) if want for n in needs}
            gathers = tuple([g if want else None for want, g in zip(mask, self.gather, strict=True)])
        if self.variadic:
            inputs = tuple(range(len(mask))) if self.inputs[0] in names else ()
        else:
            inputs = tuple([i for i, n in enumerate(self.inputs) if n in names])
        outputs = tuple([i for i, n in enumerate(self.outputs) if n in names])
        plan = self._plans[mask] = gathers, inputs, outputs
        return plan

    # ---- reading back ----------------------------------------------------------------------------------------------
    def saved_as_tensors(self, node: Node, index: int) -> tuple[Any, ...]:
        """The saved arguments of a formula, values of tensors as tensors that hang in the graph."""
        saved = node.saved if self.joint else node.saved[index]
        return tuple([self._as_tensor(node, n, v) for n, v in zip(self.needs[index], saved, strict=True)])

    def _as_tensor(self, node: Node, name: str, value: Any) -> Any:
        if value.__class__ is Packed:
            value = unpacked_tensor(value)._array
        if name in self.outputs:
            number = self.outputs.index(name)
            return wrap(value, (node, number) if value.dtype.kind in "fcV" else None)
        if name in self.inputs:
            if self.variadic:
                return tuple([wrap(v, e) for v, e in zip(value, node.edges, strict=True)])
            return wrap(value, node.edges[self.inputs.index(name)]) if hasattr(value, "dtype") else value
        formula = self.aux.get(name)
        if formula is not None:
            names = argument_names(formula)[0][1:]
            index = next(i for i, needs in enumerate(self.needs) if set(names) <= {*needs})
            saved = dict(zip(self.needs[index], node.saved if self.joint else node.saved[index], strict=True))
            from clew.core.engine import vocabularies

            return formula(vocabularies.tensors, *[self._as_tensor(node, n, saved[n]) for n in names])
        return value

    def saved_owner(self, node: Node, index: int) -> tuple[Any, Edge | None]:
        """The array and the edge of the tensor that `node.versions[index]` belongs to."""
        found: dict[str, tuple[Any, Edge | None]] = {}
        for i, names in enumerate(self.needs):
            saved = node.saved if self.joint else node.saved[i]
            for name, value in zip(names, saved or (), strict=False):
                if name in self.inputs:
                    if self.variadic:
                        pairs = zip(value, node.edges, strict=True)
                        found.update({f"{name}{k}": pair for k, pair in enumerate(pairs)})
                    elif hasattr(value, "dtype"):
                        found[name] = (value, node.edges[self.inputs.index(name)])
                elif name in self.outputs:
                    found[name] = (value, (node, self.outputs.index(name)))
        order = (*self.inputs, *self.outputs)
        ordered = list(found) if self.variadic else [n for n in order if n in found]
        return found[ordered[index]]

    def saved_attributes(self) -> tuple[str, ...]:
        """The names after `_saved_`, as PyTorch has them."""
        names = (_shown(name) for name in self.saved_names)
        return tuple(dict.fromkeys((*names, *SHOWN_NUMBERS.get(self.node_class.__name__, ()))))

    def saved_attribute(self, node: Node, attribute: str) -> Any:
        """`grad_fn._saved_<name>`, and `grad_fn._raw_saved_<name>`: the place where it is kept."""
        from clew.core.errors import raise_freed

        asked = attribute.removeprefix("_raw").removeprefix("_saved_")
        name = next((n for n in self.saved_names if asked == _shown(n)), asked)
        for index, names in enumerate(self.needs):
            if name in names:
                if attribute.startswith("_raw") and node.saved.__class__ is not tuple:
                    return SavedTensor(node, name)
                if node.saved.__class__ is not tuple:
                    raise_freed(node)
                if not self.joint and node.saved[index] is None:
                    continue
                if attribute.startswith("_raw"):
                    return SavedTensor(node, name)
                value = self.saved_as_tensors(node, index)[names.index(name)]
                return self._shown_value(node, name, value)
        if name in self.saved_names or name in self.inputs:
            return None
        if name in SHOWN_NUMBERS.get(node.name(), ()):
            return SHOWN_NUMBERS[node.name()][name]
        raise AttributeError(f"'{node.name()}' object has no attribute '{attribute}'")

    def _shown_value(self, node: Node, name: str, value: Any) -> Any:
        """A saved value for the reader: a saved leaf is that leaf itself."""
        if isinstance(value, (ndarray, generic)):
            return wrap(value)
        edge = getattr(value, "_edge", None)
        if edge is not None and edge[0].__class__ is AccumulateGrad and edge[0].array is value._array:
            return edge[0].variable
        return value

    def repack(self, node: Node, name: str, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
        """Put one saved value into packed form."""
        saved = []
        for index, names in enumerate(self.needs):
            values = node.saved if self.joint else node.saved[index]
            if values is not None and name in names:
                if values[names.index(name)].__class__ is Packed:
                    raise RuntimeError(HOOKS_TWICE)
                values = tuple(
                    _packed(self._as_tensor(node, n, v), pack, unpack) if n == name else v
                    for n, v in zip(names, values, strict=True)
                )
            saved.append(values)
        node.saved = saved[0] if self.joint else tuple(saved)
        node.more().packed = True


# What PyTorch's nodes show although it was left at its default.
SHOWN_NUMBERS = {"AddBackward0": {"alpha": 1}, "SubBackward0": {"alpha": 1}}


@cache
def _saved(attribute: str) -> property:
    """The property of nodes that shows a saved value."""
    return property(lambda node: node.primitive.saved_attribute(node, attribute))


def _shown(name: str) -> str:
    """PyTorch's name of a saved value."""
    return (
        "result"
        if name == "out"
        else name.removesuffix("_shape") + "_sym_sizes"
        if name.endswith("_shape")
        else name
    )


class SavedTensor:
    """The place of a saved value: `register_hooks` puts it into packed form."""

    def __init__(self, node: Node, name: str) -> None:
        self.node = node
        self.name = name

    def register_hooks(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        """Keep `pack_hook(value)`; `unpack_hook` makes the value of it again when backward wants it."""
        for hook in (pack_hook, unpack_hook):
            if not callable(hook):
                raise TypeError(f"register_hooks(): hooks must be callable, not {type(hook).__name__}")
        if self.node.saved.__class__ is not tuple:
            raise RuntimeError(HOOKS_ON_FREED)
        self.node.primitive.repack(self.node, self.name, pack_hook, unpack_hook)


def watch(variable: Variable) -> tuple[Version, int]:
    """The counter of a variable whose values are being saved, and what it reads now."""
    version = variable._counter
    if version is None:
        version = variable._counter = _new(Version)
        version.n = 0
        version.where = None
        return version, 0
    if version.inference:
        raise RuntimeError(INFERENCE_SAVED)
    return version, version.n


def note_modes(node: Node) -> None:
    """What a node needs of the switches at the time it was made: the stack in anomaly mode, packed values."""
    if switches.anomaly:
        from clew.core.anomaly import forward_stack

        node.more().stack = forward_stack()
    if switches.saved_hooks_refused and node.primitive.frees:
        raise RuntimeError(switches.saved_hooks_refused)
    if switches.saved_hooks and node.primitive.frees:
        pack_saved(node, *switches.saved_hooks[-1])
    if switches.copy_on_write is not None:
        switches.copy_on_write.saw(node)


def pack_saved(node: Node, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
    """Hand every saved tensor to `pack` and keep what it returns. Inputs come with their history, results without."""
    primitive = node.primitive
    tensors = {*primitive.inputs, *primitive.outputs, *primitive.aux}

    def packed(name: str, value: Any) -> Any:
        if isinstance(value, tuple) and primitive.variadic and name in primitive.inputs:
            return tuple([_packed(wrap(v, e), pack, unpack) for v, e in zip(value, node.edges, strict=True)])
        if name not in tensors or not hasattr(value, "dtype"):
            return value
        edge = node.edges[primitive.inputs.index(name)] if name in primitive.inputs else None
        return _packed(_leaf_or(value, edge), pack, unpack)

    def group(names: Sequence[str], values: Any) -> Any:
        return values and tuple([packed(n, v) for n, v in zip(names, values, strict=True)])

    if primitive.joint:
        node.saved = group(primitive.needs[0], node.saved)
    else:
        node.saved = tuple(
            [group(names, values) for names, values in zip(primitive.needs, node.saved, strict=True)]
        )
    node.more().packed = True
    node.versions = ()  # what the hooks hold is theirs: no counter is checked


def _leaf_or(value: Any, edge: Edge | None) -> Any:
    """A saved input as a tensor: the leaf itself, or one with the same history."""
    if edge is not None and edge[0].__class__ is AccumulateGrad and edge[0].array is value:
        return edge[0].variable
    return wrap(value, edge)


def _packed(tensor: Any, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> Packed:
    """What `pack` makes of one saved tensor."""
    before = 0 if tensor.version().inference else tensor.version().n
    hooks, grad = switches.saved_hooks, switches.grad
    switches.saved_hooks, switches.grad = (), False
    try:
        made = pack(tensor)
    finally:
        switches.saved_hooks, switches.grad = hooks, grad
    if tensor._counter.n != before and not tensor._counter.inference:
        raise RuntimeError(PACK_WRITES)
    return Packed(made, unpack)


__all__ = ["Extras", "Formula", "Primitive", "SavedTensor", "note_modes", "watch"]
