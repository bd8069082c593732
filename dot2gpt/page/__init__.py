"""Models of the course that run in a page, with no kernel and no network.

`engine.js` computes them in plain JavaScript.
"""

from pathlib import Path

ENGINE = (Path(__file__).parent / "engine.js").read_text(encoding="utf-8")
