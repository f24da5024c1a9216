"""Optimizers."""

from clew.optim import lr_scheduler
from clew.optim.adam import Adam, AdamW
from clew.optim.adaptive import Adadelta, Adagrad, Adamax, NAdam, RAdam, RMSprop
from clew.optim.lbfgs import LBFGS
from clew.optim.optimizer import Optimizer
from clew.optim.others import ASGD, Rprop, SparseAdam
from clew.optim.sgd import SGD

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "Optimizer", "RAdam", "RMSprop",
    "Rprop", "SparseAdam", "lr_scheduler",
]  # fmt: skip
