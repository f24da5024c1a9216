# expect: softmax-before-cross-entropy 12
import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(30, 4), torch.arange(30) % 3
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3), nn.Softmax(dim=1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.CrossEntropyLoss()
for step in range(5):
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
