"""Run the notebooks as other processors would, and list the cells that differ.

    python -m tools.machines                    all notebooks under all processors
    python -m tools.machines 06_multi_head      one chapter's notebooks
    python -m tools.machines --as old -- make test   any command under one processor

The processors are those of tools/processors.py. What passed is remembered in
_build/machines.json until the notebook, the library or a processor's settings change:
a run that was stopped goes on where it was.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from tools.execute import QUIET, choose, fingerprint
from tools.processors import PROCESSORS, SURVEYED, environment
from tools.tree import ROOT, read

KINDS = [(processor, threads) for threads in (1, 2) for processor in SURVEYED]
STORE = Path("_build", "machines.json")
NBVAL = ["-m", "pytest", "-v", "--color=no", "--nbval", "--dist", "loadfile"]
NBVAL += ["-p", "tests.printed_numbers", "-p", "tests.warm_kernels"]
SAID = re.compile(r"(PASSED|FAILED|ERROR) (\S+)(?:\.|::)ipynb::(Cell \d+)")


def content(notebook):
    """What a verdict on a notebook depends on, machines aside."""
    outputs = [cell.get("outputs") for cell in notebook.cells]
    plug_in = (ROOT / "tests" / "printed_numbers.py").read_text(encoding="utf-8")
    return fingerprint(notebook) + json.dumps(outputs) + plug_in


def key(text, processor, threads):
    """A verdict's name: what it depends on, as a short text."""
    parts = [text, PROCESSORS[processor], threads]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def cells_run(paths, processor, threads, jobs, root=ROOT):
    """Run notebooks with nbval; yields (path, cell, whether it passed) as they run.

    What nbval says of the cells that differ is printed at the end.
    """
    process = subprocess.Popen(
        [sys.executable, *NBVAL, "-n", str(jobs), *paths],
        cwd=root,
        env=environment(
            processor,
            **QUIET,
            OMP_NUM_THREADS=str(threads),
            PYTHONPATH=str(ROOT),
            PYTHONUNBUFFERED="1",
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        for line in process.stdout:
            if said := SAID.search(line):
                yield root / f"{said[2]}.ipynb", said[3], said[1] == "PASSED"
            elif "= FAILURES =" in line:
                tqdm.write(process.stdout.read())
    if process.returncode > 1:  # 1: some cells differ
        raise RuntimeError(f"pytest ended with {process.returncode}")


def survey(paths, jobs, root=ROOT):
    """Run what has not passed yet; {(processor, threads): [cells that differ]}."""
    store = root / STORE
    passed = set(json.loads(store.read_text())) if store.exists() else set()
    notebooks = {path: read(path) for path in paths}
    texts = {path: content(notebook) for path, notebook in notebooks.items()}
    sizes = {
        path: sum(cell.cell_type == "code" for cell in notebook.cells)
        for path, notebook in notebooks.items()
    }
    todo = {
        kind: {p: k for p in paths if (k := key(texts[p], *kind)) not in passed}
        for kind in KINDS
    }
    total = sum(sizes[path] for waiting in todo.values() for path in waiting)
    found = {}
    store.parent.mkdir(exist_ok=True)
    with tqdm(total=total, unit="cell") as bar:
        for kind, waiting in todo.items():
            if not waiting:
                continue
            bar.set_description(f"{kind[0]}, threads {kind[1]}")
            good = Counter()
            for path, cell, passes in cells_run(waiting, *kind, jobs, root):
                bar.update()
                good[path] += passes
                if not passes:
                    where = f"{path.relative_to(root)}, {cell}"
                    found.setdefault(kind, []).append(where)
                if good[path] == sizes[path]:
                    passed.add(waiting[path])
                    store.write_text(json.dumps(sorted(passed)))
    return found


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tools.machines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="chapters or notebooks, or a command")
    parser.add_argument(
        "--as", dest="processor", choices=PROCESSORS, help="run a command"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.processor:
        if not options.names:
            parser.error("--as PROCESSOR wants a command: --as old -- make test")
        os.execvpe(options.names[0], options.names, environment(options.processor))
    paths = choose(options.names, parser)
    try:
        found = survey(paths, options.jobs)
    except KeyboardInterrupt:
        sys.exit("stopped; what passed is remembered, run it again to go on")
    for processor, threads in KINDS:
        cells = found.get((processor, threads), [])
        print(f"{processor}, threads {threads}: {len(cells) or 'no'} cells differ")
        print("".join(f"  {cell}\n" for cell in cells), end="")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
