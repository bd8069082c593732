# Made from solutions/ by `make sync`: do not edit.

# %% distilbert_loss (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · The whole loss, with padding")
cases = [(0, [7, 4], 7, 11, 5, 2.0), (2, [2], 5, 17, 7, 1.0)]
for seed, lengths, time, vocab_size, d_model, T in cases:
    g = torch.Generator().manual_seed(seed)
    shape, f64 = (len(lengths), time), {"generator": g, "dtype": torch.float64}
    s_logits, t_logits = 2 * torch.randn(2, *shape, vocab_size, **f64)
    s_hidden, t_hidden = torch.randn(2, *shape, d_model, **f64)
    ids = torch.randint(0, vocab_size, shape, generator=g)
    real = torch.arange(time) < torch.tensor(lengths)[:, None]
    chosen = (torch.rand(shape, generator=g) < 0.4) & real
    chosen[:, 0] = True
    label = f"lengths {lengths}, T = {T:g}"
    p = (t_logits / T).softmax(-1)

    def by_place(s_logits, s_hidden):
        """Each loss at each place, worked out without the library."""
        soft = T**2 * (p * (p.log() - (s_logits / T).log_softmax(-1))).sum(-1)
        hard = -s_logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]
        lengths_of = s_hidden.norm(dim=-1) * t_hidden.norm(dim=-1)
        return soft, hard, 1 - (s_hidden * t_hidden).sum(-1) / lengths_of

    soft, hard, turned = by_place(s_logits, s_hidden)
    q = (s_logits / T).softmax(-1)
    wrong_way = T**2 * (q * (q / p).log()).sum(-1)
    parts = soft[real].mean(), hard[chosen].mean(), turned[real].mean()
    full = 5 * parts[0] + 2 * parts[1] + parts[2]
    padded = "padding counts: a mean over the real places is wanted"
    rows = {
        "the soft loss alone": (
            (1, 0, 0),
            parts[0],
            {
                padded: soft.mean(),
                "the soft loss counts at all real places, not at the chosen ones "
                "alone": soft[chosen].mean(),
                "T² is missing": parts[0] / T**2,
                "the divergence is the wrong way round": wrong_way[real].mean(),
                "the soft losses are divided by all places, padding too": (
                    soft[real].sum() / soft.numel()
                ),
            },
        ),
        "the hard loss alone": (
            (0, 1, 0),
            parts[1],
            {
                "the hard loss counts at the chosen places alone": hard[real].mean(),
                "the hard loss counts at padding, too": hard.mean(),
                "the logits of the hard loss are not divided by T": (
                    -(s_logits / T).log_softmax(-1).gather(-1, ids[..., None])
                )[..., 0][chosen].mean(),
            },
        ),
        "the direction loss alone": (
            (0, 0, 1),
            parts[2],
            {
                padded: turned.mean(),
                "the directions count at all real places": turned[chosen].mean(),
                "this is the cosine, the loss is 1 minus it": 1 - parts[2],
                "the sign is wrong: this grows as the states agree": parts[2] - 1,
            },
        ),
        "all three": (
            (5, 2, 1),
            full,
            {"the weights are ignored": sum(parts)},
        ),
    }
    for what, (weights, want, mistakes) in rows.items():
        c.close(
            f"{what}, {label}",
            lambda: distilbert_loss(
                (s_logits, s_hidden),
                (t_logits, t_hidden),
                ids,
                chosen,
                real,
                T,
                weights,
            ),
            want,
            mistakes=mistakes,
            atol=1e-8,
        )

    def gradients():
        """Whether the teacher's logits and hidden states get a gradient."""
        leaves = [x.clone().requires_grad_() for x in (t_logits, t_hidden, s_logits)]
        loss = distilbert_loss(
            (leaves[2], s_hidden), leaves[:2], ids, chosen, real, T, (5, 2, 1)
        )
        found = torch.autograd.grad(loss, leaves, allow_unused=True)
        return [x is not None and bool((x != 0).any()) for x in found[:2]]

    def students(loss_of):
        """The gradients of a loss in the student's logits and hidden states."""
        leaves = [x.clone().requires_grad_() for x in (s_logits, s_hidden)]
        loss = loss_of(*leaves)
        if not getattr(loss, "requires_grad", False):
            raise checks.Wrong("the loss is cut off from the student: no gradient")
        found = torch.autograd.grad(loss, leaves, allow_unused=True)
        pairs = zip(found, leaves)
        flat = [(torch.zeros_like(x) if g is None else g).flatten() for g, x in pairs]
        return torch.cat(flat)

    places = real, chosen, real
    for number, name in enumerate(["soft", "hard", "direction"]):
        alone = [int(number == n) for n in range(3)]
        c.close(
            f"what the {name} loss teaches the student, {label}",
            lambda: students(
                lambda logits, hidden: distilbert_loss(
                    (logits, hidden), (t_logits, t_hidden), ids, chosen, real, T, alone
                )
            ),
            students(lambda *leaves: by_place(*leaves)[number][places[number]].mean()),
            mistakes={
                f"the student learns nothing from the {name} loss: it is detached": (
                    torch.zeros(s_logits.numel() + s_hidden.numel())
                ),
            },
            hint="the gradient is not that of this loss",
            atol=1e-8,
        )

    c.that(
        f"the teacher gets no gradient, {label}",
        lambda: not any(gradients()),
        "a gradient flows into the teacher: detach its logits and hidden states",
    )
