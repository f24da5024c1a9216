"""`torch.storage`: the memory behind tensors."""

from clew.ops.storages import TypedStorage, UntypedStorage

__all__ = ["TypedStorage", "UntypedStorage"]
