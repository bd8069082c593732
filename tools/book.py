"""Build the HTML book and say where it is.

python -m tools.book
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tools.tree import ROOT


def main():
    # A warning is an error: a dead link or a missing picture must not be published.
    print("building the book ...", flush=True)
    program = shutil.which("jupyter-book", path=Path(sys.executable).parent)
    done = subprocess.run(
        [program, "build", str(ROOT), "-W", "--keep-going", "-q"],
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        # Sphinx warns only about pages that it reads: let the next build read them all.
        shutil.rmtree(ROOT / "_build" / ".doctrees", ignore_errors=True)
        print(done.stdout)
        sys.exit("the book was not built: see above")
    print(f"The book: {(ROOT / '_build' / 'html' / 'index.html').as_uri()}")


if __name__ == "__main__":
    main()
