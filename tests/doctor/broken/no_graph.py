# expect: loss-without-graph 7
import torch

w = torch.tensor(0.5)
x = torch.tensor([1.0, 2.0])
loss = ((w * x - x) ** 2).mean()
loss.backward()
