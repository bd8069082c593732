"""Wrong and right answers to the sheet of chapter 23."""

from tests.answers import right, wrong

WALK = """
def teaching_places(ids, assistant, end):
    places, speaking = [], False
    for place, id in enumerate(ids):
        if {counts}:
            places.append({place})
        if id == assistant:
            speaking = True
        if id == end:
            speaking = False
    return places
"""
STEP = {"counts": "speaking", "place": "place - 1"}

LORA = """
def to_lora(change, rank):
    u, s, v = torch.linalg.svd(change, full_matrices=False)
    n, (d_out, d_in) = min(rank, len(s)), change.shape
    a, b = change.new_zeros(rank, d_in), change.new_zeros(d_out, rank)
    a[:n] = {a}
    b[:, :n] = {b}
    return a, b
"""
HALVES = {
    "a": "s[:n, None].sqrt() * v[:n]",
    "b": "u[:, :n] * s[:n].sqrt()",
}

RANK = """
def smallest_rank(change, share):
    parts = {parts}
    total, rank = 0.0, 0
    while {more}:
        total, rank = total + parts[rank], rank + 1
    return {rank}
"""
COUNT = {
    "parts": "(torch.linalg.svdvals(change) ** 2).tolist()",
    "more": "total / sum(parts) < share - 1e-9",
    "rank": "rank",
}

DPO = """
def dpo(policy, reference, ids, learned, beta):
    def score(logits):
        log_p = {log_p}
        return {score}

    reference = {reference}
    gain = {gain}
    chosen, rejected = {pairs}
    return {loss}
"""
PARTS = {
    "log_p": "-F.cross_entropy(logits[:, :-1].mT, ids[:, 1:], reduction='none')",
    "score": "torch.where(learned[:, 1:], log_p, 0.0).sum(-1)",
    "reference": "reference.detach()",
    "gain": "score(policy) - score(reference)",
    "pairs": "gain[: len(gain) // 2], gain[len(gain) // 2 :]",
    "loss": "F.softplus(beta * (rejected - chosen)).mean()",
}

REWARD = """
def implied_reward(policy, reference, beta):
    reward = {reward}
    return {shifted}
"""
BACK = {
    "reward": "beta * (policy.log() - reference.log())",
    "shifted": "reward - reward[0]",
}

BETA = """
def beta_for(reference, reward, distance):
    low, high = -5.0, 5.0
    for _ in range({steps}):
        beta = math.exp((low + high) / 2)
        policy = {policy}
        log_ratio = policy.clamp(min=1e-300).log() - reference.log()
        away = {away}
        if {further}:
            low = math.log(beta)
        else:
            high = math.log(beta)
    return {beta}
"""
HALVE = {
    "steps": "60",
    "policy": "best_policy(reference, reward, beta)",
    "away": "(policy * log_ratio).sum()",
    "further": "away > distance",
    "beta": "beta",
}

GROUP = """
def group_for(p, share):
    if {never}:
        return None
    group = 1
    while {share} {less} share - 1e-9:
        group += 1
    return {group}
"""
GROW = {
    "never": "p <= 0 or p >= 1",
    "share": "1 - p**group - (1 - p) ** group",
    "less": "<",
    "group": "group",
}

