"""The older address of `torch.hub.load_state_dict_from_url`, which clew has not: it loads nothing from the network."""

from clew.hub import load_state_dict_from_url as load_url

__all__ = ["load_url"]
