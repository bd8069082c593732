"""Checks that speak to the learner: what passed, what did not, and which mistake it is.

A test cell of a sheet makes a `Checks`, adds rows to it and ends with `report()`:

    c = checks.Checks("Exercise 1 · cosines from the Gram matrix")
    c.close("three vectors", lambda: cosines(G), want,
            mistakes={"the square root of the norms is missing": G / squares})
    c.report()

Whatever the learner's code does (raise, return nothing, return the wrong shape, change
what it was given) becomes one row of the table. `report` raises `CheckFailed` if a row
failed, so that nbgrader sees the cell fail; Jupyter shows its few lines and no
traceback.
"""

import html
import importlib
import inspect
import linecache
import re
import sys
import traceback
import types
import warnings
from contextlib import contextmanager, nullcontext
from numbers import Number

import numpy as np

from dot2gpt import sheet_tests
from dot2gpt.by_hand import KINDS

NOT_WRITTEN = "not written yet"
OR = "; or: "  # between mistakes that all fit
MESSAGE = "the message should contain"
ATEN = "torch.ops.aten."
_MUTABLE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that was written in Python


class CheckFailed(AssertionError):
    """A check failed. The text is a title line and a line per mistake."""

    def _render_traceback_(self):  # IPython shows these lines instead of a traceback
        lines = str(self).splitlines()
        return lines[:1] if _someone_looks() else lines  # who sees the table above


class Wrong(Exception):
    """Raise it inside a check to fail that check with a hint of your own."""


class Overwritten(Wrong):
    """The learner's code changed what it was given."""

    def __init__(self, kind):
        super().__init__(f"you changed the {kind} that you were given: work on a copy")


class Forbidden(Wrong):
    """The learner's code called what the exercise asks to write by hand."""

    def __init__(self, name):
        super().__init__(
            f"`{name}` may not be used here: this exercise asks you to write it"
        )


