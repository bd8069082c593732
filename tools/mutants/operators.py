"""Mutants of an answer: the same text with one small mistake that people make.

`mutants(source)` edits the text between BEGIN SOLUTION and END SOLUTION (all of it
where these marks are missing), one place at a time, and drops what does not compile or
is the same program. Nothing is run here.

Written on `ast`: cosmic-ray, whose operators work on a text too, brings 16 packages for
the dozen of them that would be used here.
"""

import ast
import re
from dataclasses import dataclass

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


@dataclass(frozen=True)
class Mutant:
    """One changed answer."""

    source: str  # the whole cell
    kind: str  # the operator that made it
    old: str  # the lines that changed, before and after, as one line each
    new: str

    @property
    def change(self):
        """What stands in EQUIVALENT: the new line, or `without …` for one left out."""
        return f"without {self.old}" if self.new in ("", "pass") else self.new


def mutants(source, test="", gradients=False):
    """The mutants of a solution cell, in the order of the text.

    test: the source of its test cell, for what it forbids. gradients: whether somebody
    will differentiate through the answer, so that a `detach` matters.
    """
    try:
        text = _Text(source)
    except SyntaxError:
        return []
    seen, found = {ast.dump(text.tree)}, []
    edits = [
        (*place, kind, new)
        for node in text.nodes
        for kind, operator in OPERATORS.items()
        if kind != "detached" or gradients
        for place, new in operator(text, node)
    ]
    edits += [(*place, "forbidden", new) for place, new in _forbidden(text, test)]
    for start, end, kind, new in sorted(edits, key=lambda e: e[:2]):
        mutant = text.edited(start, end, new)
        try:
            tree = ast.dump(ast.parse(mutant))
            compile(mutant, "mutant", "exec")
        except (SyntaxError, ValueError):
            continue
        if tree not in seen:
            seen.add(tree)
            found.append(Mutant(mutant, kind, *_changed(source, mutant)))
    return found


def _changed(before, after):
    """The lines that differ, before and after, without indentation."""
    before, after = before.splitlines(), after.splitlines()
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return tuple(" ".join(" ".join(lines).split()) for lines in (before, after))


class _Text:
    """A source with its tree; places are pairs of offsets in its bytes."""

    def __init__(self, source):
        self.bytes = source.encode()
        self.tree = ast.parse(source)
        self.starts = [0]
        for line in self.bytes.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        begin = source.find(BEGIN)
        first = source[:begin].count("\n") + 1 if begin >= 0 else 0
        last = source[: source.find(END)].count("\n") + 1 if begin >= 0 else 10**9
        self.parents = {}
        self.nodes = []
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
            # Messages are compared by nobody; the rest of a raise is.
            line = getattr(node, "lineno", 0)
            if isinstance(node, ast.comprehension):  # it alone has no line of its own
                line = node.target.lineno
            if first < line <= last and not self._said(node):
                self.nodes.append(node)

    def _said(self, node):
        """Whether a node is part of an error's message, or a docstring."""
        while (above := self.parents.get(node)) is not None:
            if isinstance(above, ast.Raise) and node is above.exc:
                return True
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                return True
            node = above
        return False

    def place(self, node):
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def between(self, left, right):
        """The place from one node to another, both included."""
        return self.place(left)[0], self.place(right)[1]

    def of(self, node):
        start, end = self.place(node)
        return self.bytes[start:end].decode()

    def closed(self, node):
        """The text of an expression that keeps together wherever it is put."""
        whole = (ast.Name, ast.Constant, ast.Call, ast.Attribute, ast.Subscript)
        whole += (ast.List, ast.Dict, ast.ListComp, ast.Tuple)
        return self.of(node) if isinstance(node, whole) else f"({self.of(node)})"

    def edited(self, start, end, new):
        return (self.bytes[:start] + new.encode() + self.bytes[end:]).decode()

    def above(self, node, kind):
        """The nearest node of a kind that holds this one; None if there is none."""
        while node is not None and not isinstance(node, kind):
            node = self.parents.get(node)
        return node


OPERATORS = {}  # name -> function(text, node) that yields (place, new text)


