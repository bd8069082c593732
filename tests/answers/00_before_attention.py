"""Answers to the sheet of chapter 00."""

from tests.answers import right, wrong

REACH = [
    wrong(
        "a kernel of k adds k",
        "k - 1 tokens more",
        """
        def reach(layers):
            tokens, step = 1, 1
            for kernel, dilation, stride in layers:
                tokens += kernel * dilation * step
                step *= stride
            return tokens
        """,
    ),
    wrong(
        "windows multiply",
        "windows of neighbours overlap",
        """
        def reach(layers):
            return math.prod(kernel for kernel, _, _ in layers)
        """,
    ),
    wrong(
        "no dilation",
        "the dilation is missing",
        """
        def reach(layers):
            tokens, step = 1, 1
            for kernel, dilation, stride in layers:
                tokens += (kernel - 1) * step
                step *= stride
            return tokens
        """,
    ),
    wrong(
        "no stride",
        "the stride is missing",
        """
        def reach(layers):
            return 1 + sum((kernel - 1) * dilation for kernel, dilation, _ in layers)
        """,
    ),
    wrong(
        "the stride acts on its own layer",
        "not on its own window",
        """
        def reach(layers):
            tokens, step = 1, 1
            for kernel, dilation, stride in layers:
                step *= stride
                tokens += (kernel - 1) * dilation * step
            return tokens
        """,
    ),
    wrong(
        "from the top with the rule from below",
        "the layers are taken from the top",
        """
        def reach(layers):
            tokens, step = 1, 1
            for kernel, dilation, stride in reversed(layers):
                tokens += (kernel - 1) * dilation * step
                step *= stride
            return tokens
        """,
    ),
    wrong(
        "strides added",
        "strides multiply",
        """
        def reach(layers):
            tokens, step = 1, 1
            for kernel, dilation, stride in layers:
                tokens += (kernel - 1) * dilation * step
                step += stride - 1
            return tokens
        """,
    ),
    wrong(
        "begins at 0",
        "add 1",
        """
        def reach(layers):
            tokens, step = 0, 1
            for kernel, dilation, stride in layers:
                tokens += (kernel - 1) * dilation * step
                step *= stride
            return tokens
        """,
    ),
    right(
        "from the top down",
        """
        def reach(layers):
            tokens = 1
            for kernel, dilation, stride in reversed(layers):
                tokens = (tokens - 1) * stride + (kernel - 1) * dilation + 1
            return tokens
        """,
    ),
    right(
        "by recursion, as a tensor",
        """
        def reach(layers):
            if not layers:
                return torch.tensor(1)
            kernel, dilation, stride = layers[0]
            return (reach(layers[1:]) - 1) * stride + (kernel - 1) * dilation + 1
        """,
    ),
]