class Checks:
    """A table of checks for one exercise.

    Each method adds one row and returns whether it passed. Pass the learner's code as
    a callable (`lambda: f(x)`), so that an error inside becomes a row.

    in_place: whether the learner's code may change what it is given.
    """

    def __init__(self, title, *, in_place=False):
        self.title, self.in_place = title, in_place
        self.rows = []  # (what, passed, hint)
        self.errors = []  # the exception behind each row, or None
        self._file = sys._getframe(1).f_code.co_filename  # of the tests

    def that(self, what, ok, hint=""):
        """Pass if `ok`, a value or a callable without arguments, is true."""

        def run():
            if not bool(_value(ok)):
                raise Wrong(hint)

        return self._row(what, run)

    def close(self, what, got, want, *, mistakes=None, hint="", atol=1e-6):
        """Pass if `got` (a value or a callable) equals `want` to `atol` and in shape.

        mistakes: {hint: the value that this mistake gives}; values may be callables,
            and None where there is no such mistake. All that `got` equals are the hint
            shown, since it may be each of them. Without one, `hint` and the numbers
            are.
        """

        def run():
            # First, since it may be a view of what the learner's code overwrites.
            target = None if _is_call(want) else _array(want).copy()
            value = _array(_value(got))
            target = _array(_value(want)) if target is None else target
            problem = _difference(value, target, atol)
            if problem is None:
                return
            found = [
                mistake
                for mistake, wrong in (mistakes or {}).items()
                if (given := _value(wrong)) is not None
                and _difference(value, _array(given), atol) is None
            ]
            raise Wrong(OR.join(found) or f"{hint}: {problem}".removeprefix(": "))

        return self._row(what, run)

    def shape(self, what, got, want, hint=""):
        """Pass if `got` (a tensor, an array or a callable) has shape `want`."""

        def run():
            shape = tuple(_array(_value(got)).shape)
            if shape != tuple(want):
                text = f"its shape is {shape}, expected {tuple(want)}"
                raise Wrong(f"{hint}: {text}" if hint else text)

        return self._row(what, run)

    def raises(self, what, error, call, *, says=(), hint=""):
        """Pass if `call()` raises `error` with each string of `says` in its message."""

        def run():
            try:
                call()
            except NotImplementedError:
                raise
            except error as raised:
                missing = [text for text in says if text not in str(raised)]
                if missing:
                    raise Wrong(f"{MESSAGE} {missing[0]!r}: {raised}") from None
                return
            raise Wrong(hint or f"no {error.__name__} was raised")

        return self._row(what, run)

    def report(self):
        """Show the table; raise `CheckFailed` if any check failed."""
        _display(self)
        failed = {}  # hint -> the checks that failed with it, so that it is said once
        for what, passed, hint in self.rows:
            if not passed:
                failed.setdefault(hint, []).append(what)
        if failed:
            count = sum(len(whats) for whats in failed.values())
            lines = [f"{self.title}: {count} of {len(self.rows)} checks fail"]
            for hint, whats in failed.items():
                lines.append(f"✗ {'; '.join(whats)}" + (f": {hint}" if hint else ""))
            raise CheckFailed("\n".join(lines)) from None

    def _row(self, what, run):
        watch = nullcontext() if self.in_place else _Watch(self._file)
        try:
            with warnings.catch_warnings():  # a warning on stderr would cost the points
                warnings.simplefilter("ignore")
                with watch:
                    run()
            error = None
        except Exception as raised:
            error = raised
        if not self.in_place and watch.changed:
            error = Overwritten(watch.changed[0])
        hint = "" if error is None else _explain(error, self._file)
        self.rows.append((what, error is None, hint))
        self.errors.append(error)
        return error is None

    def __repr__(self):
        passed = sum(row[1] for row in self.rows)
        lines = [f"{self.title}: {passed} of {len(self.rows)} checks pass"]
        for what, ok, hint in self.rows:
            lines.append(
                f"  {'✓' if ok else '✗'} {what}" + (f": {hint}" if hint else "")
            )
        return "\n".join(lines)

    def _repr_html_(self):
        passed = sum(row[1] for row in self.rows)
        left = "text-align:left"
        head = f"caption-side:top;{left};color:inherit;white-space:nowrap"
        rows = "".join(
            f"<tr><td>{'✓' if ok else '✗'}</td>"
            f"<td style='{left}'>{html.escape(what)}</td>"
            f"<td style='{left}'>{html.escape(hint)}</td></tr>"
            for what, ok, hint in self.rows
        )
        return (
            f"<table><caption style='{head}'>"
            f"<b>{html.escape(self.title)}</b>: {passed} of {len(self.rows)} checks"
            f" pass</caption>{rows}</table>"
        )


# ---- the tests of a sheet -----------------------------------------------------------


def check(name, chapter):
    """Run the tests of an answer, with the names of the notebook that calls this."""
    test = sheet_tests.find(name, chapter)
    file = f"<tests of {name}>"
    lines = test.source.splitlines(keepends=True)
    linecache.cache[file] = (len(test.source), None, lines, file)
    names = dict(sys._getframe(1).f_globals)  # what the tests define is theirs alone
    try:
        exec(compile(test.source, file, "exec"), names)
    except NameError as error:
        raise CheckFailed(_explain(error, file)) from None
    if test.more:
        print("More is tested when it is handed in.")


def source(name, chapter=None):
    """Print the tests of an answer; chapter: where two chapters have the name."""
    print(sheet_tests.find(name, chapter).source)


# ---- what was given stays as it is --------------------------------------------------


class Given:
    """What a function was given, as it was: to see what the function has changed."""

    def __init__(self, arguments):
        self._parts = {id(part): (part, _copy(part)) for part in _parts(arguments)}

    def restore(self):
        """Undo what was changed; returns the kinds of what was: "tensor", "list"."""
        kinds = []
        for part, before in self._parts.values():
            if not _same(part, before):
                kinds.append(_kind(part))
                _put_back(part, before)
        return kinds


