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
from dataclasses import dataclass, field

import torch

from dot2gpt import checks
from grading.boundary.outside import Outside
from grading.judge.bundle import Cell
from grading.judge.hidden import HIDDEN, QUIET, SHOWN, Table, constants, told


class Part:
    """A test cell, as learners have it or whole, ready to run.

    names: those that occur in it.
    """

    def __init__(self, source):
        tree = ast.parse(source)
        self.names = names_in(tree)
        *body, last = tree.body or [ast.Pass()]
        if not isinstance(last, ast.Expr):
            body, last = tree.body, ast.Expr(ast.Constant(None))
        value = ast.fix_missing_locations(ast.Expression(last.value))
        self._code = compile(ast.Module(body, []), "<test>", "exec")
        self._last = compile(value, "<test>", "eval")

    def run(self, names):
        """Run it with these names; returns the value of its last expression."""
        exec(self._code, names)
        return eval(self._last, names)


@dataclass
class Case:
    """A test cell that is judged, with an answer that waits.

    tables: what it has shown. first: what it had shown as learners have it.
    """

    cell: Cell
    peer: Outside
    tables: list = field(default_factory=list)
    first: list = field(default_factory=list)


class Judge:
    """The tests of one assignment, after its set-up cells.

    What learners have of a cell is run first, of all tests; then the whole of those
    that have more. So an answer has not yet been asked by any hidden test when a text
    is made that it could have a say in.

    It takes over the module `__main__`, and what dot2gpt.checks shows.
    """

    def __init__(self, bundle):
        self.bundle, self.tables, self.stage = bundle, [], SHOWN
        self._begun = {}  # grade_id -> a Case that is to be run as a whole
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        self.names = main.__dict__
        self.names["display"] = lambda *_, **__: None
        self._watch_tables()
        self.used = names_in(*map(ast.parse, bundle.setup))
        for source in bundle.setup:
            exec(compile(source, "<set-up>", "exec"), self.names)
        _import_for(bundle.tests)
        tests = {cell.grade_id: cell for cell in bundle.tests}
        self.visible = {name: Part(cell.released) for name, cell in tests.items()}
        self.whole = {n: Part(c.source) for n, c in tests.items() if c.has_more}
        self.words = {n: constants(c.source, *bundle.setup) for n, c in tests.items()}
        self._fresh = dict(self.names), torch.get_rng_state()

    def begin(self, cell, connection, limits, asked=False):
        """Run what learners have of a test cell.

        asked: whether a hidden test may have asked an answer before. Then no text that
        an answer may have made is told.

        Returns {"score", "reason", "outputs", "gone"}: what the cell earns, why it is
        not all, what the notebook shows below it, and whether the answer ended or had
        to be left. None if it has more: see `finish`.
        """
        peer = Outside(connection, limits.call, time.monotonic() + limits.test)
        case = Case(cell, peer)
        self._turn_to(case, QUIET if asked else SHOWN)
        score, error = self._run(case, self.visible[cell.grade_id])
        goes_on = error is None or isinstance(error, checks.CheckFailed)
        if not cell.has_more or peer.gone or not goes_on:
            return self._verdict(case, score, error)
        self._begun[cell.grade_id] = case
        return None

    def finish(self, grade_id, limits):
        """Run the whole of a test cell that was begun; returns what `begin` does."""
        case = self._begun.pop(grade_id)
        case.first, case.tables = case.tables, []
        case.peer.until = time.monotonic() + limits.test
        self._turn_to(case, HIDDEN)
        return self._verdict(case, *self._run(case, self.whole[grade_id]))

    def _turn_to(self, case, stage):
        self.tables, self.stage = case.tables, stage
        checks.forbid = case.peer.forbid

    def _run(self, case, part):
        """(score, error or None) of a test cell, whose tables are kept."""
        names, random = self._fresh
        self.names.clear()
        self.names.update(names)
        torch.set_rng_state(random)
        try:
            self.names.update(self._learners(case, part.names))
            with contextlib.redirect_stdout(io.StringIO()):
                value = part.run(self.names)
        except BaseException as error:
            return 0.0, error
        if type(value) in (int, float):  # partial points, as nbgrader gives them
            return min(max(float(value), 0.0), case.cell.points), None
        return case.cell.points, None

    def _verdict(self, case, score, error):
        case.peer.connection.close()
        if error is None and case.peer.gone:
            score, error = 0.0, case.peer.gone  # a test that forgave it is none
        words = self.words[case.cell.grade_id]
        tables, error = told(case.tables, error, self.stage, words, case.first)
        return {
            "score": score,
            "reason": said(error),
            "outputs": [shown(table) for table in tables] + raised(error),
            "gone": case.peer.gone is not None,
        }

    def _learners(self, case, used):
        """{name: value or stand-in} of the learner's names that a test uses."""
        answers = {name for names in self.bundle.names.values() for name in names}
        wanted = sorted((self.used | used) & answers)
        fields, unpacker = case.peer.ask("names", lambda packer: {"names": wanted})
        found = unpacker.value(fields.get("value"))
        return {name: found[name] for name in wanted if name in found}

    def _watch_tables(self):
        """Keep each table of checks that is shown, with the stage of each row."""
        row = checks.Checks._row

        def watched(table, what, run):
            passed = row(table, what, run)
            table.__dict__.setdefault("stages", []).append(self.stage)
            return passed

        checks.Checks._row = watched
        checks._display = lambda table: self.tables.append(Table.of(table))


def names_in(*trees):
    """The names that occur in syntax trees."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return {node.id for node in nodes if isinstance(node, ast.Name)}


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
    data = {"text/plain": repr(table), "text/html": table._repr_html_()}
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
