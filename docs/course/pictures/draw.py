"""Draws the pictures of the course: python docs/course/pictures/draw.py (the page's screenshot needs a browser)."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import clew
from clew import as_torch, labs, view
from clew.labs.page import page
from clew.labs.steps import take_apart

HERE = Path(__file__).parent
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def running_total() -> view.Graph:
    with view.Recording() as seen:
        w = clew.tensor(2.0, requires_grad=True)
        total = (w * 3 - 10) ** 2
        for _ in range(2):
            total = total + (w * 3 - 10) ** 2
    return seen.graph(total)


def graphs() -> dict[str, view.Graph]:
    """Each drawing's graph, without paths of this machine."""
    found = {"running_total": running_total()}
    with as_torch.installed():
        for program in labs.choose(["1", "4", "5"]):
            found[program.name] = take_apart(program).graphs[1]
    for name, graph in found.items():
        graph.script, graph.note = name, ""
        for node in graph.nodes:
            node.file = node.file and Path(node.file).name
    return found


def screenshot() -> None:
    """The page of lab 2, some steps on."""
    from playwright.sync_api import sync_playwright

    with as_torch.installed():
        seen = take_apart(labs.choose(["2"])[0])
    with sync_playwright() as started, tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "lab2.html")
        file.write_text(page(seen), encoding="utf-8")
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        shown = browser.new_page(viewport={"width": 1000, "height": 620})
        shown.goto(file.as_uri())
        for _ in range(26):
            shown.keyboard.press("ArrowRight")
        shown.wait_for_timeout(500)  # boxes fade in
        shown.screenshot(path=HERE / "page_lab2.png")
        browser.close()


def main() -> None:
    for name, graph in graphs().items():
        (HERE / f"{name}.svg").write_text(graph.svg(), encoding="utf-8")
    if "--no-browser" not in sys.argv:
        screenshot()


if __name__ == "__main__":
    main()
