"""Exercise: keep losses, or their items

A list of 200 losses keeps the graphs of 200 epochs alive, even after `backward()` freed what they had saved; counted
here are the recorded operations that are still reachable. A list of items keeps 200 numbers.
"""

import torch

x = torch.tensor([1.0, 2.0, 3.0, 4.0])
y_true = torch.tensor([3.0, 5.0, 7.0, 9.0])

w = torch.tensor(0.0, requires_grad=True)
b = torch.tensor(0.0, requires_grad=True)
losses, items = [], []
for _ in range(200):
    loss = ((w * x + b - y_true) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        w -= 0.05 * w.grad
        b -= 0.05 * b.grad
    w.grad.zero_()
    b.grad.zero_()
    losses.append(loss)
    items.append(loss.item())

reached = set()
waiting = [loss.grad_fn for loss in losses]
while waiting:
    node = waiting.pop()
    if node is not None and node not in reached:
        reached.add(node)
        waiting += [next_node for next_node, _ in node.next_functions]

print("first and last item:", f"{items[0]:.4f} {items[-1]:.4f}")
print("operations kept by 200 losses:", len(reached))
print("kinds:", sorted({node.name() for node in reached}))
print("kept by 200 items:", "nothing but", {type(item).__name__ for item in items})
