"""The timeline as curves, by matplotlib."""

from __future__ import annotations

from typing import Any

CURVES = 10  # parameters that are drawn by name; more are drawn thin, without


def plot(data: dict[str, Any], figure: Any = None) -> Any:
    """Three curves over the steps: the loss, |gradient| and |change| / |parameter|. ImportError without matplotlib."""
    if figure is None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 8), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True)
    loss, gradient, change = axes
    _curve(loss, data["losses"], label=None)
    loss.set_ylabel("loss")
    if data["name"]:
        loss.set_title(data["name"])
    parameters = data["parameters"]
    for i, parameter in enumerate(parameters):
        style = (
            {"label": parameter["name"]} if i < CURVES else {"label": None, "linewidth": 0.4, "color": "0.6"}
        )
        _curve(gradient, parameter["gradients"], **style)
        _curve(change, parameter["ratios"], **style)
    gradient.set_ylabel("|gradient|")
    change.set_ylabel("|change| / |parameter|")
    change.set_xlabel("step")
    for axis in (gradient, change):
        if any(line.get_ydata()[0] > 0 for line in axis.get_lines() if len(line.get_ydata())):
            axis.set_yscale("log")
    if 0 < len(parameters) <= CURVES:
        gradient.legend(fontsize="small", loc="best")
    for axis in axes:
        axis.grid(alpha=0.25)
    return figure


def _curve(axis: Any, points: list[list[Any]], **style: Any) -> None:
    plain = [(step, value) for step, value in points if isinstance(value, float | int)]
    if plain:
        steps, values = zip(*plain, strict=True)
        axis.plot(steps, values, marker="." if len(plain) < 60 else "", **style)


__all__ = ["plot"]
