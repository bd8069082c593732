# Made from solutions/ by `make sync`: do not edit.

# %% reach (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · How far a stack sees")


def check_reach(what, layers, want):
    steps = [math.prod(s for _, _, s in layers[:n]) for n in range(len(layers) + 1)]
    spans = [(k - 1) * d for k, d, _ in layers]
    c.close(what, lambda: reach(layers), want, mistakes={
        "the token where one starts is missing: add 1": want - 1,
        "a kernel of k sees k - 1 tokens more, not k":
            1 + sum(k * d * n for (k, d, _), n in zip(layers, steps)),
        "kernels are added: each layer begins where the last one ended":
            sum(k for k, _, _ in layers),
        "kernels are multiplied: windows of neighbours overlap":
            math.prod(k for k, _, _ in layers),
        "the dilation is missing":
            1 + sum((k - 1) * n for (k, _, _), n in zip(layers, steps)),
        "the stride is missing: after it, one step is several tokens": 1 + sum(spans),
        "a stride acts on the layers above it, not on its own window":
            1 + sum(n * m for n, m in zip(spans, steps[1:])),
        "the layers are taken from the top: the first tuple is next to the input":
            1 + sum(n * math.prod(s for _, _, s in layers[i + 1 :])
                    for i, n in enumerate(spans)),
        "strides multiply: two layers of stride 2 make steps of 4":
            1 + sum(n * (1 + sum(s - 1 for _, _, s in layers[:i]))
                    for i, n in enumerate(spans)),
    }, hint="add up (kernel - 1) · dilation · (product of the strides below)")


check_reach("no layer", [], 1)
check_reach("one layer, kernel 3", [(3, 1, 1)], 3)
check_reach("the CNN of the lesson", [(3, 1, 1)] * 4, 9)
check_reach("dilations 1, 2, 4", [(3, 1, 1), (3, 2, 1), (3, 4, 1)], 15)
check_reach("strides 2 and 3", [(3, 1, 2), (3, 1, 3)], 7)
three = [(3, 1, 2), (3, 1, 3), (2, 1, 1)]
check_reach("strides 2 and 3, and one more layer", three, 13)
check_reach("all three numbers", [(5, 1, 3), (2, 7, 2), (3, 2, 1)], 50)
c.report()

# %% path_lengths (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · Path lengths")


def check_paths(time, kernel, convolution, dilated, low, by_two):
    # low: the convolution rounded down; by_two: dilations that are powers of 2
    def part(name):
        return lambda: path_lengths(time, kernel)[name]

    where = f"time {time}, kernel {kernel}: "
    c.close(where + "recurrent", part("recurrent"), time, mistakes={
        "these are the steps after the first one: step 1 counts as well": time - 1,
        "an RNN reads one token at each step": convolution,
    })
    c.close(where + "convolution", part("convolution"), convolution, mistakes={
        "rounded down: the first token stays just out of reach": low,
        "one layer too many where the division leaves no rest": low + 1,
        "each layer adds kernel - 1 tokens, not kernel": math.ceil(time / kernel),
        "each layer adds kernel - 1 tokens, not kernel; and round up": time // kernel,
    })
    roots = max(n for n in range(99) if kernel**n <= time)
    c.close(where + "dilated", part("dilated"), dilated, mistakes={
        "rounded down: the first token stays just out of reach": roots,
        "one layer too many: look at math.log(125, 5), or at what "
            "happens where time is a power of kernel": dilated + 1,
        "this is the stack without dilation": convolution,
        "the dilations are powers of the kernel, not of 2": by_two,
    })
    c.close(where + "attention", part("attention"), 1,
            hint="attention looks at any token directly")


check_paths(9, 3, 4, 2, 4, 3)
check_paths(10, 3, 5, 3, 4, 3)
check_paths(64, 2, 63, 6, 63, 6)
check_paths(2, 7, 1, 1, 0, 1)
check_paths(243, 3, 121, 5, 121, 7)
c.report()

