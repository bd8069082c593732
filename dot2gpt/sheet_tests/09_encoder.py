# Made from solutions/ by `make sync`: do not edit.

# %% ceiling (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · The best that is left")


def mean_largest_count(n, vocab_size):
    """The mean of the largest count among n random tokens, exactly."""

    def none_above(most):  # the probability that no token comes more than `most` times
        ways = [1.0] + [0.0] * n
        for _ in range(vocab_size):
            ways = [
                sum(ways[i - k] / math.factorial(k) for k in range(min(i, most) + 1))
                for i in range(n + 1)
            ]
        return ways[n] * math.factorial(n) / vocab_size**n

    return sum(1 - none_above(most) for most in range(n))


sizes = [(16, 10), (4, 2)]
for time, vocab_size in sizes:
    blind, label = 1 / vocab_size, f"{time} tokens out of {vocab_size}"
    c.close(
        f"without nothing, {label}",
        lambda: ceiling(time, vocab_size, "nothing"),
        1.0,
        atol=0.005,
        hint="the lesson's model gets all right",
    )
    c.close(
        f"without feed-forward, {label}",
        lambda: ceiling(time, vocab_size, "feed-forward"),
        1.0,
        atol=0.005,
        hint="reversing moves tokens and computes nothing: attention alone can do it",
    )
    c.close(
        f"without the future, {label}",
        lambda: ceiling(time, vocab_size, "the future"),
        (1 + blind) / 2,
        atol=0.005,
        mistakes={
            "a guess is right sometimes: add its share": 0.5,
            "the second half of the places has its mirror image behind it": blind,
            "the mirror image of the first half lies in the future": 1.0,
        },
        hint="half of the places know, the other half guess",
    )
    best = mean_largest_count(time - 1, vocab_size) / (time - 1)
    c.close(
        f"without positions, {label}",
        lambda: ceiling(time, vocab_size, "positions"),
        best,
        atol=0.005,
        mistakes={
            "it sees which tokens there are: the commonest beats a blind guess": (
                blind
            ),
            "a token is never its own mirror image: count the others alone": (
                mean_largest_count(time, vocab_size) / time
            ),
            "a random one of the others is not the best guess": 1 / (time - 1),
            "without places it cannot know for sure": 1.0,
        },
        hint="the share of the commonest token among the others, on average",
    )
c.report()

# %% parameter_count (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · Count the parameters")
cases = [(10, 32, 1, 1, 128, False), (11, 12, 3, 2, 47, True)]
totals = []
for case in cases:
    vocab_size, d_model, n_heads, n_layers, d_ff, norm_first = case
    parts = nn.ModuleList(
        [
            nn.Embedding(vocab_size, d_model),
            Encoder(n_layers, d_model, n_heads, d_ff, norm_first),
            nn.Linear(d_model, vocab_size),
        ]
    )
    totals.append((case, sum(p.numel() for p in parts.parameters())))


def count(case):
    with checks.by_hand("models"):
        return parameter_count(*case)


for case, total in totals:
    vocab_size, d_model, n_heads, n_layers, d_ff, norm_first = case
    square, last = d_model * d_model, 2 * d_model if norm_first else 0
    per_norm = 2 * d_model
    wrong_totals = {
        "a layer has two norms, each with a scale and a shift": (
            total - n_layers * per_norm
        ),
        "pre-norm adds one more norm at the end of the encoder": total - last,
        "post-norm has no norm after the last layer": total + per_norm - last,
        "the biases of the feed-forward net are missing": (
            total - n_layers * (d_ff + d_model)
        ),
        "the biases of the four projections are missing": (
            total - n_layers * 4 * d_model
        ),
        "the output projection of the attention is missing": (
            total - n_layers * (square + d_model)
        ),
        "more heads are thinner heads: n_heads adds no parameters": (
            total + n_layers * (n_heads - 1) * 3 * (square + d_model)
        ),
        "the linear map to vocab_size at the end is missing": (
            total - d_model * vocab_size - vocab_size
        ),
    }
    c.close(
        f"sizes {case}",
        lambda: count(case),
        total,
        mistakes=wrong_totals,
        atol=0,
    )
c.report()

# %% mended (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · A published encoder")


def random_layer(d_model, d_ff):
    """Weights of one layer, all random, under the names that `attend` and co. read."""
    sizes = {f"w_{n}": (d_model, d_model) for n in "qkvo"}
    sizes |= {"widen": (d_ff, d_model), "narrow": (d_model, d_ff)}
    layer = {}
    for name, (n_out, n_in) in sizes.items():
        layer[f"{name}.weight"] = torch.randn(n_out, n_in).double() / n_in**0.5
        layer[f"{name}.bias"] = torch.randn(n_out).double()
    for name in ("norm_1", "norm_2"):
        layer[f"{name}.weight"] = 1 + torch.randn(d_model).double() / 2
        layer[f"{name}.bias"] = torch.randn(d_model).double()
    return layer


