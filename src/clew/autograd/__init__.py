"""Automatic differentiation: `backward`, `grad`, grad modes."""

from clew.autograd.backward import backward, grad
from clew.autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = ["backward", "enable_grad", "grad", "inference_mode", "no_grad", "set_grad_enabled"]
