"""Optimizers."""

from clew.optim import lr_scheduler, swa_utils
from clew.optim.adafactor import Adafactor
from clew.optim.adam import Adam, AdamW
from clew.optim.adaptive import Adadelta, Adagrad, Adamax, NAdam, RAdam, RMSprop
from clew.optim.lbfgs import LBFGS
from clew.optim.muon import Muon
from clew.optim.optimizer import Optimizer
from clew.optim.others import ASGD, Rprop, SparseAdam
from clew.optim.sgd import SGD

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Muon", "NAdam", "Optimizer", "RAdam", "RMSprop",
    "Rprop", "SparseAdam", "lr_scheduler", "swa_utils",
]  # fmt: skip