def reference(x, layers, n_heads, mask):
    """PyTorch's own encoder layers with these weights."""
    for layer in layers:
        d_ff, d_model = layer["widen.weight"].shape
        theirs = nn.TransformerEncoderLayer(
            d_model, n_heads, d_ff, 0.0, batch_first=True, dtype=torch.float64
        )
        theirs.load_state_dict(
            {
                "self_attn.in_proj_weight": torch.cat(
                    [layer[f"w_{n}.weight"] for n in "qkv"]
                ),
                "self_attn.in_proj_bias": torch.cat(
                    [layer[f"w_{n}.bias"] for n in "qkv"]
                ),
                "self_attn.out_proj.weight": layer["w_o.weight"],
                "self_attn.out_proj.bias": layer["w_o.bias"],
                **{
                    f"{new}.{kind}": layer[f"{old}.{kind}"]
                    for new, old in [
                        ("linear1", "widen"),
                        ("linear2", "narrow"),
                        ("norm1", "norm_1"),
                        ("norm2", "norm_2"),
                    ]
                    for kind in ("weight", "bias")
                },
            }
        )
        x = theirs(x, src_mask=None if mask is None else ~mask)
    return x.detach()


def variant(x, layers, n_heads, mask, step, names=("norm_1", "norm_2"), masked=99):
    """The same loop with another `step(x, f, norm)`, to recognise a mistake."""
    for i, layer in enumerate(layers):
        seen = mask if i < masked else None
        parts = [lambda x: attend(x, layer, n_heads, seen), lambda x: feed(x, layer)]
        for part, name in zip(parts, names):
            x = step(x, part, lambda x: norm(x, layer, name))
    return x


def post(x, f, norm):
    return norm(x + f(x))


cases = [(0, 1, 12, 3, 5, False), (1, 2, 12, 3, 5, False), (2, 2, 10, 2, 7, True)]
for seed, n_layers, d_model, n_heads, time, causal in cases:
    torch.manual_seed(seed)
    layers = [random_layer(d_model, 2 * d_model + 1) for _ in range(n_layers)]
    x = torch.randn(2, time, d_model, dtype=torch.float64)
    mask = causal_mask(time) if causal else None
    label = f"{n_layers} layers, time={time}" + (", causal" if causal else "")
    true = reference(x, layers, n_heads, mask)
    run = [x, layers, n_heads, mask]
    mistakes = {
        "the sub-layer's output is not added to its input: no residual": variant(
            *run, lambda x, f, norm: norm(f(x))
        ),
        "the first norm is used twice: the second has weights of its own": variant(
            *run, post, names=("norm_1", "norm_1")
        ),
        "both are still there: no residual, and one norm used twice": variant(
            *run, lambda x, f, norm: norm(f(x)), names=("norm_1", "norm_1")
        ),
        "the norm comes after the sum: norm(x + f(x)), not x + norm(f(x))": variant(
            *run, lambda x, f, norm: x + norm(f(x))
        ),
        "this is pre-norm, x + f(norm(x)); the paper's is norm(x + f(x))": variant(
            *run, lambda x, f, norm: x + f(norm(x))
        ),
        "the two norms are exchanged": variant(*run, post, names=("norm_2", "norm_1")),
    }
    if n_layers > 1:
        mistakes |= {
            "only the first layer is used: go through all": variant(
                x, layers[:1], n_heads, mask, post
            ),
            "only the last layer is used: each layer reads the one before": variant(
                x, layers[-1:], n_heads, mask, post
            ),
            "every layer has the weights of the first one": variant(
                x, layers[:1] * n_layers, n_heads, mask, post
            ),
            "the layers are in the wrong order: the first one reads x": variant(
                x, layers[::-1], n_heads, mask, post
            ),
        }
    if causal:
        mistakes |= {
            "the mask does not reach the attention": variant(*run, post, masked=0),
            "the mask goes to every layer, not to the first alone": variant(
                *run, post, masked=1
            ),
        }
    c.close(
        label,
        lambda: mended(x, layers, n_heads, mask),
        true,
        mistakes=mistakes,
        atol=1e-8,
    )
c.report()

# %% needs_positions (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Which tasks need positions?")


def with_last_changed(digits):
    out = digits.clone()
    out[-1] = (out[-1] + 1) % 10
    return out


def first_of_a_pair(digits):
    """1 where the same digit stands one place further on, else 0."""
    return torch.cat([digits[:-1] == digits[1:], torch.tensor([False])]).long()


