# Made from solutions/ by `make sync`: do not edit.

# %% teaching_places (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Which places teach")
USER, ASSISTANT, SYSTEM = "user", "assistant", "system"
cases = [  # marks, turns (who, text), whether the last one has its end
    ((90, 91, 92, 93), [(USER, [5, 3, 8]), (ASSISTANT, [3, 5])], True),
    (
        (90, 91, 92, 93),
        [
            (SYSTEM, [7]),
            (USER, [5, 3]),
            (ASSISTANT, [1, 2, 2]),
            (USER, [4]),
            (ASSISTANT, [6, 1]),
        ],
        True,
    ),
    ((3, 0, 2, 1), [(USER, [9, 8]), (ASSISTANT, [7, 7]), (USER, [5])], True),
    ((90, 93, 92, 91), [(ASSISTANT, [8]), (USER, [1]), (ASSISTANT, [2, 3])], False),
    ((90, 91, 92, 93), [(SYSTEM, [1, 2]), (USER, [3])], True),
]
for marks, turns, ended in cases:
    mark = dict(zip((USER, ASSISTANT, SYSTEM, "end"), marks))
    ids, spans, others = [], [], []
    for number, (who, text) in enumerate(turns):
        begin, last = len(ids), number + 1 == len(turns)
        close = [mark["end"]] if ended or not last else []
        ids += [mark[who], *text, *close]
        (spans if who == ASSISTANT else others).append((begin, len(ids), bool(close)))

    def places(spans, before=0, after=-1):
        ends = [(begin + before, stop + after) for begin, stop, _ in spans]
        return [p for begin, stop in ends for p in range(begin, stop)]

    mistakes = {
        "a place predicts the id behind it, and these are the places of the ids": (
            places(spans, 1, 0)
        ),
        "the assistant does not say its own mark": (
            places(spans, -1) if spans and spans[0][0] > 0 else None
        ),
        "the assistant has to say the end, or it never stops": (
            [p for s in spans for p in places([s], 0, -2 if s[2] else -1)]
        ),
        "every turn of the assistant teaches, not the first alone": places(spans[:1]),
        "every turn of the assistant teaches, not the last alone": places(spans[-1:]),
        "what others say does not teach: the assistant stops at the end mark": (
            list(range(spans[0][0], len(ids) - 1)) if spans else None
        ),
        "these are the turns of the others": places(others),
        "a turn that is cut off teaches as far as it goes": (
            places([s for s in spans if s[2]])
        ),
    }
    who = ", ".join(f"{who} {len(text)}" for who, text in turns) or "nobody"
    c.close(
        f"{who}{'' if ended else ', cut off'}",
        lambda: teaching_places(ids, mark[ASSISTANT], mark["end"]),
        places(spans),
        mistakes=mistakes,
        hint="the places before each id that the assistant says",
    )
c.report()

