"""JupyterLab on the course, with its notebooks trusted.

python -m tools.lab [--port 8888] [more options of jupyter lab]
"""

import os
import subprocess
import sys
from pathlib import Path

from nbformat.sign import NotebookNotary

from tools.tree import ROOT, read


def trust():
    """Sign the course's notebooks, so that their stored pictures move when opened."""
    with NotebookNotary() as notary:
        for folder in ("chapters", "solutions"):
            for path in sorted((ROOT / folder).glob("*/*.ipynb")):
                notary.sign(read(path))


def main():
    trust()
    settings = [str(ROOT / "tools" / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH")]
    # In a terminal of JupyterLab, `python` is to be the one with the course in it.
    path = [str(Path(sys.executable).parent), os.environ.get("PATH")]
    environment = os.environ | {
        "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, settings)),
        "PATH": os.pathsep.join(filter(None, path)),
    }
    environment.pop("OMP_NUM_THREADS", None)  # here one learner has all the cores
    command = [sys.executable, "-m", "jupyter", "lab", *sys.argv[1:]]
    try:
        sys.exit(subprocess.call(command, cwd=ROOT, env=environment))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