PATH_LENGTHS = [
    wrong(
        "kernel tokens a layer",
        "each layer adds kernel - 1 tokens",
        """
        def path_lengths(time, kernel):
            dilated = 1
            while kernel**dilated < time:
                dilated += 1
            return {
                "recurrent": time,
                "convolution": math.ceil(time / kernel),
                "dilated": dilated,
                "attention": 1,
            }
        """,
    ),
    wrong(
        "rounded down",
        "stays just out of reach",
        """
        def path_lengths(time, kernel):
            return {
                "recurrent": time,
                "convolution": (time - 1) // (kernel - 1),
                "dilated": int(math.log(time) / math.log(kernel) + 1e-9),
                "attention": 1,
            }
        """,
    ),
    wrong(
        "a logarithm in floating point",
        "math.log(125, 5)",
        """
        def path_lengths(time, kernel):
            return {
                "recurrent": time,
                "convolution": math.ceil((time - 1) / (kernel - 1)),
                "dilated": math.ceil(math.log(time, kernel)),
                "attention": 1,
            }
        """,
    ),
    wrong(
        "dilations 1, 2, 4",
        "powers of the kernel",
        """
        def path_lengths(time, kernel):
            layers, tokens = 0, 1
            while tokens < time:
                tokens += (kernel - 1) * 2**layers
                layers += 1
            return {
                "recurrent": time,
                "convolution": math.ceil((time - 1) / (kernel - 1)),
                "dilated": layers,
                "attention": 1,
            }
        """,
    ),
    wrong(
        "the first step not counted",
        "step 1 counts",
        """
        def path_lengths(time, kernel):
            dilated = 1
            while kernel**dilated < time:
                dilated += 1
            return {
                "recurrent": time - 1,
                "convolution": math.ceil((time - 1) / (kernel - 1)),
                "dilated": dilated,
                "attention": 1,
            }
        """,
    ),
    wrong(
        "attention hands on as well",
        "looks at any token directly",
        """
        def path_lengths(time, kernel):
            dilated = 1
            while kernel**dilated < time:
                dilated += 1
            return {
                "recurrent": time,
                "convolution": math.ceil((time - 1) / (kernel - 1)),
                "dilated": dilated,
                "attention": time,
            }
        """,
    ),
    wrong(
        "rounds a quotient of logarithms up",
        "one layer too many",
        """
        def path_lengths(time, kernel):
            return {
                "recurrent": time,
                "convolution": math.ceil((time - 1) / (kernel - 1)),
                "dilated": math.ceil(math.log2(time) / math.log2(kernel)),
                "attention": 1,
            }
        """,
    ),
    right(
        "adding layers until they reach",
        """
        def path_lengths(time, kernel):
            def layers(grows):
                n, tokens = 0, 1
                while tokens < time:
                    tokens += (kernel - 1) * (kernel**n if grows else 1)
                    n += 1
                return n

            return dict(
                recurrent=time,
                convolution=layers(False),
                dilated=layers(True),
                attention=1,
            )
        """,
    ),
    right(
        "whole numbers, rounded up by a minus",
        """
        def path_lengths(time, kernel):
            dilated, rest = 0, time - 1
            while rest:
                rest //= kernel
                dilated += 1
            return {
                "attention": 1.0,
                "dilated": dilated,
                "convolution": -(-(time - 1) // (kernel - 1)),
                "recurrent": time,
            }
        """,
    ),
]

PREDICTED = [
    wrong("determinants", "this is the determinant", "predicted = [-0.45, 0.64, 0.25]"),
    wrong("traces", "this is the trace", "predicted = [0.4, 0, 1]"),
    wrong(
        "largest stretch",
        "the largest stretch in one step",
        "predicted = [0.9, 0.8, 4.0616]",
    ),
    wrong("the corner", "does not multiply itself", "predicted = [0.9, 0.8, 4]"),
    wrong("the smaller axis", "lasts longer", "predicted = [0.5, 0.8, 0.5]"),
    wrong("the average", "averaged", "predicted = [0.7, 0.8, 0.5]"),
    wrong("B has no diagonal", "but W turns", "predicted = [0.9, 0, 0.5]"),
    right("as a tensor", "predicted = torch.tensor([0.9, 0.8, 0.5])"),
    right(
        "worked out",
        """
        predicted = (
            max(0.9, abs(-0.5)),
            math.hypot(0, 0.8),
            math.sqrt(0.5 * 0.5 - 0 * 4),
        )
        """,
    ),
]

DECAY_RATE = [
    wrong(
        "signed eigenvalues",
        "counts with its size",
        """
        def decay_rate(W):
            return torch.linalg.eigvals(W).real.max()
        """,
    ),
    wrong(
        "real parts",
        "not the real part",
        """
        def decay_rate(W):
            return torch.linalg.eigvals(W).real.abs().max()
        """,
    ),
    wrong(
        "spectral norm",
        "the stretch of one step",
        """
        def decay_rate(W):
            return torch.linalg.matrix_norm(W, 2)
        """,
    ),
    wrong(
        "Frobenius norm",
        "not of its powers",
        """
        def decay_rate(W):
            return W.norm()
        """,
    ),
    wrong(
        "as if symmetric",
        "W is not symmetric",
        """
        def decay_rate(W):
            return torch.linalg.eigvalsh(W).abs().max()
        """,
    ),
    wrong(
        "average",
        "averaged",
        """
        def decay_rate(W):
            return torch.linalg.eigvals(W).abs().mean()
        """,
    ),
    wrong(
        "the smallest",
        "the smallest eigenvalue",
        """
        def decay_rate(W):
            return torch.linalg.eigvals(W).abs().min()
        """,
    ),
    wrong(
        "determinant",
        "this is the determinant",
        """
        def decay_rate(W):
            return torch.linalg.det(W).abs()
        """,
    ),
    right(
        "with eig",
        """
        def decay_rate(W):
            values, _ = torch.linalg.eig(W)
            return (values.real**2 + values.imag**2).max().sqrt()
        """,
    ),
    right(
        "by squaring the matrix again and again",
        """
        def decay_rate(W):
            power, log_size = W.double(), 0.0
            for _ in range(40):
                size = power.norm()
                log_size, power = 2 * (log_size + size.log()), (power / size) @ (
                    power / size
                )
            return ((log_size + power.norm().log()) / 2**40).exp().item()
        """,
    ),
]

