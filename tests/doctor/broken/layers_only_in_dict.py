# expect: unregistered-parameters 9
import torch
from torch import nn


class Choice(nn.Module):
    def __init__(self):
        super().__init__()
        self.branches = {"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)}

    def forward(self, x, which):
        return self.branches[which](x)


model = Choice()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
