"""A module as a function of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from clew.nn.module import Module
from clew.ops.join import stack


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
        missing, more = set(own) - set(given), set(given) - set(own)
        if missing or more:
            raise RuntimeError(
                f"Error(s) in loading state_dict: missing keys {sorted(missing)}, unexpected keys {sorted(more)}"
            )
    chosen = {name: value for name, value in given.items() if name in own}
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


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of several modules of one kind, stacked by name."""
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or all(not m.training for m in models)):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = {
        name: stack([dict(m.named_parameters())[name].detach() for m in models]).requires_grad_(
            p.requires_grad
        )
        for name, p in models[0].named_parameters()
    }
    buffers = {
        name: stack([dict(m.named_buffers())[name] for m in models]) for name, _ in models[0].named_buffers()
    }
    return parameters, buffers


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Batch normalisations of a module without running statistics, which a function could not change."""
    for module in root.modules():
        if hasattr(module, "track_running_stats") and hasattr(module, "running_mean"):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root


__all__ = ["functional_call", "replace_all_batch_norm_modules_", "stack_module_state"]
