"""Record what PyTorch 2.13 gives for tests/golden/programs.py: python tests/golden/record_programs.py"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from programs import PROGRAMS, results

if __name__ == "__main__":
    recorded = {name: results(torch, name) for name in PROGRAMS}
    Path(__file__).with_name("programs.json").write_text(json.dumps(recorded, indent=0) + "\n")