c.report()

# %% limit_gradient (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · T without end: the gradient")
s = torch.tensor([[4, 1, 0, 3], [4, 3, 1, -2], [1, 3, 0, 8]]).double()
t = torch.tensor([[1, 0, 2, -3], [-4, 5, 0, 1], [0, 2, -1, 3]]).double()
numbers = torch.tensor([[1, -1, -4, 4], [7, -3, 0, -4], [-1, -1, -1, 3]]).double()
as_they_are = torch.tensor([[3, 1, -2, 6], [8, -2, 1, -3], [1, 1, 1, 5]]) / 12
one_mean = torch.tensor([[4, -2, -11, 13], [19, -11, -2, -14], [-2, -2, -2, 10]]) / 36
squares = torch.tensor([[1, 1, 16, 16], [49, 9, 0, 16], [1, 1, 1, 9]]) / 12
# student, teacher: the limit, without centring, with one mean for all, squared
cases = {
    "one place": (
        s[0], t[0], numbers[0] / 4, as_they_are[0] * 3, None, squares[0] * 3
    ),
    "three places": (s, t, numbers / 12, as_they_are, one_mean, squares),
    "3 × 1 places": (
        x.view(3, 1, 4) for x in (s, t, numbers / 12, as_they_are, one_mean, squares)
    ),
}  # fmt: skip
for name, (s, t, want, uncentred, one_mean, squares) in cases.items():
    V = s.shape[-1]
    mistakes = {
        "the logits are not centred: softmax does not see their mean": uncentred,
        "the mean is one number for each place, not one for all": one_mean,
        "the loss is a mean over the places: divide by their number": (
            want * len(s) if s.dim() > 1 else None
        ),
        "a 1/V is missing": want * V,
        "the sign is wrong: the student moves *against* its gradient": -want,
        "these are the squares' sums: the gradient is linear in the logits": squares,
    }
    c.close(
        f"{name}, V = {V}",
        lambda: limit_gradient(s, t),
        want,
        mistakes=mistakes,
        hint="this is not the limit itself (for a large T it is near, not equal)",
        atol=1e-10,
    )
c.report()

