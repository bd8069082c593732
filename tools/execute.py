"""Run the notebooks that changed and store their outputs, several at a time.

    python -m tools.execute                     what changed, or imports what changed
    python -m tools.execute 06_multi_head       one chapter's notebooks, changed or not
    python -m tools.execute --all --jobs 2

A notebook is written only when it ran to its end; running again changes no line.
"""

import argparse
import ast
import hashlib
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
from tqdm import tqdm

from tools.processors import EXECUTES, environment
from tools.tree import ROOT, imported_modules, read, written_notebooks

TIMEOUT = 600  # seconds a cell
# What a notebook is run with. If a lesson asks for two threads, they wait asleep: else
# they spin for a busy core.
QUIET = {"OMP_WAIT_POLICY": "passive", "PYTHONHASHSEED": "0", "TQDM_DISABLE": "1"}


def fingerprint(notebook, root=ROOT):
    """A hash of a notebook's code and of the dot2gpt modules behind it, comments aside.

    It is stored in the notebook's metadata when it runs, so a notebook whose code or
    library changed since is known without running it.
    """
    cells = [c.source for c in notebook.cells if c.cell_type == "code"]
    digest = hashlib.sha256("\0".join(cells).encode())
    waiting, seen = imported_modules("\n".join(cells)), set()
    while waiting:
        name = waiting.pop()
        path = root / "dot2gpt" / f"{name}.py"
        if name in seen or not path.exists():
            continue
        seen.add(name)
        waiting += imported_modules(path.read_text(encoding="utf-8"))
    for name in sorted(seen):
        for path in sorted((root / "dot2gpt").glob(f"{name}.*")):
            text = path.read_text(encoding="utf-8")
            digest.update((_bare(text) if path.suffix == ".py" else text).encode())
    return digest.hexdigest()[:16]


def _bare(source):
    """Python source as its syntax tree, without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            if isinstance(body[0].value, ast.Constant):
                del body[0]
    return ast.dump(tree)


def is_stale(path):
    notebook = read(path)
    return notebook.metadata.get("dot2gpt", {}).get("ran") != fingerprint(notebook)


def execute(path):
    """Run one notebook in a fresh kernel and store it; raises if a cell fails."""
    from nbconvert.preprocessors import ExecutePreprocessor

    notebook = read(path)
    ran = fingerprint(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    runner = ExecutePreprocessor(
        timeout=TIMEOUT,
        record_timing=False,
        coalesce_streams=True,  # else the kernel's timing decides where output is cut
        extra_arguments=["--log-level=ERROR"],
    )
    runner.preprocess(notebook, {"metadata": {"path": str(path.parent)}})
    for cell in notebook.cells:
        if cell.cell_type == "code":  # progress bars differ from run to run
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
            "dot2gpt": {"ran": ran},
            **{k: v for k, v in notebook.metadata.items() if k == "celltoolbar"},
        }
    )
    part = path.with_suffix(".part")
    nbformat.write(notebook, part)
    part.replace(path)


def choose(names, parser):
    """The notebooks of these chapters or files; all without names."""
    files = {Path(name).resolve() for name in names}
    paths = written_notebooks()
    if names:
        paths = [p for p in paths if p.parent.name in names or p in files]
    if not paths:
        parser.error(f"no notebook is called {' or '.join(names)}")
    return paths


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tools.execute",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", help="chapters (06_multi_head) or notebooks"
    )
    parser.add_argument("--all", action="store_true", help="run all, changed or not")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    paths = choose(options.names, parser)
    if not options.names and not options.all:
        paths = [p for p in paths if is_stale(p)]
    if not paths:
        print("nothing changed")
        return
    os.environ.update(
        environment(EXECUTES),
        **QUIET,
        OMP_NUM_THREADS="1",  # outputs repeat, and the notebooks share the cores evenly
        MPLBACKEND="module://matplotlib_inline.backend_inline",
    )
    failed = []
    with ProcessPoolExecutor(max(1, options.jobs)) as pool:
        running = {pool.submit(execute, path): path for path in paths}
        bar = tqdm(as_completed(running), total=len(paths), unit="notebook")
        for done in bar:
            name = running[done].relative_to(ROOT).as_posix()
            bar.set_description(name)
            if done.exception():
                failed.append(name)
                bar.write(f"✗ {name}: {str(done.exception())[-1500:]}")
    if failed:
        sys.exit(f"not written, a cell failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
