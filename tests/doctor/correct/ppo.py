"""PPO: old log-probabilities are constants, several epochs over the same rows, a clipped ratio."""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(0)
actor = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2))
critic = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=0.005)
for iteration in range(4):
    states = torch.randn(64, 3)
    with torch.no_grad():
        choice = Categorical(logits=actor(states))
        actions = choice.sample()
        old = choice.log_prob(actions)
        rewards = ((states[:, 0] > 0) == (actions == 1)).float()
        advantage = rewards - critic(states).squeeze(-1)
    for epoch in range(3):
        for rows in torch.randperm(64).split(32):
            choice = Categorical(logits=actor(states[rows]))
            ratio = (choice.log_prob(actions[rows]) - old[rows]).exp()
            clipped = ratio.clamp(0.8, 1.2)
            gain = torch.min(ratio * advantage[rows], clipped * advantage[rows]).mean()
            value = (critic(states[rows]).squeeze(-1) - rewards[rows]).pow(2).mean()
            loss = value - gain - 0.01 * choice.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(actor.parameters(), 0.5)
            optimizer.step()
print(f"{rewards.mean().item():.2f} {loss.item():.4f}")
