"""Optimizers."""

from clew.optim import lr_scheduler
from clew.optim.adam import Adam, AdamW
from clew.optim.optimizer import Optimizer
from clew.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