ANSWERS = {
    "teaching_places": [
        wrong(
            "as published",
            "these are the places of the ids",
            """
            def teaching_places(ids, assistant, end):
                start = ids.index(assistant) + 1
                return list(range(start, len(ids)))
            """,
        ),
        wrong(
            "places of the ids",
            "these are the places of the ids",
            WALK.format(**STEP | {"place": "place"}),
        ),
        wrong(
            "its own mark",
            "does not say its own mark",
            """
            def teaching_places(ids, assistant, end):
                places, speaking = [], False
                for place, id in enumerate(ids):
                    speaking = speaking or id == assistant
                    if speaking and place > 0:
                        places.append(place - 1)
                    speaking = speaking and id != end
                return places
            """,
        ),
        wrong(
            "no end",
            "the assistant has to say the end",
            WALK.format(**STEP | {"counts": "speaking and id != end"}),
        ),
        wrong(
            "the first turn",
            "not the first alone",
            """
            def teaching_places(ids, assistant, end):
                if assistant not in ids:
                    return []
                start = stop = ids.index(assistant)
                while stop + 1 < len(ids) and ids[stop] != end:
                    stop += 1
                return list(range(start, stop))
            """,
        ),
        wrong(
            "the last turn",
            "not the last alone",
            """
            def teaching_places(ids, assistant, end):
                places = []
                for place, id in enumerate(ids):
                    if id == assistant:
                        places, speaking = [], True
                    elif places is not None and assistant in ids[:place] and speaking:
                        places.append(place - 1)
                        speaking = id != end
                return places
            """,
        ),
        wrong(
            "all behind the first mark",
            "what others say does not teach",
            """
            def teaching_places(ids, assistant, end):
                if assistant not in ids:
                    return []
                return list(range(ids.index(assistant), len(ids) - 1))
            """,
        ),
        wrong(
            "cut off turns dropped",
            "teaches as far as it goes",
            """
            def teaching_places(ids, assistant, end):
                places, now, speaking = [], [], False
                for place, id in enumerate(ids):
                    if speaking:
                        now.append(place - 1)
                    if id == assistant:
                        speaking, now = True, []
                    if id == end and speaking:
                        places, speaking = places + now, False
                return places
            """,
        ),
        right("a walk", WALK.format(**STEP)),
        right(
            "from mark to end",
            """
            def teaching_places(ids, assistant, end):
                found = []
                for start, id in enumerate(ids):
                    if id == assistant:
                        rest = ids[start + 1 :]
                        n = rest.index(end) + 1 if end in rest else len(rest)
                        found.extend(range(start, start + n))
                return found
            """,
        ),
    ],
    "to_lora": [
        wrong(
            "the values twice",
            "belong into one of the two",
            LORA.format(
                **HALVES | {"a": "s[:n, None] * v[:n]", "b": "u[:, :n] * s[:n]"}
            ),
        ),
        wrong(
            "no values",
            "the singular values are missing",
            LORA.format(**HALVES | {"a": "v[:n]", "b": "u[:, :n]"}),
        ),
        wrong(
            "half in each",
            "its root, not its half",
            LORA.format(
                **HALVES | {"a": "s[:n, None] / 2 * v[:n]", "b": "u[:, :n] / 2"}
            ),
        ),
        wrong(
            "the smallest",
            "not the smallest",
            LORA.format(
                **HALVES | {"a": "v.flip(0)[:n]", "b": "(u * s).flip(1)[:, :n]"}
            ),
        ),
        wrong(
            "one too few",
            "one too few is kept",
            """
            def to_lora(change, rank):
                u, s, v = torch.linalg.svd(change, full_matrices=False)
                missing = max(0, rank - len(s))
                s = torch.where(torch.arange(len(s)) < rank - 1, s, 0.0)
                a = F.pad(v[:rank], (0, 0, 0, missing))
                return a, F.pad(u[:, :rank] * s[:rank], (0, missing))
            """,
        ),
        wrong(
            "no padding",
            "its shape is",
            """
            def to_lora(change, rank):
                u, s, v = torch.linalg.svd(change, full_matrices=False)
                return v[:rank], u[:, :rank] * s[:rank]
            """,
        ),
        wrong(
            "exchanged",
            "its shape is",
            LORA.format(**HALVES).replace("return a, b", "return b, a"),
        ),
        wrong(
            "starting like LoRA",
            "the product is zero",
            LORA.format(**HALVES | {"b": "0"}),
        ),
        right("a root in each", LORA.format(**HALVES)),
        right(
            "all values in a",
            LORA.format(**HALVES | {"a": "s[:n, None] * v[:n]", "b": "u[:, :n]"}),
        ),
        right(
            "eigenvectors",
            """
            def to_lora(change, rank):
                values, vectors = torch.linalg.eigh(change.T.double() @ change.double())
                best = vectors.flip(1)[:, :rank].to(change.dtype)
                missing = rank - best.shape[1]
                a = F.pad(best.T, (0, 0, 0, missing))
                return a, F.pad(change @ best, (0, missing))
            """,
        ),
    ],
    "smallest_rank": [
        wrong(
            "values",
            "not the values",
            RANK.format(**COUNT | {"parts": "torch.linalg.svdvals(change).tolist()"}),
        ),
        wrong(
            "the root",
            "not of its root",
            RANK.format(
                **COUNT | {"more": "(total / sum(parts)) ** 0.5 < share - 1e-9"}
            ),
        ),
        wrong(
            "one more",
            "one more than is needed",
            RANK.format(**COUNT | {"rank": "rank + 1"}),
        ),
        wrong(
            "one less",
            "one too few",
            RANK.format(**COUNT | {"rank": "rank - 1"}),
        ),
        wrong(
            "no rounding",
            "smallest rank that keeps the share",
            """
            def smallest_rank(change, share):
                squares = torch.linalg.svdvals(change) ** 2
                lost = 1 - squares.cumsum(0) / squares.sum()
                return len(squares) - (lost < 1 - share - 1e-9).sum().item() + 1
            """,
        ),
        right("a loop", RANK.format(**COUNT)),
        right(
            "eigenvalues",
            """
            def smallest_rank(change, share):
                squares = torch.linalg.eigvalsh(change.T @ change).flip(0).clamp(min=0)
                enough = squares.cumsum(0) >= (share - 1e-9) * change.square().sum()
                return enough.nonzero()[0].item() + 1
            """,
        ),
    ],
    "dpo": [
        wrong(
            "as published",
            "minus infinity times 0",
            """
            def dpo(policy, reference, ids, learned, beta):
                def score(logits):
                    log_p = logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]
                    return (log_p * learned).sum(-1) / learned.sum(-1)

                gain = score(reference) - score(policy)
                chosen, rejected = gain[0::2], gain[1::2]
                return -F.logsigmoid(beta * (chosen - rejected)).mean()
            """,
        ),
        wrong(
            "sign of the gain",
            "makes the rejected answers likelier",
            DPO.format(**PARTS | {"gain": "score(reference) - score(policy)"}),
        ),
        wrong(
            "sign of the loss",
            "makes the rejected answers likelier",
            DPO.format(
                **PARTS | {"loss": "-F.logsigmoid(beta * (rejected - chosen)).mean()"}
            ),
        ),
        wrong(
            "not shifted",
            "for the id behind it",
            DPO.format(
                **PARTS
                | {
                    "log_p": "-F.cross_entropy(logits.mT, ids, reduction='none')[:, 1:]",
                }
            ),
        ),
        wrong(
            "the mean of the tokens",
            "added, not averaged",
            DPO.format(
                **PARTS | {"score": PARTS["score"] + " / learned[:, 1:].sum(-1)"}
            ),
        ),
        wrong(
            "neighbours are pairs",
            "first half of the batch",
            DPO.format(**PARTS | {"pairs": "gain[0::2], gain[1::2]"}),
        ),
        wrong(
            "times the mask",
            "minus infinity times 0",
            DPO.format(**PARTS | {"score": "(learned[:, 1:] * log_p).sum(-1)"}),
        ),
        wrong(
            "no reference",
            "the reference is missing",
            DPO.format(**PARTS | {"gain": "score(policy)"}),
        ),
        wrong(
            "no beta",
            "beta is missing",
            DPO.format(**PARTS | {"loss": "F.softplus(rejected - chosen).mean()"}),
        ),
        wrong(
            "the sum of the pairs",
            "not their sum",
            DPO.format(
                **PARTS | {"loss": "F.softplus(beta * (rejected - chosen)).sum()"}
            ),
        ),
        wrong(
            "the reference learns",
            "flows into the reference",
            DPO.format(**PARTS | {"reference": "reference"}),
        ),
        wrong(
            "the policy is detached",
            "",
            DPO.format(
                **PARTS | {"reference": "reference.detach(); policy = policy.detach()"}
            ),
        ),
        right("in other words", DPO.format(**PARTS)),
        right(
            "row by row",
            """
            def dpo(policy, reference, ids, learned, beta):
                logs = policy.log_softmax(-1), reference.detach().log_softmax(-1)
                gains = []
                for row, said in enumerate(learned.tolist()):
                    gain = 0.0
                    for t in range(1, len(said)):
                        if said[t]:
                            one, two = (x[row, t - 1, ids[row, t]] for x in logs)
                            gain = gain + one - two
                    gains.append(gain)
                n = len(gains) // 2
                margins = torch.stack([a - b for a, b in zip(gains[:n], gains[n:])])
                return -torch.sigmoid(beta * margins).log().mean()
            """,
        ),
    ],
    "implied_reward": [
        wrong(
            "not shifted",
            "the reward of the first answer is 0",
            REWARD.format(**BACK | {"shifted": "reward"}),
        ),
        wrong(
            "no beta",
            "beta is missing",
            REWARD.format(**BACK | {"reward": "(policy / reference).log()"}),
        ),
        wrong(
            "divided by beta",
            "beta multiplies",
            REWARD.format(**BACK | {"reward": "(policy / reference).log() / beta"}),
        ),
        wrong(
            "the sign",
            "likelier than by the reference",
            REWARD.format(**BACK | {"reward": "beta * (reference / policy).log()"}),
        ),
        wrong(
            "no reference",
            "the reference is missing",
            REWARD.format(**BACK | {"reward": "beta * policy.log()"}),
        ),
        wrong(
            "the reference added",
            "not added",
            REWARD.format(**BACK | {"reward": "beta * (policy * reference).log()"}),
        ),
        wrong(
            "no logarithm",
            "take the logarithm",
            REWARD.format(**BACK | {"reward": "beta * policy / reference"}),
        ),
        right("logs", REWARD.format(**BACK)),
        right(
            "ratios to the first",
            """
            def implied_reward(policy, reference, beta):
                odds = (policy / policy[0]) / (reference / reference[0])
                return beta * torch.log(odds)
            """,
        ),
    ],
    "beta_for": [
        wrong(
            "the other KL",
            "the policy comes first",
            BETA.format(**HALVE | {"away": "-(reference * log_ratio).sum()"}),
        ),
        wrong(
            "one over beta",
            "this is 1 / beta",
            BETA.format(**HALVE | {"beta": "1 / beta"}),
        ),
        wrong(
            "bits",
            "take the natural logarithm",
            BETA.format(**HALVE | {"away": "(policy * log_ratio).sum() / math.log(2)"}),
        ),
        wrong(
            "from equal probabilities",
            "not from equal probabilities",
            """
            def beta_for(reference, reward, distance):
                low, high, n = 0.001, 1000.0, len(reward)
                for _ in range(80):
                    beta = math.sqrt(low * high)
                    policy = (reward / beta).softmax(0)
                    away = torch.special.xlogy(policy, n * policy).sum()
                    low, high = (beta, high) if away > distance else (low, beta)
                return beta
            """,
        ),
        wrong(
            "the wrong half",
            "is not 1",
            BETA.format(**HALVE | {"further": "away < distance"}),
        ),
        wrong(
            "too few steps",
            "is not 1",
            BETA.format(**HALVE | {"steps": "12"}),
        ),
        right("in logarithms", BETA.format(**HALVE)),
        right(
            "by the slope",
            """
            def beta_for(reference, reward, distance):
                # the distance grows with 1 / beta: halve that interval
                low, high = 0.01, 100.0
                while high - low > 1e-12 * high:
                    inverse = (low + high) / 2
                    policy = (reference.log() + inverse * reward).softmax(0)
                    safe = policy.clamp(min=1e-300)
                    if (policy * (safe.log() - reference.log())).sum() < distance:
                        low = inverse
                    else:
                        high = inverse
                    if inverse in (low, high) and (low + high) / 2 in (low, high):
                        break
                return 1 / low
            """,
        ),
    ],
    "teaching_share": [
        wrong(
            "any right",
            "all right teaches nothing",
            "def teaching_share(p, group):\n    return 1 - (1 - p) ** group",
        ),
        wrong(
            "any wrong",
            "all wrong teaches nothing",
            "def teaching_share(p, group):\n    return 1 - p**group",
        ),
        wrong(
            "all agree",
            "how often all agree",
            "def teaching_share(p, group):\n    return p**group + (1 - p) ** group",
        ),
        wrong(
            "exactly one",
            "exactly one is right",
            "def teaching_share(p, group):\n"
            "    return group * p * (1 - p) ** (group - 1)",
        ),
        wrong(
            "multiplied",
            "exclude each other",
            "def teaching_share(p, group):\n"
            "    return (1 - p**group) * (1 - (1 - p) ** group)",
        ),
        right(
            "both off",
            "def teaching_share(p, group):\n    return 1 - p**group - (1 - p) ** group",
        ),
        right(
            "the others added",
            """
            def teaching_share(p, group):
                some = range(1, group)
                ways = (math.comb(group, k) * p**k * (1 - p) ** (group - k) for k in some)
                return sum(ways)
            """,
        ),
    ],
    "group_for": [
        wrong(
            "above the share",
            "one more than needed",
            GROUP.format(**GROW | {"group": "group + 1"}),
        ),
        wrong(
            "one less",
            "one less does not do",
            GROUP.format(**GROW | {"group": "group - 1"}),
        ),
        wrong(
            "any right",
            "all right teaches nothing",
            GROUP.format(**GROW | {"share": "1 - (1 - p) ** group"}),
        ),
        wrong(
            "any wrong",
            "all wrong teaches nothing",
            GROUP.format(**GROW | {"share": "1 - p**group"}),
        ),
        wrong(
            "never never",
            "return None",
            """
            def group_for(p, share):
                for group in range(2, 10_000):
                    if 1 - p**group - (1 - p) ** group >= share - 1e-9:
                        return group
            """.replace(
                "                        return group",
                "                        return group\n                return math.inf",
            ),
        ),
        right("from one", GROUP.format(**GROW)),
        right(
            "by a count",
            """
            def group_for(p, share):
                if p * (1 - p) == 0:
                    return None
                agree, group = 1.0, 1
                while 1 - agree < share - 1e-9:
                    group += 1
                    agree = p**group + (1 - p) ** group
                return group
            """,
        ),
    ],
}

