"""Automatic differentiation: `backward`, `grad`, grad modes, hooks, custom functions, checks."""

from clew.autograd import graph
from clew.autograd.anomaly_mode import detect_anomaly, set_detect_anomaly
from clew.autograd.backward import backward, grad
from clew.autograd.function import Function, NestedIOFunction
from clew.autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled, set_multithreading_enabled
from clew.autograd.gradcheck import gradcheck, gradgradcheck

__all__ = [
    "Function", "NestedIOFunction", "backward", "detect_anomaly", "enable_grad", "grad", "gradcheck", "gradgradcheck",
    "graph", "inference_mode", "no_grad", "set_detect_anomaly", "set_grad_enabled", "set_multithreading_enabled",
]  # fmt: skip
