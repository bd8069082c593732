"""Answers to the sheet of chapter 14."""

from tests.answers import right, wrong

LIMITS = [
    wrong(
        "the largest takes all",
        "equal scores stay equally likely at every temperature",
        """
        def limits(logits):
            cold = F.one_hot(logits.argmax(-1), logits.shape[-1]).double()
            hot = (logits > -math.inf).double()
            return cold, hot / hot.sum(-1, keepdim=True)
        """,
    ),
    wrong(
        "all tokens alike, forbidden ones too",
        "a forbidden token stays forbidden at every temperature",
        """
        def limits(logits):
            cold = (logits == logits.amax(-1, keepdim=True)).double()
            hot = torch.full(logits.shape, 1 / logits.shape[-1])
            return cold / cold.sum(-1, keepdim=True), hot
        """,
    ),
    wrong(
        "cold and hot taken for each other",
        "the two limits are swapped",
        """
        def limits(logits):
            cold = (logits == logits.amax(-1, keepdim=True)).double()
            hot = (logits > -math.inf).double()
            return tuple(x / x.sum(-1, keepdim=True) for x in (hot, cold))
        """,
    ),
    wrong(
        "temperatures 0 and 1",
        "this is temperature 1",
        """
        def limits(logits):
            cold = (logits == logits.amax(-1, keepdim=True)).double()
            return cold / cold.sum(-1, keepdim=True), logits.softmax(-1)
        """,
    ),
    wrong(
        "a small and a large temperature put in",
        "NaN",
        """
        def limits(logits):
            def at(t):
                powers = (logits / t).exp()
                return powers / powers.sum(-1, keepdim=True)

            return at(1e-3), at(1e9)
        """,
    ),
    right(
        "softmax of masked scores",
        """
        def limits(logits):
            top = logits.max(-1, keepdim=True).values
            cold = torch.zeros_like(logits).masked_fill(logits < top, -math.inf)
            hot = torch.zeros_like(logits).masked_fill(logits.isinf(), -math.inf)
            return cold.softmax(-1), hot.softmax(-1)
        """,
    ),
    right(
        "row by row, as lists",
        """
        def limits(logits):
            def both(row):
                top, n = max(row), sum(z > -math.inf for z in row)
                cold = [(z == top) / row.count(top) for z in row]
                return cold, [(z > -math.inf) / n for z in row]

            rows = [both(r) for r in logits.reshape(-1, logits.shape[-1]).tolist()]
            return [torch.tensor(x).view(logits.shape) for x in zip(*rows)]
        """,
    ),
]

TEMPERATURE_FOR = [
    wrong(
        "upside down",
        "upside down: a larger ratio needs a lower temperature",
        """
        def temperature_for(logits, ratio):
            first, second = logits.topk(2).values
            return math.log(ratio) / (first - second)
        """,
    ),
    wrong(
        "the first two of the row",
        "the likeliest two may stand anywhere in the row",
        """
        def temperature_for(logits, ratio):
            return (logits[0] - logits[1]).abs() / math.log(ratio)
        """,
    ),
    wrong(
        "the ratio itself",
        "scores are logarithms: so take the logarithm of the ratio",
        """
        def temperature_for(logits, ratio):
            first, second = logits.topk(2).values
            return (first - second) / ratio
        """,
    ),
    wrong(
        "of probabilities",
        "take the difference of the scores, not of the probabilities",
        """
        def temperature_for(logits, ratio):
            first, second = logits.softmax(-1).topk(2).values
            return (first - second) / math.log(ratio)
        """,
    ),
    wrong(
        "to the base 2",
        "scores are natural logarithms, and so is this one",
        """
        def temperature_for(logits, ratio):
            first, second = logits.topk(2).values
            return (first - second) / math.log2(ratio)
        """,
    ),
    right(
        "by bisection",
        """
        def temperature_for(logits, ratio):
            low, high = 1e-3, 1e6
            for _ in range(200):
                middle = math.sqrt(low * high)
                p = (logits.double() / middle).log_softmax(-1).topk(2).values
                if (p[0] - p[1]).item() > math.log(ratio):
                    low = middle
                else:
                    high = middle
            return middle
        """,
    ),
    right(
        "from log-probabilities",
        """
        def temperature_for(logits, ratio):
            log_p = sorted(logits.log_softmax(-1).tolist())
            return (log_p[-1] - log_p[-2]) / math.log(ratio)
        """,
    ),
]

