"""An older address of the optimizers: `torch.optim._multi_tensor`."""

from clew.optim.adam import Adam, AdamW
from clew.optim.adaptive import Adadelta, Adagrad, Adamax, NAdam, RAdam, RMSprop
from clew.optim.others import ASGD, Rprop
from clew.optim.sgd import SGD

__all__ = [
    "ASGD",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
]
