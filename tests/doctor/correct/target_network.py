"""DQN: the target net gives the goals, is never trained, and is copied from the other now and then."""

import copy

import torch
from torch import nn

torch.manual_seed(0)
policy = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
target = copy.deepcopy(policy)
target.eval()
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
memory = [(torch.randn(4), i % 2, float(i % 3), torch.randn(4)) for i in range(128)]

for step in range(30):
    rows = memory[step * 4 % 128 :][:32]
    states = torch.stack([row[0] for row in rows])
    actions = torch.tensor([row[1] for row in rows])
    rewards = torch.tensor([row[2] for row in rows])
    following = torch.stack([row[3] for row in rows])
    with torch.no_grad():
        goal = rewards + 0.9 * target(following).max(1).values
    chosen = policy(states).gather(1, actions.unsqueeze(1)).squeeze(1)
    loss = nn.functional.smooth_l1_loss(chosen, goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        target.load_state_dict(policy.state_dict())
print(f"{loss.item():.4f}")
