"""Tensors as arrays: nothing asks for a gradient."""

import torch

torch.manual_seed(0)
points = torch.cat([torch.randn(20, 2) + 3, torch.randn(20, 2) - 3])
centres = points[[0, 20]].clone()
for _ in range(5):
    nearest = torch.cdist(points, centres).argmin(1)
    for k in range(2):
        centres[k] = points[nearest == k].mean(0)
u, s, v = torch.linalg.svd(points - points.mean(0))
print(centres.round(decimals=1).tolist(), s.numpy().round(2), int(nearest.sum()))