# %% predicted
c = checks.Checks("Exercise 3a · The factor per step, predicted")
A, B = [[0.9, 0], [0, -0.5]], [[0, -0.8], [0.8, 0]]
three = torch.tensor([A, B, [[0.5, 4], [0, 0.5]]])
names = {
    0: "A, a number for each axis",
    1: "B, a turn by 90 degrees",
    2: "C, with a large corner",
}
for i, name in names.items():
    W = three[i].double()
    near, far = (torch.linalg.matrix_power(W, n).abs().max() for n in (300, 600))
    measured = (far / near) ** (1 / 300)  # C is still about 0.2 % above its limit
    c.close(name, lambda i=i: predicted[i], measured, atol=0.003, mistakes={
        "the diagonal is 0, but W turns: look at the length of W h": 0.0,
        "this is the determinant: it says what happens to areas": torch.linalg.det(W),
        "this is the trace, the sum of the diagonal": W.trace(),
        "the other axis lasts longer": 0.5 if i == 0 else -0.5,
        "the sizes of the axes are averaged: in the end the larger one is left": 0.7,
        "this is the largest stretch in one step: it is not repeated in the next one":
            torch.linalg.matrix_norm(W, 2),
        "the corner is large, but it does not multiply itself": 4.0,
    }, hint="multiply a vector by W a few times: what happens to its length?")
c.that("three numbers", lambda: len(predicted) == 3, hint="one number for each matrix")
c.report()

# %% decay_rate (more is tested when it is handed in)
c = checks.Checks("Exercise 3b · The factor per step, from the matrix")


def check_rate(what, W, want):
    values = torch.linalg.eigvals(W)
    c.close(what, lambda: decay_rate(W), want, atol=1e-4, mistakes={
        "eigenvalues can be complex: take the size, not the real part":
            values.real.abs().max(),
        "the sign is lost: a negative eigenvalue counts with its size":
            values.real.max(),
        "this is the largest singular value, the stretch of one step":
            torch.linalg.matrix_norm(W, 2),
        "this is the size of W itself, not of its powers": W.norm(),
        "eigvalsh reads half of the matrix: W is not symmetric":
            torch.linalg.eigvalsh(W).abs().max(),
        "this is the smallest eigenvalue: the largest one lasts": values.abs().min(),
        "eigenvalues are averaged: in the end the largest one is left":
            values.abs().mean(),
        "this is the determinant: it says what happens to volumes":
            torch.linalg.det(W).abs(),
        "this is the trace": W.trace().abs(),
    }, hint="which eigenvalue is left after many steps?")


check_rate("an axis that turns round", torch.diag(torch.tensor([0.3, -0.7, 0.5])), 0.7)
check_rate("a turn", torch.tensor([[0.6, -0.8], [0.8, 0.6]]) * 0.9, 0.9)
check_rate("a large corner", torch.tensor([[0.5, 9.0], [0.0, 0.25]]), 0.5)
check_rate("one neuron", torch.tensor([[-1.2]]), 1.2)
c.report()

# %% costs
c = checks.Checks("Exercise 4 · Twice as long, twice as wide")


def counts(name, time, d, kernel=3):
    multiplications = {
        "rnn": sum(2 * d * d for _ in range(time)),
        "cnn": sum(kernel * d * d for _ in range(time)),
        "attention": sum(d for _ in range(time) for _ in range(time)),
    }
    return multiplications[name], time if name == "rnn" else 1


def growth(name, more_time, more_d):
    before, after = counts(name, 5, 7), counts(name, 5 * more_time, 7 * more_d)
    return [a / b for a, b in zip(after, before)]


def given(answer, name):
    pair = list(answer[name])
    if len(pair) != 2:
        raise checks.Wrong(f"expected a pair for {name!r}, got {len(pair)} numbers")
    return [float(number) for number in pair]


