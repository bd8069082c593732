"""Wrong and right answers to the sheet of chapter 15."""

from tests.answers import right, wrong

PREFIX = """
def prefix_mask(lengths, time):
    i, j = torch.arange(time)[:, None], torch.arange(time)
    n = lengths[:, None, None]
    return {}
"""

CEILING = """
def ceiling(mask, n_letters, share):
    known, guess = {known}, {guess}
    time = len(mask)
    return sum(
        known if {sees} else guess for i in range(time)
    ) / time
"""
PARTS = {
    "known": "1 - share + share / n_letters",
    "guess": "1 / n_letters",
    "sees": "mask[i, time - 1 - i] and 2 * i + 1 != time",
}

HIDE = """
def hide_words(ids, words, mask_id, n_special, vocab_size, share, seed):
    g = torch.Generator().manual_seed({seed})
    draws = torch.rand({rows}, generator=g)
    chosen = ({draws} < share){real}
    fate = {fate}
    inputs = {copy}
    inputs[chosen & (fate < {to_mask})] = mask_id
    other = torch.randint({low}, vocab_size, {others}, generator=g).expand(ids.shape)
    swap = chosen & (fate >= {to_mask}) & (fate < {stays})
    inputs[swap] = other[swap]
    return inputs, chosen
"""
HIDING = {
    "seed": "seed",
    "rows": "ids.shape",
    "draws": "draws.gather(1, words.clamp(min=0))",
    "real": " & (words != -1)",
    "fate": "torch.rand(ids.shape, generator=g)",
    "copy": "ids.clone()",
    "to_mask": "0.8",
    "stays": "0.9",
    "low": "n_special",
    "others": "ids.shape",
}

LOWEST = """
def lowest_loss(mask_name, objective, n_letters):
    if {copied}:
        return {nothing}
    return {unknown}
"""
COPIED = "mask_name == 'full' and objective == 'next token'"

MENDED = """
def mended(logits, ids, chosen):
    {}
"""

BAYES = """
def bayes_ceiling(n_letters, share, split):
    n, (m, r, k) = n_letters, split
    same = torch.eye(n, n + 1)
    letters = torch.ones(n, n + 1)
    letters[:, n] = 0
    masked = 1 - letters
    own = {own}
    mirror = {mirror}
    return (own[:, :, None] * mirror[:, None, :]).amax(0).sum().item() / n
"""
OWN = "m * masked + r * letters / n + k * same"

