"""Answers to the sheet of chapter 11."""

from tests.answers import right, wrong

PREDICTED = [
    wrong(
        "the special token counted as a merge",
        "the special token comes from no merge",
        "predicted = [50_001, 100_070, 1258, 192]",
    ),
    wrong(
        "the bytes counted as merges",
        "the 256 bytes come from no merge",
        "predicted = [50_256, 100_070, 1258, 192]",
    ),
    wrong(
        "as many rows as the largest id",
        "ids begin at 0: this table has no row for id 100,069",
        "predicted = [50_000, 100_069, 1258, 192]",
    ),
    wrong(
        "the number of tokens for the largest id",
        "this is the number of tokens",
        "predicted = [50_000, 100_070, 1259, 192]",
    ),
    wrong(
        "no bytes and no special tokens",
        ("the 256 bytes are tokens too", "a row that is used twice is one row"),
        "predicted = [50_000, 100_070, 1002, 384]",
    ),
    wrong(
        "the whole table gets a gradient",
        "only the rows that were looked up",
        "predicted = [50_000, 100_070, 1258, 769 * 64]",
    ),
    wrong("one number", "IndexError", "predicted = [50_000]"),
    right("plain numbers", "predicted = (50000, 100070, 1258, 192)"),
    right(
        "in a tensor, by code",
        """
        rows = torch.tensor([[5, 5, 7], [5, 2, 7]]).unique().numel()
        predicted = torch.tensor([50_257 - 257, 100_070, 256 + 1002, rows * 64])
        """,
    ),
]

APPLY_MERGES = [
    wrong(
        "joins what spells a merge",
        "two tokens were joined that only spell what the merge spells",
        """
        def apply_merges(piece, merges):
            known = {bytes([i]): i for i in range(256)}
            parts = [bytes([b]) for b in piece]
            for n, (a, b) in enumerate(merges):
                known[a + b] = 256 + n
                i = 0
                while i < len(parts) - 1:
                    if parts[i] + parts[i + 1] == a + b:
                        parts[i:i + 2] = [a + b]
                    i += 1
            return [known[p] for p in parts]
        """,
    ),
    wrong(
        "first pair from the left",
        "a later merge was applied before an earlier one",
        """
        def apply_merges(piece, merges):
            ids = list(piece)
            names = {id: bytes([id]) for id in range(256)}
            names |= {256 + n: left + right for n, (left, right) in enumerate(merges)}
            again = True
            while again:
                again = False
                for i in range(len(ids) - 1):
                    pair = names[ids[i]], names[ids[i + 1]]
                    if pair in merges:
                        ids[i : i + 2] = [256 + merges.index(pair)]
                        again = True
                        break
            return ids
        """,
    ),
    wrong(
        "merges backwards",
        "a later merge was applied before an earlier one",
        """
        def apply_merges(piece, merges):
            ids, known = list(piece), {bytes([id]): id for id in range(256)}
            for number, (left, right) in enumerate(merges):
                known[left + right] = 256 + number
            for number, (left, right) in reversed(list(enumerate(merges))):
                ids = join_pair(ids, (known[left], known[right]), 256 + number)
            return ids
        """,
    ),
    wrong(
        "longest token that fits",
        "a later merge was applied before an earlier one",
        """
        def apply_merges(piece, merges):
            known = {bytes([id]): id for id in range(256)}
            known |= {a + b: 256 + n for n, (a, b) in enumerate(merges)}
            ids = []
            while piece:
                size = max(n for n in range(1, len(piece) + 1) if piece[:n] in known)
                ids.append(known[piece[:size]])
                piece = piece[size:]
            return ids
        """,
    ),
    wrong(
        "one place for each merge",
        "join the pair everywhere",
        """
        def apply_merges(piece, merges):
            ids, known = list(piece), {bytes([id]): id for id in range(256)}
            for number, (a, b) in enumerate(merges):
                known[a + b] = 256 + number
                for i in range(len(ids) - 1):
                    if (ids[i], ids[i + 1]) == (known[a], known[b]):
                        ids[i : i + 2] = [256 + number]
                        break
            return ids
        """,
    ),
    wrong(
        "only the bytes",
        "nothing was joined",
        """
        def apply_merges(piece, merges):
            return list(piece)
        """,
    ),
    wrong(
        "a ready encoder",
        "may not be used here",
        """
        def apply_merges(piece, merges):
            return encoding(merges).encode_ordinary(piece.decode())
        """,
    ),
    wrong(
        "tokens instead of ids",
        "expected numbers",
        """
        def apply_merges(piece, merges):
            return [bytes([b]) for b in piece]
        """,
    ),
    right(
        "on bytes, ids at the end",
        """
        def apply_merges(piece, merges):
            tokens = [bytes([b]) for b in piece]
            for pair in merges:
                joined = []
                for token in tokens:
                    if joined and (joined[-1], token) == pair:
                        joined[-1] = (pair,)
                    else:
                        joined.append(token)
                tokens = [b"".join(t[0]) if isinstance(t, tuple) else t for t in joined]
            numbers = {bytes([b]): b for b in range(256)}
            numbers |= {a + b: 256 + n for n, (a, b) in enumerate(merges)}
            return [numbers[token] for token in tokens]
        """,
    ),
    right(
        "the lowest rank first",
        """
        def apply_merges(piece, merges):
            rank = {pair: n for n, pair in enumerate(merges)}
            names = {id: bytes([id]) for id in range(256)}
            names |= {256 + n: a + b for n, (a, b) in enumerate(merges)}
            ids = list(piece)
            while True:
                best = min(
                    (rank.get((names[a], names[b]), len(merges)), i)
                    for i, (a, b) in enumerate(zip(ids + [0], ids[1:] + [0, 0]))
                ) if len(ids) > 1 else (len(merges), 0)
                if best[0] == len(merges) or best[1] + 1 >= len(ids):
                    return torch.tensor(ids)
                ids[best[1] : best[1] + 2] = [256 + best[0]]
        """,
    ),
    wrong(
        "joined from the right",
        "were joined from the right",
        """
        def apply_merges(piece, merges):
            ids, known = list(piece), {bytes([n]): n for n in range(256)}
            for new, (a, b) in enumerate(merges, 256):
                known[a + b], i = new, len(ids) - 2
                while i >= 0:
                    if ids[i : i + 2] == [known[a], known[b]]:
                        ids[i : i + 2] = [new]
                        i -= 1
                    i -= 1
            return ids
        """,
    ),
]

