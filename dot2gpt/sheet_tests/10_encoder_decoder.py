# Made from solutions/ by `make sync`: do not edit.

# %% failures
c = checks.Checks("Exercise 1 · A decoder that cannot run: what happens")
x, memory = torch.zeros(2, 5, 12), torch.zeros(2, 7, 12)
experiments = {
    "A": lambda: PublishedDecoder(2, 12, 3, 48),
    "B": lambda: SelfAttentionLayer(12, 3, mask=mask_future_positions(5)),
    "C": lambda: nn.Sequential(nn.LayerNorm(12), EncoderDecoderAttention(12, 3))(x),
    "D": lambda: nn.Sequential(nn.LayerNorm(12), nn.LayerNorm(12))(x, memory),
    "E": lambda: nn.Sequential(SelfAttentionLayer(12, 3), nn.LayerNorm(12))(x),
}
reasons = {
    "A": "the length of a text is not known when the module is made, and no variable"
    " has this name",
    "B": "the shapes never come into play: look at the arguments of __init__",
    "C": "forward wants queries, keys and values, and gets one tensor",
    "D": "nn.Sequential takes one input, and gets two",
    "E": "layers without residuals have the right shapes: they run, and learn badly",
}
for line, experiment in experiments.items():
    try:
        experiment()
        happens = "nothing"
    except Exception as error:
        happens = type(error).__name__
    c.that(f"line {line}", lambda: failures()[line] == happens, reasons[line])
c.report()

# %% mended (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · A decoder that cannot run: mended")
cases = [(0, 2, 5, 7, 2), (1, 1, 5, 5, 1)]


def torch_decoder(x, memory, layers):
    """PyTorch's layers with these matrices, one after the other."""
    with torch.no_grad():
        for matrices in layers:
            d_model, d_ff = matrices["feed_forward"][0].shape
            layer = nn.TransformerDecoderLayer(
                d_model, 1, d_ff, dropout=0.0, batch_first=True, dtype=x.dtype
            )
            for name, parameter in layer.named_parameters():
                if "bias" in name:
                    parameter.zero_()
            for module, name in [
                (layer.self_attn, "self"),
                (layer.multihead_attn, "cross"),
            ]:
                *in_proj, out = (w.T for w in matrices[name])
                module.in_proj_weight.copy_(torch.cat(in_proj))
                module.out_proj.weight.copy_(out)
            layer.linear1.weight.copy_(matrices["feed_forward"][0].T)
            layer.linear2.weight.copy_(matrices["feed_forward"][1].T)
            x = layer(x, memory, tgt_mask=~causal_mask(x.shape[1]))
    return x


def variant(x, memory, layers, masked=True, keys=None, add=True, first=False, old=0):
    """What `mended` gives with one mistake in it."""
    mask = causal_mask(x.shape[1]) if masked else None
    if old:  # a query may not see itself
        mask = mask & ~torch.eye(len(mask), dtype=torch.bool)

    def step(x, f):
        if first:
            return x + f(norm(x))
        return norm(x + f(x)) if add else norm(f(x))

    for layer in layers:
        x = step(x, lambda x: attend(x, x, layer["self"], mask))
        if keys == "swapped":
            x = step(x, lambda x: attend(memory, x, layer["cross"]))
        elif keys != "none":
            other = x if keys == "own" else memory
            x = step(x, lambda x: attend(x, other, layer["cross"]))
        x = step(x, lambda x: feed_forward(x, layer["feed_forward"]))
    return x


