"""What chapter 0 claims, measured: `python -m tools.evidence 00_before_attention`."""

from tqdm import tqdm

from tools.evidence import claim, lesson


def per_step(curve):
    """The factor by which a curve falls per step, from distance 16 to 48."""
    return ((curve[48] / curve[16]) ** (1 / 32)).item()


@claim(
    "Before training, an RNN passes on about half of the gradient at each step, an LSTM "
    "about 0.6, attention all of it, and a CNN of four layers nothing beyond 8",
    holds=lambda f: (
        0.4 < f["RNN, factor per step"] < 0.6
        and 0.5 < f["LSTM, factor per step"] < 0.75
        and 0.97 < f["attention, factor per step"] < 1.03
        and f["CNN, last distance"] == 8
    ),
)
def fading(seed, budget):
    page = lesson("00_before_attention")
    kinds = {"RNN": page.rnn, "LSTM": page.lstm, "attention": page.Attention}
    found = {
        f"{name}, factor per step": per_step(page.arrival(make, 64, 4))
        for name, make in kinds.items()
    }
    seen = page.arrival(page.Convolutions, 64, 4).nonzero().max().item()
    return found | {"CNN, last distance": seen}


@claim(
    "An open forget gate keeps the gradient: with a bias of 3 or 5 the factor per step "
    "is near 1, with 0 it is near 0.6",
    holds=lambda f: (
        f["bias 0"] < 0.75 and 0.9 < f["bias 3"] < 1.1 and 0.95 < f["bias 5"] < 1.1
    ),
)
def open_gate(seed, budget):
    page = lesson("00_before_attention")
    return {
        f"bias {bias}": per_step(page.arrival(lambda: page.lstm_with_gate(bias), 64, 3))  # noqa: B023
        for bias in (0, 3, 5)
    }


@claim(
    "Attention gives each of T tokens about 1/T of the gradient: its share times T "
    "stays within a factor of two from 16 to 256 tokens",
    holds=lambda f: max(f.values()) < 9 and f["T = 16"] / f["T = 256"] < 2,
)
def shares(seed, budget):
    page = lesson("00_before_attention")
    return {
        f"T = {time}": time * page.arrival(page.Attention, time, 2)[-1].item()
        for time in (16, 64, 256)
    }


def recalled(page, makers, time, budget):
    with tqdm(disable=True) as bar:
        return {
            name: page.recall(make, time, bar, steps=300 * budget)
            for name, make in makers.items()
        }


@claim(
    "RNN and LSTM as PyTorch makes them do not learn to recall over 64 tokens; the LSTM "
    "with an open gate and attention do",
    budgets=(1, 2, 4),
    stronger="an LSTM whose forget gate starts open",
    holds=lambda f: (
        max(f["RNN"], f["LSTM"]) < 0.35
        and min(f["LSTM, open gate"], f["attention"]) > 0.9
    ),
)
def recall_64(seed, budget):
    page = lesson("00_before_attention")
    makers = {"RNN": page.rnn, "LSTM": page.lstm}
    makers["LSTM, open gate"] = lambda: page.lstm_with_gate(5.0)
    makers["attention"] = page.Attention
    return recalled(page, makers, 64, budget)


@claim(
    "A CNN of four layers recalls over 8 tokens and guesses over 16, however long it "
    "trains; eight layers recall over 16",
    budgets=(1, 2, 4),
    stronger="four more layers",
    holds=lambda f: (
        f["T = 8"] > 0.9 and f["T = 16"] < 0.35 and f["8 layers, T = 16"] > 0.35
    ),
)
def cnn(seed, budget):
    page = lesson("00_before_attention")
    four, eight = page.Convolutions, lambda: page.Convolutions(8)
    return {
        "T = 8": recalled(page, {"": four}, 8, budget)[""],
        "T = 16": recalled(page, {"": four}, 16, budget)[""],
        "8 layers, T = 16": recalled(page, {"": eight}, 16, budget)[""],
    }


@claim(
    "Attention recalls at 4 tokens and at 128 alike",
    holds=lambda f: min(f["T = 4"], f["T = 128"]) > 0.9,
)
def attention_recalls(seed, budget):
    page = lesson("00_before_attention")
    maker = {"": page.Attention}
    return {f"T = {n}": recalled(page, maker, n, budget)[""] for n in (4, 128)}
