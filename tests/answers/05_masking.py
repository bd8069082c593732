"""Answers to the sheet of chapter 05."""

from tests.answers import right, wrong

PREDICTED = [
    wrong(
        "a score of 0 hides the key",
        "a score of 0 is not a weight of 0",
        "predicted = [[0, 0, 0, 0]] * 3",
    ),
    wrong(
        "the weight on the past",
        "this is the weight on the past",
        """
        predicted = [
            [1 / 4, 2 / 4, 3 / 4, 1],
            [2 / 5, 4 / 6, 6 / 7, 1],
            [1 / 7, 1 / 3, 3 / 5, 1],
        ]
        """,
    ),
    wrong(
        "the query itself counted as hidden",
        "own position is not its future",
        """
        predicted = [
            [1, 3 / 4, 2 / 4, 1 / 4],
            [1, 4 / 6, 3 / 7, 2 / 8],
            [1, 5 / 6, 3 / 5, 1 / 4],
        ]
        """,
    ),
    wrong(
        "the same in all three cases",
        "a visible key counts exp(score)",
        "predicted = [[3 / 4, 2 / 4, 1 / 4, 0]] * 3",
    ),
    wrong(
        "one hidden key instead of all",
        "this is the weight of one hidden key",
        """
        predicted = [
            [1 / 4, 1 / 4, 1 / 4, 0],
            [1 / 5, 1 / 6, 1 / 7, 0],
            [2 / 7, 1 / 3, 2 / 5, 0],
        ]
        """,
    ),
    wrong(
        "nothing was set to 0",
        "the hidden keys count exp(0) = 1 each",
        """
        predicted = [
            [3 / 4, 2 / 4, 1 / 4, 0],
            [6 / 7, 4 / 6, 2 / 5, 0],
            [3 / 5, 1 / 3, 1 / 7, 0],
        ]
        """,
    ),
    wrong("one row only", "its shape is", "predicted = [3 / 4, 2 / 4, 1 / 4, 0]"),
    right(
        "Fractions",
        """
        from fractions import Fraction as F
        predicted = [
            [F(3, 4), F(1, 2), F(1, 4), 0],
            [F(3, 5), F(1, 3), F(1, 7), 0],
            [F(6, 7), F(2, 3), F(2, 5), F(0)],
        ]
        """,
    ),
    right(
        "decimals in a tensor",
        """
        predicted = torch.tensor(
            [[0.75, 0.5, 0.25, 0], [0.6, 0.3333, 0.1429, 0], [0.8571, 0.6667, 0.4, 0]]
        )
        """,
    ),
    right(
        "by the formula",
        """
        predicted = [
            [(3 - t) / ((t + 1) * visible + 3 - t) for t in range(4)]
            for visible in (1, 2, 0.5)
        ]
        """,
    ),
]

SCORE_NEEDED = [
    wrong(
        "all keys counted as hidden",
        "the visible key itself is not hidden",
        """
        def score_needed(n_keys, limit):
            return math.log(n_keys * (1 - limit) / limit)
        """,
    ),
    wrong(
        "the visible key keeps all",
        "the visible key keeps 1 - limit",
        """
        def score_needed(n_keys, limit):
            return math.log((n_keys - 1) / limit)
        """,
    ),
    wrong(
        "no logarithm",
        "take the logarithm",
        """
        def score_needed(n_keys, limit):
            return (n_keys - 1) * (1 - limit) / limit
        """,
    ),
    wrong(
        "sign",
        "the sign is turned",
        """
        def score_needed(n_keys, limit):
            return math.log(limit / ((n_keys - 1) * (1 - limit)))
        """,
    ),
    wrong(
        "base 10",
        "natural logarithm",
        """
        def score_needed(n_keys, limit):
            return math.log10((n_keys - 1) * (1 - limit) / limit)
        """,
    ),
    wrong(
        "one hidden key",
        "all n_keys - 1 hidden keys count",
        """
        def score_needed(n_keys, limit):
            return math.log((1 - limit) / limit)
        """,
    ),
    right(
        "sum of logarithms, as a tensor",
        """
        def score_needed(n_keys, limit):
            return torch.tensor(n_keys - 1.0).log() - torch.logit(torch.tensor(limit))
        """,
    ),
    right(
        "e to the c solved for",
        """
        def score_needed(n_keys, limit):
            hidden = n_keys - 1
            return math.log(hidden / limit - hidden)
        """,
    ),
]