for seed, batch, n_queries, n_keys, n_layers in cases:
    torch.manual_seed(seed)
    d_model, d_ff = 12, 31
    x = torch.randn(batch, n_queries, d_model, dtype=torch.float64)
    memory = torch.randn(batch, n_keys, d_model, dtype=torch.float64)

    def matrices(*sizes):
        return tuple(torch.randn(a, b, dtype=x.dtype) / math.sqrt(a) for a, b in sizes)

    square = [(d_model, d_model)] * 4
    layers = [
        {
            "self": matrices(*square),
            "cross": matrices(*square),
            "feed_forward": matrices((d_model, d_ff), (d_ff, d_model)),
        }
        for _ in range(n_layers)
    ]
    given = x, memory, layers
    c.close(
        f"{n_layers} layers, {n_queries} queries, {n_keys} keys",
        lambda: mended(*given),
        torch_decoder(*given),
        mistakes={
            "the causal mask is missing: the future is visible": (
                lambda: variant(*given, masked=False)
            ),
            "the residual connections are missing": (
                lambda: variant(*given, add=False)
            ),
            "the cross-attention looks at the target, not at the memory": (
                lambda: variant(*given, keys="own")
            ),
            "there is no cross-attention: the memory is never looked at": (
                lambda: variant(*given, keys="none")
            ),
            "a query may look at its own position, not only at those before": (
                lambda: variant(*given, old=1)
            ),
            "the norm stands after the sum in the paper, not before the sub-layer": (
                lambda: variant(*given, first=True)
            ),
            "only one layer is used": lambda: variant(x, memory, layers[:1]),
            "only the last layer is used: each layer reads the one before": (
                lambda: variant(x, memory, layers[-1:])
            ),
            "the queries come from x, keys and values from the memory": lambda: (
                variant(*given, keys="swapped") if n_queries == n_keys else math.inf
            ),
        },
        hint="each sub-layer is x = norm(x + f(x)), in the order self, cross, ffn",
    )
c.report()

# %% untrained (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · The symbols that nobody trained")
cases = [  # pad 0, start 1, end 2; the ids, and what each mistake gives
    (
        "two targets",
        [[5, 3, 5, 2], [4, 3, 7, 2]],
        1,
        9,
        [0, 2, 6, 8],
        ([0, 1, 6, 8], [0, 6, 8], [0, 1, 2, 6, 8], [1, 3, 4, 5, 7], [0],
         [0, 2, 4, 6, 7, 8]),
    ),
]  # fmt: skip
whys = (
    "the inputs are moved by one: start comes in, the last token falls out",
    "the last token of a target is never an input, only an answer",
    "start is an input of every target",
    "these are the ids that are trained: the others are asked",
    "the padding symbol is not the only one",
    "look at all the targets of the batch",
)
for label, rows, start, vocab_size, want, wrong in cases:
    target = torch.tensor(rows)
    c.close(
        label,
        lambda: torch.tensor([int(i) for i in untrained(target, start, vocab_size)]),
        want,
        mistakes=dict(zip(whys, wrong)),
        hint="compare with the ids in the decoder's input",
    )
c.report()

# %% three_masks (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Three masks for two lengths")
cases = [([7, 4], [3, 5], 0), ([5, 3], [2, 5], 9)]


def filled(lengths, pad):
    rows = [torch.randint(1, 9, (n,)) for n in lengths]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)


