"""Rooms beside the tensors: exchange with other libraries."""

from clew.utils import dlpack

__all__ = ["dlpack"]
