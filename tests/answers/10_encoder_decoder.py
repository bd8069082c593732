"""Wrong and right answers to the sheet of chapter 10."""

from tests.answers import right, wrong

FAILURES = """
def failures():
    return {"A": %r, "B": %r, "C": %r, "D": %r, "E": %r}
"""

MENDED = """
def mended(x, memory, layers):
    mask = causal_mask(x.shape[1])
    for layer in layers:
        x = {self}
        x = {cross}
        x = {ffn}
    return x
"""
SELF = "norm(x + attend(x, x, layer['self'], mask))"
CROSS = "norm(x + attend(x, memory, layer['cross']))"
FFN = "norm(x + feed_forward(x, layer['feed_forward']))"

UNTRAINED = """
def untrained(target, start, vocab_size):
    seen = {}
    return [i for i in range(vocab_size) if i not in seen]
"""

MASKS = """
def three_masks(source, target, pad):
    real, past = (source != pad)[:, None], causal_mask(target.shape[1])
    return {}, {}, {}
"""

GAP = """
def gap(decode, ids):
    at_once = decode(ids)
    steps = [{step} for t in range(ids.shape[1])]
    return {result}
"""
STEP = "decode(ids[:, : t + 1])[:, -1]"
DIFFERENCE = "(at_once - torch.stack(steps, 1))"

SCORES = """
def scores(log_probs, lengths, alpha):
    return {}
"""
TURNING = """
def turning_point(short, long):
    return {}
"""
TURN = "math.log(long[0] / short[0]) / math.log((5 + long[1]) / (5 + short[1]))"

FLOOR = """
def floor(vocab_size, epsilon):
    other = epsilon / vocab_size
    right = 1 - epsilon + other
    return {}, {}
"""
ENTROPY = "-right * math.log(right) - (vocab_size - 1) * other * math.log(other)"
LOGITS = "math.log(right / other)"

