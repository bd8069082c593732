"""Answers to the sheet of the page "What you need to know"."""

from tests.answers import right, wrong

ANSWERS = {
    "table": [
        wrong(
            "no dtype for arange",
            "arange of whole numbers makes whole numbers",
            """
            table = torch.arange(12).reshape(3, 4)
            seen = torch.ones(2, 3, dtype=torch.bool)
            """,
        ),
        wrong(
            "no reshape",
            "they stand in one long row",
            """
            table = torch.arange(12.0)
            seen = torch.ones(2, 3, dtype=torch.bool)
            """,
        ),
        wrong(
            "columns first",
            ("the shape is (4, 3)", "the shape is (3, 2)"),
            """
            table = torch.arange(12.0).reshape(4, 3)
            seen = torch.ones(3, 2, dtype=torch.bool)
            """,
        ),
        wrong(
            "down the columns",
            "run down the columns",
            """
            table = torch.arange(12.0).reshape(4, 3).T
            seen = torch.ones(2, 3, dtype=torch.bool)
            """,
        ),
        wrong(
            "counts from 1",
            "they begin at 1",
            """
            table = torch.arange(1.0, 13.0).reshape(3, 4)
            seen = torch.ones(2, 3, dtype=torch.bool)
            """,
        ),
        wrong(
            "ones are no booleans",
            "True is a torch.bool",
            """
            table = torch.arange(12.0).reshape(3, 4)
            seen = torch.ones(2, 3)
            """,
        ),
        wrong(
            "zeros are False",
            "it is False everywhere",
            """
            table = torch.arange(12.0).reshape(3, 4)
            seen = torch.zeros(2, 3, dtype=torch.bool)
            """,
        ),
        wrong(
            "float is 64 bits in NumPy and Python",
            "its dtype is torch.float64",
            """
            table = torch.arange(12, dtype=torch.float64).reshape(3, 4)
            seen = torch.ones(2, 3, dtype=torch.bool)
            """,
        ),
        wrong(
            "a list of lists",
            "this is no tensor",
            """
            table = [[4 * i + j for j in range(4)] for i in range(3)]
            seen = [[True] * 3] * 2
            """,
        ),
        right(
            "from lists",
            """
            table = torch.tensor([[4.0 * i + j for j in range(4)] for i in range(3)])
            seen = torch.tensor([[True, True, True], [True, True, True]])
            """,
        ),
        right(
            "by comparison and by broadcasting",
            """
            table = 4.0 * torch.arange(3)[:, None] + torch.arange(4)
            seen = torch.zeros(2, 3) == 0
            """,
        ),
        right(
            "filled and converted",
            """
            table = torch.arange(12).view(3, 4).float()
            seen = torch.full((2, 3), True)
            """,
        ),
    ],
    "tail_above": [
        wrong(
            "rows for columns",
            "these are from the last two rows",
            """
            def tail_above(x, limit):
                tail = x[-2:]
                return tail[tail > limit]
            """,
        ),
        wrong(
            "forgets to cut",
            "these are from all columns",
            """
            def tail_above(x, limit):
                return x[x > limit]
            """,
        ),
        wrong(
            "the first two",
            "these are from the first two columns",
            """
            def tail_above(x, limit):
                head = x[:, :2]
                return head[head > limit]
            """,
        ),
        wrong(
            "an index for a slice",
            "a slice can be two",
            """
            def tail_above(x, limit):
                tail = x[:, -2]
                return tail[tail > limit]
            """,
        ),
        wrong(
            "a slice that leaves out the end",
            "a slice can be two",
            """
            def tail_above(x, limit):
                tail = x[:, -2:-1]
                return tail[tail > limit]
            """,
        ),
        wrong(
            "at least for above",
            "the 4 is not above 4",
            """
            def tail_above(x, limit):
                tail = x[:, -2:]
                return tail[tail >= limit]
            """,
        ),
        wrong(
            "returns the mask",
            "this is the mask",
            """
            def tail_above(x, limit):
                return x[:, -2:] > limit
            """,
        ),
        wrong(
            "multiplies by the mask",
            "the others became 0",
            """
            def tail_above(x, limit):
                tail = x[:, -2:]
                return tail * (tail > limit)
            """,
        ),
        wrong(
            "the limit of the example",
            "is the limit a fixed number",
            """
            def tail_above(x, limit):
                tail = x[:, -2:]
                return tail[tail > 4]
            """,
        ),
        wrong(
            "the columns of the example",
            "the last two of any number of columns",
            """
            def tail_above(x, limit):
                tail = x[:, 1:3]
                return tail[tail > limit]
            """,
        ),
        wrong(
            "the mask of another table",
            "shape of the mask",
            """
            def tail_above(x, limit):
                return x[:, -2:][x > limit]
            """,
        ),
        wrong(
            "all columns but the first",
            "only the first column was cut off",
            """
            def tail_above(x, limit):
                tail = x[:, 1:]
                return tail[tail > limit]
            """,
        ),
        wrong(
            "whole numbers alone",
            "the last two of any number of columns",
            """
            def tail_above(x, limit):
                tail = x[:, -2:].round()
                return tail[tail > limit]
            """,
        ),
        right(
            "masked_select",
            """
            def tail_above(x, limit):
                tail = x[:, x.shape[1] - 2 :]
                return torch.masked_select(tail, tail.gt(limit))
            """,
        ),
        right(
            "a loop",
            """
            def tail_above(x, limit):
                return [n for row in x.tolist() for n in row[-2:] if n > limit]
            """,
        ),
        right(
            "the mask of the whole table, cut as well",
            """
            def tail_above(x, limit):
                return x[:, -2:][(x > limit)[:, -2:]]
            """,
        ),
    ],
    "centred": [
        wrong(
            "no keepdim",
            "row j's mean was taken off column j",
            """
            def centred(x):
                return x - x.mean(dim=-1)
            """,
        ),
        wrong(
            "columns for rows",
            "these are the columns minus their means",
            """
            def centred(x):
                return x - x.mean(dim=0, keepdim=True)
            """,
        ),
        wrong(
            "one mean for all",
            "one mean of all numbers",
            """
            def centred(x):
                return x - x.mean()
            """,
        ),
        wrong(
            "returns the mean",
            "these are the means",
            """
            def centred(x):
                return x.mean(dim=-1, keepdim=True)
            """,
        ),
        wrong(
            "axis 1 is always the row",
            "the mean ran along axis 1",
            """
            def centred(x):
                return x - x.mean(dim=1, keepdim=True)
            """,
        ),
        wrong(
            "divides",
            "divided by the mean",
            """
            def centred(x):
                return x / x.mean(dim=-1, keepdim=True)
            """,
        ),
        wrong(
            "the sum",
            "the sum was taken off",
            """
            def centred(x):
                return x - x.sum(dim=-1, keepdim=True)
            """,
        ),
        wrong(
            "turned round",
            "the sign is turned round",
            """
            def centred(x):
                return x.mean(dim=-1, keepdim=True) - x
            """,
        ),
        right(
            "a new axis by hand",
            """
            def centred(x):
                return x - x.mean(-1)[..., None]
            """,
        ),
        right(
            "sum by length",
            """
            def centred(x):
                return x - (x.sum(-1) / x.shape[-1]).unsqueeze(-1)
            """,
        ),
        right(
            "a product with a matrix",
            """
            def centred(x):
                d = x.shape[-1]
                return x @ (torch.eye(d, dtype=x.dtype) - 1 / d)
            """,
        ),
    ],
    "meet": [
        wrong(
            "no transpose",
            "turn a on its side first",
            """
            def meet(a, b):
                return a @ b
            """,
        ),
        wrong(
            "turns b",
            "it is a that has to be turned",
            """
            def meet(a, b):
                return a @ b.transpose(-2, -1)
            """,
        ),
        wrong(
            "rows and columns of the result",
            "the result lies on its side",
            """
            def meet(a, b):
                return b.transpose(-2, -1) @ a
            """,
        ),
        wrong(
            "number by number",
            "with nothing added up",
            """
            def meet(a, b):
                return a * b
            """,
        ),
        wrong(
            "reshape turns",
            "reshape keeps the order",
            """
            def meet(a, b):
                return a.reshape(a.shape[0], a.shape[2], a.shape[1]) @ b
            """,
        ),
        wrong(
            "drops the letter of the batch",
            "the axis of the batch is gone",
            """
            def meet(a, b):
                return torch.einsum("ndi,ndj->ij", a, b)
            """,
        ),
        wrong(
            "keeps one table",
            "the axis of the batch is gone",
            """
            def meet(a, b):
                return a[0].T @ b[0]
            """,
        ),
        wrong(
            "turns with .T",
            ".T turns all axes",
            """
            def meet(a, b):
                return a.T @ b
            """,
        ),
        wrong(
            "one table of a for all of b",
            "the first table of a met every table of b",
            """
            def meet(a, b):
                return a[0].T @ b
            """,
        ),
        wrong(
            "the batch added up",
            "the tables of the batch are added up",
            """
            def meet(a, b):
                return torch.einsum("ndi,ndj->ij", a, b).expand(len(a), -1, -1)
            """,
        ),
        right(
            "with einsum",
            """
            def meet(a, b):
                return torch.einsum("ndi,ndj->nij", a, b)
            """,
        ),
        right(
            "by broadcasting",
            """
            def meet(a, b):
                return (a[:, :, :, None] * b[:, :, None, :]).sum(1)
            """,
        ),
        right(
            "one table at a time",
            """
            def meet(a, b):
                return torch.stack([left.T @ right for left, right in zip(a, b)])
            """,
        ),
        right(
            "with mT and bmm",
            """
            def meet(a, b):
                return torch.bmm(a.mT, b)
            """,
        ),
    ],
    "slope": [
        wrong(
            "not watched",
            "make it with requires_grad=True",
            """
            def slope(x):
                point = torch.tensor(x)
                height(point).backward()
                return point.grad
            """,
        ),
        wrong(
            "what backward returns",
            "backward() returns nothing",
            """
            def slope(x):
                return height(torch.tensor(x, requires_grad=True)).backward()
            """,
        ),
        wrong(
            "no backward",
            "backward() returns nothing",
            """
            def slope(x):
                point = torch.tensor(x, requires_grad=True)
                height(point)
                return point.grad
            """,
        ),
        wrong(
            "the height",
            "this is the height itself",
            """
            def slope(x):
                y = height(torch.tensor(x, requires_grad=True))
                y.backward()
                return y
            """,
        ),
        wrong(
            "one tensor for all calls",
            "slopes add up from call to call",
            """
            point = torch.tensor(0.0, requires_grad=True)
            def slope(x):
                point.data.fill_(x)
                height(point).backward()
                return point.grad.item()
            """,
        ),
        wrong(
            "the function of the example",
            "this is the slope of x²",
            """
            def slope(x):
                point = torch.tensor(x, requires_grad=True)
                (point * point).backward()
                return point.grad
            """,
        ),
        wrong(
            "one round",
            "this is the slope of one round",
            """
            def slope(x):
                point = torch.tensor(x, requires_grad=True)
                (point + torch.sin(point)).backward()
                return point.grad
            """,
        ),
        wrong(
            "a step of 1",
            "over a whole step",
            """
            def slope(x):
                x = torch.tensor(x)
                return height(x + 1) - height(x)
            """,
        ),
        wrong(
            "always at 0",
            "take the slope where x is",
            """
            def slope(x):
                point = torch.tensor(0.0, requires_grad=True)
                height(point).backward()
                return point.grad
            """,
        ),
        right(
            "with autograd.grad",
            """
            def slope(x):
                point = torch.tensor(x, dtype=torch.float64, requires_grad=True)
                return torch.autograd.grad(height(point), point)[0].item()
            """,
        ),
        right(
            "one tensor, emptied",
            """
            point = torch.tensor(0.0, requires_grad=True)
            def slope(x):
                point.grad = None
                with torch.no_grad():
                    point.copy_(torch.tensor(x))
                height(point).backward()
                return point.grad.clone()
            """,
        ),
        right(
            "by hand",
            """
            def slope(x):
                product = 1.0
                x = torch.tensor(x, dtype=torch.float64)
                for _ in range(3):
                    product, x = product * (1 + torch.cos(x)), x + torch.sin(x)
                return product
            """,
        ),
    ],
}

EQUIVALENT = {}