NUCLEUS = [
    wrong(
        "what crosses p is left out",
        "the token that crosses p belongs to the nucleus",
        """
        def nucleus(probabilities, p):
            x, order = probabilities.sort(dim=-1, descending=True, stable=True)
            kept = x.cumsum(-1) <= p
            return torch.zeros_like(kept).scatter(-1, order, kept)
        """,
    ),
    wrong(
        "one more when p is reached exactly",
        "p is reached already: this is one token too many",
        """
        def nucleus(probabilities, p):
            x, order = probabilities.sort(dim=-1, descending=True, stable=True)
            kept = x.cumsum(-1) - x <= p
            return torch.zeros_like(kept).scatter(-1, order, kept)
        """,
    ),
    wrong(
        "not sorted",
        "the sum has to start at the likeliest token: sort",
        """
        def nucleus(probabilities, p):
            return probabilities.cumsum(-1) - probabilities < p
        """,
    ),
    wrong(
        "not put back",
        "the mask is still in sorted order",
        """
        def nucleus(probabilities, p):
            x = probabilities.sort(dim=-1, descending=True).values
            return x.cumsum(-1) - x < p
        """,
    ),
    wrong(
        "strictly below p, so that none may be left",
        "at least one token has to stay",
        """
        def nucleus(probabilities, p):
            x, order = probabilities.sort(dim=-1, descending=True, stable=True)
            kept = x.cumsum(-1) <= p
            if p >= 0.5:
                kept = x.cumsum(-1) - x < p
            return torch.zeros_like(kept).scatter(-1, order, kept)
        """,
    ),
    wrong(
        "the library's function",
        "may not be used here",
        """
        def nucleus(probabilities, p):
            from dot2gpt.generation import next_probabilities

            return next_probabilities(probabilities.log(), top_p=p) > 0
        """,
    ),
    right(
        "each token asks what is above it",
        """
        def nucleus(probabilities, p):
            x, n = probabilities, probabilities.shape[-1]
            earlier = torch.arange(n) < torch.arange(n)[:, None]
            other, mine = x[..., None, :], x[..., :, None]
            above = (other > mine) | ((other == mine) & earlier)
            return (other * above).sum(-1) < p
        """,
    ),
    right(
        "row by row, stopping at p",
        """
        def nucleus(probabilities, p):
            kept = torch.zeros_like(probabilities, dtype=torch.bool)
            rows = probabilities.reshape(-1, probabilities.shape[-1])
            for row, marks in zip(rows.tolist(), kept.view(rows.shape)):
                total = 0.0
                for i in sorted(range(len(row)), key=lambda i: -row[i]):
                    marks[i] = True
                    total += row[i]
                    if total >= p:
                        break
            return kept
        """,
    ),
]

