"""Anomaly detection: NaN gradients are refused, with the forward call that they come from."""

from __future__ import annotations

import warnings

from clew.core.modes import switches

ENABLED = "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for debugging."


class detect_anomaly:
    """Inside, every node keeps the stack that made it, and `backward` raises RuntimeError at the first NaN gradient."""

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        warnings.warn(ENABLED, UserWarning, stacklevel=2)

    def __enter__(self) -> None:
        self.before = switches.anomaly, switches.anomaly_nan
        switches.anomaly, switches.anomaly_nan = True, self.check_nan
        switches.note()

    def __exit__(self, *exc: object) -> None:
        switches.anomaly, switches.anomaly_nan = self.before
        switches.note()


class set_detect_anomaly:
    """Switch anomaly detection on or off, at once; as a context manager, until its end."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = switches.anomaly, switches.anomaly_nan
        switches.anomaly, switches.anomaly_nan = mode, check_nan
        switches.note()

    def __enter__(self) -> None:
        """The mode is set already."""

    def __exit__(self, *exc: object) -> None:
        switches.anomaly, switches.anomaly_nan = self.before
        switches.note()


__all__ = ["detect_anomaly", "set_detect_anomaly"]
