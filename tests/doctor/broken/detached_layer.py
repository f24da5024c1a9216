# expect: detached 13
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 8)
        self.decoder = nn.Linear(8, 4)

    def forward(self, x):
        code = torch.tanh(self.encoder(x)).detach()
        return self.decoder(code)


model = Net()
optimizer = torch.optim.Adam(model.parameters())
for step in range(3):
    x = torch.randn(8, 4)
    loss = nn.functional.mse_loss(model(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
