"""Takes the screenshots of the pages of `clew graph` and `clew timeline` that the documentation shows."""

from __future__ import annotations

import contextlib
import runpy
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import clew
from clew import as_torch, nn, view

HERE = Path(__file__).parent
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def lab1() -> view.Graph:
    w = clew.tensor(2.0, requires_grad=True)
    loss = (w * 3 - 10) ** 2
    return view.backward(loss)


def encoder() -> view.Graph:
    clew.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Flatten(), nn.Linear(64, 3))
    with view.Recording() as seen:
        loss = nn.functional.cross_entropy(model(clew.randn(8, 4, 16)), clew.randint(0, 3, (8,)))
        loss.backward()
    return seen.graph(params=model)


def lab3() -> view.Timeline:
    """Gradients that add up; the lines are the lab's."""
    script = Path(clew.__file__).parent / "labs" / "programs" / "lab3.py"
    with view.Timeline("lab3.py") as seen, contextlib.redirect_stdout(None), as_torch.installed():
        runpy.run_path(str(script))
    return seen


def main() -> None:
    shots = [  # name, graph, width, height, keys
        ("page_lab1", lab1(), 1000, 560, ["Home", *["ArrowRight"] * 6]),
        ("page_phone", lab1(), 390, 760, ["ArrowLeft"]),
        ("page_encoder", encoder(), 1200, 800, []),
        ("timeline_lab3", lab3(), 1000, 460, ["ArrowRight"] * 4),
    ]
    with sync_playwright() as started, tempfile.TemporaryDirectory() as folder:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        for name, graph, width, height, keys in shots:
            page = browser.new_page(viewport={"width": width, "height": height})
            graph.save(Path(folder, f"{name}.html"))
            page.goto(Path(folder, f"{name}.html").as_uri())
            for key in keys:
                page.keyboard.press(key)
            page.screenshot(path=HERE / f"{name}.png")
            page.close()
        browser.close()
    (HERE / "graph_lab1.svg").write_text(lab1().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
