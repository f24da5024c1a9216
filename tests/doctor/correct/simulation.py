"""A thrown ball: the gradient of where it lands goes back through all time steps to how it was thrown."""

import torch

speed = torch.tensor([3.0, 3.0], requires_grad=True)
goal = torch.tensor(10.0)
gravity = torch.tensor([0.0, -9.81])


def landing(speed, dt=0.02):
    position, velocity = torch.tensor([0.0, 1.0]), speed
    while position[1].item() > 0:
        velocity = velocity + dt * gravity
        position = position + dt * velocity
    return position[0]


misses = []
for attempt in range(25):
    loss = (landing(speed) - goal) ** 2
    (slope,) = torch.autograd.grad(loss, speed)
    with torch.no_grad():
        speed -= 0.1 * slope
    misses.append(loss.item())
print(f"{misses[0]:.2f} {misses[-1]:.4f}")
