# expect: sigmoid-before-bce-with-logits 11
import torch
from torch import nn

model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(16, 4), torch.ones(16)
for step in range(3):
    optimizer.zero_grad()
    score = torch.sigmoid(model(x)).squeeze(1)
    loss = nn.BCEWithLogitsLoss()(score, y)
    loss.backward()
    optimizer.step()