# %% limit_loss (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · T without end: the loss")
s = torch.tensor([[4, 1, 0, 3], [4, 3, 1, -2], [1, 3, 0, 8]]).double()
t = torch.tensor([[1, 0, 2, -3], [-4, 5, 0, 1], [0, 2, -1, 3]]).double()
# student, teacher: the limit, without centring, with V - 1, with one mean for all
cases = {
    "one place": (s[0], t[0], 4.25, 6.25, 17 / 3, None),
    "three places": (s, t, 5.0, 6.5, 20 / 3, 46 / 9),
    "3 × 1 places": (s[:, None], t[:, None], 5.0, 6.5, 20 / 3, 46 / 9),
}
for name, (s, t, want, uncentred, unbiased, one_mean) in cases.items():
    V = s.shape[-1]
    mistakes = {
        "the logits are not centred: softmax does not see their mean": uncentred,
        "a factor 1/2 is missing: differentiate it, does your gradient come out": (
            2 * want
        ),
        "divide by V, not by V - 1 (this is an unbiased variance)": unbiased,
        "a 1/V is missing: the mean of the squares, not their sum": want * V,
        "the loss is a mean over the places, not a sum": (
            want * len(s) if s.dim() > 1 else None
        ),
        "the mean is one number for each place, not one for all": one_mean,
    }
    c.close(
        f"{name}, V = {V}",
        lambda: limit_loss(s, t),
        want,
        mistakes=mistakes,
        hint="this is not the limit itself (for a large T it is near, not equal)",
        atol=1e-10,
    )
c.report()

