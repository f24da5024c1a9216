"""Activations as modules. Most are a function of clew.nn.functional with some numbers kept: one line each."""

from __future__ import annotations

from typing import Any

from clew.nn import functional as F
from clew.nn.module import Module
from clew.nn.parameter import Parameter
from clew.ops.activation import relu
from clew.ops.create import full


def _activation(
    name: str,
    function: Any,
    options: dict[str, Any] | None = None,
    *,
    inplace: bool = False,
    label: str = "{}={!r}",
) -> Any:
    """A module that applies `function` with the options it was made with; `inplace` is printed only where true."""
    options = dict(options or {})
    names = (*options, *(("inplace",) if inplace else ()))
    known = {**options, **({"inplace": False} if inplace else {})}

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        Module.__init__(self)
        if len(args) > len(names):
            raise TypeError(
                f"{name}.__init__() takes from 1 to {len(names) + 1} positional arguments but {len(args) + 1} were given"
            )
        given = {**known, **dict(zip(names, args, strict=False))}
        for key, value in kwargs.items():
            if key not in given:
                raise TypeError(f"{name}.__init__() got an unexpected keyword argument '{key}'")
            given[key] = value
        for key, value in given.items():
            setattr(self, key, value)

    def plain(self: Any, input: Any) -> Any:
        return function(input)

    def forward(self: Any, input: Any) -> Any:
        state = self.__dict__
        return function(input, *[state[key] for key in names])

    def extra_repr(self: Any) -> str:
        parts = [label.format(key, getattr(self, key)) for key in options]
        return ", ".join([*parts, *(["inplace=True"] if inplace and self.inplace else [])])

    namespace = {
        "__init__": __init__,
        "forward": forward if names else plain,
        "__doc__": function.__doc__,
        "__module__": __name__,
    }
    if names:
        namespace["extra_repr"] = extra_repr
    return type(name, (Module,), namespace)


ReLU6 = _activation("ReLU6", F.relu6, inplace=True)
SELU = _activation("SELU", F.selu, inplace=True)
CELU = _activation("CELU", F.celu, {"alpha": 1.0}, inplace=True)
ELU = _activation("ELU", F.elu, {"alpha": 1.0}, inplace=True)
LeakyReLU = _activation("LeakyReLU", F.leaky_relu, {"negative_slope": 0.01}, inplace=True)
SiLU = _activation("SiLU", F.silu, inplace=True)
Mish = _activation("Mish", F.mish, inplace=True)
Hardsigmoid = _activation("Hardsigmoid", F.hardsigmoid, inplace=True)
Hardswish = _activation("Hardswish", F.hardswish, inplace=True)
GELU = _activation("GELU", F.gelu, {"approximate": "none"})
Sigmoid = _activation("Sigmoid", F.sigmoid)
Tanh = _activation("Tanh", F.tanh)
LogSigmoid = _activation("LogSigmoid", F.logsigmoid)
Softsign = _activation("Softsign", F.softsign)
Tanhshrink = _activation("Tanhshrink", F.tanhshrink)
Softplus = _activation("Softplus", F.softplus, {"beta": 1.0, "threshold": 20.0})
Softshrink = _activation("Softshrink", F.softshrink, {"lambd": 0.5}, label="{1}")
Hardshrink = _activation("Hardshrink", F.hardshrink, {"lambd": 0.5}, label="{1}")
GLU = _activation("GLU", F.glu, {"dim": -1})
Softmax = _activation("Softmax", F.softmax, {"dim": None})
LogSoftmax = _activation("LogSoftmax", F.log_softmax, {"dim": None})
Softmin = _activation("Softmin", F.softmin, {"dim": None})


class ReLU(Module):
    """max(x, 0)."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return F.relu_(input) if self.inplace else relu(input)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Hardtanh(Module):
    """x cut to [min_val, max_val]."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if not max_val > min_val:
            raise AssertionError(f"max_val ({max_val}) must be greater than min_val ({min_val})")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class Threshold(Module):
    """x where x > threshold, else `value`."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class RReLU(Module):
    """Leaky ReLU whose slope is drawn from U(lower, upper) in training."""

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class PReLU(Module):
    """max(0, x) + a · min(0, x) with a learnt."""

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), float(init), dtype=dtype, device=device))

    def forward(self, input: Any) -> Any:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Any) -> Any:
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead")
        return F.softmax(input, -3)


__all__ = [
    "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
    "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmax2d", "Softmin",
    "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip
