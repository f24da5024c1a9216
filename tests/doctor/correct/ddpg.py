"""DDPG: actor and critic, soft copies of both; the actor's backward fills the critic's gradients, which are cleared."""

import copy

import torch
from torch import nn

torch.manual_seed(0)
actor = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1), nn.Tanh())
critic = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
target_actor, target_critic = copy.deepcopy(actor), copy.deepcopy(critic)
actor_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-3)
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
for step in range(20):
    states, following = torch.randn(32, 3), torch.randn(32, 3)
    with torch.no_grad():
        actions = (actor(states) + 0.1 * torch.randn(32, 1)).clamp(-1, 1)
        rewards = -(actions - states[:, :1]).pow(2)
        goal = rewards + 0.9 * target_critic(torch.cat([following, target_actor(following)], 1))
    critic_loss = nn.functional.mse_loss(critic(torch.cat([states, actions], 1)), goal)
    critic_optimizer.zero_grad()
    critic_loss.backward()
    critic_optimizer.step()
    actor_loss = -critic(torch.cat([states, actor(states)], 1)).mean()
    actor_optimizer.zero_grad()
    actor_loss.backward()
    actor_optimizer.step()
    for slow, fast in ((target_actor, actor), (target_critic, critic)):
        for a, b in zip(slow.parameters(), fast.parameters()):
            a.data.copy_(0.95 * a.data + 0.05 * b.data)
print(f"{critic_loss.item():.4f} {actor_loss.item():.4f}")
