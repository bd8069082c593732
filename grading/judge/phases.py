"""Splits a test cell into what learners have of it, and what they do not.

What learners have is judged first, of all tests; then what they do not have, of all
tests. So an answer has not yet been asked by any hidden test when a text is made that
it could have a say in.
"""

import ast
from dataclasses import dataclass

BEGIN, END = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
_COUNT = "__visible"  # how many items of a loop have been judged


class Part:
    """Statements of a test cell, ready to run.

    names: those that occur in it. tree: the statements.
    """

    def __init__(self, tree):
        self.tree, self.names = tree, names_in(tree)
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


@dataclass(frozen=True)
class Phases:
    """The two parts of a test cell.

    hidden: None for a cell that learners have as it is. again: `hidden` is the whole
    cell, to be run from its beginning.
    """

    visible: Part
    hidden: Part | None = None
    again: bool = False

    @property
    def names(self):
        """The names that occur in both."""
        return self.visible.names | (self.hidden.names if self.hidden else set())


def phases(source, released):
    """The Phases of a test cell.

    source: the instructor's text of it. released: the learner's.

    Raises SyntaxError if one of them is not Python.
    """
    whole = ast.parse(source)
    if source == released:
        return Phases(Part(whole))
    if parts := _split(whole.body, source):
        return Phases(*map(Part, parts))
    return Phases(Part(ast.parse(released)), Part(whole), True)


def names_in(*trees):
    """The names that occur in syntax trees."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _split(body, source):
    """The parts that run each statement once, and a loop over cases in two parts.

    None if the visible statements can't go first without making a difference.
    """
    lines = source.splitlines()
    marks = [n for n, line in enumerate(lines, 1) if BEGIN in line or END in line]
    if any(s.lineno <= mark <= s.end_lineno for s in body for mark in marks):
        return None
    hidden = [s for s in body if BEGIN in _mark_above(s, lines, marks)]
    if not hidden:
        return None
    visible = [s for s in body if s not in hidden]
    ends = body[-1] not in hidden and isinstance(body[-1], ast.Expr)
    last = [visible.pop()] if ends else []
    first, second = [], [*hidden]
    kept = _mentioned(*hidden) & _bound(*body)  # what hidden statements may change
    for statement in visible:
        if statement.lineno < hidden[0].lineno or not _mentioned(statement) & kept:
            first.append(statement)
        elif parts := _cut(statement, hidden, kept, first):
            first += parts[0]
            second += parts[1]
            kept |= _mentioned(statement) & _bound(*body)
        else:
            return None
    return _module(first), _module(second + last)


def _mark_above(statement, lines, marks):
    return next((lines[n - 1] for n in reversed(marks) if n < statement.lineno), "")


def _cut(loop, hidden, kept, before):
    """A loop over the cases that are there, and one over those that `hidden` adds."""
    over = _container(loop.iter) if isinstance(loop, ast.For) else None
    if over is None or loop.orelse or _breaks(loop):
        return None
    if _mentioned(loop.target, *loop.body) & kept:
        return None
    if not all(_adds(s, over, before) for s in hidden if over in _mentioned(s)):
        return None
    rest = f"__import__('itertools').islice({ast.unparse(loop.iter)}, {_COUNT}, None)"
    others = ast.For(loop.target, ast.parse(rest, mode="eval").body, loop.body, [])
    return [*ast.parse(f"{_COUNT} = len({over})").body, loop], [
        ast.copy_location(others, loop)
    ]


def _container(node):
    """The name of the list or dict that `node` goes through in order, or None."""
    match node:
        case ast.Name(name):
            return name
        case ast.Call(ast.Name("enumerate"), [inner], []):
            return _container(inner)
        case ast.Call(ast.Attribute(ast.Name(name), "items"), [], []):
            return name
    return None


def _adds(statement, name, before):
    """Whether a statement does nothing to a container but add to its end."""
    match statement:
        case ast.AugAssign(ast.Name(found), ast.Add()):
            return found == name
        case ast.Assign([ast.Subscript(ast.Name(found), ast.Constant(str() as key))]):
            return found == name and key not in constants(*before)
    return False


def constants(*trees):
    """The texts that stand in syntax trees, whole and as parts of f-strings."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return {
        n.value for n in nodes if isinstance(n, ast.Constant) and type(n.value) is str
    }


def _breaks(loop):
    return any(isinstance(node, ast.Break) for node in ast.walk(loop))


def _mentioned(*trees):
    return names_in(*trees) | _defined(*trees)


def _bound(*trees):
    """Names that get a value somewhere in syntax trees, checks' tables left out."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and _stores(n)}
    tables = {n.targets[0].id for n in nodes if _is_table(n)}
    return (stored | _defined(*trees)) - tables


def _stores(node):
    return isinstance(node.ctx, ast.Store)


def _is_table(node):
    match node:
        case ast.Assign([ast.Name()], ast.Call(ast.Attribute(_, "Checks"))):
            return True
    return False


def _defined(*trees):
    """Names of functions, classes and imports."""
    found = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).split(".")[0])
    return found


def _module(body):
    return ast.fix_missing_locations(ast.Module(body, []))
