"""What belongs to PyTorch in clew's terms: tensors, types, functions, whatever a sample input holds."""

from __future__ import annotations

import builtins
import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import clew
from clew.ops.sampling import fork_rng

NAMESPACES = (
    "", "nn.functional", "linalg", "fft", "special", "masked", "signal.windows", "Tensor", "autograd", "nn", "random",
    "nn.init", "functional", "nn.utils", "testing",
)  # fmt: skip


class Missing(Exception):
    """clew has nothing of this name."""


def resolve(root: Any, path: str) -> Any:
    """The object at a dotted path."""
    for part in filter(None, path.split(".")):
        root = getattr(root, part)
    return root


@functools.cache
def _paths() -> dict[int, str]:
    """Where PyTorch's functions are to be found, by identity."""
    found: dict[int, str] = {}
    for namespace in NAMESPACES:
        try:
            room = resolve(torch, namespace)
        except AttributeError:
            continue
        names = [n for n in dir(room) if namespace != "nn.functional" or not n.startswith("_")]
        for name in names:
            try:
                thing = getattr(room, name)
            except Exception:
                continue
            if callable(thing) or isinstance(thing, property):
                found.setdefault(id(thing), f"{namespace}.{name}".lstrip("."))
    return found


def function(f: Any) -> Any:
    """clew's function of the same name; a function of the tests, with clew in PyTorch's place."""
    if isinstance(f, functools.partial):
        return functools.partial(function(f.func), *[value(a) for a in f.args], **value(f.keywords))
    if isinstance(f, types.ModuleType):
        path = f.__name__
        if path == "torch":
            return clew
        return _found(path.removeprefix("torch.")) if path.startswith("torch.") else f
    path = _paths().get(id(f))
    if path is not None:
        return _found(path)
    if getattr(f, "__name__", "") == "freeze_rng_state":
        return fork_rng
    if isinstance(f, types.FunctionType) and f.__module__.startswith("torch.testing"):
        return _rewritten(f)
    if isinstance(f, types.FunctionType) and f.__module__.startswith("torch."):
        return _found(f"{f.__module__.removeprefix('torch.')}.{f.__name__.removeprefix('_')}")
    if str(getattr(f, "__module__", "")).startswith("torch._ops"):
        raise Missing(str(f))
    return f


def _found(path: str) -> Any:
    try:
        return resolve(clew, path)
    except (AttributeError, ImportError):
        raise Missing(path) from None


_rewriting: dict[types.FunctionType, Any] = {}


def _rewritten(f: types.FunctionType) -> Any:
    """A Python function whose globals, defaults and closure speak of clew."""
    if f in _rewriting:
        return _rewriting[f]
    own: dict[str, Any] = {"__builtins__": builtins, "__name__": f.__module__}
    made = types.FunctionType(f.__code__, own, f.__name__, None, None if f.__closure__ is None else tuple(types.CellType() for _ in f.__closure__))  # fmt: skip
    _rewriting[f] = made
    try:
        _fill(made, f, own)
    except Exception:
        del _rewriting[f]
        raise
    return made


def _fill(made: Any, f: types.FunctionType, own: dict[str, Any]) -> None:
    for name in _names(f.__code__):
        if name in f.__globals__:
            own[name] = _anything(f.__globals__[name])
    made.__defaults__ = None if f.__defaults__ is None else tuple(_anything(d) for d in f.__defaults__)
    made.__kwdefaults__ = (
        None if f.__kwdefaults__ is None else {k: _anything(d) for k, d in f.__kwdefaults__.items()}
    )  # type: ignore[assignment]
    for mine, theirs in zip(made.__closure__ or (), f.__closure__ or (), strict=True):
        mine.cell_contents = _anything(theirs.cell_contents)


def _names(code: types.CodeType) -> set[str]:
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return {*code.co_names, *[n for c in inner for n in _names(c)]}


def _anything(x: Any) -> Any:
    return (
        function(x)
        if isinstance(x, types.ModuleType) or (callable(x) and not isinstance(x, type))
        else value(x)
    )


def value(x: Any, known: dict[int, Any] | None = None) -> Any:
    """A sample's value. The same tensor twice stays one tensor."""
    known = {} if known is None else known
    if isinstance(x, torch.Tensor):
        if id(x) not in known:
            known[id(x)] = tensor(x, known)
        return known[id(x)]
    if isinstance(x, torch.Size):
        return clew.Size(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*[value(v, known) for v in x])
    if isinstance(x, (list, tuple)):
        return type(x)(value(v, known) for v in x)
    if isinstance(x, dict):
        return {k: value(v, known) for k, v in x.items()}
    if isinstance(x, (torch.dtype, torch.layout, torch.memory_format)):
        name = str(x).removeprefix("torch.")
        if not hasattr(clew, name):
            raise Missing(name)
        return getattr(clew, name)
    if isinstance(x, torch.device):
        return clew.device(str(x))
    if isinstance(x, torch.Generator):
        return clew.Generator().manual_seed(x.initial_seed())
    if x is torch.Tensor:
        return clew.Tensor
    if isinstance(x, torch.nn.Module) and not x.state_dict():  # one with options alone
        made = getattr(clew.nn, type(x).__name__)()
        made.__dict__.update({k: v for k, v in x.__dict__.items() if not k.startswith("_")})
        return made
    if isinstance(x, types.FunctionType) or str(type(x)) == "<class 'builtin_function_or_method'>":
        return function(x)
    return x


def tensor(t: torch.Tensor, known: dict[int, Any] | None = None) -> Any:
    """The same values at the same place in memory of the same size, shared with tensors that shared it; what requires
    a gradient is a leaf that does.
    """
    if t.layout != torch.strided or t.device.type != "cpu":
        raise Missing(f"{t.layout} on {t.device}")
    name = str(t.dtype).removeprefix("torch.")
    if not hasattr(clew, name):
        raise Missing(name)
    made = clew.from_numpy(_in_place(array(t), t, {} if known is None else known))
    return made.requires_grad_() if t.requires_grad else made


def array(t: torch.Tensor) -> np.ndarray:
    """A tensor's values, copied: what lends its memory to NumPy could not be resized any more."""
    t = t.detach().resolve_conj().resolve_neg().clone()
    if t.dtype == torch.bfloat16:
        import ml_dtypes

        return t.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return t.numpy()


def _in_place(values: np.ndarray, t: torch.Tensor, known: dict[int, Any]) -> np.ndarray:
    """The values in memory laid out like the tensor's: its storage, offset and strides."""
    item = values.dtype.itemsize
    storage = t.untyped_storage()
    room = known.get(-storage.data_ptr()) if storage.nbytes() else None
    if room is None:
        room = known[-storage.data_ptr()] = np.zeros(storage.nbytes(), np.uint8)
    if not t.is_conj() and not t.is_neg() and not t._is_zerotensor():
        room[...] = torch.tensor([], dtype=torch.uint8).set_(storage).clone().numpy()
    strides = [s * item for s in t.stride()]
    view = np.ndarray(values.shape, values.dtype, room.view(values.dtype), t.storage_offset() * item, strides)
    if values.size:
        view[...] = values
    return view


def translated(op: Callable[..., Any]) -> Callable[..., Any]:
    """The function of an entry in clew. Missing where it has none."""
    return function(op)