WINDOW_MASK = [
    wrong(
        "one too many",
        "the window counts the query itself",
        """
        def window_mask(n_queries, n_keys, window):
            mask = causal_mask(n_queries, n_keys)
            return mask.triu(n_keys - n_queries - window)
        """,
    ),
    wrong(
        "aligned at the first key",
        "the last belongs at the last",
        """
        def window_mask(n_queries, n_keys, window):
            ones = torch.ones(n_queries, n_keys, dtype=torch.bool)
            return ones.tril().triu(1 - window)
        """,
    ),
    wrong(
        "window to both sides",
        "a window looks back only",
        """
        def window_mask(n_queries, n_keys, window):
            query = torch.arange(n_keys - n_queries, n_keys)[:, None]
            return (query - torch.arange(n_keys)).abs() < window
        """,
    ),
    wrong(
        "no window",
        "this is the causal mask",
        """
        def window_mask(n_queries, n_keys, window):
            return causal_mask(n_queries, n_keys)
        """,
    ),
    wrong(
        "not itself",
        "the query does not see itself",
        """
        def window_mask(n_queries, n_keys, window):
            query = torch.arange(n_keys - n_queries, n_keys)[:, None]
            key = torch.arange(n_keys)
            return (key < query) & (key > query - window)
        """,
    ),
    wrong(
        "True means hidden",
        "True and False are exchanged",
        """
        def window_mask(n_queries, n_keys, window):
            query = torch.arange(n_keys - n_queries, n_keys)[:, None]
            key = torch.arange(n_keys)
            return (key > query) | (key <= query - window)
        """,
    ),
    wrong(
        "numbers instead of booleans",
        "return booleans",
        """
        def window_mask(n_queries, n_keys, window):
            gap = n_keys - n_queries
            return torch.ones(n_queries, n_keys).tril(gap).triu(gap + 1 - window)
        """,
    ),
    right(
        "two triangles",
        """
        def window_mask(n_queries, n_keys, window):
            gap = n_keys - n_queries
            return causal_mask(n_queries, n_keys).triu(gap + 1 - window)
        """,
    ),
    right(
        "loops",
        """
        def window_mask(n_queries, n_keys, window):
            mask = torch.zeros(n_queries, n_keys, dtype=torch.bool)
            for t in range(n_queries):
                place = n_keys - n_queries + t
                mask[t, max(0, place - window + 1) : place + 1] = True
            return mask
        """,
    ),
    right(
        "the last rows of the square mask",
        """
        def window_mask(n_queries, n_keys, window):
            full = causal_mask(n_keys)
            older = torch.ones(n_keys, n_keys, dtype=torch.bool).tril(-window)
            return (full & ~older)[n_keys - n_queries :]
        """,
    ),
]

PADDING = """
            if lengths.dim() == 1:
                lengths = lengths[:, None].expand(-1, scores.shape[1])
            padding = torch.arange(scores.shape[-1]) >= lengths[..., None]"""

