"""The asserts of a notebook, run with all of its seeds moved."""

import ast
import contextlib
import linecache
import os
import sys
from collections import Counter

from tools.evidence.seeds import move_seeds
from tools.tree import read, tags


class Counting(ast.NodeTransformer):
    """Makes `assert x` say whether it held, and go on."""

    def __init__(self, cell):
        self.cell = cell

    def visit_Assert(self, node):
        text = " ".join(ast.unparse(node.test).split())
        said = ast.parse(f"_asserted(({self.cell}, {node.lineno}, {text!r}), True)")
        fell = ast.parse(f"_asserted(({self.cell}, {node.lineno}, {text!r}), False)")
        caught = ast.ExceptHandler(
            ast.Name("AssertionError", ast.Load()), None, fell.body
        )
        guard = ast.Try([node], [caught], said.body, [])
        return ast.fix_missing_locations(ast.copy_location(guard, node))


def run(path, by):
    """Run a notebook's code; seeds moved by `by`, pictures not drawn.

    Returns {"asserts": how many it has, "fell": [[cell, text], …]}; a cell that raises
    something else counts as one that fell, and the next cell runs.
    """
    import matplotlib

    matplotlib.use("Agg")
    move_seeds(by)
    os.chdir(path.parent)
    sys.path.insert(0, str(path.parent))
    held, fell, total = Counter(), {}, 0

    def asserted(where, right):
        held[where] += right
        if not right:
            fell[where] = None

    space = {"__name__": "__main__", "_asserted": asserted}
    space["display"] = lambda *shown, **how: None
    cells = [c for c in read(path).cells if c.cell_type == "code" and c.source.strip()]
    for number, cell in enumerate(cells, 1):
        tree = ast.parse(cell.source)
        total += sum(isinstance(node, ast.Assert) for node in ast.walk(tree))
        file = f"<cell {number}>"
        lines = cell.source.splitlines(keepends=True)
        linecache.cache[file] = len(cell.source), None, lines, file
        tree = ast.fix_missing_locations(Counting(number).visit(tree))
        try:
            exec(compile(tree, file, "exec"), space)
        except Exception as error:
            if "raises-exception" not in tags(cell):
                said = f"{type(error).__name__}: {error}".split("\n")[0]
                fell[(number, 0, said)] = None
        with contextlib.suppress(KeyError):
            space["plt"].close("all")
    return {"asserts": total, "fell": [[cell, text[:200]] for cell, _, text in fell]}
