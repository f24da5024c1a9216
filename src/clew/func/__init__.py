"""`torch.func`: functions of functions. derivatives: `grad`, `vjp`, `jvp`, Jacobians; vmap: a function over a batch;
modules: a module as a function of its parameters."""

from clew.func.derivatives import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp
from clew.func.modules import functional_call, replace_all_batch_norm_modules_, stack_module_state
from clew.func.vmap import vmap

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "replace_all_batch_norm_modules_", "stack_module_state", "vjp", "vmap",
]  # fmt: skip
