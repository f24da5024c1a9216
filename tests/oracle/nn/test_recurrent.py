"""Recurrent layers: the same weights for a seed, the same outputs, states and gradients, the same errors."""

from __future__ import annotations

import numpy as np
import pytest
from both import collect, same

KINDS = ["RNN", "LSTM", "GRU"]
OPTIONS = [
    {}, {"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"bias": False}, {"batch_first": True},
]  # fmt: skip


def numbers(t, *shape, seed=0):
    return t.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=t.float64)


def run(t, net, x, state=None):
    """Outputs, states and all gradients."""
    out, last = net(x) if state is None else net(x, state)
    last = last if isinstance(last, tuple) else (last,)
    total = (out * numbers(t, *out.shape, seed=1)).sum() + sum((s * s).sum() for s in last)
    total.backward()
    return out.detach(), [s.detach() for s in last], [p.grad for p in net.parameters()], x.grad


def make(t, kind, **options):
    t.manual_seed(0)
    return getattr(t.nn, kind)(3, 4, **options).double()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_layers(kind, options):
    def program(t):
        net = make(t, kind, **options)
        return repr(net), list(net.state_dict()), run(t, net, numbers(t, 5, 2, 3).requires_grad_())

    same(program)


def test_relu_and_projection():
    same(lambda t: run(t, make(t, "RNN", nonlinearity="relu"), numbers(t, 5, 2, 3)))
    same(
        lambda t: run(t, make(t, "LSTM", proj_size=2, num_layers=2, bidirectional=True), numbers(t, 5, 2, 3))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_states(kind):
    def program(t):
        h = numbers(t, 1, 2, 4, seed=3).requires_grad_()
        state = (h, numbers(t, 1, 2, 4, seed=4)) if kind == "LSTM" else h
        return run(t, make(t, kind), numbers(t, 5, 2, 3), state), h.grad

    same(program)


@pytest.mark.parametrize("kind", KINDS)
def test_one_sequence(kind):
    same(lambda t: run(t, make(t, kind), numbers(t, 5, 3).requires_grad_()))


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives(kind):
    def program(t):
        net = make(t, kind)
        x = numbers(t, 3, 2, 3).requires_grad_()
        (g,) = t.autograd.grad(net(x)[0].sum(), x, create_graph=True)
        (g * g).sum().backward()
        return x.grad, [None if p.grad is None else p.grad + 0 for p in net.parameters()]

    same(program)


def test_dropout():
    def program(t):
        net = make(t, "LSTM", num_layers=2, dropout=0.5)
        t.manual_seed(1)
        return net(numbers(t, 5, 2, 3))[0].detach()

    same(program)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_packed(kind, bidirectional):
    def program(t):
        rnn = t.nn.utils.rnn
        x = numbers(t, 5, 3, 3).requires_grad_()
        net = make(t, kind, num_layers=2, bidirectional=bidirectional)
        packed = rnn.pack_padded_sequence(x, [3, 5, 2], enforce_sorted=False)
        out, last = net(packed)
        padded, lengths = rnn.pad_packed_sequence(out)
        (padded * numbers(t, *padded.shape, seed=1)).sum().backward()
        states = last if isinstance(last, tuple) else (last,)
        return (
            [packed.data.detach(), packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices],
            [padded.detach(), lengths, [s.detach() for s in states]],
            [x.grad, [p.grad for p in net.parameters()]],
        )

    same(program)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(kind):
    def program(t):
        net = make(t, kind)
        x = numbers(t, 2, 3)
        first = net(x)
        second = net(x, first)
        total = sum(s.sum() for s in (second if isinstance(second, tuple) else (second,)))
        total.backward()
        single = net(x[0])
        return (
            repr(net),
            total.detach(),
            [p.grad for p in net.parameters()],
            [s.detach() for s in (single if isinstance(single, tuple) else (single,))],
        )

    same(program)


# ---- sequences ---------------------------------------------------------------------------------------------------------
def sequences(t):
    return [t.arange(4.0), t.arange(2.0), t.arange(3.0)]


def p_padded(t):
    pad = t.nn.utils.rnn.pad_sequence
    return (
        pad(sequences(t)),
        pad(sequences(t), batch_first=True, padding_value=-1),
        pad(sequences(t), True, 0.0, "left"),
    )


def p_packed(t):
    rnn = t.nn.utils.rnn
    packed = rnn.pack_sequence(sequences(t), enforce_sorted=False)
    return (
        tuple(packed),
        rnn.unpack_sequence(packed),
        rnn.pad_packed_sequence(packed, True, 9.0, total_length=6),
    )


def p_not_sorted(t):
    t.nn.utils.rnn.pack_sequence(sequences(t))


def p_empty_sequence(t):
    t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [3, 0])


def p_too_short(t):
    rnn = t.nn.utils.rnn
    rnn.pad_packed_sequence(rnn.pack_sequence(sequences(t), enforce_sorted=False), total_length=2)


def wrong(make):
    return lambda t: make(t)


p_width = wrong(lambda t: t.nn.LSTM(3, 4)(t.ones(5, 2, 2)))
p_rank = wrong(lambda t: t.nn.LSTM(3, 4)(t.ones(5)))
p_state = wrong(lambda t: t.nn.LSTM(3, 4)(t.ones(5, 2, 3), (t.zeros(1, 3, 4), t.zeros(1, 2, 4))))
p_state_rank = wrong(lambda t: t.nn.LSTM(3, 4)(t.ones(5, 3), (t.zeros(1, 2, 4), t.zeros(1, 2, 4))))
p_gru_state = wrong(lambda t: t.nn.GRU(3, 4)(t.ones(5, 2, 3), t.zeros(2, 2, 4)))
p_type = wrong(lambda t: t.nn.LSTM(3, 4)(t.ones(5, 2, 3).double()))
p_projection = wrong(lambda t: t.nn.LSTM(3, 4, proj_size=4))
p_gru_projection = wrong(lambda t: t.nn.GRU(3, 4, proj_size=2))
p_nonlinearity = wrong(lambda t: t.nn.RNN(3, 4, nonlinearity="x"))
p_dropout = wrong(lambda t: t.nn.LSTM(3, 4, dropout=2))
p_dropout_useless = wrong(lambda t: repr(t.nn.LSTM(3, 4, dropout=0.5)))
p_hidden = wrong(lambda t: t.nn.LSTM(3, 0))
p_hidden_type = wrong(lambda t: t.nn.LSTM(3, 4.5))
p_layers = wrong(lambda t: t.nn.LSTM(3, 4, num_layers=0))
p_cell_width = wrong(lambda t: t.nn.LSTMCell(3, 4)(t.ones(2, 2)))
p_cell_rank = wrong(lambda t: t.nn.LSTMCell(3, 4)(t.ones(2, 2, 2, 3)))


@collect(globals())
def test_same(program):
    same(program)