MIN_P = [
    wrong(
        "not divided",
        "the row has to add up to 1 again",
        """
        def min_p(probabilities, p):
            least = p * probabilities.amax(-1, keepdim=True)
            return probabilities * (probabilities >= least)
        """,
    ),
    wrong(
        "p itself is the threshold",
        "the threshold is p times the largest, not p",
        """
        def min_p(probabilities, p):
            kept = probabilities * (probabilities >= p)
            return kept / kept.sum(-1, keepdim=True).clamp(min=1e-9)
        """,
    ),
    wrong(
        "strictly greater",
        "a token exactly at the threshold stays",
        """
        def min_p(probabilities, p):
            least = p * probabilities.amax(-1, keepdim=True)
            kept = probabilities * (probabilities > least)
            return kept / kept.sum(-1, keepdim=True).clamp(min=1e-9)
        """,
    ),
    wrong(
        "the largest of all rows",
        "each row has its own largest",
        """
        def min_p(probabilities, p):
            kept = probabilities * (probabilities >= p * probabilities.max())
            return kept / kept.sum(-1, keepdim=True).clamp(min=1e-9)
        """,
    ),
    wrong(
        "a distance to the largest",
        "the largest is to be multiplied by p, not lessened by it",
        """
        def min_p(probabilities, p):
            least = probabilities.amax(-1, keepdim=True) - p
            kept = probabilities * (probabilities >= least)
            return kept / kept.sum(-1, keepdim=True)
        """,
    ),
    right(
        "with where",
        """
        def min_p(probabilities, p):
            top = probabilities.max(dim=-1, keepdim=True).values
            kept = torch.where(probabilities < p * top, 0, probabilities)
            return kept / kept.sum(dim=-1, keepdim=True)
        """,
    ),
    right(
        "softmax of the logarithms that are left",
        """
        def min_p(probabilities, p):
            low = probabilities < p * probabilities.amax(-1, keepdim=True)
            return probabilities.log().masked_fill(low, -math.inf).softmax(-1)
        """,
    ),
    wrong(
        "above the threshold alone",
        "a token exactly at the threshold stays",
        """
        def min_p(probabilities, p):
            kept = probabilities > p * probabilities.amax(-1, keepdim=True)
            kept = torch.where(kept, probabilities, 0)
            return kept / kept.sum(-1, keepdim=True)
        """,
    ),
]

VISIBLE = [
    wrong(
        "aligned at the top",
        "this is aligned at the top, as is_causal: new token 0 stands at n_before",
        """
        def visible(n_before, n_new, window=None):
            n = n_before + n_new
            return torch.ones(n_new, n).tril().triu(1 - (window or n)).bool()
        """,
    ),
    wrong(
        "not itself",
        "a new token sees itself, too",
        """
        def visible(n_before, n_new, window=None):
            n = n_before + n_new
            return torch.ones(n, n).tril(-1).triu(1 - (window or n))[n_before:] > 0
        """,
    ),
    wrong(
        "one of the future",
        "a new token sees the future",
        """
        def visible(n_before, n_new, window=None):
            n = n_before + n_new
            return torch.ones(n, n).tril(1).triu(1 - (window or n))[n_before:] > 0
        """,
    ),
    wrong(
        "no mask",
        "the new tokens' future is open",
        """
        def visible(n_before, n_new, window=None):
            return torch.ones(n_new, n_before + n_new).bool()
        """,
    ),
    wrong(
        "the window without itself",
        "the window counts the token itself: one key too many",
        """
        def visible(n_before, n_new, window=None):
            n = n_before + n_new
            return torch.ones(n, n).tril().triu(-(window or n))[n_before:] > 0
        """,
    ),
    wrong(
        "the window one short",
        "the window counts the token itself: one key is missing",
        """
        def visible(n_before, n_new, window=None):
            n = n_before + n_new
            reach = n + 1 if window is None else window
            return torch.ones(n, n).tril().triu(2 - reach)[n_before:] > 0
        """,
    ),
    wrong(
        "no window",
        "the window is missing",
        """
        def visible(n_before, n_new, window=None):
            n = n_before + n_new
            return torch.ones(n, n).tril()[n_before:] > 0
        """,
    ),
    wrong(
        "the whole square",
        "only the new tokens have rows",
        """
        def visible(n_before, n_new, window=None):
            n = n_before + n_new
            return torch.ones(n, n).tril().triu(1 - (window or n)) > 0
        """,
    ),
    right(
        "the bottom of the square",
        """
        def visible(n_before, n_new, window=None):
            n = n_before + n_new
            square = torch.ones(n, n, dtype=torch.bool)
            return square.tril().triu(1 - (window or n))[n_before:]
        """,
    ),
    right(
        "by two loops",
        """
        def visible(n_before, n_new, window=None):
            return torch.tensor([
                [
                    key <= query and (window is None or query - key < window)
                    for key in range(n_before + n_new)
                ]
                for query in range(n_before, n_before + n_new)
            ])
        """,
    ),
]

