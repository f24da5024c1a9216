"""The same fit with nn.Linear and an optimizer

`nn.Linear(1, 1)` holds w and b, `nn.MSELoss` is the mean of squares, and `optim.SGD` does lab 4's update and clearing:
`zero_grad()`, `backward()`, `step()`. Started from zero, as lab 4 was, it prints lab 4's numbers.
"""

import torch
from torch import nn, optim

x = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
y_true = torch.tensor([[3.0], [5.0], [7.0], [9.0]])  # y = 2x + 1

model = nn.Linear(1, 1)
nn.init.zeros_(model.weight)
nn.init.zeros_(model.bias)
criterion = nn.MSELoss()
optimizer = optim.SGD(model.parameters(), lr=0.05)

print("linear_fit")
for epoch in range(201):
    optimizer.zero_grad()
    loss = criterion(model(x), y_true)
    loss.backward()
    optimizer.step()

    if epoch % 50 == 0:
        w, b = model.weight.item(), model.bias.item()
        print(f"epoch={epoch:3d} loss={loss.item():.4f} w={w:.4f} b={b:.4f}")