def _operator(function):
    OPERATORS[function.__name__.strip("_")] = function
    return function


# ---- arithmetic and logic -----------------------------------------------------------

_SIGNS = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*", "//"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "//"),
    ast.Pow: ("**", "*"),
    ast.MatMult: ("@", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "|"),
}


@_operator
def arithmetic(text, node):
    """Another sign, or the two sides changed over."""
    if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        left, right = text.closed(node.left), text.closed(node.right)
        old, *others = _SIGNS[type(node.op)]
        for sign in others:
            yield text.place(node), f"{left} {sign} {right}"
        if old in ("-", "/", "//", "@", "**", "%"):
            yield text.place(node), f"{right} {old} {left}"
    if isinstance(node, ast.AugAssign) and type(node.op) in _SIGNS:
        target, value = text.of(node.target), text.of(node.value)
        for sign in _SIGNS[type(node.op)][1:]:
            yield text.place(node), f"{target} {sign}= {value}"
        yield text.place(node), f"{target} = {value}"


@_operator
def term_dropped(text, node):
    """One side of a sum, product or condition is forgotten."""
    if isinstance(node, ast.BinOp):
        yield text.place(node), text.closed(node.left)
        yield text.place(node), text.closed(node.right)
    if isinstance(node, ast.BoolOp):
        sign = " and " if isinstance(node.op, ast.And) else " or "
        for left_out in range(len(node.values)):
            kept = [text.closed(v) for v in node.values]
            del kept[left_out]
            yield text.place(node), sign.join(kept)
    if isinstance(node, ast.UnaryOp):
        yield text.place(node), text.closed(node.operand)


@_operator
def rounding(text, node):
    """Down, up, to the nearest: one for the other."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv):
        left, right = text.closed(node.left), text.closed(node.right)
        yield text.place(node), f"-(-{left} // {right})"
    if not isinstance(node, ast.Call):
        return
    name = text.of(node.func)
    ways = {
        "math.floor": "int(({}) // 1)",
        "math.ceil": "-int(-({}) // 1)",
        "round": "round({})",
        "int": "int({})",
        "floor + 1": "int(({}) // 1) + 1",
    }
    if name == "int" and not re.search(r"[/*]|log|sqrt", text.of(node)):
        return
    if name in ways and len(node.args) == 1:
        for other, way in ways.items():
            if other != name:
                yield text.place(node), way.format(text.of(node.args[0]))


@_operator
def returns_rounded(text, node):
    """A whole number where a fraction is due; `rounded` is the bench's."""
    if isinstance(node, ast.Return) and node.value is not None:
        if not isinstance(node.value, (ast.Tuple, ast.List, ast.Compare, ast.Dict)):
            yield text.place(node.value), f"rounded({text.of(node.value)})"


_COMPARED = {
    ast.Lt: ("<=", ">"),
    ast.LtE: ("<", ">="),
    ast.Gt: (">=", "<"),
    ast.GtE: (">", "<="),
    ast.Eq: ("!=", "<=", ">="),
    ast.NotEq: ("==", "<", ">"),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
}