fixed = "shuffled input gives shuffled target, which is not the same as an equal target"
tasks = {
    "copy": (lambda d: d.clone(), False, fixed),
    "the largest digit, at every place": (
        lambda d: d.max().expand(d.shape).clone(),
        False,
        "the largest digit stays the same in any order",
    ),
    "reverse": (
        lambda d: d.flip(0),
        True,
        "try more orders: reversing and then reversing proves nothing",
    ),
    "sort": (
        lambda d: d.sort().values,
        True,
        "place t must know that it is to hold the t-th smallest",
    ),
    "the next digit, and the first one at the end": (
        lambda d: d.roll(-1),
        True,
        "try more orders: to turn the sequence in a ring is one of few that pass",
    ),
    "the last digit plus one": (
        with_last_changed,
        True,
        "try more orders: some leave the last place where it is",
    ),
    "how many are equal, at most 9": (
        lambda d: F.one_hot(d, 10).sum(0)[d].clamp(max=9),  # takes digits alone
        False,
        fixed,
    ),
    "a 1 behind each 0": (
        lambda d: torch.where(d.roll(1) == 0, 1, d),
        True,
        "try more digits: 0 is one of them",
    ),
    "a 1 behind each 9": (
        lambda d: torch.where(d.roll(1) == 9, 1, d),
        True,
        "try more digits: 9 is one of them",
    ),
}
for label, (task, needs, why) in tasks.items():
    c.that(label, lambda: bool(needs_positions(task)) == needs, why)
c.report()

# %% my_task (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Which tasks need positions? Your own")
torch.manual_seed(0)
times = [2, 7, 20] * 20
samples = [torch.randint(0, 10, (time,)) for time in times]
samples += [torch.full((time,), 3) for time in set(times)]


def targets(digits):
    got = my_task(digits)
    if not isinstance(got, torch.Tensor):
        raise checks.Wrong("return a tensor of the digits' shape")
    if got.shape != digits.shape:
        raise checks.Wrong(f"shape {tuple(got.shape)} for {len(digits)} digits")
    if got.dtype.is_floating_point or got.dtype == torch.bool:
        raise checks.Wrong(f"the targets are {got.dtype}, expected whole numbers")
    if got.min() < 0 or got.max() > 9:
        raise checks.Wrong(f"a target of {got.max().item()}: they go from 0 to 9")
    return got


def shuffled_alike():
    for digits in samples:
        order = torch.randperm(len(digits))
        if not torch.equal(targets(digits[order]), targets(digits)[order]):
            return False
    return True


def depends_on_others():
    seen = {}
    for digits in samples:
        for own, target in zip(digits.tolist(), targets(digits).tolist()):
            seen.setdefault(own, set()).add(target)
    return any(len(options) > 1 for options in seen.values())


def differs_by_place():
    return any(len(set(targets(digits).tolist())) > 1 for digits in samples)


c.that(
    "whole numbers from 0 to 9, one for each digit",
    lambda: all(targets(digits) is not None for digits in samples),
)
c.that(
    "shuffled digits give shuffled targets",
    shuffled_alike,
    "it needs positions: shuffled digits do not give shuffled targets",
)
c.that(
    "a target depends on other digits",
    depends_on_others,
    "each target depends on its own digit alone: no attention is needed",
)
c.that(
    "places may differ",
    differs_by_place,
    "every place of a sequence has the same target",
)
c.report()

# %% mirror (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Reverse without training")
cases = [(16, 32), (5, 4)]
for time, d_model in cases:
    label = f"time={time}, d_model={d_model}"
    whole = torch.arange(time, dtype=torch.float64)
    between = torch.tensor([0.5, -3.25, time + 7.75], dtype=torch.float64)
    p = positions_at(whole, d_model)

    def product(t, time=time, d_model=d_model):
        matrix = mirror(time, d_model)
        if getattr(matrix, "dtype", None) in (torch.float32, torch.float16):
            raise checks.Wrong(f"the matrix is {matrix.dtype}, expected torch.float64")
        matrix = torch.as_tensor(matrix, dtype=torch.float64)
        if matrix.shape != (d_model, d_model):
            raise checks.Wrong(
                f"the matrix is {tuple(matrix.shape)}, expected {(d_model, d_model)}"
            )
        return positions_at(t, d_model) @ matrix

    c.close(
        f"whole places, {label}",
        lambda: product(whole),
        p.flip(0),
        mistakes={
            "the last place is time - 1, not time": positions_at(time - whole, d_model),
            "this turns on to t + time - 1; a mirror image is wanted": positions_at(
                whole + time - 1, d_model
            ),
            "this turns back to t - (time - 1): the sign of the sine is wrong": (
                positions_at(whole - (time - 1), d_model)
            ),
            "this mirrors at place 0: it gives p(-t)": positions_at(-whole, d_model),
            "it leaves the places where they are": p,
        },
        atol=1e-8,
    )
    c.close(
        f"places between and beyond, {label}",
        lambda: product(between),
        positions_at(time - 1 - between, d_model),
        hint="right at most at the whole places: a fit, not the mirror image",
        atol=1e-8,
    )
    c.that(
        f"the head looks at the mirrored place, {label}",
        lambda: bool(((product(whole) @ p.T).argmax(1) == whole.flip(0)).all()),
        "the best key of place t is not place time - 1 - t",
    )
c.report()
