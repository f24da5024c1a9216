"""REINFORCE on a bandit with three arms: sampled actions, log-probabilities, a baseline without history."""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(0)
policy = nn.Linear(1, 3)
optimizer = torch.optim.Adam(policy.parameters(), lr=0.05)
pay = torch.tensor([0.1, 0.5, 0.9])
state = torch.ones(1)
baseline = 0.0
for episode in range(40):
    logs, rewards = [], []
    for _ in range(5):
        choice = Categorical(logits=policy(state))
        action = choice.sample()
        logs.append(choice.log_prob(action))
        rewards.append(pay[action.item()].item())
    baseline = 0.9 * baseline + 0.1 * sum(rewards) / 5
    loss = -(torch.stack(logs) * (torch.tensor(rewards) - baseline)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(policy(state).detach().softmax(0))
