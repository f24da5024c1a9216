"""Learning to balance a pole: REINFORCE on a cart-pole that is built in here.

    python examples/policy_gradient.py        clew run examples/policy_gradient.py

The task is Barto, Sutton and Anderson's (1983): push a cart left or right so that the pole on it stays up, at most 200
steps. The policy is a small net; its gradient is that of log π(action) times what was earned from there on, compared
with the average (Williams 1992).
"""

import argparse
import math
import random
from pathlib import Path

import torch
import torch.nn as nn

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, STEP = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
LIMIT_X, LIMIT_ANGLE, LONGEST = 2.4, 12 * math.pi / 180, 200


class CartPole:
    """Position, speed, angle and angular speed; a reward of 1 for every step that the pole is up."""

    def reset(self, rng):
        self.state = [rng.uniform(-0.05, 0.05) for _ in range(4)]
        self.steps = 0
        return self.state

    def step(self, push_right):
        x, speed, angle, spin = self.state
        force = FORCE if push_right else -FORCE
        mass = CART + POLE
        push = (force + POLE * HALF_LENGTH * spin**2 * math.sin(angle)) / mass
        angular = (GRAVITY * math.sin(angle) - math.cos(angle) * push) / (
            HALF_LENGTH * (4 / 3 - POLE * math.cos(angle) ** 2 / mass)
        )
        linear = push - POLE * HALF_LENGTH * angular * math.cos(angle) / mass
        self.state = [x + STEP * speed, speed + STEP * linear, angle + STEP * spin, spin + STEP * angular]
        self.steps += 1
        fallen = abs(self.state[0]) > LIMIT_X or abs(self.state[2]) > LIMIT_ANGLE
        return self.state, fallen or self.steps >= LONGEST


def play(policy, task, rng):
    """One episode; states and actions."""
    state, done = task.reset(rng), False
    states, actions = [], []
    while not done:
        with torch.no_grad():
            right = torch.sigmoid(policy(torch.tensor(state))).item()
        action = 1.0 if rng.random() < right else 0.0
        states.append(state)
        actions.append(action)
        state, done = task.step(action > 0.5)
    return states, actions


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60, help="updates, of 8 episodes each")
    parser.add_argument("--out", type=Path, default=Path("examples_out"))
    options = parser.parse_args()
    torch.manual_seed(0)
    rng = random.Random(0)

    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    task = CartPole()
    history = []
    for update in range(1, options.steps + 1):
        states, actions, returns, lengths = [], [], [], []
        for _ in range(8):
            episode, chosen = play(policy, task, rng)
            states += episode
            actions += chosen
            returns += [float(n) for n in range(len(episode), 0, -1)]
            lengths.append(len(episode))
        earned = torch.tensor(returns)
        advantage = (earned - earned.mean()) / (earned.std() + 1e-6)
        logits = policy(torch.tensor(states)).squeeze(1)
        surprise = nn.functional.binary_cross_entropy_with_logits(
            logits, torch.tensor(actions), reduction="none"
        )
        loss = (surprise * advantage).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        history.append(sum(lengths) / len(lengths))
        if update % 10 == 0 or update == options.steps:
            print(f"update {update:3d}  mean length {history[-1]:6.1f}  loss {loss.item():+.4f}")

    try:
        draw(options.out / "policy_gradient.png", history)
    except ModuleNotFoundError:
        print("no picture: matplotlib is not installed")


def draw(path, history):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot(history)
    axes.set(xlabel="update", ylabel="steps until the pole falls", title="REINFORCE on a cart-pole")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