COSTS = [
    wrong(
        "everything doubles",
        ["every token meets every token", "d² entries"],
        """
        twice_time = {"rnn": (2, 2), "cnn": (2, 1), "attention": (2, 1)}
        twice_width = {"rnn": (2, 1), "cnn": (2, 1), "attention": (2, 1)}
        """,
    ),
    wrong(
        "the RNN does not wait",
        "step t needs the state of step t - 1",
        """
        twice_time = {"rnn": (2, 1), "cnn": (2, 1), "attention": (4, 1)}
        twice_width = {"rnn": (4, 1), "cnn": (4, 1), "attention": (2, 1)}
        """,
    ),
    wrong(
        "everybody waits",
        "positions do not wait for one another",
        """
        twice_time = {"rnn": (2, 2), "cnn": (2, 2), "attention": (4, 4)}
        twice_width = {"rnn": (4, 1), "cnn": (4, 1), "attention": (2, 1)}
        """,
    ),
    wrong(
        "pairs turned round",
        "multiplications first",
        """
        twice_time = {"rnn": (2, 2), "cnn": (1, 2), "attention": (1, 4)}
        twice_width = {"rnn": (1, 4), "cnn": (1, 4), "attention": (1, 2)}
        """,
    ),
    wrong(
        "a wide matrix waits",
        "no more waiting",
        """
        twice_time = {"rnn": (2, 2), "cnn": (2, 1), "attention": (4, 1)}
        twice_width = {"rnn": (4, 2), "cnn": (4, 2), "attention": (2, 2)}
        """,
    ),
    wrong(
        "d² for a dot product",
        "takes d multiplications",
        """
        twice_time = {"rnn": (2, 2), "cnn": (2, 1), "attention": (4, 1)}
        twice_width = {"rnn": (4, 1), "cnn": (4, 1), "attention": (4, 1)}
        """,
    ),
    wrong(
        "the RNN squares time",
        "time occurs once",
        """
        twice_time = {"rnn": (4, 2), "cnn": (4, 1), "attention": (4, 1)}
        twice_width = {"rnn": (4, 1), "cnn": (4, 1), "attention": (2, 1)}
        """,
    ),
    wrong(
        "one number each",
        "float",
        """
        twice_time = {"rnn": 2.0, "cnn": 2.0, "attention": 4.0}
        twice_width = {"rnn": 4.0, "cnn": 4.0, "attention": 2.0}
        """,
    ),
    right(
        "lists",
        """
        twice_time = dict(rnn=[2, 2], cnn=[2, 1], attention=[4, 1])
        twice_width = dict(rnn=[4, 1], cnn=[4, 1], attention=[2, 1])
        """,
    ),
    right(
        "from the formulas",
        """
        def work(time, d):
            return {
                "rnn": (time * 2 * d**2, time),
                "cnn": (time * 3 * d**2, 1),
                "attention": (time**2 * d, 1),
            }


        def ratio(a, b):
            return {k: (a[k][0] / b[k][0], a[k][1] / b[k][1]) for k in a}


        twice_time = ratio(work(20, 4), work(10, 4))
        twice_width = ratio(work(10, 8), work(10, 4))
        """,
    ),
]

STEPS_AHEAD = [
    wrong(
        "the whole window",
        "half of it lies in the past",
        """
        def steps_ahead(kernel, dilation):
            return (kernel - 1) * dilation
        """,
    ),
    wrong(
        "no dilation",
        "the dilation is missing",
        """
        def steps_ahead(kernel, dilation):
            return (kernel - 1) // 2
        """,
    ),
    wrong(
        "half of the kernel",
        "no step ahead",
        """
        def steps_ahead(kernel, dilation):
            return kernel * dilation / 2
        """,
    ),
    wrong(
        "with the present",
        "the present token is no step ahead",
        """
        def steps_ahead(kernel, dilation):
            return (kernel - 1) * dilation // 2 + 1
        """,
    ),
    wrong(
        "believes the name",
        "it does look ahead",
        """
        def steps_ahead(kernel, dilation):
            return 0
        """,
    ),
    right(
        "halved first",
        """
        def steps_ahead(kernel, dilation):
            return kernel // 2 * dilation
        """,
    ),
    right(
        "measured",
        """
        def steps_ahead(kernel, dilation):
            x = torch.zeros(1, 1, 201)
            x[..., 100] = 1
            pad = (kernel - 1) * dilation // 2
            out = F.conv1d(x, torch.ones(1, 1, kernel), padding=pad, dilation=dilation)
            return 100 - out[0, 0].nonzero().min()
        """,
    ),
]