# %% spread_layers (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Which layers")
cases = [(12, 6, [0, 2, 4, 7, 9, 11]), (4, 2, [0, 3])]
for n, m, want in cases:
    places = [i * (n - 1) / (m - 1) for i in range(m)]
    mistakes = {
        "this is every other layer, from the first: the last one is missing": [
            i * (n // m) for i in range(m)
        ],
        "these are the first layers": list(range(m)),
        "these are the last layers": list(range(n - m, n)),
        "round to the nearest whole number, this rounds down": [int(x) for x in places],
        "round to the nearest whole number, this rounds up": [
            -int(-x // 1) for x in places
        ],
    }
    c.close(
        f"{m} of {n} layers",
        lambda: list(spread_layers(n, m)),
        want,
        mistakes=mistakes,
    )
c.report()

# %% student_weights (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Move the weights")
cases = [(4, [0, 3], 2), (3, [2, 0], 3), (12, [1, 11], 2)]
for n_layers, kept, n_segments in cases:
    torch.manual_seed(n_layers)
    sizes = BERTConfig(23, 7, 6, 2, n_layers, 5, n_segments=n_segments)
    teacher = BERT(sizes).double()
    for weight in teacher.parameters():
        torch.nn.init.normal_(weight)
    before = {n: w.clone() for n, w in teacher.state_dict().items()}
    student = BERT(replace(sizes, n_layers=len(kept), n_segments=0)).double()
    empty = {"embedding.segment.weight": student.embedding.segment.weight.detach()}
    names, label, result = set(student.state_dict()) - set(empty), f"kept {kept}", {}

    def call():
        got = student_weights(dict(teacher.state_dict()), list(kept))
        if not isinstance(got, dict):
            raise checks.Wrong(f"return a dict, not {type(got).__name__}")
        result.update(got)
        return True

    if not c.that(f"it runs, {label}", call):
        continue

    def complete():
        if "embedding.segment.weight" in result:
            raise checks.Wrong("the segments are still there")
        extra, missing = sorted(set(result) - names), sorted(names - set(result))
        if any(name.startswith("layers.") for name in extra):
            raise checks.Wrong(
                f"{extra[0]} is too many: the student's layers are numbered 0, 1, …"
            )
        if extra or missing:
            raise checks.Wrong(f"too many: {extra[:2]}, missing: {missing[:2]}")
        return True

    if not c.that(f"its names, {label}", complete):
        continue

    def layers():
        for ours, theirs in enumerate(kept):
            rest = "feed_forward.widen.weight"
            got = result[f"layers.{ours}.{rest}"]
            for number in range(n_layers):
                if torch.equal(got, before[f"layers.{number}.{rest}"]):
                    if number != theirs:
                        raise checks.Wrong(
                            f"layer {ours} is the teacher's {number}, not {theirs}: "
                            "kept is not followed, or not in its order"
                        )
        return all(
            torch.equal(result[name], before[f"layers.{kept[int(n)]}.{rest}"])
            for name in names
            if name.startswith("layers.")
            for _, n, rest in [name.split(".", 2)]
        )

    c.that(f"its layers, {label}", layers, "not all weights of the layers came along")
    others = [n for n in names if not n.startswith(("layers.", "embedding.position"))]
    c.that(
        f"token table, norm and pooler, {label}",
        lambda: all(torch.equal(result[n], before[n]) for n in others),
        "they should come along as they are",
    )
    table, row = (
        before["embedding.position.table"],
        before["embedding.segment.weight"],
    )
    c.close(
        f"its positions, {label}",
        lambda: result["embedding.position.table"],
        table + row[0],
        mistakes={
            "the row of segment 0 is lost: fold it into the positions": table,
            "only segment 0 occurs in one sentence": table + row.sum(0),
            "segment 0 is wanted, not the mean of all": table + row.mean(0),
            "the last segment is folded in, not segment 0": table + row[-1],
        },
        atol=1e-12,
    )

    def embeds_alike():
        student.load_state_dict({**{n: result[n] for n in names}, **empty})
        ids = torch.arange(14).reshape(2, 7)
        with torch.no_grad():
            return torch.allclose(student.embedding(ids), teacher.embedding(ids))

    c.that(
        f"one sentence has the same embedding, {label}",
        embeds_alike,
        "the student embeds a sentence differently",
    )
c.report()

# %% mended (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · A loss with four mistakes")
way = "it is the wrong way round: the teacher's probabilities are the weights"
whys = (
    way,
    f"{way}; and T² is missing",
    "T² is missing",
    "the mean is also taken over the vocabulary: sum over it",
    "the mean is also taken over the vocabulary, and T² is missing",
    "nothing is mended yet",
    "the factor is T², not T",
    "batchmean divides by the first axis alone: a mean over all places",
    "this is the sum over the places, the mean is wanted",
    "the teacher's entropy is missing: this is a cross-entropy, not 0 when "
    "the two agree",
)
# student, teacher, T, dtype; the loss, and what each mistake gives
cases = [
    (
        [[[4, 0, 2], [1, 1, 3]], [[0, 5, 1], [2, 2, -2]]],
        [[[1, 3, 0], [2, 0, 2]], [[4, 4, 0], [1, -1, 0]]],
        2.0,
        torch.float32,
        1.972434,
        (1.45113, 0.3627824, 0.4931085, 0.657478, 0.1643695, 0.1209275, 0.986217,
         3.944868, 7.889736, 5.801323),
    ),
    (
        [4, 0, -3, 1, 2],
        [1, 6, 0, 2, 5],
        3.0,
        torch.float64,
        4.496581,
        (5.202755, 0.5780838, 0.4996201, 0.8993162, 0.09992403, 0.1156168, 1.49886,
         None, None, 16.6019),
    ),
]  # fmt: skip
for s, t, T, dtype, want, wrong in cases:
    s, t = (torch.tensor(x, dtype=torch.float64) for x in (s, t))
    label = f"shape {tuple(s.shape)}, T = {T:g}"

    def loss(s=s, t=t, T=T, dtype=dtype):
        with checks.by_hand("soft-target loss"):
            return mended(s.to(dtype), t.to(dtype), T)

    c.close(
        f"the loss, {label}",
        loss,
        want,
        mistakes=dict(zip(whys, wrong)),
        atol=1e-5,
    )

    def gradients(s=s, t=t, T=T):
        leaves = s.clone().requires_grad_(), t.clone().requires_grad_()
        value = mended(*leaves, T)
        if not getattr(value, "requires_grad", False):
            raise checks.Wrong("the loss is cut off from the student: no gradient")
        return torch.autograd.grad(value, leaves, allow_unused=True)

    def teacher_is_left_alone():
        found = gradients()[1]
        return found is None or not bool((found != 0).any())

    c.that(
        f"the teacher gets no gradient, {label}",
        teacher_is_left_alone,
        "a gradient flows into the teacher: detach its logits",
    )
    c.that(
        f"the student gets one, {label}",
        lambda: gradients()[0] is not None,
        "the loss is cut off from the student: no gradient",
    )
c.report()
