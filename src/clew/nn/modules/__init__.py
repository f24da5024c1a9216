"""PyTorch's second address of the layers: `torch.nn.modules`."""

from clew.nn.containers import *
from clew.nn.layers import activation, conv, dropout, embedding, linear, loss, pooling
from clew.nn.layers import norm as batchnorm
from clew.nn.layers.activation import *
from clew.nn.layers.conv import *
from clew.nn.layers.dropout import *
from clew.nn.layers.embedding import *
from clew.nn.layers.linear import *
from clew.nn.layers.loss import *
from clew.nn.layers.norm import *
from clew.nn.layers.pooling import *
from clew.nn.layers.vision import *
from clew.nn.module import Module
from clew.nn.modules import module