SAFE_SOFTMAX = [
    wrong(
        "as published",
        "you changed the tensor that you were given",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            scores[padding] = -1e6
            return torch.softmax(scores, dim=-1)
        """,
    ),
    wrong(
        "in place, the rest right",
        "you changed the tensor that you were given",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            scores[padding] = -torch.inf
            weights = torch.softmax(scores, dim=-1)
            return torch.where(padding, 0, weights)
        """,
    ),
    wrong(
        "-1e6 on a copy, empty rows set to 0",
        "the number filled in is not below these scores",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            weights = torch.softmax(scores.masked_fill(padding, -1e6), dim=-1)
            return weights.masked_fill((lengths == 0)[..., None], 0)
        """,
    ),
    wrong(
        "-9e15",
        "an empty row is uniform",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            return torch.softmax(scores.masked_fill(padding, -9e15), dim=-1)
        """,
    ),
    wrong(
        "-inf",
        "a row is NaN",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            return torch.softmax(scores.masked_fill(padding, -torch.inf), dim=-1)
        """,
    ),
    wrong(
        "-inf added, NaN overwritten in the result alone",
        "comes back in the gradient",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            bias = torch.zeros_like(scores).masked_fill(padding, -torch.inf)
            return torch.softmax(scores + bias, dim=-1).nan_to_num(0)
        """,
    ),
    wrong(
        "cut after softmax",
        "the weights do not add to 1",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            return torch.softmax(scores, dim=-1).masked_fill(padding, 0)
        """,
    ),
    wrong(
        "cut after softmax, then divided",
        "scores of 10,000",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            weights = torch.softmax(scores, dim=-1).masked_fill(padding, 0)
            return weights / weights.sum(-1, keepdim=True).clamp(min=1e-30)
        """,
    ),
    wrong(
        "a score of 0",
        "a score of 0 does not hide",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            return torch.softmax(scores.masked_fill(padding, 0), dim=-1)
        """,
    ),
    wrong(
        "exponentials without the maximum",
        "scores of 10,000",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            exps = torch.exp(scores).masked_fill(padding, 0)
            return exps / exps.sum(-1, keepdim=True).clamp(min=1e-30)
        """,
    ),
    wrong(
        "delegated to the library",
        "may not be used here",
        f"""
        from dot2gpt.masking import masked_softmax

        def safe_softmax(scores, lengths):{PADDING}
            return masked_softmax(scores, ~padding)
        """,
    ),
    wrong(
        "a bigger finite number",
        "the padding takes the weight",
        """
        def safe_softmax(scores, lengths):
            if lengths.dim() == 1:
                lengths = lengths[:, None]
            real = torch.arange(scores.shape[-1]) < lengths[..., None]
            filled = scores.masked_fill(~real, -1e7)
            return filled.softmax(-1).masked_fill(~real, 0)
        """,
    ),
    wrong(
        "a gradient twice as large",
        "it is not the gradient of a softmax over the real keys",
        """
        def safe_softmax(scores, lengths):
            if lengths.dim() == 1:
                lengths = lengths[:, None]
            real = torch.arange(scores.shape[-1]) < lengths[..., None]
            empty = (lengths == 0)[..., None]
            scores = 2 * scores - scores.detach()
            filled = scores.masked_fill(~real, -torch.inf).masked_fill(empty, 0)
            return filled.softmax(-1).masked_fill(empty, 0)
        """,
    ),
    right(
        "the lowest float, then cut",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            lowest = torch.finfo(scores.dtype).min
            weights = torch.softmax(scores.masked_fill(padding, lowest), dim=-1)
            return weights.masked_fill(padding, 0)
        """,
    ),
    right(
        "by hand, on a copy",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            scores = scores.clone()
            scores[padding] = -torch.inf
            top = scores.detach().amax(-1, keepdim=True)
            exps = torch.exp(scores - top.masked_fill(top.isinf(), 0))
            total = exps.sum(-1, keepdim=True)
            return exps / torch.where(total > 0, total, torch.ones_like(total))
        """,
    ),
    right(
        "row by row",
        """
        def safe_softmax(scores, lengths):
            batch, n_queries, n_keys = scores.shape
            if lengths.dim() == 1:
                lengths = lengths[:, None].expand(batch, n_queries)
            rows = []
            for b in range(batch):
                for t in range(n_queries):
                    n = int(lengths[b, t])
                    rest = scores.new_zeros(n_keys - n)
                    rows.append(torch.cat([scores[b, t, :n].softmax(0), rest]))
            return torch.stack(rows).reshape(scores.shape)
        """,
    ),
    right(
        "masked_fill keeps the NaN out of the gradient",
        f"""
        def safe_softmax(scores, lengths):{PADDING}
            filled = scores.masked_fill(padding, -torch.inf)
            return torch.softmax(filled, dim=-1).nan_to_num(0)
        """,
    ),
]