class _Watch:
    """Sees what the learner's functions change, called by a row; used as a context.

    The profiler shows each call, however the function is reached. A call that another
    function of the learner's makes is its own business.

    changed: kinds of what was changed.
    """

    now = None  # the one of the row that runs

    def __init__(self, file):
        self._file, self.changed = file, []
        self._frame = self._given = None

    def __enter__(self):
        self._before, _Watch.now = (sys.getprofile(), _Watch.now), self
        sys.setprofile(self._see)

    def __exit__(self, *_):
        profile, _Watch.now = self._before
        sys.setprofile(profile)

    def _see(self, frame, event, _):
        if event == "call" and self._frame is None:
            if _is_cell(frame.f_code.co_filename, self._file):
                self._frame, self._given = frame, Given(_arguments(frame))
        elif event == "return" and frame is self._frame:
            self.changed += self._given.restore()
            self._frame = self._given = None


def note_changes(given):
    """Tell the row that runs what of a Given has been changed; undo it."""
    if _Watch.now:
        _Watch.now.changed += given.restore()


def _is_cell(filename, *tests):
    """Whether a file name stands for a notebook's cell, other than those of `tests`."""
    cell = "ipykernel_" in filename or filename.startswith("<")
    return cell and not filename.startswith("<frozen") and filename not in tests


def _arguments(frame):
    """The arguments of a call that begins; none of a generator, which begins often."""
    code = frame.f_code
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE):
        return []
    flags = bool(code.co_flags & inspect.CO_VARARGS)
    flags += bool(code.co_flags & inspect.CO_VARKEYWORDS)
    count = code.co_argcount + code.co_kwonlyargcount + flags
    given = frame.f_locals
    return [given[name] for name in code.co_varnames[:count] if name in given]


def _parts(values):
    """The tensors, arrays, lists, dicts and sets in some values, at every depth."""
    waiting, seen = list(values), {}
    while waiting:
        value = waiting.pop()
        if id(value) in seen or not (kind := _kind(value)):
            continue
        seen[id(value)] = value
        if kind in ("list", "tuple"):
            waiting += value
        elif kind == "dict":
            waiting += value.values()
    return [value for value in seen.values() if _kind(value) != "tuple"]


def _kind(value):
    """What learners call it, if it can be changed or hold what can; else ""."""
    if type(value) in (list, dict, set, tuple):
        return type(value).__name__
    if isinstance(value, np.ndarray):
        return "array"
    torch = sys.modules.get("torch")
    return "tensor" if torch and isinstance(value, torch.Tensor) else ""


def _copy(part):
    if _kind(part) != "tensor":
        return part.copy()
    import torch

    with torch._C.DisableTorchFunction(), torch.no_grad():
        return part.detach().clone()


def _same(part, before):
    """Whether a tensor, an array, a list, a dict or a set is as it was."""
    kind = _kind(part)
    if kind == "set":
        return part == before
    if kind in ("list", "dict"):
        now, then = (list(x.items()) if kind == "dict" else x for x in (part, before))
        return len(now) == len(then) and all(map(_alike, now, then))
    if part.shape != before.shape or part.dtype != before.dtype:
        return False
    if kind == "array":
        return bool(((part == before) | ((part != part) & (before != before))).all())
    import torch

    with torch._C.DisableTorchFunction(), torch.no_grad():
        now = part.detach()
        return bool(((now == before) | (now.isnan() & before.isnan())).all())


def _alike(one, other):
    """Whether two items are one thing, or equal and of a kind that never changes."""
    if type(one) is type(other) is tuple:
        return len(one) == len(other) and all(map(_alike, one, other))
    plain = isinstance(one, (Number, str, bytes)) and type(one) is type(other)
    return one is other or (plain and (one == other or one != one))


def _put_back(part, before):
    kind = _kind(part)
    if kind == "list":
        part[:] = before
    elif kind in ("dict", "set"):
        part.clear()
        part.update(before)
    elif part.shape == before.shape and part.dtype == before.dtype:
        if kind == "array":
            part[...] = before
        else:
            import torch

            with torch._C.DisableTorchFunction(), torch.no_grad():
                part.data.copy_(before)


# ---- what is to be written by hand --------------------------------------------------