@_operator
def comparison(text, node):
    """< for ≤ and the like."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for number, op in enumerate(node.ops):
            left, right = sides[number], sides[number + 1]
            for sign in _COMPARED[type(op)]:
                new = f"{text.closed(left)} {sign} {text.closed(right)}"
                yield text.between(left, right), new


@_operator
def condition(text, node):
    """A condition is turned round, always true or always false; and for or."""
    if isinstance(node, ast.BoolOp):
        sign = " or " if isinstance(node.op, ast.And) else " and "
        yield text.place(node), sign.join(text.closed(v) for v in node.values)
    tests = []
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        tests = [node.test]
    elif isinstance(node, ast.comprehension):
        tests = node.ifs
    for test in tests:
        yield text.place(test), f"not ({text.of(test)})"
        yield text.place(test), "False"
        if not isinstance(node, ast.While):
            yield text.place(test), "True"


# ---- constants ----------------------------------------------------------------------


@_operator
def constant(text, node):
    """A number one more or less, half, twice, a looser limit; True for False."""
    if not isinstance(node, ast.Constant):
        return
    value, place = node.value, text.place(node)
    if isinstance(value, bool):
        yield place, str(not value)
    elif isinstance(value, int):
        yield place, str(value + 1)
        yield place, str(value - 1) if value else "(-1)"
        if value >= 8:  # a beam, a number of tries
            yield place, str(value // 2)
    elif isinstance(value, float):
        if 0 < value <= 1e-3:
            yield place, repr(value * 1e4)
            yield place, "0.0"
        elif value == int(value):
            yield place, repr(value + 1)
            yield place, repr(value - 1)
        else:
            yield place, repr(value * 2)
            yield place, repr(value * 0.9)


@_operator
def string(text, node):
    """Another key or name; in einsum, two letters changed over."""
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return
    if isinstance(text.parents[node], (ast.JoinedStr, ast.FormattedValue)):
        return
    value = node.value
    if "->" in value:
        given, out = value.split("->")
        for k in range(len(out) - 1):
            yield text.place(node), repr(f"{given}->{_swapped(out, k)}")
        for k in range(len(given) - 1):
            if given[k : k + 2].isalpha():
                yield text.place(node), repr(f"{_swapped(given, k)}->{out}")
    else:
        yield text.place(node), repr(value + "_")
        if value:
            yield text.place(node), repr("")


def _swapped(items, k):
    items = list(items)
    items[k], items[k + 1] = items[k + 1], items[k]
    return "".join(items)


_DTYPES = {
    "float64": ("float32",),
    "float32": ("float64",),
    "bool": ("int64",),
    "int64": ("float32", "int32"),
    "long": ("float32", "int32"),
}


@_operator
def dtype(text, node):
    """Another kind of number."""
    if isinstance(node, ast.Attribute):
        if node.attr == "inf":  # a bigger finite number in its place
            yield text.place(node), "1e4"
        for other in (
            _DTYPES.get(node.attr, ()) if text.of(node.value) == "torch" else ()
        ):
            yield text.place(node), f"torch.{other}"
        if node.attr == "double" and isinstance(text.parents[node], ast.Call):
            yield text.place(node), f"{text.of(node.value)}.float"


# ---- sequences ----------------------------------------------------------------------


@_operator
def first_or_last(text, node):
    """The first or the last is left out, or one too many is taken."""
    if isinstance(node, (ast.For, ast.comprehension)):
        each, place = node.iter, text.place(node.iter)
        if not _is_range(each):
            yield place, f"list({text.of(each)})[1:]"
            yield place, f"list({text.of(each)})[:-1]"
    if _is_range(node):
        args = [text.of(a) for a in node.args]
        start, stop, *step = args if len(args) > 1 else ["0", *args]
        for ends in (f"{start}, {stop} - 1", f"{start}, {stop} + 1"):
            yield text.place(node), f"range({', '.join([ends, *step])})"
        yield text.place(node), f"range({', '.join([start + ' + 1', stop, *step])})"
    if isinstance(node, ast.Slice):
        lower = text.of(node.lower) if node.lower else ""
        upper = text.of(node.upper) if node.upper else ""
        step = f":{text.of(node.step)}" if node.step else ""
        if lower and not isinstance(node.lower, ast.Constant):
            yield text.place(node), f"{lower} + 1:{upper}{step}"
            yield text.place(node), f"{lower} - 1:{upper}{step}"
        if upper and not isinstance(node.upper, ast.Constant):
            yield text.place(node), f"{lower}:{upper} + 1{step}"
            yield text.place(node), f"{lower}:{upper} - 1{step}"
        if lower:
            yield text.place(node), f":{upper}{step}"
        if upper:
            yield text.place(node), f"{lower}:{step}"
        if step:
            yield text.place(node), f"{lower}:{upper}"


def _is_range(node):
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return named and node.func.id == "range" and len(node.args) >= 1


@_operator
def element(text, node):
    """One element of a list or tuple is left out, or two are changed over."""
    if isinstance(node, (ast.List, ast.Tuple)) and isinstance(node.ctx, ast.Load):
        parts = [text.of(e) for e in node.elts]
        if len(parts) < 2 or _in_index(text, node):
            return
        left, right = text.of(node)[0], text.of(node)[-1]
        if left not in "([" or isinstance(node, ast.Tuple) and left != "(":
            left = right = ""
        comma = "," if isinstance(node, ast.Tuple) and len(parts) == 2 else ""
        plain = [part.removesuffix(".0") for part in parts]
        for k in range(len(parts)):
            fewer = parts[:k] + parts[k + 1 :]
            yield text.place(node), f"{left}{', '.join(fewer)}{comma}{right}"
        for k in range(len(parts) - 1):
            turned = [*parts[:k], parts[k + 1], parts[k], *parts[k + 2 :]]
            if [p.removesuffix(".0") for p in turned] != plain:
                yield text.place(node), f"{left}{', '.join(turned)}{right}"


def _in_index(text, node):
    above = text.parents[node]
    return isinstance(above, ast.Subscript) and node is above.slice


@_operator
def order(text, node):
    """Unsorted, or sorted the other way round."""
    if isinstance(node, ast.Call):
        name = text.of(node.func)
        given = {k.arg for k in node.keywords}
        if name == "sorted" and "reverse" not in given:
            yield text.place(node), f"{text.of(node)[:-1]}, reverse=True)"
        if name.endswith((".sort", ".argsort")) and not given & {
            "descending",
            "reverse",
        }:
            comma = ", " if node.args or node.keywords else ""
            yield text.place(node), f"{text.of(node)[:-1]}{comma}descending=True)"


# ---- calls --------------------------------------------------------------------------

_RELATIVES = {
    "min": ("max",),
    "max": ("min",),
    "amin": ("amax",),
    "amax": ("amin",),
    "argmin": ("argmax",),
    "argmax": ("argmin",),
    "minimum": ("maximum",),
    "maximum": ("minimum",),
    "any": ("all",),
    "all": ("any",),
    "sum": ("mean",),
    "mean": ("sum",),
    "tril": ("triu",),
    "triu": ("tril",),
    "sin": ("cos",),
    "cos": ("sin",),
    "exp": ("expm1",),
    "log": ("log2", "log1p"),
    "log2": ("log",),
    "sqrt": ("square",),
    "softmax": ("log_softmax", "sigmoid"),
    "log_softmax": ("softmax",),
    "zeros": ("ones",),
    "ones": ("zeros",),
    "zeros_like": ("ones_like",),
    "floor": ("ceil", "round"),
    "ceil": ("floor", "round"),
    "var": ("std",),
    "std": ("var",),
    "svdvals": ("eigvalsh",),
    "repeat_interleave": ("repeat",),
    "repeat": ("repeat_interleave",),
    "transpose": ("reshape",),
    "cumsum": ("cumprod",),
    "startswith": ("endswith",),
    "relu": ("gelu", "tanh"),
    "gelu": ("relu",),
    "stack": ("cat",),
    "cat": ("stack",),
    "append": ("extend",),
}


@_operator
def relative(text, node):
    """A function that is often taken for the right one."""
    if isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name)):
        attribute = isinstance(node.func, ast.Attribute)
        name = node.func.attr if attribute else node.func.id
        for other in _RELATIVES.get(name, ()):
            front = text.of(node.func)[: -len(name)]
            yield text.place(node.func), front + other


@_operator
def call_dropped(text, node):
    """A step is forgotten: f(x) becomes x, x.f() becomes x, x.T becomes x."""
    if isinstance(node, ast.Call):  # conversions: numbers are compared, not types
        if text.of(node.func).endswith(("bool", "float", "item", "tolist", ".tensor")):
            return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        root = text.above(node.func.value, ast.expr)
        module = isinstance(root, ast.Name) and root.id in _MODULES
        if not module and not text.of(root).startswith(("torch.", "nn.", "F.")):
            yield text.place(node), text.of(node.func.value)
            return
    if isinstance(node, ast.Call) and node.args:
        if not isinstance(node.args[0], ast.Starred):
            yield text.place(node), text.closed(node.args[0])
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT", "H", "mH", "real"):
        yield text.place(node), text.of(node.value)


_MODULES = {"torch", "math", "F", "nn", "np", "checks", "itertools"}
_SYMMETRIC = {"max", "min", "maximum", "minimum", "transpose", "dot", "gcd", "swapaxes"}


@_operator
def arguments(text, node):
    """Two arguments changed over, one forgotten, a keyword forgotten."""
    if not isinstance(node, ast.Call):
        return
    name = text.of(node.func).rsplit(".", 1)[-1]
    plain = [a for a in node.args if not isinstance(a, ast.Starred)]
    if len(plain) == len(node.args) and name not in _SYMMETRIC:
        for left, right in zip(plain, plain[1:]):
            yield text.between(left, right), f"{text.of(right)}, {text.of(left)}"
    whole = [*node.args, *node.keywords]
    for k, argument in enumerate(whole):
        if len(whole) > 1 and (k or isinstance(argument, ast.keyword)):
            left = whole[k - 1] if k else None
            start = text.place(left)[1] if k else text.place(argument)[0]
            end = text.place(argument)[1]
            if not k:
                end = text.place(whole[1])[0]
            yield (start, end), ""
        elif isinstance(argument, ast.keyword):
            yield text.place(argument), ""


_REDUCTIONS = {"sum", "mean", "max", "min", "amax", "amin", "norm", "var", "std"}
_REDUCTIONS |= {"prod", "argmax", "logsumexp", "any", "all"}


@_operator
def options(text, node):
    """keepdim, unbiased and largest as they should not be."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        given = {k.arg for k in node.keywords}
        front = text.of(node)[:-1].rstrip().rstrip(",")
        name, some = node.func.attr, bool(node.args or node.keywords)
        if name in _REDUCTIONS and some and "keepdim" not in given:
            if text.of(node.func.value) not in ("math", "np"):
                yield text.place(node), f"{front}, keepdim=True)"
        if name in ("var", "std") and not given & {"unbiased", "correction"}:
            comma = ", " if some else ""
            yield text.place(node), f"{front}{comma}correction=0)"
        if name == "topk" and "largest" not in given:
            yield text.place(node), f"{front}, largest=False)"