LEFT_PADDED_MASK = [
    wrong(
        "padding on the right",
        "this masks padding on the right",
        """
        def left_padded_mask(lengths, time):
            return causal_mask(time) & padding_mask(lengths, time)
        """,
    ),
    wrong(
        "causal alone",
        "the padding is visible",
        """
        def left_padded_mask(lengths, time):
            return causal_mask(time).expand(len(lengths), time, time)
        """,
    ),
    wrong(
        "padding alone",
        "the future is visible",
        """
        def left_padded_mask(lengths, time):
            real = torch.arange(time) >= time - lengths[:, None]
            return real[:, None, :].expand(-1, time, -1)
        """,
    ),
    wrong(
        "or",
        "`&`, not `|`",
        """
        def left_padded_mask(lengths, time):
            real = torch.arange(time) >= time - lengths[:, None]
            return causal_mask(time) | real[:, None, :]
        """,
    ),
    wrong(
        "True means hidden",
        "True and False are exchanged",
        """
        def left_padded_mask(lengths, time):
            padding = torch.arange(time) < time - lengths[:, None]
            return ~causal_mask(time) | padding[:, None, :]
        """,
    ),
    wrong(
        "triangle turned round",
        "the triangle is turned round",
        """
        def left_padded_mask(lengths, time):
            real = torch.arange(time) >= time - lengths[:, None]
            return causal_mask(time).T & real[:, None, :]
        """,
    ),
    wrong(
        "one real token taken for padding",
        "prompts of 2, 5 and 3 tokens",
        """
        def left_padded_mask(lengths, time):
            real = torch.arange(time) > time - lengths[:, None]
            return causal_mask(time) & real[:, None, :]
        """,
    ),
    right(
        "the other mask, mirrored",
        """
        def left_padded_mask(lengths, time):
            return padding_mask(lengths, time).flip(-1) & causal_mask(time)
        """,
    ),
    right(
        "blocks",
        """
        def left_padded_mask(lengths, time):
            mask = torch.zeros(len(lengths), time, time, dtype=torch.bool)
            for row, n in zip(mask, lengths.tolist()):
                row[time - n :, time - n :] = causal_mask(n)
            return mask
        """,
    ),
    right(
        "padding queries see themselves",
        """
        def left_padded_mask(lengths, time):
            real = torch.arange(time) >= time - lengths[:, None]
            mask = causal_mask(time) & real[:, None, :]
            return mask | (torch.eye(time, dtype=torch.bool) & ~real[:, :, None])
        """,
    ),
]