CAUSAL_CONV = [
    wrong(
        "as published",
        "the published padding",
        """
        def causal_conv(x, weight, dilation=1):
            padding = (weight.shape[-1] - 1) * dilation // 2
            return F.conv1d(x, weight, padding=padding, dilation=dilation)
        """,
    ),
    wrong(
        "zeros on the right",
        "the zeros stand on the right",
        """
        def causal_conv(x, weight, dilation=1):
            right = (weight.shape[-1] - 1) * dilation
            return F.conv1d(F.pad(x, (0, right)), weight, dilation=dilation)
        """,
    ),
    wrong(
        "kernel turned round",
        "the kernel is turned round",
        """
        def causal_conv(x, weight, dilation=1):
            left = (weight.shape[-1] - 1) * dilation
            return F.conv1d(F.pad(x, (left, 0)), weight.flip(-1), dilation=dilation)
        """,
    ),
    wrong(
        "padded by the kernel",
        "a step late",
        """
        def causal_conv(x, weight, dilation=1):
            left = weight.shape[-1] * dilation
            out = F.conv1d(F.pad(x, (left, 0)), weight, dilation=dilation)
            return out[..., : x.shape[-1]]
        """,
    ),
    wrong(
        "padding without dilation",
        "has to grow with the dilation",
        """
        def causal_conv(x, weight, dilation=1):
            left = weight.shape[-1] - 1
            return F.conv1d(F.pad(x, (left, 0)), weight, dilation=dilation)
        """,
    ),
    wrong(
        "dilation forgotten",
        "the dilation is not used",
        """
        def causal_conv(x, weight, dilation=1):
            return F.conv1d(F.pad(x, (weight.shape[-1] - 1, 0)), weight)
        """,
    ),
    wrong(
        "both ends, not cut",
        "cut what stands behind the end",
        """
        def causal_conv(x, weight, dilation=1):
            padding = (weight.shape[-1] - 1) * dilation
            return F.conv1d(x, weight, padding=padding, dilation=dilation)
        """,
    ),
    wrong(
        "both ends, cut on the wrong side",
        "this sees the future alone",
        """
        def causal_conv(x, weight, dilation=1):
            padding = (weight.shape[-1] - 1) * dilation
            out = F.conv1d(x, weight, padding=padding, dilation=dilation)
            return out[..., padding:]
        """,
    ),
    right(
        "both ends, cut on the right",
        """
        def causal_conv(x, weight, dilation=1):
            padding = (weight.shape[-1] - 1) * dilation
            out = F.conv1d(x, weight, padding=padding, dilation=dilation)
            return out[..., : x.shape[-1]]
        """,
    ),
    right(
        "a sum of shifted copies",
        """
        def causal_conv(x, weight, dilation=1):
            size, time = weight.shape[-1], x.shape[-1]
            out = 0
            for j in range(size):
                back = (size - 1 - j) * dilation
                moved = F.pad(x, (back, 0))[..., :time]
                out = out + torch.einsum("bct,oc->bot", moved, weight[..., j])
            return out
        """,
    ),
]

ANSWERS = {
    "reach": REACH,
    "path_lengths": PATH_LENGTHS,
    "predicted": PREDICTED,
    "decay_rate": DECAY_RATE,
    "costs": COSTS,
    "steps_ahead": STEPS_AHEAD,
    "causal_conv": CAUSAL_CONV,
}

EQUIVALENT = {
    "path_lengths": {"dilated = 0": "kernel**0 = 1 is below any time of 2 or more"},
    "steps_ahead": {
        "return ((kernel - 1) * dilation) / 2": "the kernel is odd: this is whole",
        "return -(-((kernel - 1) * dilation) // 2)": "the kernel is odd: this is whole",
    },
}
