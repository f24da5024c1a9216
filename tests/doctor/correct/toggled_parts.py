"""Two parts trained by turns: the one that rests does not require gradients while the other learns."""

import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(40, 4), torch.randn(40, 2)
first, second = nn.Linear(4, 3), nn.Linear(3, 2)
optimizers = {
    first: torch.optim.SGD(first.parameters(), lr=0.05),
    second: torch.optim.SGD(second.parameters(), lr=0.05),
}
for turn in range(16):
    active, resting = (first, second) if turn % 2 else (second, first)
    active.requires_grad_(True)
    resting.requires_grad_(False)
    loss = nn.functional.mse_loss(second(torch.tanh(first(x))), y)
    optimizers[active].zero_grad()
    loss.backward()
    optimizers[active].step()
print(f"{loss.item():.4f}")
