"""Neural networks: modules, parameters, layers, losses, initialisers."""

from clew.nn import attention, functional, init, modules, parallel, parameter, utils
from clew.nn.containers import *
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
from clew.nn.parallel import DataParallel
from clew.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [
    "Buffer",
    "DataParallel",
    "Module",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "functional",
    "init",
    "modules",
    "parameter",
    "utils",
]