for source_lengths, target_lengths, pad in cases:
    torch.manual_seed(0)
    source, target = filled(source_lengths, pad), filled(target_lengths, pad)
    batch, n_keys, n_queries = *source.shape, target.shape[1]
    real_source, real_target = source != pad, target != pad
    attention = MultiHeadAttention(12, 3).double()
    memory = torch.randn(batch, n_keys, 12, dtype=torch.float64)
    x = torch.randn(batch, n_queries, 12, dtype=torch.float64)

    def seen(mask, queries, keys, real):
        """Which keys get weight, (batch, queries, keys), in the rows of real tokens."""
        try:
            weights = attention(queries, keys, mask=mask)[1]
        except ValueError:
            raise checks.Wrong(
                f"a mask of shape {tuple(mask.shape)} does not fit"
                f" {queries.shape[1]} queries and {keys.shape[1]} keys"
            ) from None
        return (weights[:, 0] > 0) & real[:, :, None]

    def table(allowed, real):
        return allowed.expand(batch, -1, -1) & real[:, :, None]

    past = causal_mask(n_queries)
    sources = real_source[:, None].expand(-1, n_queries, -1)
    label = f"lengths {source_lengths} and {target_lengths}"
    no_padding = "the padding of the source gets weight"
    inverted = "True means 'may attend': the mask is the wrong way round"
    c.close(
        f"encoder, {label}",
        lambda: seen(three_masks(source, target, pad)[0], memory, memory, real_source),
        table(real_source[:, None], real_source),
        mistakes={
            no_padding: table(torch.ones(n_keys, n_keys) > 0, real_source),
            inverted: table(~real_source[:, None], real_source),
            "the encoder reads both ways: it needs no causal mask": (
                table(real_source[:, None] & causal_mask(n_keys), real_source)
            ),
        },
        hint="which keys are padding of the source?",
    )
    c.close(
        f"decoder, {label}",
        lambda: seen(three_masks(source, target, pad)[1], x, x, real_target),
        table(past[None], real_target),
        mistakes={
            "the future is visible": table(real_target[:, None], real_target),
            "the future and the padding are visible": (
                table(torch.ones(n_queries, n_queries) > 0, real_target)
            ),
            inverted: table(~past[None], real_target),
            "a token may look at itself": table(past[None].tril(-1), real_target),
        },
        hint="which keys lie in the future of the target?",
    )
    c.close(
        f"cross-attention, {label}",
        lambda: seen(three_masks(source, target, pad)[2], x, memory, real_target),
        table(sources, real_target),
        mistakes={
            no_padding: table(torch.ones(n_queries, n_keys) > 0, real_target),
            inverted: table(~sources, real_target),
            "nothing of the source lies in the future: no causal mask here": (
                table(sources.tril(), real_target)
            ),
            "the keys are those of the source: its padding counts, not the target's": (
                table(real_target[:, None], real_target)
                if n_queries == n_keys
                else math.inf
            ),
        },
        hint="the keys are the source's: which of them are padding?",
    )
c.report()

# %% gap (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · At once and step by step")


def echoes(ids, ahead=0):
    """Each token sounds on, half as loud a place further; with ahead=1, also before.

    ids: (batch, time). Returns (batch, time, 5), a number for each of five tokens.
    """
    steps = torch.arange(ids.shape[1])
    loud = 0.5 ** (steps[:, None] - steps).abs().double()
    loud = loud.tril() + ahead * loud.triu(1)
    return loud @ F.one_hot(ids, 5).double() * torch.tensor([1, 1, -1, -1, 1])


ids = torch.tensor([[2, 1, 2, 2, 4], [3, 4, 3, 3, 3]])
shut, unshut = (0, 0.8125, 1, 1.875, 0, 0, 0, 1), (0, 1.375, 1.5, 2, 0.5, 0.1225, 0.75)
cases = [  # the gap, and what each mistake gives
    ("honest echoes", echoes, ids, 0.0, shut),
    ("echoes of the future", lambda ids: echoes(ids, 1), ids, 0.875, (*unshut, 0.9375)),
]
whys = (
    "at the last position even a cheat agrees: compare every position",
    "a step gets the whole beginning, not the newest token alone",
    "the step at position t gets t + 1 ids, not t",
    "feed the given ids, not the tokens that the model would choose",
    "take the absolute difference: negative ones count too",
    "take the largest difference, not the mean",
    "compare every sequence of the batch, not the first alone",
    "a step reads the last row that comes back, not the first",
)
for label, decode, ids, want, wrong in cases:
    c.close(
        label,
        lambda: float(gap(decode, ids)),
        want,
        mistakes=dict(zip(whys, wrong)),
        hint="compare the logits at t with those of the prefix that ends at t",
        atol=1e-9,
    )
c.report()