# %% to_lora (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · A fine-tuning made small: to_lora")
cases = [(0, 7, 5, 2, torch.float64), (1, 4, 11, 3, torch.float64)]
cases += [(2, 5, 5, 1, torch.float32), (3, 3, 6, 5, torch.float64)]
for seed, d_out, d_in, rank, dtype in cases:
    torch.manual_seed(seed)
    n = min(d_out, d_in)
    left = torch.linalg.qr(torch.randn(d_out, n, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(d_in, n, dtype=torch.float64))[0]
    values = torch.linspace(3, 1, n, dtype=torch.float64) ** 2
    change = (left * values @ right.T).to(dtype)
    kept = torch.arange(n) < rank

    def made(weights):
        return left * weights @ right.T

    want = made(values * kept)
    mistakes = {
        "the singular values belong into one of the two": made(values**2 * kept),
        "the singular values are missing": made(kept.double()),
        "half a value in each is its root, not its half": made(values / 4 * kept),
        "the largest values are kept, not the smallest": made(values * kept.flip(0)),
        "one too few is kept": made(values * (torch.arange(n) < rank - 1)),
        "one too many is kept": made(values * (torch.arange(n) < rank + 1)),
        "cut off after the rank, it is still the whole matrix": change,
        "the product is zero": torch.zeros_like(want),
    }
    name = f"{d_out} x {d_in}, rank {rank}"
    tight = 1e-9 if dtype == torch.float64 else 1e-5
    c.shape(f"a of {name}", lambda: to_lora(change, rank)[0], (rank, d_in))
    c.shape(f"b of {name}", lambda: to_lora(change, rank)[1], (d_out, rank))

    def product():
        a, b = to_lora(change, rank)
        return (b @ a).double()

    c.close(
        f"b @ a of {name}",
        product,
        want,
        mistakes=mistakes,
        hint="it is not the nearest matrix of this rank",
        atol=tight,
    )
c.report()

# %% smallest_rank (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · A fine-tuning made small: smallest_rank")
cases = [  # singular values, share, the rank, and what mistakes give
    ([4.0, 2.0, 1.0], 0.7, 1, (2, 1, 2)),
    ([4.0, 2.0, 1.0], 0.8, 2, (2, 1, 3)),
    ([4.0, 2.0, 1.0], 0.9, 2, (3, 2, 3)),
    ([2.0, 1.4142135623730951, 1.0, 1.0], 0.5, 1, (2, 1, 2)),
    ([3.0, 2.0, 0.0, 0.0], 1.0, 2, (2, 2, 3)),
    ([4.0, 2.0, 1.0], 0.7619047624047619, 1, (2, 1, 2)),
    ([4.0, 2.0, 1.0], 0.7619057619047619, 2, (2, 1, 3)),
]
for values, share, want, wrong in cases:
    torch.manual_seed(len(values))
    n = len(values)
    left = torch.linalg.qr(torch.randn(n + 2, n, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(n + 1, n, dtype=torch.float64))[0]
    change = left * torch.tensor(values, dtype=torch.float64) @ right.T
    names = [
        "the squares of the singular values are shared out, not the values",
        "the share is of the sum of squares, not of its root",
        "this is one more than is needed",
    ]
    c.close(
        f"singular values {values}, share {share:.3f}",
        lambda: smallest_rank(change, share),
        want,
        mistakes=dict(zip(names, wrong)) | {"this is one too few": want - 1},
        hint="it is not the smallest rank that keeps the share",
    )
c.report()

# %% dpo (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · DPO with five bugs")
cases = [(0, 2, 7, 5, 0.1), (1, 3, 9, 11, 0.5), (2, 1, 4, 3, 2.0)]
for seed, n, time, vocab_size, beta in cases:
    torch.manual_seed(seed)
    policy, reference = torch.randn(2, 2 * n, time, vocab_size, dtype=torch.float64)
    ids = torch.randint(vocab_size, (2 * n, time))
    lengths = [1 + (row * 5 + seed) % (time - 2) for row in range(2 * n)]
    learned = torch.tensor([[t >= time - k for t in range(time)] for k in lengths])
    learned[::2, 0] = True  # of the first id, which nothing predicts

    def total(logits, rows=None, shift=1, mean=False):
        found = []
        for row in range(2 * n):
            said = [t for t in range(1, time) if learned[row, t]]
            logs = [logits[row, t - shift].log_softmax(0)[ids[row, t]] for t in said]
            found.append(sum(logs) / (len(said) if mean else 1))
        return torch.stack(found)

    def loss(gain, pairs=None):
        one, two = gain[pairs[0]], gain[pairs[1]]
        return sum((1 + (beta * (b - a)).exp()).log() for a, b in zip(one, two)) / n

    halves = slice(None, n), slice(n, None)
    turns = slice(0, None, 2), slice(1, None, 2)
    gain = total(policy) - total(reference)
    unshifted = total(policy, shift=0) - total(reference, shift=0)
    mean = total(policy, mean=True) - total(reference, mean=True)
    want = loss(gain, halves)
    mistakes = {
        "the sign: this makes the rejected answers likelier": loss(-gain, halves),
        "the scores at a place are for the id behind it": loss(unshifted, halves),
        "the probability of an answer is a product: its logs are added, not averaged": (
            loss(mean, halves)
        ),
        "the first half of the batch are the chosen ones": (
            loss(gain, turns) if n > 1 else None
        ),
        "the reference is missing": loss(total(policy), halves),
        "beta is missing": (
            sum((1 + (b - a).exp()).log() for a, b in zip(gain[:n], gain[n:])) / n
        ),
        "the mean of the pairs, not their sum": n * want if n > 1 else None,
    }
    name = f"{n} pairs of {time} ids, beta {beta}"
    c.close(
        f"the loss of {name}",
        lambda: dpo(policy, reference, ids, learned, beta),
        want,
        mistakes=mistakes,
        hint="-ln σ of beta times the difference of the gains, the mean",
        atol=1e-9,
    )
    impossible = policy.clone()
    for row in range(2 * n):
        impossible[row, 0, ids[row, 1]] = -math.inf  # the second id, not learned
    hidden_first = learned.clone()
    hidden_first[:, 1] = False
    c.that(
        f"{name}: an id that is not learned may be impossible",
        lambda: dpo(impossible, reference, ids, hidden_first, beta).isfinite(),
        "minus infinity times 0 is NaN: leave out what is not learned",
    )

    def slopes():
        leaves = [x.clone().requires_grad_() for x in (policy, reference)]
        value = dpo(*leaves, ids, learned, beta)
        return torch.autograd.grad(value, leaves, allow_unused=True)

    moved = policy.clone().requires_grad_()
    slope = torch.autograd.grad(
        loss(total(moved) - total(reference), halves), moved
    )[0]
    c.close(
        f"{name}: the gradient of the policy",
        lambda: slopes()[0],
        slope,
        mistakes={"the sign: the wrong answers become likelier": -slope},
        hint="it is not the gradient of this loss",
        atol=1e-9,
    )
    c.that(
        f"{name}: the reference stays",
        lambda: slopes()[1] is None or not slopes()[1].any(),
        "a gradient flows into the reference",
    )
c.report()

# %% implied_reward (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · What beta buys: implied_reward")
cases = [  # reference, reward, beta
    ([0.5, 0.3, 0.2], [0.0, 1.0, -2.0], 0.5),
    ([0.1, 0.2, 0.3, 0.4], [0.0, -1.0, 3.0, 0.5], 2.0),
    ([0.25, 0.75], [0.0, 0.7], 0.1),
]
for reference, reward, beta in cases:
    reference, reward = (
        torch.tensor(x, dtype=torch.float64) for x in (reference, reward)
    )
    powers = [p * math.exp(r / beta) for p, r in zip(reference.tolist(), reward)]
    policy = torch.tensor([x / sum(powers) for x in powers], dtype=torch.float64)
    log_z = math.log(sum(powers))
    own = policy.log() - policy.log()[0]
    mistakes = {
        "the reward of the first answer is 0: take it off": reward - beta * log_z,
        "beta is missing": reward / beta,
        "beta multiplies, it does not divide": reward / beta**2,
        "the sign: likelier than by the reference means a higher reward": -reward,
        "the reference is missing": beta * own,
        "the reference is to be taken off, not added": (
            beta * (own + reference.log() - reference.log()[0])
        ),
        "take the logarithm": (
            beta * (policy / reference - policy[0] / reference[0])
        ),
    }
    c.close(
        f"reference {reference.tolist()}, beta {beta}",
        lambda: implied_reward(policy, reference, beta),
        reward,
        mistakes=mistakes,
        hint="with these rewards another policy is best",
    )
c.report()

# %% beta_for (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · What beta buys: beta_for")
cases = [  # reference, reward, distance, beta, and what mistakes give
    (
        [0.5, 0.3, 0.2],
        [0.0, 1.0, 2.0],
        0.915475494445409,
        0.5,
        (0.5849595933, 2, 0.6645445609, 0.3168588479),
    ),
    (
        [0.1, 0.2, 0.3, 0.4],
        [3.0, 0.0, -1.0, 0.5],
        0.23268032728637,
        2.0,
        (1.847245352, 0.5, 2.349398719, 2.29780265),
    ),
    (
        [0.7, 0.3],
        [0.0, 1.0],
        0.99818455251433,
        0.25,
        (0.3347853087, 4, 0.3705500182, None),
    ),
    (
        [0.3, 0.3, 0.4],
        [0.0, 0.01, 0.02],
        0.186708455888498,
        0.012,
        (0.01301723511, 83.33333333, 0.01493088652, 0.01238505297),
    ),
    (
        [0.2, 0.5, 0.3],
        [0.0, 100.0, 300.0],
        0.540191406340495,
        99.5,
        (None, 0.01005025126, 126.1955725, 104.9683073),
    ),
]
names = [
    "this distance is from the reference to the policy: the policy comes first",
    "beta divides the reward: this is 1 / beta",
    "this is in bits: take the natural logarithm",
    "the best policy starts from the reference, not from equal probabilities",
]
for reference, reward, distance, want, wrong in cases:
    reference, reward = (
        torch.tensor(x, dtype=torch.float64) for x in (reference, reward)
    )
    c.close(
        f"reference {reference.tolist()}, distance {distance:.6g}",
        lambda: float(beta_for(reference, reward, distance)) / want,
        1.0,
        mistakes={
            name: None if other is None else other / want
            for name, other in zip(names, wrong)
        },
        hint="the answer, divided by the beta that leads so far away, is not 1",
    )
c.report()

# %% teaching_share (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Groups that teach nothing: teaching_share")
cases = [  # p, group, the share
    (0.5, 2, 1 / 2),
    (0.5, 4, 7 / 8),
    (0.25, 3, 9 / 16),
    (0.1, 2, 0.18),
    (0.0, 5, 0.0),
    (1.0, 3, 0.0),
    (0.3, 1, 0.0),
]
for p, group, want in cases:
    q, none_wrong, none_right = 1 - p, 1.0, 1.0
    for _ in range(group):
        none_wrong, none_right = none_wrong * p, none_right * q
    c.close(
        f"p = {p}, groups of {group}",
        lambda: teaching_share(p, group),
        want,
        mistakes={
            "a group that is all right teaches nothing, either": 1 - none_right,
            "a group that is all wrong teaches nothing, either": 1 - none_wrong,
            "this is how often all agree": none_wrong + none_right,
            "this is how often exactly one is right": group * p * q ** (group - 1),
            "all right and all wrong exclude each other: take both off": (
                (1 - none_wrong) * (1 - none_right)
            ),
        },
        hint="neither all right nor all wrong",
        atol=1e-9,
    )
c.report()

# %% group_for (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Groups that teach nothing: group_for")
cases = [  # p, share, the size, and what mistakes give
    (0.5, 0.5, 2, (3, 1, 1, 1)),
    (0.5, 0.9, 5, (6, 4, 4, 4)),
    (0.1, 0.5, 7, (8, 6, 7, 1)),
    (0.75, 0.5625, 3, (4, 2, 1, 3)),
    (0.01, 0.3, 36, (37, 35, 36, 1)),
    (0.001, 0.99, 4603, (4604, 4602, 4603, 1)),
    (0.5, 0.5000000005, 2, (3, 1, 1, 1)),
    (0.5, 0.500001, 3, (4, 2, 2, 2)),
]
names = [
    "at least the share: this is one more than needed",
    "one less does not do",
    "a group that is all right teaches nothing, either",
    "a group that is all wrong teaches nothing, either",
]
for p, share, want, wrong in cases:
    c.close(
        f"p = {p}, at least {share:.3g}",
        lambda: group_for(p, share),
        want,
        mistakes=dict(zip(names, wrong)),
        hint="the smallest size whose groups teach often enough",
    )
for p in (0.0, 1.0):
    c.that(
        f"p = {p:g}: no size is enough",
        lambda: group_for(p, 0.5) is None,
        "where all answers always agree, no group teaches: return None",
    )
c.report()
