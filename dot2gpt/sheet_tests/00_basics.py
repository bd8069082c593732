# Made from solutions/ by `make sync`: do not edit.

# %% table
c = checks.Checks("Exercise 1 · Make a tensor")


def has_dtype(made, dtype, hint):
    found = getattr(made, "dtype", None)
    if found is None:
        raise checks.Wrong("this is no tensor: torch.tensor(...) makes one of it")
    if found != dtype:
        raise checks.Wrong(f"its dtype is {found}, expected {dtype}: {hint}")
    return True


rows = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
c.close("the numbers of table", lambda: table, rows, mistakes={
    "the numbers are right, but they stand in one long row": list(range(12)),
    "the shape is (4, 3): the number of rows comes first":
        [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]],
    "the numbers run down the columns: reshape lays them out row by row":
        [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]],
    "they begin at 1": [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]],
})
c.that("the dtype of table", lambda: has_dtype(table, torch.float32,
    "arange of whole numbers makes whole numbers, unless dtype= says otherwise"))
c.close("seen is True everywhere", lambda: seen, [[1, 1, 1], [1, 1, 1]], mistakes={
    "it is False everywhere: zeros become False, ones True": [[0, 0, 0], [0, 0, 0]],
    "the shape is (3, 2): the number of rows comes first": [[1, 1], [1, 1], [1, 1]],
})
c.that("the dtype of seen", lambda: has_dtype(seen, torch.bool,
    "a 1 is a number, True is a torch.bool"))
c.report()

# %% tail_above (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · Pick from it")
x = torch.tensor([[1.0, 9.0, 5.0], [7.0, 2.0, 8.0], [6.0, 4.0, 3.0]])
c.close("the example", lambda: tail_above(x, 4.0), [9.0, 5.0, 8.0], mistakes={
    "these are from the last two rows: columns are the second axis": [7.0, 8.0, 6.0],
    "these are from all columns": [9.0, 5.0, 7.0, 8.0, 6.0],
    "these are from the first two columns": [9.0, 7.0, 6.0],
    "these are from the last column alone": [5.0, 8.0],
    "these are from one column: an index is one column, a slice can be two": [9.0],
    "the 4 is not above 4": [9.0, 5.0, 8.0, 4.0],
    "these are the numbers below the limit": [2.0, 3.0],
    "these are not above the limit": [2.0, 4.0, 3.0],
    "this is the mask: use it as an index": [[1, 1], [0, 1], [0, 0]],
    "the others became 0: a mask as an index leaves them out":
        [[9.0, 5.0], [0.0, 8.0], [0.0, 0.0]],
    "these are the two columns, nothing is left out yet":
        [[9.0, 5.0], [2.0, 8.0], [4.0, 3.0]],
    "these are read down the columns": [9.0, 8.0, 5.0],
})
wide = torch.tensor([[9.0, 8.0, -0.5, 0.25], [7.0, 6.0, 1.75, -2.5]]).double()
c.close("four columns, limit -1", lambda: tail_above(wide, -1.0), [-0.5, 0.25, 1.75],
    mistakes={
        "only the first column was cut off: take the last two, however many there are":
            [8.0, -0.5, 0.25, 6.0, 1.75],
    }, hint="the last two of any number of columns")
c.close("another limit", lambda: tail_above(x, 7.5), [9.0, 8.0],
    hint="is the limit a fixed number in your function?")
c.report()

# %% centred (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Different shapes together")
x = torch.tensor([[1.0, 2.0, 6.0], [0.0, 3.0, 3.0], [5.0, 5.0, 8.0]])
means = torch.tensor([3.0, 2.0, 6.0])  # of the rows
c.close("three rows, by hand", lambda: centred(x),
    [[-2.0, -1.0, 3.0], [-2.0, 1.0, 1.0], [-1.0, -1.0, 2.0]], mistakes={
        "row j's mean was taken off column j: the means need shape (3, 1), keepdim":
            x - means,
        "these are the columns minus their means: a row runs along the last axis":
            x - x.mean(dim=0),
        "one mean of all numbers was taken off: each row has its own": x - x.mean(),
        "these are the means: take them off x": means,
        "these are the means, in the right shape: take them off x": means[:, None],
        "the sign is turned round": means[:, None] - x,
        "divided by the mean instead of taking it off": x / means[:, None],
        "the sum was taken off, not the mean": x - x.sum(dim=-1, keepdim=True),
    })
c.close("two rows of three", lambda: centred(x[:2]),
    [[-2.0, -1.0, 3.0], [-2.0, 1.0, 1.0]], hint="the table need not be square")
