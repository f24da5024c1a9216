"""PyTorch's second address of the layers: `torch.nn.modules`."""

import sys as _sys
from types import ModuleType as _ModuleType
from typing import Any as _Any

from clew.nn.containers import *
from clew.nn.layers import activation, conv, dropout, embedding, lazy, linear, loss, norm, pooling
from clew.nn.layers.activation import *
from clew.nn.layers.attention import *
from clew.nn.layers.conv import *
from clew.nn.layers.dropout import *
from clew.nn.layers.embedding import *
from clew.nn.layers.lazy import *
from clew.nn.layers.linear import *
from clew.nn.layers.loss import *
from clew.nn.layers.norm import *
from clew.nn.layers.pooling import *
from clew.nn.layers.rnn import *
from clew.nn.layers.transformer import *
from clew.nn.layers.vision import *
from clew.nn.module import Module
from clew.nn.modules import module, utils

_PLACES = (
    "activation", "adaptive", "batchnorm", "channelshuffle", "container", "conv", "distance", "dropout", "flatten", "fold",
    "instancenorm", "lazy", "linear", "loss", "normalization", "padding", "pixelshuffle", "pooling", "rnn", "sparse",
    "transformer", "upsampling",
)  # fmt: skip


# Where names are looked for besides `clew.nn`: those that begin with an underscore.
_layers = {
    "activation": activation, "batchnorm": norm, "conv": conv, "dropout": dropout, "instancenorm": norm, "lazy": lazy, "linear": linear,
    "loss": loss, "normalization": norm, "pooling": pooling, "sparse": embedding,
}  # fmt: skip


class _Place(_ModuleType):
    """PyTorch's address of some layers, such as `torch.nn.modules.container`: the layers of `clew.nn`."""

    def __getattr__(self, name: str) -> _Any:
        from clew import nn

        if not name.startswith("__"):
            for place in (nn, *self.beside):
                if hasattr(place, name):
                    return getattr(place, name)
        raise AttributeError(
            f"module '{self.__name__.replace('clew', 'torch', 1)}' has no attribute '{name}'"
        )


for _name in _PLACES:
    _place: _Any = _Place(f"{__name__}.{_name}", _Place.__doc__)
    _place.beside = [m for m in (_layers.get(_name),) if m is not None]
    _sys.modules[_place.__name__] = globals()[_name] = _place
