# expect: loss-without-graph 7
import torch

torch.set_grad_enabled(False)
w = torch.nn.Linear(2, 1)
l = w(torch.ones(1, 2)).sum()
l.backward()