SCORED = """
def log_likelihoods(model, texts):
    time = max(map(len, texts))
    ids = torch.zeros(len(texts), time, dtype=torch.long)
    for row, text in zip(ids, texts):
        row[: len(text)] = torch.tensor(text)
    n = torch.tensor([[len(text)] for text in texts])
    log_p = model(ids).log_softmax(-1)
    each = log_p[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    return (each * (torch.arange(1, time) < n)).sum(-1)
"""


def scored(before, after):
    assert SCORED.count(before) == 1
    return SCORED.replace(before, after)


LOG_LIKELIHOODS = [
    wrong(
        "padding counted",
        "the padding is counted",
        scored("(each * (torch.arange(1, time) < n))", "each"),
    ),
    wrong(
        "the step into the padding counted",
        "the first padding token is still counted",
        scored("torch.arange(1, time) < n", "torch.arange(1, time) <= n"),
    ),
    wrong(
        "the last step left out",
        "the last token of each text is missing",
        scored("torch.arange(1, time) < n", "torch.arange(1, time) < n - 1"),
    ),
    wrong(
        "not moved by one",
        "the scores at place t are about the token at t + 1, not t",
        scored("log_p[:, :-1]", "log_p[:, 1:]"),
    ),
    wrong(
        "the mean",
        "the sum is asked for, not the mean",
        scored(".sum(-1)", ".sum(-1) / (n[:, 0] - 1)"),
    ),
    wrong(
        "the loss",
        "log-probabilities are negative: the sign is wrong",
        scored("return ", "return -"),
    ),
    wrong(
        "padded on the left",
        "padding on the left moves the texts to other positions",
        scored("row[: len(text)]", "row[-len(text) :]").replace(
            "torch.arange(1, time) < n", "torch.arange(1, time) > time - n"
        ),
    ),
    wrong(
        "one text at a time",
        "put all texts into one batch",
        """
        def log_likelihoods(model, texts):
            def one(text):
                log_p = model(torch.tensor([text]))[0, :-1].log_softmax(-1)
                return log_p.gather(-1, torch.tensor(text[1:])[:, None]).sum()

            return torch.stack([one(text) for text in texts])
        """,
    ),
    right("a table filled row by row", SCORED),
    right(
        "cross-entropy that ignores the padding",
        """
        def log_likelihoods(model, texts):
            rows = [torch.tensor(text) for text in texts]
            ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            aims = torch.nn.utils.rnn.pad_sequence(
                rows, batch_first=True, padding_value=-100
            )
            scores = model(ids)[:, :-1].transpose(1, 2)
            return -F.cross_entropy(scores, aims[:, 1:], reduction="none").sum(1)
        """,
    ),
    right(
        "a loop over what came back",
        """
        def log_likelihoods(model, texts):
            time = max(len(text) for text in texts)
            ids = torch.tensor([text + [1] * (time - len(text)) for text in texts])
            log_p = model(ids).log_softmax(-1)
            return torch.tensor([
                sum(p[t, text[t + 1]].item() for t in range(len(text) - 1))
                for p, text in zip(log_p, texts)
            ])
        """,
    ),
]

READ = """
def read_on(project, x, cache=None):
    q, k, v = project(x)
    if cache is not None:
        k = torch.cat([cache[0], k], dim=1)
        v = torch.cat([cache[1], v], dim=1)
    may = torch.ones(k.shape[1], k.shape[1]).tril().bool()[-q.shape[1] :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=may), (k, v)
"""


def reading(before, after):
    assert READ.count(before) == 1
    return READ.replace(before, after)