def by_hand(*kinds):
    """Refuse the ready functions of some kinds, of dot2gpt.by_hand, as `forbid` does.

    kinds: such as "softmax", "matrix product", "autograd".
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"by_hand: no kind {unknown[0]!r}; there are {list(KINDS)}")
    return forbid(*dict.fromkeys(name for kind in kinds for name in KINDS[kind]))


@contextmanager
def forbid(*names):
    """Make the named callables raise `Forbidden` inside the `with` block.

    names: dotted names, such as "torch.softmax", "torch.Tensor.softmax",
        "torch.nn.MultiheadAttention", "dot2gpt.weighted_average.softmax". They raise
        wherever they were imported and under whatever name. One of "torch.ops.aten"
        is what PyTorch's functions come down to: with "torch.ops.aten.mm", whatever
        multiplies two matrices raises. Compute reference values before the block.
    """
    undo, elsewhere, watch = [], {}, sys.getprofile()
    sys.setprofile(None)  # a row's watch would be told of each of 50,000 names
    try:
        targets = {_resolve(name): name for name in names}
        for target, name in targets.items():
            if not _block(target, name, undo):
                elsewhere[target] = _refuse(name)
        undo.append(_replace_everywhere(elsewhere))
        with _torch_guards(targets):
            sys.setprofile(watch)
            yield
    finally:
        sys.setprofile(watch)
        for restore in reversed(undo):
            restore()


@contextmanager
def _torch_guards(names):
    """Two modes of torch that refuse the keys of `names`, {callable: name}.

    One sees the functions of Python, which have names that learners know; the other
    sees what they come down to.
    """
    from torch.overrides import TorchFunctionMode, resolve_name
    from torch.utils._python_dispatch import TorchDispatchMode

    aten = {name.removeprefix(ATEN): name for name in names.values() if ATEN in name}
    running = []  # the function of Python that is called

    def refuse(func):
        full = getattr(func, "__name__", "")  # of an operation, such as "mm.default"
        short = full.partition(".")[0]
        known = (aten.get(name) for name in (full, short, short.removesuffix("_")))
        if found := names.get(func) or next(filter(None, known), None):
            raise Forbidden(resolve_name(running[0] if running else func) or found)

    class Functions(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            refuse(func)
            running.append(func)
            try:
                return func(*args, **(kwargs or {}))
            finally:
                running.pop()

    class Operations(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            refuse(func)
            return func(*args, **(kwargs or {}))

    with Functions():
        with Operations() if aten else nullcontext():  # it takes time
            yield


def _resolve(name):
    """The object that a dotted name stands for; ValueError if there is none."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        try:
            for part in parts[cut:]:
                found = getattr(found, part)
        except AttributeError:
            break
        return found
    raise ValueError(f"forbid: there is no {name!r}")


def _block(target, name, undo):
    """Make `target` raise when called, if it need not be replaced for that.

    undo: a list that gets what takes it back. Returns whether it is done.
    """
    from torch.overrides import resolve_name

    if isinstance(target, type) and target.__flags__ & _MUTABLE:
        undo.append(_swap(target, "__init__", _refuse(name)))
        return True
    if resolve_name(target) is not None or name.startswith(ATEN):
        return True  # the modes of torch see every call of it
    if isinstance(target, types.FunctionType) and not target.__code__.co_freevars:
        undo.append(_swap(target, "__code__", _refuse(name).__code__))
        return True
    return False


def _refuse(name):
    # Imported inside, because a swapped __code__ runs among another module's globals.
    lines = [
        "def refuse(*_, **__):",
        "    from dot2gpt.checks import Forbidden",
        f"    raise Forbidden({name!r})",
    ]
    scope = {}
    exec("\n".join(lines), scope)
    return scope["refuse"]


def _swap(owner, attribute, value):
    had = attribute in vars(owner) if isinstance(owner, type) else True
    before = getattr(owner, attribute)
    setattr(owner, attribute, value)
    if had:
        return lambda: setattr(owner, attribute, before)
    return lambda: delattr(owner, attribute)


def _replace_everywhere(stand_ins):
    """Replace what any loaded module holds under any name; returns what undoes it.

    stand_ins: {what is replaced: by what}.
    """
    by_id = {id(target): (target, other) for target, other in stand_ins.items()}
    modules = list(sys.modules.values()) if by_id else []
    places = [
        (space, key, *by_id[id(value)])
        for space in (vars(m) for m in modules if hasattr(m, "__dict__"))
        for key, value in list(space.items())
        if id(value) in by_id
    ]
    for space, key, _, stand_in in places:
        space[key] = stand_in

    def restore():
        for space, key, target, _ in places:
            space[key] = target

    return restore


