"""A student learns from a teacher that is only asked, and from the labels."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(64, 6)
labels = x[:, :3].argmax(1)
teacher = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
student = nn.Linear(6, 3)


def train(model, loss_of, steps):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model(x))
        loss.backward()
        optimizer.step()
    return loss.item()


first = train(teacher, lambda output: F.cross_entropy(output, labels), 20)
teacher.eval()
with torch.no_grad():
    wanted = F.softmax(teacher(x) / 2, dim=1)
second = train(
    student,
    lambda output: (
        F.kl_div(F.log_softmax(output / 2, 1), wanted, reduction="batchmean") * 4
        + F.cross_entropy(output, labels)
    ),
    20,
)
print(f"{first:.4f} {second:.4f}")
