"""Rules that compute a module's weight before each forward: they hang on the module as forward pre-hooks."""

from __future__ import annotations

from typing import Any


def hung_on(module: Any, kind: type, name: str) -> tuple[int, Any] | None:
    """The rule of a kind for the parameter `name`, with its number among the hooks; None where there is none."""
    for number, hook in module._forward_pre_hooks.items():
        rule = getattr(hook, "function", hook)
        if isinstance(rule, kind) and getattr(rule, "name", getattr(rule, "_tensor_name", None)) == name:
            return number, rule
    return None


def hang_on(module: Any, rule: Any) -> None:
    """Have a rule called before each forward."""
    module._hook("_forward_pre_hooks", rule)


def take_off(module: Any, kind: type, name: str) -> Any:
    """Take a rule off; ValueError where there is none."""
    found = hung_on(module, kind, name)
    if found is None:
        raise ValueError(f"{kind.label} of {name!r} not found in {module}")  # type: ignore[attr-defined]
    del module._forward_pre_hooks[found[0]]
    return found[1]


def check_alone(module: Any, kind: type, name: str) -> None:
    """RuntimeError where a rule of this kind already computes the parameter."""
    if hung_on(module, kind, name):
        raise RuntimeError(f"Cannot register two {kind.label} hooks on the same parameter {name}")  # type: ignore[attr-defined]


__all__ = ["check_alone", "hang_on", "hung_on", "take_off"]
