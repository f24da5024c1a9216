# expect: integer-cut 12
import torch
from torch import nn

model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(8, 4), torch.tensor([0.0, 1.0] * 4)

for step in range(3):
    optimizer.zero_grad()
    score = torch.sigmoid(model(x)).squeeze(1)
    wrong = (score > 0.5).float() - y
    loss = wrong.abs().mean().requires_grad_()
    loss.backward()
    optimizer.step()