READ_ON = [
    wrong(
        "is_causal on a cache",
        "the mask is aligned at the top",
        reading("attn_mask=may", "is_causal=True"),
    ),
    wrong(
        "no mask, as for a single token",
        "the new places see each other's future",
        reading(", attn_mask=may", ""),
    ),
    wrong(
        "the cache is not used",
        "a piece has to see the places before it",
        reading("if cache is not None", "if False"),
    ),
    wrong(
        "everything is read again",
        "keep the keys and values of old places",
        """
        def read_on(project, x, cache=None):
            whole = x if cache is None else torch.cat([cache, x], dim=1)
            output = F.scaled_dot_product_attention(*project(whole), is_causal=True)
            return output[:, -x.shape[1] :], whole
        """,
    ),
    wrong(
        "not scaled",
        "the scores are not divided by √d_k",
        reading("attn_mask=may", "attn_mask=may, scale=1.0"),
    ),
    wrong(
        "the cache behind the new keys",
        "the keys of the cache come before the new ones",
        READ.replace("cache[0], k", "k, cache[0]").replace(
            "cache[1], v", "v, cache[1]"
        ),
    ),
    right("with torch's attention and a mask", READ),
    right(
        "place by place",
        """
        def read_on(project, x, cache=None):
            q, k, v = project(x)
            outputs, (keys, values) = [], cache or (k[:, :0], v[:, :0])
            for t in range(x.shape[1]):
                keys = torch.cat([keys, k[:, t : t + 1]], dim=1)
                values = torch.cat([values, v[:, t : t + 1]], dim=1)
                scores = (keys @ q[:, t, :, None])[..., 0] / math.sqrt(k.shape[-1])
                outputs.append(torch.einsum("bt,btv->bv", scores.softmax(-1), values))
            return torch.stack(outputs, dim=1), (keys, values)
        """,
    ),
    right(
        "keys and values in one tensor",
        """
        def read_on(project, x, cache=None):
            q, k, v = project(x)
            d_k, both = k.shape[-1], torch.cat([k, v], dim=-1)
            if cache is not None:
                both = torch.cat([cache, both], dim=1)
            n, new = both.shape[1], x.shape[1]
            future = torch.arange(n) > torch.arange(n - new, n)[:, None]
            scores = torch.einsum("bqd,bkd->bqk", q, both[..., :d_k]) / d_k**0.5
            weights = scores.masked_fill(future, -1e30).softmax(-1)
            return weights @ both[..., d_k:], both
        """,
    ),
]

THREE = """
def three_texts(first, follows, n_tokens):
    def plogp(p):
        return torch.where(p > 0, p * p.clamp(min=1e-300).log(), 0.0)

    token = int(first.argmax())
    greedy, best, now = first[token].log(), first.log(), first
    mean = plogp(first).sum()
    for _ in range(n_tokens - 1):
        greedy = greedy + follows[token].max().log()
        token = int(follows[token].argmax())
        best = (best[:, None] + follows.log()).max(0).values
        mean = mean + (now[:, None] * plogp(follows)).sum()
        now = now @ follows
    return greedy.item(), best.max().item(), mean.item()
"""


def three(before, after):
    assert THREE.count(before) == 1
    return THREE.replace(before, after)


BEAM = """beam = [(first[i].item(), [i]) for i in range(len(first))]
    for _ in range(n_tokens - 1):
        beam = [
            (p * follows[text[-1], j].item(), [*text, j])
            for p, text in sorted(beam)[-{width}:]
            for j in range(len(first))
        ]
    return greedy.item(), math.log(max(beam)[0])"""