# ---- names, statements, side effects ------------------------------------------------


@_operator
def name(text, node):
    """One parameter is taken for another."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        function = text.above(node, ast.FunctionDef)
        names = _parameters(function) if function else []
        if node.id in names:
            for other in names:
                if other != node.id:
                    yield text.place(node), other


def _parameters(function):
    args = function.args
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return [a.arg for a in every if a.arg != "self"]


@_operator
def statement_dropped(text, node):
    """A line is forgotten; another error is raised."""
    simple = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Assert)
    if isinstance(node, simple):
        yield text.place(node), "pass"
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        other = (
            "RuntimeError" if text.of(node.exc.func) == "ValueError" else "ValueError"
        )
        yield text.place(node.exc.func), other
    if isinstance(node, ast.Break):
        yield text.place(node), "continue"
    if isinstance(node, ast.Continue):
        yield text.place(node), "break"


@_operator
def branch(text, node):
    """One side of `a if b else c`."""
    if isinstance(node, ast.IfExp):
        yield text.place(node), text.closed(node.body)
        yield text.place(node), text.closed(node.orelse)


@_operator
def overwrites(text, node):
    """What was given is written over; `spoiling` is the bench's."""
    if isinstance(node, ast.Return) and node.value is not None:
        function = text.above(node, ast.FunctionDef)
        if isinstance(text.parents.get(function), ast.Module):
            if node is function.body[-1]:
                for given in _parameters(function):
                    value = text.of(node.value)
                    yield text.place(node.value), f"spoiling({given}, ({value}))"


