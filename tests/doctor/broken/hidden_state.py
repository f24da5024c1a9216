# expect: hidden-state-carried 9
import torch

torch.manual_seed(0)
rnn = torch.nn.RNN(1, 4)
optimizer = torch.optim.SGD(rnn.parameters(), lr=0.01)
hidden = torch.zeros(1, 1, 4)
for step in range(4):
    output, hidden = rnn(torch.randn(5, 1, 1), hidden)
    loss = output.pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
