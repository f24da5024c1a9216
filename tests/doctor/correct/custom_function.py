"""A derivative of one's own: a straight-through sign that saves its input."""

import torch
from torch import nn


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1)


torch.manual_seed(0)
model = nn.Linear(6, 8)
head = nn.Linear(8, 1)
optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.05)
x = torch.randn(64, 6)
y = x[:, :1].sign()
for step in range(25):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(head(Sign.apply(model(x))), y)
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
