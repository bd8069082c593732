"""Claims, written beside the lessons, and the lessons as they see them."""

import ast
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from tools.evidence.source import (
    Missing,
    file_source,
    fingerprint,
    lesson_path,
    lesson_source,
)
from tools.tree import ROOT


class Figures(dict):
    """What one run measured: {figure: number}. f["seed"] and f["budget"] work too."""

    def __init__(self, figures, seed, budget):
        super().__init__(figures)
        self._run = {"seed": seed, "budget": budget}

    def __missing__(self, name):
        return self._run[name]


@dataclass(frozen=True)
class Claim:
    """A sentence of the book that was measured, and how."""

    name: str  # "06_multi_head/one_head": its folder and its function
    text: str  # what holds, one sentence
    measure: Callable  # (seed, budget) -> {figure: number}
    seeds: tuple  # one run each
    budgets: tuple  # multiples of the lesson's steps
    stronger: str  # what a sceptic would try, which was tried as well
    holds: Callable  # Figures -> bool
    path: Path  # the file that it stands in
    page: str = ""  # in the appendix: the notebook that says it

    @property
    def units(self):
        """The runs that it needs, by name: {"1×4": (1, 4)}."""
        pairs = [(seed, budget) for budget in self.budgets for seed in self.seeds]
        return {f"{seed}×{budget}": (seed, budget) for seed, budget in pairs}

    @property
    def about(self):
        """The lesson or page that says it, as lesson_path takes it."""
        return self.page or self.path.parent.name

    def agrees(self, unit, figures):
        """Whether a run's figures agree with the claim."""
        return bool(self.holds(Figures(figures, *self.units[unit])))

    def slices(self):
        """[(source, numbers)]: the statements that it runs, its own first."""
        own = file_source(self.path)
        mine = own.slice([self.measure.__name__])
        nodes = [x for n in mine for x in ast.walk(own.statements[n].node)]
        words = {x.attr for x in nodes if isinstance(x, ast.Attribute)}
        words |= {x.value for x in nodes if isinstance(x, ast.Constant)
                  and isinstance(x.value, str)}  # fmt: skip
        found = [(own, mine)]
        for node in nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "lesson":
                source = lesson_source(ast.literal_eval(node.args[0]))
                found.append(
                    (source, source.slice(sorted(words & set(source.binding))))
                )
        return found

    def code(self):
        """The fingerprint of all that it runs."""
        return fingerprint(self.slices())


_loading = []  # the claims of the file that is being read


def claim(text, *, holds, seeds=3, budgets=(1,), stronger="", page=""):
    """Make a row of a function (seed, budget) -> {figure: number}.

    Before a run 1000 * seed is added to all seeds that code will set, the lesson's too:
    a function with a fixed seed gets others. (Pass `seed` on where it is asked for.)

    text: the sentence. holds: whether one run's Figures agree with it.
    seeds: how many, or which.
    budgets: multiples of the lesson's steps; a failure needs (1, 2, 4).
    stronger: what a sceptic would try, tried in the function as well.
    page: where it is said, for claims of the appendix and of a chapter's further pages.
    """

    def register(measure):
        code = measure.__code__
        path = Path(code.co_filename).resolve()
        if code.co_argcount != 2:
            raise TypeError(f"{measure.__name__} of {path} must take (seed, budget)")
        chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
        name = f"{path.parent.name}/{measure.__name__}"
        row = (name, text, measure, chosen, tuple(budgets), stronger, holds, path, page)
        _loading.append(Claim(*row))
        lesson_path(_loading[-1].about)  # there is such a page
        return measure

    return register


def files(root=ROOT):
    """Where claims stand: beside the lessons and in the appendix."""
    return sorted(root.glob("chapters/*/evidence.py")) + sorted(
        root.glob("appendix/evidence.py")
    )


def load(path):
    """The claims of one file, in its order."""
    _loading.clear()
    spec = importlib.util.spec_from_file_location(f"evidence_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = list(_loading)
    names = [row.name for row in found]
    if len(set(names)) < len(names):
        raise ValueError(f"two claims of {path} have one name: {names}")
    return found


def load_all(root=ROOT):
    """{name: claim} of the whole book."""
    return {row.name: row for path in files(root) for row in load(path)}


class Lesson:
    """What a lesson defines, by name, worked out when it is asked for.

    Functions, classes and constants: the statements that a name needs are run and no
    others, so no experiment. An assigned name replaces the lesson's own for all of
    its functions. Raises Missing for what the lesson lacks or only trains.
    """

    def __init__(self, name):
        spaces = {"__name__": f"lesson_{name}"}
        vars(self).update(_source=lesson_source(name), _space=spaces)
        vars(self).update(_done=set(), _assigned={})

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        numbers = self._source.slice([name])
        self._source.refuse_experiments(numbers)
        for n in numbers:
            if n not in self._done:
                node = self._source.statements[n].node
                module = ast.Module([node], type_ignores=[])
                exec(compile(module, self._source.title, "exec"), self._space)
                self._space.update(self._assigned)  # it may bind these names, too
                self._done.add(n)
        return self._space[name]

    def __setattr__(self, name, value):
        if name not in self._source.binding:
            raise Missing(f"{self._source.title} defines no `{name}`")
        binding = self._source.binding[name]
        statements = self._source.statements
        self._done.update(n for n in binding if statements[n].binds == {name})
        self._space[name] = self._assigned[name] = value


def lesson(name):
    """The definitions of a lesson: lesson("06_multi_head").train(...)."""
    return Lesson(name)
