"""Losses weighed by learned uncertainties; spectral norm on one layer; gradients and weights written to a log."""

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

torch.manual_seed(0)
x = torch.randn(50, 4)
goals = x.sum(1, keepdim=True), (x**2).sum(1, keepdim=True)
body = nn.Sequential(spectral_norm(nn.Linear(4, 16)), nn.Tanh())
heads = nn.ModuleList([nn.Linear(16, 1), nn.Linear(16, 1)])
log_sigma = nn.Parameter(torch.zeros(2))
optimizer = torch.optim.Adam([*body.parameters(), *heads.parameters(), log_sigma], lr=0.02)
log = []
for step in range(20):
    hidden = body(x)
    errors = torch.stack([(head(hidden) - goal).pow(2).mean() for head, goal in zip(heads, goals)])
    loss = (errors * torch.exp(-2 * log_sigma) + log_sigma).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    log.append(
        {
            "loss": loss.item(),
            "errors": errors.tolist(),
            "gradient": sum(p.grad.norm().item() for p in body.parameters()),
            "weights": [float(p.detach().abs().mean()) for p in heads.parameters()],
        }
    )
print(f"{log[0]['loss']:.3f} {log[-1]['loss']:.3f}", log_sigma.detach().numpy().round(3))
