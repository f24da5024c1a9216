"""The timeline as one self-contained HTML page: one goes from event to event and sees each number change."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from clew.view.page import asset


def page(data: dict[str, Any]) -> str:
    """The page, which needs nothing else, and no network."""
    text = asset("timeline.html")
    for name, value in (
        ("TITLE", escape(data["name"] or "training")),
        ("STYLE", asset("page.css") + asset("timeline.css")),
        ("SCRIPT", asset("timeline.js")),
        ("DATA", json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")),
    ):
        text = text.replace(f"{{{{{name}}}}}", value)
    return text


__all__ = ["page"]
