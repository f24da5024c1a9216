"""LBFGS asks for the loss several times in one step: clearing and backward are in a closure."""

import torch

x = torch.linspace(-1, 1, 50)
y = 3 * x**2 - x + 0.5
weights = torch.zeros(3, requires_grad=True)
optimizer = torch.optim.LBFGS([weights], lr=0.5, max_iter=10)


def closure():
    optimizer.zero_grad()
    guess = weights[0] * x**2 + weights[1] * x + weights[2]
    loss = ((guess - y) ** 2).mean()
    loss.backward()
    return loss


for step in range(5):
    loss = optimizer.step(closure)
print(weights.detach().round(decimals=2), f"{loss.item():.5f}")