THREE_TEXTS = [
    wrong(
        "greedy taken for the likeliest",
        "this is greedy's: a likelier text may begin with a less likely token",
        three("best.max().item()", "greedy.item()"),
    ),
    wrong(
        "the likeliest taken for greedy's",
        "this is the likeliest of all, not greedy's",
        three("return greedy.item()", "return best.max().item()"),
    ),
    wrong(
        "the entropy",
        "log-probabilities are negative: the sign is wrong",
        three("mean.item()", "-mean.item()"),
    ),
    wrong(
        "every row alike",
        "each row counts as often as its token comes up",
        three("(now[:, None] * plogp(follows)).sum()", "plogp(follows).sum(1).mean()"),
    ),
    wrong(
        "0 ln 0",
        "0 ln 0 is 0, not NaN",
        three("torch.where(p > 0, p * p.clamp(min=1e-300).log(), 0.0)", "p * p.log()"),
    ),
    wrong(
        "probabilities",
        "this is a probability: take its logarithm",
        three(
            "return greedy.item(), best.max()", "return greedy.exp(), best.max().exp()"
        ),
    ),
    wrong(
        "the logarithm of the mean",
        "the mean of the logarithms is asked for, not the logarithm of the mean",
        three("mean = plogp(first).sum()", "mean, squares = 0, first**2")
        .replace(
            "mean = mean + (now[:, None] * plogp(follows)).sum()",
            "squares = squares @ follows**2",
        )
        .replace("mean.item()", "squares.sum().log()"),
    ),
    right("with where for 0 ln 0", THREE),
    right(
        "backwards: the best and the mean of what is still to come",
        """
        def three_texts(first, follows, n_tokens):
            entropies = torch.special.entr(follows).sum(1)
            best, mean = torch.zeros(len(first)).double(), torch.zeros(len(first))
            mean = mean.double()
            for _ in range(n_tokens - 1):
                best = (follows.log() + best).max(1).values
                mean = follows @ mean - entropies
            text = [int(first.argmax())]
            for _ in range(n_tokens - 1):
                text.append(int(follows[text[-1]].argmax()))
            steps = sum(math.log(follows[a, b]) for a, b in zip(text, text[1:]))
            return (
                math.log(first.max()) + steps,
                (first.log() + best).max(),
                first @ mean - torch.special.entr(first).sum(),
            )
        """,
    ),
    wrong(
        "a beam of two",
        "a beam drops the likeliest on its way",
        three("return greedy.item(), best.max().item()", BEAM.format(width=2)),
    ),
    wrong(
        "a beam of three",
        "a beam drops the likeliest on its way",
        three("return greedy.item(), best.max().item()", BEAM.format(width=3)),
    ),
]

ANSWERS = {
    "limits": LIMITS,
    "temperature_for": TEMPERATURE_FOR,
    "nucleus": NUCLEUS,
    "min_p": MIN_P,
    "visible": VISIBLE,
    "log_likelihoods": LOG_LIKELIHOODS,
    "read_on": READ_ON,
    "three_texts": THREE_TEXTS,
}

EQUIVALENT = {
    "limits": {
        "largest = logits == logits.amax(-1, keepdim=True)": "truths count as 0 and 1",
        "allowed = logits > -math.inf": "truths count as 0 and 1",
        "largest = (logits >= …": "nothing is larger than the largest",
    },
    "nucleus": {
        "… = probabilities.sort(descending=True, stable=True)": "-1 is the default",
        "… = probabilities.sort(dim=-1, descending=True)": (
            "on a CPU PyTorch sorts stably, asked or not"
        ),
        "….sort(dim=-1, descending=True, stable=False)": (
            "on a CPU PyTorch sorts stably, asked or not"
        ),
        "kept = sorted_.cumsum(-1).roll(1) < p": (
            "what comes from the row before is the first place, which is set next"
        ),
        "return torch.ones_like(kept).scatter(…": "every place is written",
        "return kept.scatter(…": "every place is written",
    },
    "log_likelihoods": {
        "… [1] * (time - len(text)) …": "any id that exists will do",
        "log_p = model(ids)[:, :].log_softmax(-1)": "gather leaves the last row out",
        "return (each * …).sum(1)": "the last of two axes",
    },
    "three_texts": {
        "row_means = -torch.special.entr(follows).sum(1)": "the last of two axes",
        "mean = mean + row_means @ now": "a dot product is symmetric",
    },
}