# ---- values and words ---------------------------------------------------------------


def _is_call(given):
    return isinstance(given, types.FunctionType)


def _value(given):
    value = given() if _is_call(given) else given
    if value is Ellipsis:
        raise NotImplementedError
    return value


def _array(value):
    """A numeric array out of a tensor, an array, a number or a nested list."""
    if value is None:
        raise Wrong("it is None: is a `return` missing?")
    try:
        array = np.asarray(_plain(value))
        if array.dtype == object and all(isinstance(x, Number) for x in array.flat):
            array = array.astype(complex if _complex(array.flat) else float)
    except (ValueError, OverflowError):
        array = None
    if array is None or array.dtype.kind not in "biufc":
        raise Wrong(f"expected numbers, got {type(value).__name__}")
    return array


def _plain(value):
    """The value with arrays for the tensors in it."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if _kind(value) != "tensor":
        return value
    import torch

    with torch._C.DisableTorchFunction():  # `forbid` may refuse it to others
        value = value.detach().cpu().resolve_conj()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def _complex(numbers):
    return any(isinstance(number, (complex, np.complexfloating)) for number in numbers)


def _difference(got, want, atol):
    """What keeps `got` from being `want`, as a sentence; None if nothing does."""
    if got.shape != want.shape:
        return f"its shape is {got.shape}, expected {want.shape}"
    if want.size == 0:
        return None
    wide = np.complex128 if "c" in got.dtype.kind + want.dtype.kind else np.float64
    got, want = got.astype(wide), want.astype(wide)
    if np.isnan(got).any() and not np.isnan(want).any():
        return f"{int(np.isnan(got).sum())} of {got.size} numbers are NaN"
    with np.errstate(all="ignore"):
        gap = np.asarray(np.abs(got - want))
        gap[got == want] = 0  # inf - inf
        gap[np.isnan(got) & np.isnan(want)] = 0
        gap[np.isnan(gap)] = np.inf  # a NaN on one side
    if (gap <= atol * (1 + np.abs(np.nan_to_num(want)))).all():
        return None
    where = np.unravel_index(np.argmax(gap), gap.shape)
    place = f" at {tuple(int(i) for i in where)}" if got.ndim else ""
    given, expected = f"{got[where]:.6g}", f"{want[where]:.6g}"
    if given == expected:
        by = f"they differ by {gap[where]:.0e}{place}"
        return f"{by}: was something computed in float32?"
    return f"got {given}{place}, expected {expected}"


def _explain(error, tests):
    """The hint for an exception that a check ended with; tests: their file."""
    if isinstance(error, Wrong):
        return str(error)
    if isinstance(error, NotImplementedError):
        return NOT_WRITTEN
    place = _place(error, tests)
    where = f" ({place})" if place else ""
    undefined = re.match(r"name '(\w+)' is not defined", str(error))
    if isinstance(error, NameError) and undefined:
        nothing = f"there is no `{undefined[1]}`"
        if place:
            return f"{nothing}: is it misspelt, or has its cell not run?{where}"
        return f"{NOT_WRITTEN}: {nothing} (or its cell has not run)"
    return f"{type(error).__name__}: {error}{where}"


def _place(error, tests):
    """Where in the learner's code an error arose: function, line, text."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if _is_cell(frame.filename, tests) and frame.name != "<module>"
    ]
    if not own:
        return ""
    last = own[-1]
    text = linecache.getline(last.filename, last.lineno).strip()
    name = "a lambda" if last.name == "<lambda>" else last.name
    return f"in {name}, line {last.lineno}" + (f": `{text}`" if text else "")


def _someone_looks():
    """Whether a person runs the cell, and not a program such as nbgrader.

    A page where a person sits can be asked for input.
    """
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return bool(parent.get("content", {}).get("allow_stdin"))


def _display(checks):
    """The HTML table in a notebook, plain text elsewhere."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    if shell:
        from IPython.display import display

        display(checks)
    else:
        print(checks)
