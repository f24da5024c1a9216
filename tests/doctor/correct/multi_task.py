"""Two tasks on one trunk: a class and a number, their losses weighed and added."""

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 24), nn.ReLU())
        self.classes = nn.Linear(24, 3)
        self.number = nn.Linear(24, 1)

    def forward(self, x):
        shared = self.trunk(x)
        return self.classes(shared), self.number(shared).squeeze(1)


torch.manual_seed(0)
x = torch.randn(64, 6)
labels, values = x[:, :3].argmax(1), x.mean(1)
model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
history = []
for step in range(20):
    scores, guess = model(x)
    loss = nn.functional.cross_entropy(scores, labels) + 0.5 * nn.functional.mse_loss(guess, values)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.item())
print(f"{history[0]:.3f} {history[-1]:.3f}")