c.close("a batch, shape (1, 2, 3)", lambda: centred(x[None, :2]),
    [[[-2.0, -1.0, 3.0], [-2.0, 1.0, 1.0]]], mistakes={
        "the mean ran along axis 1: the last axis is -1, however many there are":
            x[None, :2] - x[None, :2].mean(dim=1, keepdim=True),
    })
fractions = torch.tensor([[0.5, -1.25]]).double()
c.close("fractions below 0, float64", lambda: centred(fractions),
    [[0.875, -0.875]], hint="the mean of this row is -0.375")
c.report()

# %% meet (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Multiply tables")


def given(a, b):
    try:
        return meet(a, b)
    except NotImplementedError:
        raise
    except RuntimeError as error:
        raise checks.Wrong(
            "the shapes do not fit; transpose(-2, -1) turns each table, .T turns all "
            f"axes, that of the batch too ({error})")


a = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
b = torch.tensor([[[5.0, 6.0], [7.0, 8.0]]])
c.close("one table each, by hand", lambda: given(a, b), [[[26.0, 30.0], [38.0, 44.0]]],
    mistakes={
        "rows of a met columns of b: turn a on its side first":
            [[[19.0, 22.0], [43.0, 50.0]]],
        "rows of a met rows of b: it is a that has to be turned, not b":
            [[[17.0, 23.0], [39.0, 53.0]]],
        "the result lies on its side: columns of a are its rows":
            [[[26.0, 38.0], [30.0, 44.0]]],
        "this is number by number, with nothing added up: use @":
            [[[5.0, 12.0], [21.0, 32.0]]],
        "turned, but multiplied number by number: use @":
            [[[5.0, 18.0], [14.0, 32.0]]],
        "the axis of the batch is gone": [[26.0, 30.0], [38.0, 44.0]],
        "the rows are added up too": [[64.0, 74.0]],
    })
long = torch.tensor([[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]])  # d = 3, two columns
c.close("three numbers a column", lambda: given(long, long),
    [[[14.0, 32.0], [32.0, 77.0]]], mistakes={
        "reshape keeps the order of the numbers, it turns nothing: transpose does":
            long.reshape(1, 2, 3) @ long,
    }, hint="the columns have three numbers here")
two = torch.tensor([[[0.5], [-1.0]], [[2.0], [0.25]]])  # two tables of one column
c.close("two tables, with itself", lambda: given(two, two), [[[1.25]], [[4.0625]]],
    mistakes={
        "the tables of the batch are added up": [[[5.3125]], [[5.3125]]],
        "the axis of the batch is gone": [[5.3125]],
        "the axis of the batch is gone, and all tables but the first": [[1.25]],
        "the first table of a met every table of b: each table has its own":
            [[[1.25]], [[0.75]]],
    }, hint="each table of the batch for itself")
c.report()

# %% slope (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · The slope, without calculus")


def by_hand(x):  # each round multiplies the slope by 1 + cos x
    x, product = torch.tensor(x, dtype=torch.float64), 1.0
    for _ in range(3):
        product, x = product * (1 + x.cos()), x + x.sin()
    return product.item()


def level(x):
    return height(torch.tensor(x, dtype=torch.float64)).item()


def given(x):
    try:
        found = slope(x)
    except RuntimeError as error:
        if "does not require grad" in str(error):
            raise checks.Wrong("x was not watched: make it with requires_grad=True")
        raise
    if found is None:
        raise checks.Wrong(
            "it is None: backward() returns nothing, the slope is left in x.grad")
    return found


def mistakes(x):
    start = torch.tensor(x, dtype=torch.float64)
    return {
        "this is the height itself, not its slope": level(x),
        "this is the slope of one round, of three": (1 + start.cos()).item(),
        "this is how much the height rises over a whole step": level(x + 1) - level(x),
        "this is the slope of x²": 2 * x,
        "the sign is turned round": -by_hand(x),
    }


c.close("at 0, by hand: 2 · 2 · 2", lambda: given(0.0), 8.0, mistakes=mistakes(0.0),
    atol=1e-4)
c.close("at 0.5", lambda: given(0.5), by_hand(0.5), atol=1e-4, mistakes={
    "slopes add up from call to call: start with a fresh tensor, or empty its grad":
        8.0 + by_hand(0.5),
    **mistakes(0.5),
})
c.close("at 0.5 once more", lambda: given(0.5), by_hand(0.5), atol=1e-4, mistakes={
    "slopes add up from call to call: start with a fresh tensor, or empty its grad":
        8.0 + 2 * by_hand(0.5),
    **mistakes(0.5),
})
c.report()
