"""Runs an assignment's test cells outside, with stand-ins for the learner's names.

The tests are the instructor's and run here, in a process that never runs the learner's
code. Where they use a name that an answer defines, they get its value, if it is plain,
or a stand-in that calls into the sandbox.
"""

import ast
import contextlib
import importlib
import io
import sys
import time
import types

import torch

from dot2gpt import checks
from grading.hidden import FILE, Table, without_hidden
from grading.outside import Outside


class Judge:
    """The tests of one assignment, after its set-up cells.

    It takes over the module `__main__`, and what dot2gpt.checks shows.
    """

    def __init__(self, bundle):
        self.bundle, self.tables = bundle, []
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        self.names = main.__dict__
        self.names["display"] = lambda *_, **__: None
        self._watch_tables()
        self.used = names_in(*map(ast.parse, bundle.setup))
        for source in bundle.setup:
            exec(compile(source, "<set-up>", "exec"), self.names)
        _import_for(bundle.tests)
        self._fresh = dict(self.names), torch.get_rng_state()

    def test(self, cell, connection, limits):
        """Run one test cell.

        Returns {"score", "reason", "outputs"}: what the cell earns, why it is not all,
        and what the notebook shows below it.
        """
        peer = Outside(connection, limits.call, time.monotonic() + limits.test)
        checks.forbid = peer.forbid
        self.tables = []
        score, error = self._run(cell.source, peer, cell.points)
        tables, self.tables = self.tables, []
        if error is None and peer.gone:
            score, error = 0.0, peer.gone  # a test that forgave it is none
        if error is not None and cell.source != cell.released:
            released = None
            if not peer.gone:
                peer.until = time.monotonic() + limits.test
                self._run(cell.released, peer, cell.points)
                released = self.tables
            tables, error = without_hidden(cell, tables, released, error)
        return {
            "score": score,
            "reason": said(error),
            "outputs": [shown(table) for table in tables] + raised(error),
        }

    def _run(self, source, peer, points):
        """(score, error or None) of a test cell, whose tables are kept."""
        names, state = self._fresh
        self.names.clear()
        self.names.update(names)
        torch.set_rng_state(state)
        try:
            tree = ast.parse(source)
            self.names.update(self._learners(tree, peer))
            last = tree.body[-1] if tree.body else None
            if isinstance(last, ast.Expr):
                tree.body.pop()
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(tree, FILE, "exec"), self.names)
                value = None
                if isinstance(last, ast.Expr):
                    value = eval(
                        compile(ast.Expression(last.value), FILE, "eval"), self.names
                    )
        except BaseException as error:
            return 0.0, error
        if type(value) in (int, float):  # partial points, as nbgrader gives them
            return min(max(float(value), 0.0), points), None
        return points, None

    def _learners(self, tree, peer):
        """{name: value or stand-in} of the learner's names that a test uses."""
        answers = {name for names in self.bundle.names.values() for name in names}
        wanted = sorted((self.used | names_in(tree)) & answers)
        fields, unpacker = peer.ask("names", lambda packer: {"names": wanted})
        found = unpacker.value(fields.get("value"))
        return {name: found[name] for name in wanted if name in found}

    def _watch_tables(self):
        """Keep each table of checks that is shown, with the error behind each row."""
        row = checks.Checks._row

        def watched(self, what, run):
            def watched_run():
                try:
                    run()
                except Exception as error:
                    errors.append(error)
                    raise

            errors = self.__dict__.setdefault("errors", [])
            before = len(errors)
            passed = row(self, what, watched_run)
            if len(errors) == before:
                errors.append(None)
            return passed

        checks.Checks._row = watched
        checks._display = lambda table: self.tables.append(Table.of(table))


def _import_for(tests):
    """Import what test cells will import, once for all submissions."""
    nodes = [node for test in tests for node in ast.walk(ast.parse(test.source))]
    found = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    for name in sorted(filter(None, found)):
        with contextlib.suppress(Exception):  # the test itself will say so
            importlib.import_module(name)


def names_in(*trees):
    """The names that occur in syntax trees."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def said(error):
    """Why a cell lost its points; "" if it did not."""
    if error is None:
        return ""
    if isinstance(error, (checks.CheckFailed, checks.Wrong)):
        return str(error)
    if isinstance(error, NameError) and error.name:
        return f"{checks.NOT_WRITTEN}: there is no `{error.name}`"
    return f"{type(error).__name__}: {error}"


def shown(table):
    """The output of a notebook that shows a table of checks."""
    data = {
        "text/plain": repr(table.checks()),
        "text/html": table.checks()._repr_html_(),
    }
    return {"output_type": "display_data", "data": data, "metadata": {}}


def raised(error):
    """The output of a notebook that shows an error, in a list."""
    if error is None:
        return []
    name = type(error).__name__
    if isinstance(error, checks.Wrong):
        name = "CheckFailed"
    text = str(error)
    lines = text.splitlines() if name == "CheckFailed" else [said(error)]
    return [{"output_type": "error", "ename": name, "evalue": text, "traceback": lines}]
