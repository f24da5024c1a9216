"""An ensemble in one call: weights stacked, functional_call under vmap, gradients with torch.func.grad."""

import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

torch.manual_seed(0)
models = [nn.Linear(3, 1) for _ in range(4)]
weights, buffers = stack_module_state(models)
weights = {name: value.detach() for name, value in weights.items()}
base = nn.Linear(3, 1)
x = torch.randn(30, 3)
y = x.sum(1, keepdim=True)


def loss_of(weights, x, y):
    return nn.functional.mse_loss(functional_call(base, weights, (x,)), y)


for step in range(20):
    slopes = vmap(grad(loss_of), in_dims=(0, None, None))(weights, x, y)
    weights = {name: value - 0.1 * slopes[name] for name, value in weights.items()}
print([round(v, 4) for v in vmap(loss_of, in_dims=(0, None, None))(weights, x, y).tolist()])