# %% scores (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Long answers and short ones: scores")
log_probs = torch.tensor([-1.0, -2.0, -6.0], dtype=torch.float64)
lengths = torch.tensor([1, 7, 31])
c.close(
    "by hand: lengths 1, 7, 31 and alpha = 1 divide by 1, 2 and 6",
    lambda: scores(log_probs, lengths, 1.0),
    [-1.0, -1.0, -1.0],
    mistakes={
        "the penalty divides the log-probability": [-1.0, -4.0, -36.0],
        "divide by ((5 + n) / 6)^alpha, not by the number of tokens": (
            log_probs / lengths
        ),
        "the 6 is missing": [-1 / 6] * 3,
        "5 is added to the number of tokens before dividing by 6": (
            [-0.1935484, -0.3243243, -0.5901639]
        ),
    },
)
lengths = torch.tensor([2, 9, 30])  # (5 + n) / 6 is no whole number
# the scores; alpha as a factor; rounded down; without alpha; the exponent misplaced
whole = [-0.8571429, -0.8571429, -1.028571]  # alpha = 1
cases = {
    0.0: (log_probs, [-math.inf] * 3, log_probs, whole, [-6.0, -12.0, -36.0]),
    0.6: (
        [-0.911658, -1.20294, -2.082578],
        [-1.428571, -1.428571, -1.714286],
        [-1.0, -1.319508, -2.284385],
        whole,
        [-1.866777, -2.463227, -4.264437],
    ),
}
whys = (
    "alpha is an exponent, not a factor",
    "the fraction is rounded down",
    "alpha is not used",
    "the exponent belongs to the whole fraction",
)
for alpha, (want, *wrong) in cases.items():
    c.close(
        f"alpha = {alpha}",
        lambda: scores(log_probs, lengths, alpha),
        want,
        mistakes=dict(zip(whys, wrong)),
    )
c.report()

# %% turning_point (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Long answers and short ones: the turning point")
# short, long, alpha, and what each mistake gives
cases = [
    ((-1.0, 1), (-2.0, 7), 1.0, 0.3562072, -1.0, 1.0, 1.442695),
    ((-0.2, 2), (-5.0, 40), 1.729879, 1.074487, -1.729879, 3.888889, 2.579602),
    ((-3.0, 5), (-3.3, 6), 1.0, 0.5227587, -1.0, 1.0, 3.147618),
]
whys = (
    "the lengths count as 5 + n, not as n",
    "the quotient of log-probabilities is upside down",
    "alpha is an exponent: take logarithms",
    "the difference of log-probabilities is not what is divided",
)
for short, long, want, *wrong in cases:
    c.close(
        f"turning point of {short} and {long}",
        lambda: turning_point(short, long),
        want,
        mistakes=dict(zip(whys, wrong)),
        hint="at this alpha both scores have to be equal",
    )
c.report()

# %% floor (more is tested when it is handed in)
c = checks.Checks("Exercise 6 · The floor of label smoothing")
# vocab_size, epsilon: the loss and what each mistake gives; the difference, the same
cases = {
    (47, 0.1): (
        (0.695100812, 0.707947113, 0.0929184628, 0.102999239, 0.106009383, 1.00281849),
        (6.049733, 6.025866, 2.197225, 0.9),
    ),
    (3, 0.3): (
        (0.63903186, 0.818808456, 0.178514841, 0.223143551, 0.40877335, 0.921928095),
        (2.079442, 1.540445, 0.8472979, 0.7),
    ),
}
shared = "epsilon is shared by all tokens, the right one too"
loss_whys = (
    shared,
    "the other tokens have a part in the loss",
    "that is the loss of the right token, not the whole cross-entropy",
    "there are vocab_size - 1 other tokens",
    "nats, not bits",
)
whys = (
    shared,
    "each other token has epsilon / vocab_size, not epsilon",
    "a logit is a logarithm of a probability",
)
for (vocab_size, epsilon), (losses, differences) in cases.items():
    label = f"vocab_size={vocab_size}, epsilon={epsilon}"
    c.close(
        f"floor, {label}",
        lambda: floor(vocab_size, epsilon)[0],
        losses[0],
        mistakes=dict(zip(loss_whys, losses[1:])),
        hint="the entropy of the smoothed target",
        atol=1e-7,
    )
    c.close(
        f"difference of logits, {label}",
        lambda: floor(vocab_size, epsilon)[1],
        differences[0],
        mistakes=dict(zip(whys, differences[1:])),
        hint="softmax of these logits should be the smoothed target",
        atol=1e-5,
    )
c.report()