ANSWERS = {
    "failures": [
        wrong(
            "the length is known in the constructor",
            "the length of a text is not known",
            FAILURES % ("nothing", "TypeError", "TypeError", "TypeError", "nothing"),
        ),
        wrong(
            "the mask has the wrong shape",
            "the shapes never come into play",
            FAILURES
            % ("NameError", "RuntimeError", "TypeError", "TypeError", "nothing"),
        ),
        wrong(
            "queries alone are enough",
            "gets one tensor",
            FAILURES % ("NameError", "TypeError", "nothing", "TypeError", "nothing"),
        ),
        wrong(
            "a Sequential passes all its arguments on",
            "nn.Sequential takes one input",
            FAILURES % ("NameError", "TypeError", "TypeError", "nothing", "nothing"),
        ),
        wrong(
            "residuals are needed for the shapes",
            "they run, and learn badly",
            FAILURES
            % ("NameError", "TypeError", "TypeError", "TypeError", "RuntimeError"),
        ),
        right(
            "by name",
            """
            def failures():
                answer = dict.fromkeys("BCD", "TypeError")
                return answer | {"A": "NameError", "E": "nothing"}
            """,
        ),
        right(
            "by experiment",
            """
            def failures():
                x = torch.zeros(1, 5, 12)
                cross = EncoderDecoderAttention(12, 3)
                lines = {
                    "A": lambda: PublishedDecoder(1, 12, 3, 48),
                    "B": lambda: SelfAttentionLayer(12, 3, mask=None),
                    "C": lambda: nn.Sequential(cross)(x),
                    "D": lambda: nn.Sequential(nn.LayerNorm(12))(x, x),
                    "E": lambda: nn.Sequential(nn.LayerNorm(12))(x),
                }
                happens = {}
                for name, line in lines.items():
                    try:
                        line()
                        happens[name] = "nothing"
                    except Exception as error:
                        happens[name] = type(error).__name__
                return happens
            """,
        ),
    ],
    "mended": [
        wrong(
            "no residuals",
            "residual connections are missing",
            MENDED.format(
                self="norm(attend(x, x, layer['self'], mask))",
                cross="norm(attend(x, memory, layer['cross']))",
                ffn="norm(feed_forward(x, layer['feed_forward']))",
            ),
        ),
        wrong(
            "no mask",
            "the future is visible",
            MENDED.format(self=SELF.replace(", mask", ""), cross=CROSS, ffn=FFN),
        ),
        wrong(
            "keys from the target",
            "not at the memory",
            MENDED.format(self=SELF, cross=CROSS.replace("memory", "x"), ffn=FFN),
        ),
        wrong(
            "only previous positions",
            "may look at its own position",
            MENDED.replace(
                "causal_mask(x.shape[1])",
                "torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril(-1)",
            ).format(self=SELF, cross=CROSS, ffn=FFN),
        ),
        wrong(
            "pre-norm",
            "not before the sub-layer",
            MENDED.format(
                self="x + attend(norm(x), norm(x), layer['self'], mask)",
                cross="x + attend(norm(x), memory, layer['cross'])",
                ffn="x + feed_forward(norm(x), layer['feed_forward'])",
            ),
        ),
        wrong(
            "returns after the first layer",
            "only one layer is used",
            MENDED.format(self=SELF, cross=CROSS, ffn=FFN).replace(
                "    return x", "        return x"
            ),
        ),
        wrong(
            "the causal mask on the memory too",
            "does not broadcast",
            MENDED.format(
                self=SELF, cross=CROSS.replace("['cross']", "['cross'], mask"), ffn=FFN
            ),
        ),
        wrong(
            "queries from the memory",
            "the queries come from x",
            MENDED.format(
                self=SELF, cross="norm(x + attend(memory, x, layer['cross']))", ffn=FFN
            ),
        ),
        wrong(
            "not written",
            "not written yet",
            "def mended(x, memory, layers):\n    ...\n    raise NotImplementedError()",
        ),
        right(
            "with a step function",
            """
            def mended(x, memory, layers):
                time = x.shape[1]
                mask = torch.ones(time, time, dtype=torch.bool).tril()

                def add_and_norm(x, y):
                    return norm(x + y)

                for layer in layers:
                    x = add_and_norm(x, attend(x, x, layer["self"], mask))
                    x = add_and_norm(x, attend(x, memory, layer["cross"], None))
                    x = add_and_norm(x, feed_forward(x, layer["feed_forward"]))
                return x
            """,
        ),
        right(
            "as modules would do it, by recursion",
            """
            def mended(x, memory, layers):
                if not layers:
                    return x
                first, *rest = layers
                steps = [
                    lambda x: attend(x, x, first["self"], mask_future_positions(x.size(1))),
                    lambda x: attend(x, memory, first["cross"]),
                    lambda x: feed_forward(x, first["feed_forward"]),
                ]
                for step in steps:
                    x = norm(step(x) + x)
                return mended(x, memory, rest)
            """,
        ),
        wrong(
            "no cross-attention",
            "there is no cross-attention",
            MENDED.format(self=SELF, cross="x", ffn=FFN),
        ),
        wrong(
            "each layer reads the target",
            "only the last layer is used",
            """
            def mended(x, memory, layers):
                mask = causal_mask(x.shape[1])
                for layer in layers:
                    y = norm(x + attend(x, x, layer["self"], mask))
                    y = norm(y + attend(y, memory, layer["cross"]))
                    y = norm(y + feed_forward(y, layer["feed_forward"]))
                return y
            """,
        ),
    ],
    "untrained": [
        wrong(
            "the targets are the inputs",
            "start comes in, the last token falls out",
            UNTRAINED.format("set(target.flatten().tolist())"),
        ),
        wrong(
            "the end counts as seen",
            "never an input, only an answer",
            UNTRAINED.format("{start, *target.flatten().tolist()}"),
        ),
        wrong(
            "start is not a token",
            "start is an input of every target",
            UNTRAINED.format("set(target[:, :-1].flatten().tolist())"),
        ),
        wrong(
            "the trained ones",
            "the others are asked",
            """
            def untrained(target, start, vocab_size):
                return sorted({start, *target[:, :-1].flatten().tolist()})
            """,
        ),
        wrong(
            "the first target only",
            "all the targets of the batch",
            UNTRAINED.format("{start, *target[0, :-1].tolist()}"),
        ),
        wrong(
            "pad alone",
            "not the only one",
            "def untrained(target, start, vocab_size):\n    return [0]",
        ),
        right(
            "by gradient",
            """
            def untrained(target, start, vocab_size):
                table = nn.Embedding(vocab_size, 3)
                start = torch.full_like(target[:, :1], start)
                table(torch.cat([start, target], 1)[:, :-1]).sum().backward()
                return (table.weight.grad[:, 0] == 0).nonzero().flatten().tolist()
            """,
        ),
        right(
            "by counting",
            """
            def untrained(target, start, vocab_size):
                counts = torch.bincount(target[:, :-1].reshape(-1), minlength=vocab_size)
                counts[start] += 1
                return torch.where(counts == 0)[0]
            """,
        ),
    ],
    "three_masks": [
        wrong(
            "the causal mask for all",
            "does not fit 7 queries and 7 keys",
            MASKS.format("past", "past", "past"),
        ),
        wrong(
            "the source's padding for all",
            "does not fit 5 queries and 5 keys",
            MASKS.format("real", "real", "real"),
        ),
        wrong(
            "no padding mask in the cross-attention",
            "the padding of the source gets weight",
            MASKS.format("real", "past", "None"),
        ),
        wrong(
            "no padding mask in the encoder",
            "the padding of the source gets weight",
            MASKS.format("None", "past", "real"),
        ),
        wrong(
            "True means hidden",
            "the wrong way round",
            MASKS.format("~real", "~past", "~real"),
        ),
        wrong(
            "only the padding in the decoder",
            "the future is visible",
            MASKS.format("real", "(target != pad)[:, None]", "real"),
        ),
        wrong(
            "no mask in the decoder",
            "the future and the padding are visible",
            MASKS.format("real", "None", "real"),
        ),
        wrong(
            "the target's padding in the cross-attention",
            "its padding counts, not the target's",
            MASKS.format("real", "past", "(target != pad)[:, None]"),
        ),
        wrong(
            "a causal cross mask",
            "no causal mask here",
            MASKS.format(
                "real",
                "past",
                "real & torch.ones(target.shape[1], source.shape[1]).tril().bool()",
            ),
        ),
        wrong(
            "a causal encoder",
            "reads both ways",
            MASKS.format("real & causal_mask(source.shape[1])", "past", "real"),
        ),
        wrong(
            "a token may not see itself",
            "a token may look at itself",
            MASKS.format("real", "past.tril(-1)", "real"),
        ),
        wrong(
            "two axes for the padding",
            "does not fit 7 queries and 7 keys",
            MASKS.format("real[:, 0]", "past", "real[:, 0]"),
        ),
        right(
            "the target's padding as well, four axes",
            """
            def three_masks(source, target, pad):
                n_queries = target.shape[1]
                keys = source.ne(pad)[:, None, None, :]
                mine = target.ne(pad)[:, None, None, :]
                return keys, mine & causal_mask(n_queries), keys
            """,
        ),
        right(
            "from the lengths",
            """
            def three_masks(source, target, pad):
                lengths = (source != pad).sum(1)
                real = padding_mask(lengths, source.shape[1])
                time = target.shape[1]
                past = torch.arange(time)[:, None] >= torch.arange(time)
                whole = real.expand(-1, time, -1)
                return real.expand(-1, source.shape[1], -1), past, whole
            """,
        ),
    ],
    "gap": [
        wrong(
            "the last position only",
            "compare every position",
            GAP.format(
                step=STEP, result="(at_once[:, -1] - steps[-1]).abs().max().item()"
            ),
        ),
        wrong(
            "the newest token alone",
            "not the newest token alone",
            GAP.format(
                step="decode(ids[:, t : t + 1])[:, -1]",
                result=DIFFERENCE + ".abs().max().item()",
            ),
        ),
        wrong(
            "no absolute value",
            "negative ones count too",
            GAP.format(step=STEP, result=DIFFERENCE + ".max().item()"),
        ),
        wrong(
            "the mean",
            "not the mean",
            GAP.format(step=STEP, result=DIFFERENCE + ".abs().mean().item()"),
        ),
        wrong(
            "the first sequence only",
            "not the first alone",
            GAP.format(step=STEP, result=DIFFERENCE + "[0].abs().max().item()"),
        ),
        wrong(
            "the first row of each step",
            "not the first",
            GAP.format(
                step="decode(ids[:, : t + 1])[:, 0]",
                result=DIFFERENCE + ".abs().max().item()",
            ),
        ),
        wrong(
            "one token too few",
            "gets t + 1 ids",
            GAP.format(
                step="decode(ids[:, : max(t, 1)])[:, -1]",
                result=DIFFERENCE + ".abs().max().item()",
            ),
        ),
        wrong(
            "writes its own tokens",
            "not the tokens that the model would choose",
            """
            def gap(decode, ids):
                at_once, own, largest = decode(ids), ids[:, :1], 0.0
                for t in range(ids.shape[1]):
                    logits = decode(own)[:, -1]
                    largest = max(largest, (at_once[:, t] - logits).abs().max().item())
                    own = torch.cat([own, logits.argmax(-1, keepdim=True)], 1)
                return largest
            """,
        ),
        right(
            "a running maximum",
            """
            def gap(decode, ids):
                whole = decode(ids)
                largest = torch.tensor(0.0)
                for end in range(1, ids.size(1) + 1):
                    part = decode(ids[:, :end])
                    difference = (part[:, end - 1] - whole[:, end - 1]).abs().max()
                    largest = torch.maximum(largest, difference)
                return largest
            """,
        ),
        right(
            "a sequence at a time, with numpy",
            """
            def gap(decode, ids):
                import numpy as np
                whole = decode(ids).detach().numpy()
                parts = [decode(ids[:, : t + 1]).detach().numpy() for t in range(len(ids[0]))]
                return max(
                    np.abs(part[row, t] - whole[row, t]).max()
                    for t, part in enumerate(parts)
                    for row in range(len(ids))
                )
            """,
        ),
    ],
    "scores": [
        wrong(
            "multiplied",
            "the penalty divides",
            SCORES.format("log_probs * ((5 + lengths) / 6) ** alpha"),
        ),
        wrong(
            "the mean per token",
            "not by the number of tokens",
            SCORES.format("log_probs / lengths**alpha"),
        ),
        wrong(
            "a factor",
            "alpha is an exponent",
            SCORES.format("log_probs / (alpha * (5 + lengths) / 6)"),
        ),
        wrong(
            "without alpha",
            "alpha is not used",
            SCORES.format("log_probs / ((5 + lengths) / 6)"),
        ),
        wrong(
            "the exponent on the numerator alone",
            "belongs to the whole fraction",
            SCORES.format("log_probs / ((5 + lengths) ** alpha / 6)"),
        ),
        wrong(
            "the 6 forgotten",
            "the 6 is missing",
            SCORES.format("log_probs / (5 + lengths) ** alpha"),
        ),
        right(
            "with exp and log",
            """
            def scores(log_probs, lengths, alpha):
                return log_probs * torch.exp(-alpha * torch.log((lengths + 5) / 6.0))
            """,
        ),
        right(
            "one number at a time",
            """
            def scores(log_probs, lengths, alpha):
                pairs = zip(log_probs.tolist(), lengths.tolist())
                return torch.tensor([p / ((5 + n) / 6) ** alpha for p, n in pairs])
            """,
        ),
        wrong(
            "whole division",
            "the fraction is rounded down",
            SCORES.format("log_probs / ((5 + lengths) // 6) ** alpha"),
        ),
    ],
    "turning_point": [
        wrong(
            "lengths without the 5",
            "5 + n, not as n",
            TURNING.format(
                "math.log(long[0] / short[0]) / math.log(long[1] / short[1])"
            ),
        ),
        wrong(
            "upside down",
            "upside down",
            TURNING.format(TURN.replace("long[0] / short[0]", "short[0] / long[0]")),
        ),
        wrong(
            "no logarithms",
            "take logarithms",
            TURNING.format("(long[0] / short[0]) / ((5 + long[1]) / (5 + short[1]))"),
        ),
        wrong(
            "a difference",
            "not what is divided",
            TURNING.format(
                "(short[0] - long[0]) / math.log((5 + long[1]) / (5 + short[1]))"
            ),
        ),
        right(
            "differences of logarithms",
            """
            def turning_point(short, long):
                (a, n), (b, m) = short, long
                return (math.log(-b) - math.log(-a)) / (math.log(5 + m) - math.log(5 + n))
            """,
        ),
        right(
            "by bisection",
            """
            def turning_point(short, long):
                low, high = 0.0, 100.0
                for _ in range(200):
                    middle = (low + high) / 2
                    a, b = (p / ((5 + n) / 6) ** middle for p, n in (short, long))
                    low, high = (middle, high) if b < a else (low, middle)
                return low
            """,
        ),
    ],
    "floor": [
        wrong(
            "epsilon for the others alone",
            "the right one too",
            """
            def floor(vocab_size, epsilon):
                right, other = 1 - epsilon, epsilon / (vocab_size - 1)
                entropy = -right * math.log(right) - epsilon * math.log(other)
                return entropy, math.log(right / other)
            """,
        ),
        wrong(
            "the right token alone",
            "have a part in the loss",
            FLOOR.format("-right * math.log(right)", LOGITS),
        ),
        wrong(
            "the loss of the right token",
            "not the whole cross-entropy",
            FLOOR.format("-math.log(right)", LOGITS),
        ),
        wrong(
            "one other token",
            "vocab_size - 1 other tokens",
            FLOOR.format("-right * math.log(right) - other * math.log(other)", LOGITS),
        ),
        wrong(
            "bits",
            "nats, not bits",
            FLOOR.format(f"({ENTROPY}) / math.log(2)", LOGITS),
        ),
        wrong(
            "epsilon for each other token",
            "not epsilon",
            FLOOR.format(ENTROPY, "math.log((1 - epsilon) / epsilon)"),
        ),
        wrong(
            "probabilities as logits",
            "a logarithm of a probability",
            FLOOR.format(ENTROPY, "right - other"),
        ),
        right(
            "with torch",
            """
            def floor(vocab_size, epsilon):
                p = torch.full((vocab_size,), epsilon / vocab_size, dtype=torch.float64)
                p[0] += 1 - epsilon
                return torch.special.entr(p).sum(), p[0].log() - p[1].log()
            """,
        ),
        right(
            "the loss at the best logits",
            """
            def floor(vocab_size, epsilon):
                gap = math.log((vocab_size - vocab_size * epsilon + epsilon) / epsilon)
                logits = torch.zeros(1, vocab_size, dtype=torch.float64)
                logits[0, 0] = gap
                loss = F.cross_entropy(logits, torch.tensor([0]), label_smoothing=epsilon)
                return loss.item(), gap
            """,
        ),
    ],
}

EQUIVALENT = {
    "mended": {"return spoiling(x, (x))": "x is another tensor by then"},
    "gap": {"return (torch.stack(steps, 1) - at_once)…": "a distance has no sign"},
}