FUTURE_LEAKS = [
    wrong(
        "compares the sum of a position",
        "Look at each number and each id by itself",
        """
        def future_leaks(f, ids, vocab_size):
            before, leaks = f(ids), set()
            for s in range(len(ids)):
                for token in range(vocab_size):
                    changed = ids.clone()
                    changed[s] = token
                    moved = (f(changed) - before).sum(-1).abs() > 1e-6
                    leaks |= {(t, s) for t in range(s) if moved[t]}
            return sorted(leaks)
        """,
    ),
    wrong(
        "the mean over the ids",
        "Look at each number and each id by itself",
        """
        def future_leaks(f, ids, vocab_size):
            before, leaks = f(ids), set()
            for s in range(len(ids)):
                total = 0
                for token in range(vocab_size):
                    changed = ids.clone()
                    changed[s] = token
                    total = total + (f(changed) - before)
                moved = total.abs().amax(-1) > 1e-6
                leaks |= {(t, s) for t in range(s) if moved[t]}
            return sorted(leaks)
        """,
    ),
    wrong(
        "only the next position",
        "Try every s after t",
        """
        def future_leaks(f, ids, vocab_size):
            leaks = []
            for s in range(1, len(ids)):
                for token in range(vocab_size):
                    other = ids.clone()
                    other[s] = token
                    if (f(other) - f(ids))[s - 1].abs().max() > 1e-6:
                        leaks.append((s - 1, s))
            return sorted(set(leaks))
        """,
    ),
    wrong(
        "only the last token changed",
        "Compare position by position",
        """
        def future_leaks(f, ids, vocab_size):
            leaks, s = set(), len(ids) - 1
            for token in range(vocab_size):
                other = ids.clone()
                other[s] = token
                moved = (f(other) - f(ids)).abs().amax(-1) > 1e-6
                leaks |= {(t, s) for t in range(s) if moved[t]}
            return list(leaks)
        """,
    ),
    wrong(
        "one other token",
        "Try every other id",
        """
        def future_leaks(f, ids, vocab_size):
            leaks = []
            for s in range(len(ids)):
                other = ids.clone()
                other[s] = (other[s] + 1) % vocab_size
                moved = (f(other) - f(ids)).abs().amax(-1) > 1e-6
                leaks += [(t, s) for t in range(s) if moved[t]]
            return leaks
        """,
    ),
    wrong(
        "rounding taken for a leak",
        "is rounding",
        """
        def future_leaks(f, ids, vocab_size):
            leaks = set()
            for s in range(len(ids)):
                for token in range(vocab_size):
                    other = ids.clone()
                    other[s] = token
                    moved = (f(other) != f(ids)).any(-1)
                    leaks |= {(t, s) for t in range(s) if moved[t]}
            return list(leaks)
        """,
    ),
    wrong(
        "not set back",
        "you changed the tensor that you were given",
        """
        def future_leaks(f, ids, vocab_size):
            before, leaks = f(ids), set()
            for s in range(len(ids)):
                for token in range(vocab_size):
                    ids[s] = token
                    moved = (f(ids) - before).abs().amax(-1) > 1e-6
                    leaks |= {(t, s) for t in range(s) if moved[t]}
            return list(leaks)
        """,
    ),
    wrong(
        "the past counted too",
        "the past is no leak",
        """
        def future_leaks(f, ids, vocab_size):
            leaks = set()
            for s in range(len(ids)):
                for token in range(vocab_size):
                    other = ids.clone()
                    other[s] = token
                    moved = (f(other) - f(ids)).abs().amax(-1) > 1e-6
                    leaks |= {(t, s) for t in range(len(ids)) if t != s and moved[t]}
            return list(leaks)
        """,
    ),
    wrong(
        "pairs turned round",
        "the pairs are turned round",
        """
        def future_leaks(f, ids, vocab_size):
            leaks = set()
            for s in range(len(ids)):
                for token in range(vocab_size):
                    other = ids.clone()
                    other[s] = token
                    moved = (f(other) - f(ids)).abs().amax(-1) > 1e-6
                    leaks |= {(s, t) for t in range(s) if moved[t]}
            return list(leaks)
        """,
    ),
    wrong(
        "the diagonal counted",
        "a position is not its own future",
        """
        def future_leaks(f, ids, vocab_size):
            leaks = set()
            for s in range(len(ids)):
                for token in range(vocab_size):
                    other = ids.clone()
                    other[s] = token
                    moved = (f(other) - f(ids)).abs().amax(-1) > 1e-6
                    leaks |= {(t, s) for t in range(s + 1) if moved[t]}
            return list(leaks)
        """,
    ),
    wrong(
        "by the Jacobian, which ids do not have",
        "Error",
        """
        from dot2gpt.masking import leak_test

        def future_leaks(f, ids, vocab_size):
            return leak_test(f, ids.float())
        """,
    ),
    wrong(
        "never tries the last id",
        "The ids go from 0 to vocab_size - 1",
        """
        def future_leaks(f, ids, vocab_size):
            before, leaks = f(ids), set()
            for s in range(len(ids)):
                for token in range(vocab_size - 1):
                    changed = ids.clone()
                    changed[s] = token
                    moved = (f(changed) - before).abs().amax(dim=-1) > 1e-6
                    leaks |= {(t, s) for t in range(s) if moved[t]}
            return sorted(leaks)
        """,
    ),
    wrong(
        "a threshold of 0.01",
        "A change above 1e-6 counts",
        """
        def future_leaks(f, ids, vocab_size):
            before, leaks = f(ids), set()
            for s in range(len(ids)):
                for token in range(vocab_size):
                    changed = ids.clone()
                    changed[s] = token
                    moved = (f(changed) - before).abs().amax(dim=-1) > 1e-2
                    leaks |= {(t, s) for t in range(s) if moved[t]}
            return sorted(leaks)
        """,
    ),
    right(
        "t outside, s inside, a list",
        """
        def future_leaks(f, ids, vocab_size):
            before, found = f(ids), []
            for t in range(len(ids)):
                for s in range(t + 1, len(ids)):
                    for token in range(vocab_size):
                        other = torch.cat(
                            [ids[:s], torch.tensor([token]), ids[s + 1 :]]
                        )
                        if not torch.allclose(f(other)[t], before[t], 0, 1e-6):
                            found.append((t, s))
                            break
            return found
        """,
    ),
    right(
        "the largest change as a table",
        """
        def future_leaks(f, ids, vocab_size):
            time = len(ids)
            change = torch.zeros(time, time, dtype=torch.float64)
            for s in range(time):
                for step in range(1, vocab_size):
                    other = ids.clone()
                    other[s] = (ids[s] + step) % vocab_size
                    size = (f(other) - f(ids)).abs().amax(-1)
                    change[:, s] = torch.maximum(change[:, s], size)
            return {(int(t), int(s)) for t, s in (change.triu(1) > 1e-6).nonzero()}
        """,
    ),
    right(
        "in place, and set back",
        """
        def future_leaks(f, ids, vocab_size):
            before, leaks = f(ids).clone(), []
            for s in range(len(ids)):
                was, most = ids[s].item(), torch.zeros(len(ids))
                for token in range(vocab_size):
                    ids[s] = token
                    most = torch.maximum(most, (f(ids) - before).abs().amax(-1))
                ids[s] = was
                leaks += [[t, s] for t in range(s) if most[t] > 1e-6]
            return leaks
        """,
    ),
]