PROBES = [
    wrong(
        "plain English", "knows only ASCII", 'probes = ["good morning", "a  b", "A"]'
    ),
    wrong("no capitals", "writes everything in small letters", 'probes = ["早 🙂  é"]'),
    wrong(
        "nothing of Windows",
        "line breaks of Windows",
        r'probes = [" A  b\t早🙂é e\u0301\x00 "]',
    ),
    wrong(
        "one way to write é",
        "joins e and its accent (NFC)",
        r'probes = [" A  b\t早🙂é\r\n\x00 "]',
    ),
    wrong(
        "the first 65,536 characters",
        "knows only characters up to 65,535",
        r'probes = [" A  b\t早é e\u0301\r\n\x00 "]',
    ),
    wrong("a surrogate", "holds a surrogate", r'probes = ["A  早", "\ud83d"]'),
    wrong(
        "every character", "allowed are 12", "probes = [chr(n) for n in range(9999)]"
    ),
    wrong("bytes", "a list of strings", 'probes = [b"A  b", "早"]'),
    right("all in one", r'probes = (" A  b\t早🙂é e\u0301\r\n\x00 z ",)'),
    right(
        "random text and some by hand",
        r"""
        draw = random.Random(1)
        probes = [
            "".join(chr(draw.randrange(0xE000, 0x110000)) for _ in range(50)),
            " \t  Windows\r\n\r\n ",
            "\x00end",
            unicodedata.normalize("NFD", "éü"),
            unicodedata.normalize("NFC", "éü"),
        ]
        """,
    ),
    wrong(
        "plain words",
        "makes two spaces one: none of your texts catches it",
        'probes = ["Good morning", "é"]',
    ),
]

BITS_PER_BYTE = [
    wrong(
        "characters",
        "divided by characters",
        """
        def bits_per_byte(mean_loss, n_tokens, text):
            return mean_loss * n_tokens / math.log(2) / len(text)
        """,
    ),
    wrong(
        "nats",
        "these are nats",
        """
        def bits_per_byte(mean_loss, n_tokens, text):
            return mean_loss * n_tokens / len(text.encode())
        """,
    ),
    wrong(
        "ln 2 on the wrong side",
        "multiplied by ln 2",
        """
        def bits_per_byte(mean_loss, n_tokens, text):
            return mean_loss * n_tokens * math.log(2) / len(text.encode())
        """,
    ),
    wrong(
        "per token",
        "bits per token",
        """
        def bits_per_byte(mean_loss, n_tokens, text):
            return mean_loss / math.log(2)
        """,
    ),
    wrong(
        "the mean for the whole",
        "the number of tokens is missing",
        """
        def bits_per_byte(mean_loss, n_tokens, text):
            return mean_loss / math.log(2) / len(text.encode())
        """,
    ),
    wrong(
        "the ratio turned",
        "tokens and bytes are exchanged",
        """
        def bits_per_byte(mean_loss, n_tokens, text):
            return mean_loss / math.log(2) * len(text.encode()) / n_tokens
        """,
    ),
    right(
        "bits a token, over bytes a token",
        """
        def bits_per_byte(mean_loss, n_tokens, text):
            bytes_per_token = len(text.encode("utf-8")) / n_tokens
            return mean_loss * math.log2(math.e) / bytes_per_token
        """,
    ),
    right(
        "in a tensor",
        """
        def bits_per_byte(mean_loss, n_tokens, text):
            total = torch.tensor(mean_loss * n_tokens, dtype=torch.float64)
            return total / torch.log(torch.tensor(2.0).double()) / len(bytes(text, "utf8"))
        """,
    ),
    right(
        "in float32",
        """
        def bits_per_byte(mean_loss, n_tokens, text):
            bits = torch.tensor(mean_loss) / torch.tensor(2.0).log()
            return bits * n_tokens / len(text.encode())
        """,
    ),
]

