"""A module with other tensors in place of its own, for one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from clew.core.variable import Variable
from clew.nn.module import Module


def functional_call(
    module: Module, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: Any = None, *, tie_weights: bool = True,
    strict: bool = False,
) -> Any:  # fmt: skip
    """`module(*args)` with other tensors in place of its parameters and buffers, by their names. The module stays as it is.

    Names that the module lacks are passed over. With `strict`, RuntimeError unless the names are exactly the module's.
    """
    given = parameter_and_buffer_dicts
    if isinstance(given, Sequence) and not isinstance(given, Mapping):
        given = {name: value for part in given for name, value in part.items()}
    if not isinstance(given, Mapping):
        raise ValueError(
            f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(given)}"
        )
    own = _tensors(module)
    if strict:
        _check_names(module, sorted(set(given) - set(own)), sorted(set(own) - set(given)))
    chosen = {name: value for name, value in given.items() if name in own}
    for value in chosen.values():
        if not isinstance(value, Variable):
            raise TypeError(f"{value} is not an instance of torch.Tensor")
    if tie_weights:
        same: dict[int, list[str]] = {}
        for name, value in own.items():
            same.setdefault(id(value), []).append(name)
        for names in same.values():
            values = [chosen[name] for name in names if name in chosen]
            if values:
                chosen.update({name: values[0] for name in names if name not in chosen})
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _swapped(module, chosen):
        return module(*args, **(kwargs or {}))


def _check_names(module: Module, unexpected: list[str], missing: list[str]) -> None:
    lines = [
        f"\n\t{kind} key(s): {', '.join(map(repr, names))}."
        for kind, names in (("Unexpected", unexpected), ("Missing", missing))
        if names
    ]
    if lines:
        raise RuntimeError(f"Error(s) in reparametrizing for {type(module).__name__}:" + "".join(lines))


def _tensors(module: Module) -> dict[str, Any]:
    """All parameters and buffers by name, shared ones under each of theirs."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


@contextmanager
def _swapped(module: Module, tensors: Mapping[str, Any]) -> Iterator[None]:
    """The module with other tensors, for a while."""
    places = []
    for name, value in tensors.items():
        path, _, last = name.rpartition(".")
        holder = module.get_submodule(path)
        table = holder._parameters if last in holder._parameters else holder._buffers
        places.append((table, last, table[last]))
        table[last] = value
    try:
        yield
    finally:
        for table, last, before in reversed(places):
            table[last] = before


__all__ = ["functional_call"]
