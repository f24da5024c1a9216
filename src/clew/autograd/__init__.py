"""Automatic differentiation: `backward`, `grad`, grad modes, hooks, custom functions, checks."""

from typing import Any as _Any

from clew.autograd import graph
from clew.autograd.anomaly_mode import detect_anomaly, set_detect_anomaly
from clew.autograd.backward import backward, grad
from clew.autograd.function import Function, NestedIOFunction
from clew.autograd.grad_mode import (
    enable_grad,
    enforce_grad_layout_policy,
    inference_mode,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)  # fmt: skip
from clew.autograd.gradcheck import gradcheck, gradgradcheck
from clew.autograd.variable import Variable

__all__ = [
    "Function", "NestedIOFunction", "Variable", "backward", "detect_anomaly", "enable_grad",
    "enforce_grad_layout_policy", "grad", "gradcheck", "gradgradcheck", "graph", "inference_mode", "no_grad",
    "set_detect_anomaly", "set_grad_enabled", "set_multithreading_enabled",
]  # fmt: skip


def __getattr__(name: str) -> _Any:
    """What few programs use is loaded when first asked for."""
    if name in ("functional", "forward_ad", "profiler"):
        from importlib import import_module

        try:
            return import_module(f"clew.autograd.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"clew.autograd.{name}":
                raise
    if name == "ProfilerActivity":
        from clew.autograd.profiler import ProfilerActivity

        return ProfilerActivity
    raise AttributeError(f"module 'torch.autograd' has no attribute '{name}' (clew does not have it)")