ANSWERS = {
    "prefix_mask": [
        wrong("causal alone", "this is causal", PREFIX.format("(j <= i) & (n > -1)")),
        wrong(
            "the prefix alone",
            "only the prefix is seen",
            PREFIX.format("(j < n).expand(-1, time, -1)"),
        ),
        wrong(
            "two separate blocks",
            "no later token sees it",
            PREFIX.format("((j <= i) & (j >= n)) | ((i < n) & (j < n))"),
        ),
        wrong(
            "rows instead of columns",
            "the prefix is what may be looked *at*",
            PREFIX.format("(j <= i) | (i < n)"),
        ),
        wrong(
            "one too long",
            "one token too long",
            PREFIX.format("(j <= i) | (j <= n)"),
        ),
        wrong("inverted", "inverted", PREFIX.format("~((j <= i) | (j < n))")),
        wrong("numbers", "not boolean", PREFIX.format("((j <= i) | (j < n)).float()")),
        right("one comparison", PREFIX.format("(j <= i) | (j < n)")),
        right("the later of the two ends", PREFIX.format("j <= torch.max(i, n - 1)")),
        right(
            "a loop that fills",
            """
            def prefix_mask(lengths, time):
                masks = []
                for n in lengths.tolist():
                    mask = torch.ones(time, time).tril().bool()
                    mask[:n, :n] = True
                    masks.append(mask)
                return torch.stack(masks)
            """,
        ),
    ],
    "ceiling": [
        wrong(
            "no share for guessing",
            "still leaves a guess",
            CEILING.format(**PARTS | {"known": "1 - share"}),
        ),
        wrong(
            "no guess in the dark",
            "a guess is right sometimes",
            CEILING.format(**PARTS | {"guess": "0.0"}),
        ),
        wrong(
            "the mirror image always visible",
            "may be hidden, too",
            CEILING.format(**PARTS | {"known": "1.0"}),
        ),
        wrong(
            "the middle mirrors itself",
            "no mirror image but itself",
            CEILING.format(**PARTS | {"sees": "mask[i, time - 1 - i]"}),
        ),
        wrong(
            "one number for all masks",
            "the mask is not taken into account",
            CEILING.format(**PARTS | {"sees": "2 * i + 1 != time"}),
        ),
        wrong(
            "share seen, not hidden",
            "share is the probability of being hidden",
            CEILING.format(**PARTS | {"known": "share + (1 - share) / n_letters"}),
        ),
        right("one sum", CEILING.format(**PARTS)),
        right(
            "the anti-diagonal of the mask",
            """
            def ceiling(mask, n_letters, share):
                sees = mask.flip(1).diagonal().clone()
                if len(mask) % 2:
                    sees[len(mask) // 2] = False
                known = sees.double().mean().item() * (1 - share)
                return known + (1 - known) / n_letters
            """,
        ),
    ],
    "hide_words": [
        wrong(
            "tokens, not words",
            "some words are chosen in part",
            HIDE.format(**HIDING | {"draws": "draws"}),
        ),
        wrong(
            "one fate a word",
            "share their fate",
            HIDE.format(
                **HIDING
                | {
                    "fate": "torch.rand(ids.shape, generator=g)"
                    ".gather(1, words.clamp(min=0))"
                }
            ),
        ),
        wrong(
            "the same random number twice",
            "too many become [MASK]",
            HIDE.format(**HIDING | {"fate": HIDING["draws"]}),
        ),
        wrong(
            "special tokens, too",
            "belong to no word",
            HIDE.format(**HIDING | {"real": ""}),
        ),
        wrong(
            "in place",
            "you changed the tensor",
            HIDE.format(**HIDING | {"copy": "ids"}),
        ),
        wrong(
            "[MASK] every time",
            "too many become [MASK]",
            HIDE.format(**HIDING | {"to_mask": "1.0", "stays": "1.0"}),
        ),
        wrong(
            "none stays",
            "10 % stay as they are",
            HIDE.format(**HIDING | {"stays": "1.0"}),
        ),
        wrong(
            "specials among the random ids",
            "a random id is a special one",
            HIDE.format(**HIDING | {"low": "0"}),
        ),
        wrong(
            "the same words in every row",
            "the same words are chosen in every row",
            HIDE.format(
                **HIDING
                | {
                    "rows": "ids.shape[1]",
                    "draws": "draws.expand(ids.shape).gather(1, words.clamp(min=0))",
                }
            ),
        ),
        wrong(
            "a fixed seed",
            "the seed is not used",
            HIDE.format(**HIDING | {"seed": "0"}),
        ),
        right("written into a copy", HIDE.format(**HIDING)),
        right(
            "word by word",
            """
            def hide_words(ids, words, mask_id, n_special, vocab_size, share, seed):
                import random
                rng = random.Random(seed)
                inputs, chosen = ids.tolist(), []
                for row, numbers in zip(inputs, words.tolist()):
                    taken = {w: rng.random() < share for w in sorted(set(numbers))}
                    taken[-1] = False
                    chosen.append([taken[w] for w in numbers])
                    for t, w in enumerate(numbers):
                        if taken[w]:
                            fate = rng.choices(["mask", "swap", "stay"], [8, 1, 1])[0]
                            if fate == "mask":
                                row[t] = mask_id
                            elif fate == "swap":
                                row[t] = rng.randrange(n_special, vocab_size)
                return torch.tensor(inputs), torch.tensor(chosen)
            """,
        ),
        wrong(
            "one random id for a row",
            "one random id serves a whole row",
            HIDE.format(**HIDING | {"others": "(len(ids), 1)"}),
        ),
        wrong(
            "one random id for a column",
            "one random id serves a whole column",
            HIDE.format(**HIDING | {"others": "(1, ids.shape[1])"}),
        ),
        wrong(
            "one draw for all words of a row",
            "the words of a row are chosen together",
            HIDE.format(
                **HIDING | {"rows": "(len(ids), 1)", "draws": "draws.expand(ids.shape)"}
            ),
        ),
    ],
    "lowest_loss": [
        wrong(
            "an honest loss for every pair",
            "the next token lies open",
            LOWEST.format(copied="False", nothing="0.0", unknown="math.log(n_letters)"),
        ),
        wrong(
            "a full mask shows all",
            "the others say nothing",
            LOWEST.format(
                copied="mask_name == 'full'",
                nothing="0.0",
                unknown="math.log(n_letters)",
            ),
        ),
        wrong(
            "the number of letters",
            "the *logarithm* of the number",
            LOWEST.format(copied=COPIED, nothing="0.0", unknown="n_letters"),
        ),
        wrong(
            "a probability",
            "this is a probability",
            LOWEST.format(copied=COPIED, nothing="0.0", unknown="1 / n_letters"),
        ),
        wrong(
            "bits",
            "this is in bits",
            LOWEST.format(copied=COPIED, nothing="0.0", unknown="math.log2(n_letters)"),
        ),
        right(
            "one case and the rest",
            LOWEST.format(
                copied=COPIED, nothing="0", unknown="-math.log(1 / n_letters)"
            ),
        ),
        right(
            "a table",
            """
            def lowest_loss(mask_name, objective, n_letters):
                nats = F.cross_entropy(torch.zeros(1, n_letters), torch.tensor([0]))
                return {
                    ("full", "next token"): torch.tensor(0.0),
                    ("full", "hidden token"): nats,
                    ("causal", "next token"): nats,
                    ("causal", "hidden token"): nats,
                }[mask_name, objective]
            """,
        ),
    ],
    "mended": [
        wrong(
            "every place",
            "every place is asked",
            MENDED.format("return cross_entropy(logits, ids)"),
        ),
        wrong(
            "as published",
            "still asks for the next token",
            MENDED.format("return published(logits, ids, chosen)"),
        ),
        wrong(
            "shifted, at the chosen places",
            "nothing is shifted",
            MENDED.format(
                "keep = chosen[:, 1:]\n"
                "    return cross_entropy(logits[:, :-1][keep], ids[:, 1:][keep])"
            ),
        ),
        wrong(
            "divided by all places",
            "divided by all places",
            MENDED.format(
                "each = F.cross_entropy(logits.mT, ids, reduction='none')\n"
                "    return (each * chosen).mean()"
            ),
        ),
        wrong(
            "the sum",
            "the mean is wanted",
            MENDED.format(
                "return F.cross_entropy(logits[chosen], ids[chosen], reduction='sum')"
            ),
        ),
        wrong(
            "the mean of nothing",
            "do not divide by 0",
            MENDED.format("return cross_entropy(logits[chosen], ids[chosen])"),
        ),
        wrong(
            "a constant for nothing",
            "cut off from the logits",
            MENDED.format(
                "if not chosen.any():\n"
                "        return torch.tensor(0.0)\n"
                "    return cross_entropy(logits[chosen], ids[chosen])"
            ),
        ),
        wrong(
            "the other places",
            "where nothing was chosen",
            MENDED.format("return cross_entropy(logits[~chosen], ids[~chosen])"),
        ),
        right(
            "each loss times its mask",
            MENDED.format(
                "each = -logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]\n"
                "    return (each * chosen).sum() / chosen.sum().clamp(min=1)"
            ),
        ),
        right(
            "targets of -100",
            MENDED.format(
                "targets = ids.masked_fill(~chosen, -100).flatten()\n"
                "    if not chosen.any():\n"
                "        return logits.sum() * 0\n"
                "    return F.cross_entropy(logits.flatten(0, 1), targets)"
            ),
        ),
    ],
    "bayes_ceiling": [
        wrong(
            "as if all were [MASK]",
            "when every chosen letter becomes [MASK]",
            "def bayes_ceiling(n_letters, share, split):\n"
            "    return 1 - share + share / n_letters",
        ),
        wrong(
            "the place itself left out",
            "may still be seen, right or wrong",
            BAYES.format(
                own="torch.ones(n, 1)", mirror=f"share * ({OWN}) + (1 - share) * same"
            ),
        ),
        wrong(
            "the mirror image left out",
            "the mirror image is not used",
            BAYES.format(own=OWN, mirror="torch.ones(n, 1)"),
        ),
        wrong(
            "a mirror image that is never wrong",
            "at the place itself (x)",
            BAYES.format(own=OWN, mirror="share * masked + (1 - share) * same"),
        ),
        wrong(
            "trust in the mirror image alone",
            "there is still x, or a guess",
            """
            def bayes_ceiling(n_letters, share, split):
                return 1 - share + share * (split[1] / n_letters + split[2])
            """,
        ),
        wrong(
            "a random letter is another one",
            "may be the old one",
            BAYES.format(
                own="m * masked + r * (letters - same) / (n - 1) + k * same",
                mirror="share * own + (1 - share) * same",
            ),
        ),
        right(
            "two tables in float32",
            BAYES.format(own=OWN, mirror="share * own + (1 - share) * same"),
        ),
        right(
            "loops over what is seen",
            """
            def bayes_ceiling(n_letters, share, split):
                n = n_letters
                def own(x, t):
                    if x == "mask":
                        return split[0]
                    return split[1] / n + (split[2] if x == t else 0)
                def mirror(y, t):
                    return share * own(y, t) + (1 - share if y == t else 0)
                seen = [*range(n), "mask"]
                return sum(
                    max(own(x, t) * mirror(y, t) / n for t in range(n))
                    for x in seen for y in seen
                )
            """,
        ),
    ],
}

_NEVER = "a draw is never just that number"

EQUIVALENT = {
    "hide_words": {
        "….rand(words.shape, …": "words have the shape of ids",
        "….randint(n_special, vocab_size, words.shape, …": (
            "words have the shape of ids"
        ),
        "chosen = (draws.gather(…) <= share) …": _NEVER,
        "hidden = torch.where(fate <= 0.8, …": _NEVER,
        "return torch.where(chosen & (fate <= 0.9), …": _NEVER,
    },
    "lowest_loss": {
        'if mask_name >= "full" …': "of the two names it is the last",
        'if … objective >= "next token":': "of the two names it is the last",
        "return rounded(0.0)": "it is whole",
    },
    "bayes_ceiling": {
        "own = torch.ones(…": "every place is written",
        "own = torch.zeros(n_letters, n_letters + 1) …": "asked is 0.001",
        "own = …dtype=torch.float32) …": "asked is 0.001",
        "best = ….amax(0, keepdim=True)": "all of it is added up",
    },
}