EQUIVALENT = {
    "teaching_places": {
        "if id in (end, assistant):": "a choice of two has no order",
    },
    "smallest_rank": {
        "kept = squares.cumsum((-1)) / squares.sum()": "a list has one axis",
        "return 1 + (kept <= (share - 1e-9)).sum().item()": (
            "a share that is off by just 1e-9 is neither equal nor different"
        ),
    },
    "dpo": {
        "log_p = logits[:, :].log_softmax(-1)…": "gather leaves the last place out",
        "log_p = …[..., (-1)]": "the only one",
        "return log_p.masked_fill(~learned[:, 1:], 0.0).sum(-1, keepdim=True)": (
            "the mean over the pairs is the same"
        ),
        "return log_p.masked_fill(~learned[:, 1:], 1.0).sum(-1)": (
            "the same number is taken off again with the reference"
        ),
        "return log_p.masked_fill(~learned[:, 1:], -1.0).sum(-1)": "likewise",
        "return log_p.masked_fill(~learned[:, 1:], 0.0).sum(1)": "the last of two axes",
        "gain = score(policy) - score(reference.detach()).detach()": (
            "it was detached already"
        ),
    },
    "beta_for": {
        "low, high = 0.009…, 100.0": "a wider interval holds the answer, too",
        "low, high = 0.01, 101.0": "likewise",
        "for _ in range(0, 60 - 1):": "59 halvings are as near as asked",
        "for _ in range(0, 60 + 1):": "so are 61",
        "for _ in range(0 + 1, 60):": "so are 59",
        "for _ in range(61):": "so are 61",
        "for _ in range(59):": "so are 59",
        "for _ in range(30):": "so are 30: 9.2 / 2^30 is below 1e-8",
        "low, high = (beta, high) if away >= distance else (low, beta)": (
            "where both are equal, beta is the answer"
        ),
    },
    "group_for": {
        "for group in range(2, 5_000 - 1):": "no p that is asked needs more than 4,603",
        "for group in range(2, 5_000 + 1):": "likewise",
        "for group in range(2, 5001):": "likewise",
        "for group in range(2, 4999):": "likewise",
        "for group in range(1, 5_000):": "a group of one never teaches",
        "if (1 - p**group - (1 - p) ** group) > (share - 1e-9):": (
            "a share that is off by just 1e-9 is neither equal nor different"
        ),
    },
}
