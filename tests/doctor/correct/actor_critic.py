"""Actor and critic on one trunk: the advantage is detached, an entropy bonus, two optimizers' worth in one."""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(0)
trunk = nn.Sequential(nn.Linear(2, 16), nn.Tanh())
actor, critic = nn.Linear(16, 2), nn.Linear(16, 1)
parameters = [*trunk.parameters(), *actor.parameters(), *critic.parameters()]
optimizer = torch.optim.Adam(parameters, lr=0.01)
for episode in range(20):
    state = torch.randn(2)
    logs, values, rewards, entropy = [], [], [], 0
    for _ in range(6):
        hidden = trunk(state)
        choice, value = Categorical(logits=actor(hidden)), critic(hidden).squeeze()
        action = choice.sample()
        rewards.append(float((state[0] > 0) == (action == 1)))
        logs.append(choice.log_prob(action))
        values.append(value)
        entropy = entropy + choice.entropy()
        state = torch.randn(2)
    returns = torch.tensor(rewards).flip(0).cumsum(0).flip(0)
    values = torch.stack(values)
    advantage = returns - values.detach()
    loss = -(torch.stack(logs) * advantage).mean() + (values - returns).pow(2).mean() - 0.01 * entropy
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
