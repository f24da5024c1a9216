"""Neural networks: modules, parameters, layers, losses, initialisers."""

from clew.nn import functional, init, parameter, utils
from clew.nn.containers import *  # noqa: F403
from clew.nn.layers.activation import *  # noqa: F403
from clew.nn.layers.conv import *  # noqa: F403
from clew.nn.layers.dropout import *  # noqa: F403
from clew.nn.layers.embedding import *  # noqa: F403
from clew.nn.layers.linear import *  # noqa: F403
from clew.nn.layers.loss import *  # noqa: F403
from clew.nn.layers.norm import *  # noqa: F403
from clew.nn.layers.pooling import *  # noqa: F403
from clew.nn.layers.vision import *  # noqa: F403
from clew.nn.module import Module
from clew.nn.parameter import Buffer, Parameter

__all__ = ["Buffer", "Module", "Parameter", "functional", "init", "parameter", "utils"]