TABLE_GRADIENT = [
    wrong(
        "assigned",
        "gets the sum of its rows",
        """
        def table_gradient(ids, upstream, vocab_size):
            gradient = torch.zeros(vocab_size, upstream.shape[-1], dtype=upstream.dtype)
            for id, row in zip(ids.flatten(), upstream.flatten(0, 1)):
                gradient[id] = row
            return gradient
        """,
    ),
    wrong(
        "the first row kept",
        "gets the sum of its rows",
        """
        def table_gradient(ids, upstream, vocab_size):
            gradient = torch.zeros(vocab_size, upstream.shape[-1], dtype=upstream.dtype)
            for id, row in reversed(list(zip(ids.flatten(), upstream.flatten(0, 1)))):
                gradient[id] = row
            return gradient
        """,
    ),
    wrong(
        "averaged",
        "added, not averaged",
        """
        def table_gradient(ids, upstream, vocab_size):
            hot = torch.eye(vocab_size, dtype=upstream.dtype)[ids].flatten(0, 1)
            total = hot.T @ upstream.flatten(0, 1)
            return total / hot.sum(0).clamp(min=1)[:, None]
        """,
    ),
    wrong(
        "counts",
        "upstream is missing",
        """
        def table_gradient(ids, upstream, vocab_size):
            times = torch.bincount(ids.flatten(), minlength=vocab_size)
            return times[:, None].expand(-1, upstream.shape[-1]).to(upstream.dtype)
        """,
    ),
    wrong(
        "the gradient as it came",
        "not of the table",
        """
        def table_gradient(ids, upstream, vocab_size):
            return upstream
        """,
    ),
    wrong(
        "always float32",
        "give the zeros the dtype of upstream",
        """
        def table_gradient(ids, upstream, vocab_size):
            gradient = torch.zeros(vocab_size, upstream.shape[-1])
            return gradient.index_add_(0, ids.flatten(), upstream.flatten(0, 1).float())
        """,
    ),
    wrong(
        "autograd through the library",
        "may not be used here",
        """
        def table_gradient(ids, upstream, vocab_size):
            table = torch.nn.Embedding(vocab_size, upstream.shape[-1])
            (table(ids) * upstream).sum().backward()
            return table.weight.grad
        """,
    ),
    right(
        "one-hot transposed",
        """
        def table_gradient(ids, upstream, vocab_size):
            hot = torch.eye(vocab_size, dtype=upstream.dtype)[ids]
            return torch.einsum("btv,btd->vd", hot, upstream)
        """,
    ),
    right(
        "a loop",
        """
        def table_gradient(ids, upstream, vocab_size):
            gradient = upstream.new_zeros(vocab_size, upstream.shape[-1])
            for b in range(ids.shape[0]):
                for t in range(ids.shape[1]):
                    gradient[ids[b, t]] += upstream[b, t]
            return gradient
        """,
    ),
    right(
        "index_put_ that adds",
        """
        def table_gradient(ids, upstream, vocab_size):
            gradient = upstream.new_zeros(vocab_size, upstream.shape[-1])
            return gradient.index_put_((ids,), upstream, accumulate=True)
        """,
    ),
    wrong(
        "autograd under the name vjp",
        "may not be used here",
        """
        def table_gradient(ids, upstream, vocab_size):
            lookup = lambda table: table[ids]
            table = upstream.new_zeros(vocab_size, upstream.shape[-1])
            return torch.func.vjp(lookup, table)[1](upstream)[0]
        """,
    ),
    wrong(
        "autograd under the name jacobian",
        "may not be used here",
        """
        def table_gradient(ids, upstream, vocab_size):
            table = upstream.new_zeros(vocab_size, upstream.shape[-1])
            loss = lambda table: (table[ids] * upstream).sum()
            return torch.autograd.functional.jacobian(loss, table)
        """,
    ),
    wrong(
        "the backward half of an embedding",
        "may not be used here",
        """
        def table_gradient(ids, upstream, vocab_size):
            call = torch.ops.aten.embedding_dense_backward
            return call(upstream, ids, vocab_size, -1, False)
        """,
    ),
]

ANSWERS = {
    "predicted": PREDICTED,
    "apply_merges": APPLY_MERGES,
    "probes": PROBES,
    "bits_per_byte": BITS_PER_BYTE,
    "table_gradient": TABLE_GRADIENT,
}

EQUIVALENT = {
    "probes": {
        "probes = […": "in another order, or without Good Morning",
        "'…_',": "a letter more changes no fault",
        "'',": "Windows has a capital letter, as Good Morning has",
    },
    "bits_per_byte": {"return … / len(text.encode('utf-8_'))": "the same to Python"},
    "table_gradient": {"….detach()": "nobody differentiates through this gradient"},
}
