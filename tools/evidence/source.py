"""What a piece of code depends on: the statements of lessons and modules behind it."""

import ast
import hashlib
import re
import symtable
from collections import defaultdict
from functools import cache

from tools.tree import ROOT, Chapter, appendix, chapters, read, tags

IMPORTS = ast.Import, ast.ImportFrom


class Missing(AttributeError):
    """A claim asks a lesson for what it does not define."""


class Statement:
    """One statement at the top of a file: its bare text, what it binds and reads."""

    def __init__(self, node, lines, always=False):
        self.node, self.always = node, always
        self.text = _bare(node, lines)
        tables = [symtable.symtable(ast.unparse(node), "code", "exec")]
        top = tables[0].get_symbols()
        self.binds = {s.get_name() for s in top if s.is_assigned() or s.is_imported()}
        self.reads = {s.get_name() for s in top if s.is_referenced()}
        while tables:  # what functions bind inside is their own, what they read is not
            for table in tables.pop().get_children():
                found = table.get_symbols()
                self.reads |= {s.get_name() for s in found if s.is_global()}
                tables.append(table)


def _bare(node, lines):
    """The lines of a statement less a claim's decorator, docstrings and comments.

    Text, not a syntax tree: it is the same under every version of Python.
    """
    dropped = set()
    for inner in ast.walk(node):
        body = getattr(inner, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            dropped |= set(range(first.lineno, first.end_lineno + 1))
    start = node.lineno
    for decorator in getattr(node, "decorator_list", []):
        if not ast.unparse(decorator).startswith("claim("):
            start = min(start, decorator.lineno)
    kept = [n for n in range(start, node.end_lineno + 1) if n not in dropped]
    kept = [lines[n - 1].rstrip() for n in kept]
    return "\n".join(x for x in kept if x.strip() and not x.strip().startswith("#"))


class Source:
    """The statements of a lesson, a module or a file of claims, by what they bind."""

    def __init__(self, title, pieces):
        """pieces: [(text, always)], the cells of a lesson or one whole file."""
        self.title = title
        self.statements = []
        for text, always in pieces:
            lines = text.splitlines()
            for node in ast.parse(text).body:
                self.statements.append(Statement(node, lines, always))
        self.binding = defaultdict(list)
        for n, statement in enumerate(self.statements):
            for name in statement.binds:
                self.binding[name].append(n)

    def slice(self, names):
        """The numbers of the statements that `names` need, in the file's order.

        Of several that bind a name, a statement takes the last before it, else the
        next. Raises Missing for a name that nothing binds.
        """
        for name in names:
            if name not in self.binding:
                raise Missing(f"{self.title} defines no `{name}`")
        waiting = [self.chosen(name) for name in names]
        waiting += [n for n, s in enumerate(self.statements) if s.always]
        seen = set()
        while waiting:
            here = waiting.pop()
            if here in seen:
                continue
            seen.add(here)
            statement = self.statements[here]
            for name in statement.reads:
                found = [n for n in self.binding.get(name, []) if n != here]
                before = [n for n in found if n < here]
                waiting += before[-1:] or found[: name not in statement.binds]
        return sorted(seen)

    def chosen(self, name):
        """The statement that a claim means by a name: a definition, else the last."""
        found = self.binding[name]
        kinds = ast.FunctionDef, ast.ClassDef
        made = [n for n in found if isinstance(self.statements[n].node, kinds)]
        return (made or found)[-1]

    def trains(self, name):
        """Whether to work out `name` changes weights: an experiment, no definition."""
        waiting, seen = [name], set()
        while waiting:
            here = waiting.pop()
            if here in seen or here not in self.binding:
                continue
            seen.add(here)
            statement = self.statements[self.binding[here][0]]
            if isinstance(statement.node, IMPORTS):
                if here == "train":
                    return True
                continue
            for node in ast.walk(statement.node):
                if isinstance(node, ast.Attribute) and node.attr == "step":
                    return True
            waiting += statement.reads
        return False

    def refuse_experiments(self, numbers):
        """Raises Missing where a slice holds what only an experiment makes."""
        kinds = *IMPORTS, ast.FunctionDef, ast.ClassDef
        for n in numbers:
            statement = self.statements[n]
            if statement.always or isinstance(statement.node, kinds):
                continue
            plain = isinstance(statement.node, (ast.Assign, ast.AnnAssign))
            if not plain or any(self.trains(name) for name in statement.reads):
                raise Missing(
                    f"{self.title}: `{sorted(statement.binds)[0]}` comes from an "
                    "experiment; call the lesson's functions, or tag its cell `setup`"
                )


@cache
def file_source(path):
    """A Python file; a statement that binds nothing is there for its effect."""
    text = path.read_text(encoding="utf-8")
    source = Source(path.relative_to(ROOT).as_posix(), [(text, False)])
    for statement in source.statements:
        node = statement.node
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        statement.always = not (statement.binds or docstring)
    return source


def lesson_path(name):
    """The notebook of "06_multi_head", "11_tokens/token_files" or "errata_masks"."""
    for path in (
        Chapter(name).lesson if "_" in name else ROOT / "none",
        ROOT / "chapters" / f"{name}.ipynb",
        ROOT / "appendix" / f"{name}.ipynb",
    ):
        if path.exists() and not path.stem.endswith("_exercises"):
            return path
    raise Missing(f"there is no lesson {name!r}: expected one such as 06_multi_head")


@cache
def lesson_source(name):
    """A lesson by name; all of a cell tagged `setup` counts as definitions."""
    cells = [c for c in read(lesson_path(name)).cells if c.cell_type == "code"]
    pieces = [(c.source, "setup" in tags(c)) for c in cells]
    return Source(f"lesson {name}", pieces)


def n_asserts(name):
    """How many asserts a lesson has, in its functions too."""
    nodes = [x for s in lesson_source(name).statements for x in ast.walk(s.node)]
    return sum(isinstance(node, ast.Assert) for node in nodes)


def whole(name):
    """The numbers of all statements of a lesson that can change what it computes."""
    statements = lesson_source(name).statements
    return [n for n, s in enumerate(statements) if not _draws(s.node, statements)]


def _draws(node, statements):
    """Whether a statement is a picture of dot2gpt, or the import of one."""
    if isinstance(node, ast.ImportFrom):
        return bool(re.fullmatch(r"dot2gpt\.\w+_picture", node.module or ""))
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    called = ast.unparse(node.value.func)
    imports = (s for s in statements if isinstance(s.node, ast.ImportFrom))
    return called.startswith("pictures.") or any(
        called in s.binds and _draws(s.node, ()) for s in imports
    )


def fingerprint(parts):
    """A hash of [(source, numbers of statements)] and of the dot2gpt code behind."""
    texts, waiting, seen = [], [], {}
    for source, numbers in parts:
        texts.append([source.statements[n].text for n in numbers])
        waiting += _imports(source, numbers)
    while waiting:
        path, names = waiting.pop()
        source = file_source(path)
        if names is None or not all(name in source.binding for name in names):
            names = list(source.binding)
        numbers = set(source.slice(names)) - seen.setdefault(path, set())
        seen[path] |= numbers
        waiting += _imports(source, sorted(numbers))
    for path in sorted(seen):
        texts.append([file_source(path).statements[n].text for n in sorted(seen[path])])
    return hashlib.sha256(repr(texts).encode()).hexdigest()[:16]


def _imports(source, numbers):
    """[(file of dot2gpt, the names taken from it, None for all)] of a slice."""
    reads = set().union(*(source.statements[n].reads for n in numbers))
    found = []
    for n in numbers:
        top = source.statements[n].node
        for node in ast.walk(top):
            if not isinstance(node, IMPORTS):
                continue
            used = [
                alias.name
                for alias in node.names
                if node is not top
                or (alias.asname or alias.name.split(".")[0]) in reads
            ]
            if isinstance(node, ast.Import):
                found += [(_file(name), None) for name in used]
                continue
            for name in used:
                inner = _file(f"{node.module}.{name}")
                found.append((inner, None) if inner else (_file(node.module), [name]))
    return [(path, names) for path, names in found if path]


def _file(module):
    """The file of a module of dot2gpt, None for another's."""
    parts = (module or "").split(".")
    if parts[0] != "dot2gpt":
        return None
    base = ROOT.joinpath(*parts)
    files = base.with_suffix(".py"), base / "__init__.py"
    return next((path for path in files if path.is_file()), None)


def lesson_names():
    """All lessons, their further pages and the appendix, as lesson_path takes them."""
    names = []
    for chapter in chapters():
        names += [chapter.name] if chapter.lesson.exists() else []
        names += [f"{chapter.name}/{page.stem}" for page in chapter.pages]
    return names + [path.stem for path in appendix()]