@_operator
def detached(text, node):
    """What comes out carries no gradient."""
    if isinstance(node, (ast.Return, ast.Assign)) and node.value is not None:
        none = isinstance(node.value, (ast.Tuple, ast.List, ast.Dict, ast.Compare))
        if not none and not text.of(node.value).endswith(".grad"):
            yield text.place(node.value), f"{text.closed(node.value)}.detach()"
    if isinstance(node, ast.BinOp):
        for side in (node.left, node.right):
            if not isinstance(side, ast.Constant):
                yield text.place(side), f"{text.closed(side)}.detach()"


# ---- what is to be done by hand -----------------------------------------------------

# Calls that do what an exercise asks to write, by the kind as `checks.by_hand` calls
# it. A: a table, N: one of numpy, W: one with a gradient, T: targets.
_BY_HAND = {
    "softmax": """
        torch.softmax(A, -1)
        A.softmax(-1)
        torch.special.softmax(A, -1)
        torch.nn.functional.softmax(A, -1)
        torch.nn.Softmax(-1)(A)
        torch.log_softmax(A, -1)
        A.log_softmax(-1)
        torch.special.log_softmax(A, -1)
        torch.nn.functional.log_softmax(A, -1)
        torch.nn.functional.softmin(A, -1)
        torch.nn.functional.gumbel_softmax(A)
        torch.ops.aten.softmax.int(A, -1)
        torch.ops.aten._softmax(A, -1, False)
        torch.ops.aten._log_softmax(A, -1, False)
        torch._softmax(A, -1, False)
        torch.nn.functional.scaled_dot_product_attention(A, A, A)
        """,
    "matrix product": """
        torch.matmul(A, A)
        A @ A
        A.matmul(A)
        torch.mm(A, A)
        A.mm(A)
        torch.bmm(A[None], A[None])
        torch.mv(A, A[0])
        torch.dot(A[0], A[0])
        torch.inner(A, A)
        torch.einsum("ij,jk->ik", A, A)
        torch.tensordot(A, A, 1)
        torch.addmm(A, A, A)
        torch.baddbmm(A[None], A[None], A[None])
        torch.chain_matmul(A, A)
        torch.linalg.matmul(A, A)
        torch.linalg.multi_dot([A, A])
        torch.linalg.vecdot(A, A)
        torch.nn.functional.linear(A, A)
        torch.nn.functional.bilinear(A, A, A[None])
        torch.ops.aten.mm(A, A)
        torch.ops.aten.matmul(A, A)
        N @ N
        N.dot(N)
        __import__("numpy").einsum("ij,jk->ik", N, N)
        """,
    "autograd": """
        torch.autograd.grad((leaf := W).sum(), leaf)
        W.sum().backward()
        torch.autograd.backward(W.sum())
        torch.autograd.functional.jacobian(torch.sum, A)
        torch.autograd.functional.vjp(torch.sum, A)
        torch.autograd.functional.jvp(torch.sum, A, A)
        torch.func.grad(torch.sum)(A)
        torch.func.grad_and_value(torch.sum)(A)
        torch.func.vjp(torch.sum, A)[1](A.sum())
        torch.func.jvp(torch.sum, (A,), (A,))
        torch.func.jacrev(torch.sum)(A)
        torch.func.jacfwd(torch.sum)(A)
        """,
    "cross-entropy": """
        torch.nn.functional.cross_entropy(A, T)
        torch.nn.functional.nll_loss(A, T)
        torch.nn.CrossEntropyLoss()(A, T)
        torch.nn.NLLLoss()(A, T)
        torch.ops.aten.cross_entropy_loss(A, T)
        """,
}
_GIVEN = {
    "A": "torch.eye(2)",
    "N": "torch.eye(2).numpy()",
    "W": "torch.eye(2, requires_grad=True)",
    "T": "torch.tensor([0, 1])",
}


def _forbidden(text, test):
    """A relative of what the test forbids is called at the head of each function."""
    meant = set(re.findall(r"""["'](torch[\w.]+)["']""", test))
    for kinds in re.findall(r"by_hand\(([^)]*)\)", test):
        meant |= set(re.findall(r"""["']([^"']+)["']""", kinds))
    for kind, calls in _BY_HAND.items():
        first = calls.split("(")[0].strip()
        if not {kind, first} & meant:
            continue
        for call in calls.strip().splitlines():
            call = re.sub(r"\b[ANWT]\b(?!\()", lambda m: _GIVEN[m[0]], call.strip())
            for function in text.tree.body:
                if isinstance(function, ast.FunctionDef):
                    line = function.body[ast.get_docstring(function) is not None]
                    start = text.place(line)[0]
                    yield (start, start), f"{call}\n{' ' * line.col_offset}"
