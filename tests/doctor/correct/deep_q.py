"""Q-learning: actions chosen by a recorded pass of one row, targets detached, a replay memory of plain tensors."""

import random

import torch
from torch import nn

torch.manual_seed(0)
random.seed(0)
net, target = nn.Linear(3, 2), nn.Linear(3, 2)
target.load_state_dict(net.state_dict())
target.eval()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
memory = []
state = torch.randn(3)
for step in range(60):
    action = net(state.unsqueeze(0)).argmax(1).item() if random.random() > 0.2 else random.randrange(2)
    after = torch.randn(3)
    memory.append((state, action, float(state[0] > 0) * action, after))
    state = after
    if len(memory) < 16:
        continue
    states, actions, rewards, afters = zip(*random.sample(memory, 16))
    best = target(torch.stack(afters)).max(1)[0].detach()
    wanted = torch.tensor(rewards) + 0.9 * best
    value = net(torch.stack(states)).gather(1, torch.tensor(actions).unsqueeze(1)).squeeze(1)
    loss = nn.functional.smooth_l1_loss(value, wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        target.load_state_dict(net.state_dict())
print(loss.item() < 10)
