# expect: optimizer-other-parameters 7
import torch
from torch import nn

teacher = nn.Linear(4, 2)
student = nn.Linear(4, 2)
optimizer = torch.optim.SGD(teacher.parameters(), lr=0.1)
x, y = torch.randn(8, 4), torch.randn(8, 2)

for step in range(4):
    optimizer.zero_grad()
    loss = (student(x) - y).pow(2).mean()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
