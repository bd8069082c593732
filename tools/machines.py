"""Run the notebooks as other processors would, and list the cells that differ.

    python -m tools.machines                    all notebooks under all processors
    python -m tools.machines 06_multi_head      one chapter's notebooks
    python -m tools.machines --as old -- make test   any command under one processor
    python -m tools.machines --left             the notebooks that `make test` is to run

The processors are those of tools/processors.py. What passed is remembered in
tests/machines.json until the notebook, the library, a pin or a processor's settings
change: a run that was stopped goes on where it was, and `make test` need not repeat the
notebooks that run long and have passed everywhere.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from tqdm import tqdm

from tools.execute import QUIET, choose, fingerprint
from tools.processors import PROCESSORS, SURVEYED, environment
from tools.tree import ROOT, read, tags

KINDS = [(processor, threads) for threads in (1, 2) for processor in SURVEYED]
# For a notebook that takes one thread first of all, whatever it is offered.
IN_TURN = [(processor, 1 + n % 2) for n, processor in enumerate(SURVEYED)]
ONE_THREAD = "torch.set_num_threads(1)"
STORE = Path("tests", "machines.json")
LONG = 20  # seconds from which on `make test` leaves out a notebook that has passed
PINNED = re.compile(r"^(?:torch|numpy|tiktoken|matplotlib)==.*", re.MULTILINE)
NBVAL = ["-m", "pytest", "-v", "--color=no", "--nbval", "--dist", "loadfile"]
NBVAL += ["-p", "tests.printed_numbers", "-p", "tests.warm_kernels"]
SAID = re.compile(
    r"\[(gw\d+)\].* (PASSED|FAILED|ERROR) (\S+)(?:\.|::)ipynb::(Cell \d+)"
)


def content(notebook):
    """What a verdict on a notebook depends on, machines aside."""
    outputs = [
        cell.get("outputs")
        for cell in notebook.cells
        if "nbval-ignore-output" not in tags(cell)
    ]
    plug_in = (ROOT / "tests" / "printed_numbers.py").read_text(encoding="utf-8")
    pins = PINNED.findall((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    return fingerprint(notebook) + json.dumps([outputs, pins]) + plug_in


def keys(notebook):
    """The name of a verdict on a notebook, for each kind of machine that it has to pass
    on: {(processor, threads): a short text}."""
    text = content(notebook)
    first = [c.source for c in notebook.cells if c.cell_type == "code"][:3]  # imports
    kinds = IN_TURN if any(ONE_THREAD in source for source in first) else KINDS
    return {
        (processor, threads): hashlib.sha256(
            json.dumps([text, PROCESSORS[processor], threads]).encode()
        ).hexdigest()[:16]
        for processor, threads in kinds
    }


def recall(root=ROOT):
    """What has passed: {notebook: {"seconds": the longest, "passed": [keys]}}."""
    store = root / STORE
    return json.loads(store.read_text()) if store.exists() else {}


def remember(name, row, root=ROOT):
    """Store a notebook's row, beside what others have stored meanwhile: one line each,
    so that a difference shows what was run."""
    known = {n: r for n, r in recall(root).items() if (root / n).exists()} | {name: row}
    rows = [f"{json.dumps(n)}: {json.dumps(known[n])}" for n in sorted(known)]
    part = (root / STORE).with_suffix(".part")
    part.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    part.replace(root / STORE)


def left(paths, root=ROOT):
    """The notebooks that are short, or have not passed on all kinds of machines."""
    known = recall(root)

    def proved(path):
        row = known.get(path.relative_to(root).as_posix())
        return (
            row is not None
            and row["seconds"] > LONG
            and set(keys(read(path)).values()) <= set(row["passed"])
        )

    return [path for path in paths if not proved(path)]


def cells_run(paths, processor, threads, jobs, root=ROOT):
    """Run notebooks with nbval; yields (path, cell, whether it passed, seconds).

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
    last = defaultdict(time.monotonic)  # by worker
    with process:
        for line in process.stdout:
            if said := SAID.search(line):
                worker, verdict, path, cell = said.groups()
                began, last[worker] = last[worker], time.monotonic()
                seconds = last[worker] - began
                yield root / f"{path}.ipynb", cell, verdict == "PASSED", seconds
            elif "= FAILURES =" in line or "= ERRORS =" in line:
                tqdm.write(process.stdout.read())
    if process.returncode > 1:  # 1: some cells differ
        raise RuntimeError(f"pytest ended with {process.returncode}")


def survey(paths, jobs, root=ROOT):
    """Run what has not passed yet; {(processor, threads): [cells that differ]}."""
    known = recall(root)
    notebooks = {path: read(path) for path in paths}
    wanted = {path: keys(notebook) for path, notebook in notebooks.items()}
    sizes = {
        path: sum(cell.cell_type == "code" for cell in notebook.cells)
        for path, notebook in notebooks.items()
    }
    rows = {}
    for path in paths:
        new, name = {"seconds": 0, "passed": []}, path.relative_to(root).as_posix()
        row = rows[path] = known.get(name, new)
        row["passed"] = [k for k in wanted[path].values() if k in row["passed"]]
    todo = {
        kind: [
            path
            for path in paths
            if kind in wanted[path] and wanted[path][kind] not in rows[path]["passed"]
        ]
        for kind in KINDS
    }
    total = sum(sizes[path] for waiting in todo.values() for path in waiting)
    found = {}
    with tqdm(total=total, unit="cell") as bar:
        for kind, waiting in todo.items():
            if not waiting:
                continue
            bar.set_description(f"{kind[0]}, threads {kind[1]}")
            good, took = Counter(), Counter()
            for path, cell, passes, seconds in cells_run(waiting, *kind, jobs, root):
                bar.update()
                good[path] += passes
                took[path] += seconds
                if not passes:
                    where = f"{path.relative_to(root)}, {cell}"
                    found.setdefault(kind, []).append(where)
                if good[path] == sizes[path]:
                    row = rows[path]
                    row["passed"].append(wanted[path][kind])
                    row["seconds"] = max(row["seconds"], round(took[path]))
                    remember(path.relative_to(root).as_posix(), row, root)
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
    parser.add_argument(
        "--left", action="store_true", help="name what `make test` runs"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.processor:
        if not options.names:
            parser.error("--as PROCESSOR wants a command: --as old -- make test")
        os.execvpe(options.names[0], options.names, environment(options.processor))
    paths = choose(options.names, parser)
    if options.left:
        rest = left(paths)
        print(*(path.relative_to(ROOT) for path in rest), sep="\n")
        if gone := [path.stem for path in paths if path not in rest]:
            print(
                "proved as other machines by `make machines`, so not run again: "
                f"{', '.join(gone)}",
                file=sys.stderr,
            )
        return
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
