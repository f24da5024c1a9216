"""Recurrent layers: RNN, LSTM, GRU over whole sequences, and their cells for one step."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

from clew.core.variable import Variable
from clew.nn import init
from clew.nn.module import Module
from clew.nn.parameter import Parameter
from clew.nn.utils.rnn import PackedSequence
from clew.ops.activation import relu
from clew.ops.create import empty, zeros
from clew.ops.dropout import dropout
from clew.ops.join import cat, stack
from clew.ops.linalg import linear
from clew.ops.recurrent import gru_cell, gru_layer, lstm_cell, lstm_layer, rnn_cell, rnn_layer
from clew.ops.trigonometry import tanh

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """What RNN, LSTM and GRU share.

    input (T, B, I), (B, T, I) with batch_first, or (T, I) for one sequence, or a PackedSequence; the state is
    (layers · directions, B, H). Weights are named `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, and with
    `_reverse` for the second direction; all begin uniform in ±1/√H.
    """

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_arguments(dropout)
        self._flat_weights_names: list[str] = []
        self._all_weights: list[list[str]] = []
        width, seen = GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                inputs = input_size if layer == 0 else seen * self._directions
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (width, inputs),
                    "weight_hh": (width, seen),
                }
                if bias:
                    shapes |= {"bias_ih": (width,), "bias_hh": (width,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                names = [name + suffix for name in shapes]
                for name, shape in zip(names, shapes.values(), strict=True):
                    setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
                self._flat_weights_names += names
                self._all_weights.append(names)
        self.reset_parameters()

    def _check_arguments(self, dropout: Any) -> None:
        if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):  # type: ignore[operator]
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and self.num_layers == 1:  # type: ignore[operator]
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
                f"greater than 1, but got dropout={dropout} and num_layers={self.num_layers}",
                stacklevel=4,
            )
        if not isinstance(self.hidden_size, int):
            raise TypeError(f"hidden_size should be of type int, got: {type(self.hidden_size).__name__}")
        if self.hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if self.num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if self.proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}{way}" for way in ("", "_reverse")[: self._directions]]

    @property
    def _flat_weights(self) -> list[Any]:
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters, a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def reset_parameters(self) -> None:
        """Draw all weights uniformly from ±1/√H."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing to do: on the CPU weights lie where they are."""

    def extra_repr(self) -> str:
        shown = f"{self.input_size}, {self.hidden_size}"
        defaults = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False,
        }  # fmt: skip
        return shown + "".join(
            f", {k}={getattr(self, k)}" for k, d in defaults.items() if getattr(self, k) != d
        )

    # ---- checks ------------------------------------------------------------------------------------------------------
    def _check_input(self, input: Any, rank: int) -> None:
        kind = self._get_name()
        if rank and input.dim() not in (2, 3):
            raise ValueError(f"{kind}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        weight = self._flat_weights[0]
        if input.dtype != weight.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). Convert input: "
                f"input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )

    def _check_state(self, state: Any, width: int, batch: int, what: str) -> None:
        want = (self.num_layers * self._directions, batch, width)
        if tuple(state.shape) != want:
            raise RuntimeError(f"Expected {what} size {want}, got {list(state.shape)}")

    # ---- running -----------------------------------------------------------------------------------------------------
    def _layer(
        self, x: Any, states: list[Any], weights: dict[str, Any], reverse: bool
    ) -> tuple[Any, list[Any]]:
        """One layer in one direction over (T, B, I): all outputs, and the last states."""
        raise NotImplementedError

    def _cell(self, x: Any, states: list[Any], weights: dict[str, Any]) -> list[Any]:
        """One step."""
        raise NotImplementedError

    def _packed_layer(
        self, x: Any, states: list[Any], weights: dict[str, Any], reverse: bool, sizes: list[int]
    ) -> Any:
        """One layer over a packed sequence: in step t only the first `sizes[t]` sequences take part."""
        steps = x.split(sizes)
        current = [s[: sizes[-1]] if reverse else s for s in states]
        found: list[Any] = [None] * len(sizes)
        ended: list[list[Any]] = []
        for t in range(len(sizes) - 1, -1, -1) if reverse else range(len(sizes)):
            have, size = current[0].shape[0], sizes[t]
            if size < have:  # some sequences end here: their states are kept
                ended.append([c[size:] for c in current])
                current = [c[:size] for c in current]
            elif size > have:
                current = [cat([c, s[have:size]]) for c, s in zip(current, states, strict=True)]
            current = self._cell(steps[t], current, weights)
            found[t] = current[0]
        for part in reversed(ended):
            current = [cat([c, p]) for c, p in zip(current, part, strict=True)]
        return cat(found), current

    def _run(self, x: Any, states: list[Any], sizes: list[int] | None) -> tuple[Any, list[Any]]:
        """All layers. states: (layers · directions, B, H) for each state variable."""
        last: list[list[Any]] = []
        for layer in range(self.num_layers):
            outputs = []
            for way, suffix in enumerate(self._suffixes(layer)):
                index = layer * self._directions + way
                weights = {
                    name.removesuffix(suffix): getattr(self, name) for name in self._all_weights[index]
                }
                own = [s[index] for s in states]
                if sizes is None:
                    out, ended = self._layer(x, own, weights, way == 1)
                else:
                    out, ended = self._packed_layer(x, own, weights, way == 1, sizes)
                outputs.append(out)
                last.append(ended)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, -1)
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = dropout(x, self.dropout, True)
        return x, [stack([ended[k] for ended in last]) for k in range(len(states))]

    def _whole(self, input: Any, states: list[Any] | None, widths: list[int]) -> tuple[Any, list[Any]]:
        """The forward pass: shapes, missing states, packed sequences."""
        packed = isinstance(input, PackedSequence)
        x = input.data if packed else input
        self._check_input(x, 0 if packed else 1)
        single = not packed and x.dim() == 2
        sizes = input.batch_sizes.tolist() if packed else None
        if single:
            x = x.unsqueeze(1)
        elif self.batch_first and not packed:
            x = x.transpose(0, 1)
        batch = sizes[0] if sizes is not None else x.shape[1]
        if states is None:
            count = self.num_layers * self._directions
            states = [zeros(count, batch, width, dtype=x.dtype) for width in widths]
        else:
            states = self._given(states, single, widths, batch, input.sorted_indices if packed else None)
        out, last = self._run(x, states, sizes)
        if packed:
            back = input.unsorted_indices
            last = [s if back is None else s.index_select(1, back) for s in last]
            return PackedSequence(out, input.batch_sizes, input.sorted_indices, back), last
        if single:
            return out.squeeze(1), [s.squeeze(1) for s in last]
        return out.transpose(0, 1) if self.batch_first else out, last

    def _given(self, states: list[Any], single: bool, widths: list[int], batch: int, order: Any) -> list[Any]:
        """The states as given, checked."""
        want = 2 if single else 3
        if any(s.dim() != want for s in states):
            kind = "unbatched 2-D" if single else "batched 3-D"
            if len(states) == 1:
                raise RuntimeError(
                    f"For {kind} input, hx should also be {want}-D but got {states[0].dim()}-D tensor"
                )
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {want}-D but got ({states[0].dim()}-D, {states[1].dim()}-D) tensors"
            )
        if single:
            states = [s.unsqueeze(1) for s in states]
        for k, (state, width) in enumerate(zip(states, widths, strict=True)):
            self._check_state(state, width, batch, "hidden" if len(states) == 1 else f"hidden[{k}]")
        return states if order is None else [s.index_select(1, order) for s in states]


class RNN(RNNBase):
    """h_t = tanh(W·x_t + b + U·h_{t−1} + c), or with nonlinearity="relu" (Elman 1990). Gives (all h, the last h)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self.nonlinearity, args = args[3], (*args[:3], *args[4:])
        else:
            self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if self.nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{self.nonlinearity}'. Select from 'tanh' or 'relu'.")
        squash = self.nonlinearity
        super().__init__(f"RNN_{squash.upper()}", *args, **kwargs)
        self.nonlinearity = squash

    def _layer(
        self, x: Any, states: list[Any], weights: dict[str, Any], reverse: bool
    ) -> tuple[Any, list[Any]]:
        w = weights
        out = rnn_layer(x, states[0], w["weight_ih"], w["weight_hh"], w.get("bias_ih"), w.get("bias_hh"), reverse=reverse, squash=self.nonlinearity)  # fmt: skip
        return out, [out[0 if reverse else -1]]

    def _cell(self, x: Any, states: list[Any], weights: dict[str, Any]) -> list[Any]:
        w, squash = weights, tanh if self.nonlinearity == "tanh" else relu
        return [
            rnn_cell(x, states[0], w["weight_ih"], w["weight_hh"], w.get("bias_ih"), w.get("bias_hh"), squash)
        ]

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        out, last = self._whole(input, None if hx is None else [hx], [self.hidden_size])
        return out, last[0]


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997). Gives (all h, (the last h, the last c)).

    proj_size: h is projected to that many numbers (Sak et al. 2014).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def _layer(
        self, x: Any, states: list[Any], weights: dict[str, Any], reverse: bool
    ) -> tuple[Any, list[Any]]:
        w = weights
        if self.proj_size:
            found = []
            for t in range(x.shape[0] - 1, -1, -1) if reverse else range(x.shape[0]):
                states = self._cell(x[t], states, weights)
                found.append(states[0])
            return stack(found[::-1] if reverse else found), states
        out, cell = lstm_layer(x, *states, w["weight_ih"], w["weight_hh"], w.get("bias_ih"), w.get("bias_hh"), reverse=reverse)  # fmt: skip
        return out, [out[0 if reverse else -1], cell]

    def _cell(self, x: Any, states: list[Any], weights: dict[str, Any]) -> list[Any]:
        w = weights
        h, c = states
        h, c = lstm_cell(x, h, c, w["weight_ih"], w["weight_hh"], w.get("bias_ih"), w.get("bias_hh"))
        return [linear(h, w["weight_hr"]) if self.proj_size else h, c]

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        if isinstance(hx, Variable):
            hx = tuple(hx)
        out, last = self._whole(input, None if hx is None else list(hx), [self.proj_size or self.hidden_size, self.hidden_size])  # fmt: skip
        return out, tuple(last)


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014). Gives (all h, the last h)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)

    def _layer(
        self, x: Any, states: list[Any], weights: dict[str, Any], reverse: bool
    ) -> tuple[Any, list[Any]]:
        w = weights
        out = gru_layer(x, states[0], w["weight_ih"], w["weight_hh"], w.get("bias_ih"), w.get("bias_hh"), reverse=reverse)  # fmt: skip
        return out, [out[0 if reverse else -1]]

    def _cell(self, x: Any, states: list[Any], weights: dict[str, Any]) -> list[Any]:
        w = weights
        return [gru_cell(x, states[0], w["weight_ih"], w["weight_hh"], w.get("bias_ih"), w.get("bias_hh"))]

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        out, last = self._whole(input, None if hx is None else [hx], [self.hidden_size])
        return out, last[0]


# ---- cells -----------------------------------------------------------------------------------------------------------
class RNNCellBase(Module):
    """What the cells share: input (B, I) or (I,), state (B, H) or (H,)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        width = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((width, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(empty((width, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            if bias:
                setattr(self, name, Parameter(empty(width, device=device, dtype=dtype)))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights uniformly from ±1/√H."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        shown = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            shown += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            shown += f", nonlinearity={self.nonlinearity}"
        return shown

    def _weights(self) -> tuple[Any, Any, Any, Any]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _begin(self, input: Any, states: Any, count: int) -> tuple[Any, list[Any], bool]:
        """The input and states with a batch dimension, and whether they had one."""
        kind = self._get_name()
        if input.dim() not in (1, 2):
            raise ValueError(f"{kind}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for i, state in enumerate(states or ()):
            if state.dim() not in (1, 2):
                what = "hidden" if count == 1 else f"hx[{i}]"
                raise ValueError(f"{kind}: Expected {what} to be 1D or 2D, got {state.dim()}D instead")
        batched = input.dim() == 2
        x = input if batched else input.unsqueeze(0)
        if x.shape[1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}"
            )
        if states is None:
            return x, [zeros(x.shape[0], self.hidden_size, dtype=x.dtype)] * count, batched
        own = [s if batched else s.unsqueeze(0) for s in states]
        for state in own:
            if state.shape[0] != x.shape[0]:
                raise RuntimeError(
                    f"Input batch size {x.shape[0]} doesn't match hidden0 batch size {state.shape[0]}"
                )
            if state.shape[1] != self.hidden_size:
                raise RuntimeError(
                    f"hidden0 has inconsistent hidden_size: got {state.shape[1]}, expected {self.hidden_size}"
                )
        return x, own, batched


class RNNCell(RNNCellBase):
    """h′ = tanh(W·x + b + U·h + c), or with nonlinearity="relu"."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None, dtype: Any = None
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        x, (h,), batched = self._begin(input, None if hx is None else [hx], 1)
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        made = rnn_cell(x, h, *self._weights(), tanh if self.nonlinearity == "tanh" else relu)
        return made if batched else made.squeeze(0)


class LSTMCell(RNNCellBase):
    """One step of an LSTM. Gives (h′, c′)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        x, (h, c), batched = self._begin(input, hx, 2)
        h, c = lstm_cell(x, h, c, *self._weights())
        return (h, c) if batched else (h.squeeze(0), c.squeeze(0))


class GRUCell(RNNCellBase):
    """One step of a GRU. Gives h′."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        x, (h,), batched = self._begin(input, None if hx is None else [hx], 1)
        made = gru_cell(x, h, *self._weights())
        return made if batched else made.squeeze(0)
