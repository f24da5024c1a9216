"""Hooks: gradients measured on their way, activations noted, one gradient scaled."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ELU(), nn.Linear(8, 1))
seen, norms = {}, []
forward_hook = model[1].register_forward_hook(lambda m, i, o: seen.update(mean=o.detach().mean().item()))
model[0].weight.register_hook(lambda grad: norms.append(grad.norm().item()))
model[2].bias.register_hook(lambda grad: grad * 0.5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(32, 4)
y = x[:, :1] - x[:, 1:2]
for step in range(15):
    optimizer.zero_grad()
    output = model(x)
    output.retain_grad()
    loss = nn.functional.mse_loss(output, y)
    loss.backward()
    flow = output.grad.abs().max().item()
    optimizer.step()
forward_hook.remove()
print(len(norms), round(seen["mean"], 4), f"{flow:.4f} {loss.item():.4f}")
