"""Checks that speak to the learner: what passed, what did not, and which mistake it is.

A test cell of a sheet makes a `Checks`, adds rows to it and ends with `report()`:

    c = checks.Checks("Exercise 1 · cosines from the Gram matrix")
    c.close("three vectors", lambda: cosines(G), want,
            mistakes={"the square root of the norms is missing": G / squares})
    c.report()

Whatever the learner's code does (raise, return nothing, return the wrong shape)
becomes one row of the table. `report` raises `CheckFailed` if a row failed, so that
nbgrader sees the cell fail; Jupyter shows its few lines and no traceback.
"""

import html
import importlib
import linecache
import sys
import traceback
import types
import warnings
from contextlib import contextmanager

import numpy as np

NOT_WRITTEN = "not written yet"


class CheckFailed(AssertionError):
    """A check failed. The text is a title line and a line per mistake."""

    def _render_traceback_(self):  # IPython shows these lines instead of a traceback
        return str(self).splitlines()


class Wrong(Exception):
    """Raise it inside a check to fail that check with a hint of your own."""


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
    """

    def __init__(self, title):
        self.title = title
        self.rows = []  # (what, passed, hint)

    def that(self, what, ok, hint=""):
        """Pass if `ok`, a value or a callable without arguments, is true."""

        def run():
            if not bool(_value(ok)):
                raise Wrong(hint)

        return self._row(what, run)

    def close(self, what, got, want, *, mistakes=None, hint="", atol=1e-6):
        """Pass if `got` (a value or a callable) equals `want` to `atol` and in shape.

        mistakes: {hint: the value that this mistake gives}; values may be callables.
            The first one that `got` equals is the hint shown. Without one, `hint` and
            the numbers are.
        """

        def run():
            value, target = _array(_value(got)), _array(_value(want))
            problem = _difference(value, target, atol)
            if problem is None:
                return
            for mistake, wrong in (mistakes or {}).items():
                if _difference(value, _array(_value(wrong)), atol) is None:
                    raise Wrong(mistake)
            raise Wrong(f"{hint}: {problem}" if hint else problem)

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
                    raise Wrong(
                        f"the message should contain {missing[0]!r}: {raised}"
                    ) from None
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
        try:
            with warnings.catch_warnings():  # a warning on stderr would cost the points
                warnings.simplefilter("ignore")
                run()
            passed, hint = True, ""
        except Exception as error:
            passed, hint = False, _explain(error)
        self.rows.append((what, passed, hint))
        return passed

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
        rows = "".join(
            f"<tr><td>{'✓' if ok else '✗'}</td>"
            f"<td style='{left}'>{html.escape(what)}</td>"
            f"<td style='{left}'>{html.escape(hint)}</td></tr>"
            for what, ok, hint in self.rows
        )
        return (
            f"<table><caption style='caption-side:top;{left};color:inherit'>"
            f"<b>{html.escape(self.title)}</b>: {passed} of {len(self.rows)} checks"
            f" pass</caption>{rows}</table>"
        )


@contextmanager
def forbid(*names):
    """Make the named callables raise `Forbidden` inside the `with` block.

    names: dotted names, such as "torch.softmax", "torch.Tensor.softmax",
        "torch.nn.MultiheadAttention", "dot2gpt.weighted_average.softmax". They raise
        wherever they were imported and under whatever name. Compute reference values
        before the block.
    """
    targets = {name: _resolve(name) for name in names}
    undo = [_block(name, target) for name, target in targets.items()]
    try:
        with _torch_guard({target: name for name, target in targets.items()}):
            yield
    finally:
        for restore in reversed(undo):
            restore()


def _torch_guard(names):
    """A torch function mode that refuses the keys of `names`: {callable: name}."""
    from torch.overrides import TorchFunctionMode

    class Guard(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func in names:
                raise Forbidden(names[func])
            return func(*args, **(kwargs or {}))

    return Guard()


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


def _block(name, target):
    """Make `target` raise when called, as far as Python lets us; returns the undo."""
    from torch.overrides import resolve_name

    if isinstance(target, type):
        return _swap(target, "__init__", _refuse(name))
    if resolve_name(target) is not None:
        return lambda: None  # the torch function mode sees every call of it
    if isinstance(target, types.FunctionType) and not target.__code__.co_freevars:
        return _swap(target, "__code__", _refuse(name).__code__)
    return _replace_everywhere(target, _refuse(name))


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


def _replace_everywhere(target, stand_in):
    """Put `stand_in` where any loaded module holds `target` under any name."""
    places = [
        (space, key)
        for space in [
            vars(m) for m in list(sys.modules.values()) if hasattr(m, "__dict__")
        ]
        for key, value in list(space.items())
        if value is target
    ]
    for space, key in places:
        space[key] = stand_in

    def restore():
        for space, key in places:
            space[key] = target

    return restore


def _value(given):
    value = given() if isinstance(given, types.FunctionType) else given
    if value is Ellipsis:
        raise NotImplementedError
    return value


def _array(value):
    """A numeric array out of a tensor, an array, a number or a nested list."""
    if value is None:
        raise Wrong("it is None: is a `return` missing?")
    if hasattr(value, "detach"):
        value = value.detach().cpu().resolve_conj().numpy()
    try:
        array = np.asarray(value)
    except ValueError:
        array = None
    if array is None or array.dtype.kind not in "biufc":
        raise Wrong(f"expected numbers, got {type(value).__name__}")
    return array


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
    if (gap <= atol * (1 + np.abs(np.nan_to_num(want)))).all():
        return None
    where = np.unravel_index(np.nanargmax(gap), gap.shape)
    place = f" at {tuple(int(i) for i in where)}" if got.ndim else ""
    return f"got {got[where]:.6g}{place}, expected {want[where]:.6g}"


def _explain(error):
    """The hint for an exception that a check ended with."""
    if isinstance(error, Wrong):
        return str(error)
    if isinstance(error, NotImplementedError):
        return NOT_WRITTEN
    place = _place(error)
    if isinstance(error, NameError) and error.name and not place:
        return f"{NOT_WRITTEN}: there is no `{error.name}` (or its cell has not run)"
    return f"{type(error).__name__}: {error}" + (f" ({place})" if place else "")


def _place(error):
    """Where in the learner's code an error arose: function, line, text."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        f
        for f in frames
        if f.name not in ("_row", "run", "_value", "<lambda>", "<module>")
    ]
    own = [f for f in own if "ipykernel" in f.filename or f.filename.startswith("<")]
    if not own:
        return ""
    last = own[-1]
    text = linecache.getline(last.filename, last.lineno).strip()
    return f"in {last.name}, line {last.lineno}" + (f": `{text}`" if text else "")


def _display(checks):
    """The HTML table in a notebook, plain text elsewhere."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    if shell:
        from IPython.display import display

        display(checks)
    else:
        print(checks)
