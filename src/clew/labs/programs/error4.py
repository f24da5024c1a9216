"""Symptom: memory keeps growing

A tensor kept in a list keeps the graph that made it, and a running total of losses chains the graphs of all steps into
one. Keep `detach()`ed tensors or `item()`s: they hold no graph.
"""

import torch


def nodes_behind(tensors):
    """How many recorded operations the tensors keep alive."""
    waiting = [tensor.grad_fn for tensor in tensors]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [next_node for next_node, _ in node.next_functions]
    return len(seen)


w = torch.tensor(2.0, requires_grad=True)
kept, kept_detached, total, total_item = [], [], 0.0, 0.0
for _ in range(50):
    prediction = w * 3
    loss = (prediction - 10) ** 2
    kept.append(prediction)
    kept_detached.append(prediction.detach())
    total = total + loss
    total_item += loss.item()

print("nodes behind 50 kept predictions:", nodes_behind(kept))
print("nodes behind 50 detached ones:", nodes_behind(kept_detached))
print("nodes behind a total of 50 losses:", nodes_behind([total]))
print("a total of items:", total_item, type(total_item).__name__)
