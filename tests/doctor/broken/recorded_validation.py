# expect: validation-recorded 15
import torch

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(16, 3), torch.randn(16, 1)
for epoch in range(4):
    model.train()
    loss = ((model(x[:8]) - y[:8]) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    model.eval()
    held_out = ((model(x[8:]) - y[8:]) ** 2).mean()
    print(held_out.item())
