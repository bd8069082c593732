"""Mend .venv once the course's folder was moved, renamed or copied; `make` runs it.

python3 -m tools.mended

An environment names the folder that it was made in, in its commands and where it says
what to import: they would run another course's code, or none.
"""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACES = (
    "bin/*",
    "lib/*/site-packages/__editable__*",
    "lib/*/site-packages/*.dist-info/direct_url.json",
    "pyvenv.cfg",  # last: it tells whether there is something to do
)


def mend(root=ROOT):
    """Put the folder's present name for the earlier one; returns that, or None."""
    environment = root / ".venv"
    config = environment / "pyvenv.cfg"
    made = config.read_text(encoding="utf-8") if config.is_file() else ""
    match = re.search(r"^command = .* -m venv (?:--\S+ )*(.+)$", made, re.MULTILINE)
    old = Path(match[1]).parent if match else root
    if old == root:
        return None
    for place in PLACES:
        for path in sorted(environment.glob(place)):
            if path.is_file() and not path.is_symlink():
                _replace(path, os.fsencode(old), os.fsencode(root))
    return old


def _replace(path, old, new):
    """In a new file: a copy may share the old one with its original."""
    data = path.read_bytes()
    changed = re.sub(re.escape(old) + rb"(?![\w.-])", lambda _: new, data)
    if changed != data:
        temporary = path.with_name(f".new-{path.name}")
        temporary.write_bytes(changed)
        temporary.chmod(path.stat().st_mode)
        os.replace(temporary, path)


if __name__ == "__main__":
    earlier = mend()
    if earlier:
        print(f".venv was made in {earlier}: mended", file=sys.stderr)
