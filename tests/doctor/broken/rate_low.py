# expect: learning-rate-too-low 13
import torch

torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-8)
x = torch.randn(16, 3)
y = x.sum(1, keepdim=True) + 1
for step in range(40):
    loss = ((model(x) - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
