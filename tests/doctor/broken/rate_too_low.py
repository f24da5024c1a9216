# expect: learning-rate-too-low 14
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(32, 3)
y = x.sum(1, keepdim=True) * 2 + 1
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
for step in range(50):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())