turned = "the pair is turned round: multiplications first"
alone = "positions do not wait for one another here, however many there are"
product = "a wider matrix is still one product: no more waiting than before"
square = "a matrix of shape (d, d) has d² entries"
once = "the work at each position stays the same: time occurs once"
mistakes = {
    "rnn": {"step t needs the state of step t - 1: it waits": [2, 1], once: [4, 2],
            f"{once}; and step t waits for step t - 1": [4, 1]},
    "cnn": {turned: [1, 2], alone: [2, 2], once: [4, 1]},
    "attention": {turned: [1, 4], alone: [4, 4], f"{alone}.": [4, 2],
                  "every token meets every token: time occurs twice": [2, 1]},
}
wider = {
    "attention": {turned: [1, 2], "all dot products are done at once: no more waiting":
                  [2, 2], "a dot product of d numbers takes d multiplications": [4, 1]},
}
for name in ("rnn", "cnn"):
    wider[name] = {turned: [1, 4], product: [4, 2], square: [2, 1],
                   f"{square}; and it is still one product": [2, 2]}
for name in ("rnn", "cnn", "attention"):
    c.close(f"twice the time, {name}", lambda: given(twice_time, name),
        growth(name, 2, 1), mistakes=mistakes[name])
    c.close(f"twice the width, {name}", lambda: given(twice_width, name),
        growth(name, 1, 2), mistakes=wider[name])
c.report()

# %% steps_ahead (more is tested when it is handed in)
c = checks.Checks("Exercise 5a · How far it looks ahead")
for kernel, dilation, want in [(3, 1, 1), (5, 1, 2), (3, 4, 4), (1, 3, 0)]:
    c.close(f"kernel {kernel}, dilation {dilation}",
        lambda: steps_ahead(kernel, dilation), want, mistakes={
            "this is the whole window: half of it lies in the past":
                (kernel - 1) * dilation,
            "the dilation is missing": (kernel - 1) // 2,
            "the present token is no step ahead": want + 1,
            "this is half of the kernel: the present token is no step ahead":
                kernel * dilation / 2,
            "it does look ahead: it pads both ends": 0 if want else -1,
        })
c.report()

# %% causal_conv (more is tested when it is handed in)
c = checks.Checks("Exercise 5b · A causal convolution")
ramp = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])  # (1, 1, 4)
kernel = torch.tensor([[[100.0, 10.0, 1.0]]])  # (1, 1, 3)
c.close("kernel (100, 10, 1), by hand", lambda: causal_conv(ramp, kernel),
    [[[1.0, 12.0, 123.0, 234.0]]], mistakes={
        "this is the published padding: it sees one step ahead":
            [[[12.0, 123.0, 234.0, 340.0]]],
        "the zeros stand on the right: this sees the future alone":
            [[[123.0, 234.0, 340.0, 400.0]]],
        "the kernel is turned round: its last entry is the present":
            [[[100.0, 210.0, 321.0, 432.0]]],
        "the output comes a step late: the present token is missing":
            [[[0.0, 1.0, 12.0, 123.0]]],
        "the output is longer than the input: cut what stands behind the end":
            [[[1.0, 12.0, 123.0, 234.0, 340.0, 400.0]]],
        "the output is too short: nothing is padded": [[[123.0, 234.0]]],
    })
c.close("dilation 2, by hand", lambda: causal_conv(ramp, kernel, dilation=2),
    [[[1.0, 2.0, 13.0, 24.0]]], mistakes={
        "the dilation is not used": [[[1.0, 12.0, 123.0, 234.0]]],
        "this is the published padding: it sees the future":
            [[[13.0, 24.0, 130.0, 240.0]]],
        "the output is too short: the padding has to grow with the dilation":
            [[[13.0, 24.0]]],
        "the zeros stand on the right: this sees the future alone":
            [[[130.0, 240.0, 300.0, 400.0]]],
    })
c.close("kernel of 2", lambda: causal_conv(ramp, kernel[..., :2] / 100),
    [[[0.1, 1.2, 2.3, 3.4]]],
    hint="an even kernel needs an odd number of zeros, all on the left")
c.report()