ANSWERS = {
    "predicted": PREDICTED,
    "score_needed": SCORE_NEEDED,
    "window_mask": WINDOW_MASK,
    "safe_softmax": SAFE_SOFTMAX,
    "left_padded_mask": LEFT_PADDED_MASK,
    "future_leaks": FUTURE_LEAKS,
}

EQUIVALENT = {
    "safe_softmax": {
        "if lengths.dim() <= 1:": "lengths have one axis or two",
        "lengths = lengths[:, None].detach()": "whole numbers carry no gradient",
        "empty = (lengths == 0)[..., None].detach()": "truths carry no gradient",
        "empty = (lengths <= 0)[..., None]": "no length is below 0",
        "filled = scores.masked_fill(~real, -torch.inf)": (
            "this fill lets no gradient back to an empty row, NaN or not"
        ),
        "filled = ….masked_fill(empty, 1)": "any finite number will do",
        "filled = ….masked_fill(empty, (-1))": "any finite number will do",
    },
    "future_leaks": {
        "for s in range(0 + 1, len(ids)):": "nothing stands before position 0",
        "moved = …, keepdim=True) > 1e-6 …": "a truth with an axis is the same truth",
        "moved = … >= 1e-6 …": "no change is that large to the last digit",
        "moved = (before - f(changed))…": "the same size, with the other sign",
        "moved = ….amax(dim=1) …": "f returns two axes",
        "return sorted(leaks, reverse=True)": "pairs in any order",
        "return leaks": "pairs in any order",
    },
}
