# expect: integer-cut 11
import torch
from torch import nn

net = nn.Linear(4, 1)
emb = nn.Embedding(5, 3)
opt = torch.optim.Adam([*net.parameters(), *emb.parameters()])
x = torch.rand(6, 4)
for _ in range(3):
    opt.zero_grad()
    i = net(x).sigmoid().mul(4).long().squeeze()
    loss = emb(i).square().mean()
    loss.backward()
    opt.step()
