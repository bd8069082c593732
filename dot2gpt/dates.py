"""Dates to rewrite, a task for small Transformers: eight ways to write a day go in, one
comes out. Used in chapter 10 and after."""

import datetime

import torch
from torch import nn

from dot2gpt.masking import padding_mask

MONTHS = (
    "January February March April May June July August September October November"
    " December"
).split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
PAD, START, END = 0, 1, 2
_CHARACTERS = sorted(set("".join(MONTHS + DAYS) + "0123456789 ,.-/"))
SYMBOLS = ["<pad>", "<start>", "<end>", *_CHARACTERS]
ID_OF = {symbol: i for i, symbol in enumerate(SYMBOLS)}
FIRST, LAST = (datetime.date(y, 1, 1).toordinal() for y in (1900, 2100))


def written(date):
    """Eight ways to write a datetime.date, the day of the week being the true one."""
    d, m, y = date.day, date.month, date.year
    month, day = MONTHS[m - 1], DAYS[date.weekday()]
    return [
        f"{day} {d} {month} {y}",
        f"{d} {month} {y}",
        f"{month} {d}, {y}",
        f"{d}-{month[:3]}-{y}",
        f"{day[:3]}, {month[:3]} {d} {y}",
        f"{d}.{m}.{y}",
        f"{m}/{d}/{y}",
        f"{y}/{m:02}/{d:02}",
    ]


def draw(size, generator, test=False):
    """Returns size pairs (text, ISO date), of test days or of training days: one day in
    ten is a test day. generator: a random.Random."""
    pairs = []
    while len(pairs) < size:
        number = generator.randrange(FIRST, LAST)
        if (number % 10 == 0) == test:
            date = datetime.date.fromordinal(number)
            pairs.append((generator.choice(written(date)), date.isoformat()))
    return pairs


def to_ids(texts):
    """Returns padded ids (batch, n_keys) and their mask (batch, 1, n_keys)."""
    rows = [torch.tensor([ID_OF[c] for c in text]) for text in texts]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
    return ids, padding_mask([len(row) for row in rows], ids.shape[1])


def to_text(ids):
    """ids: (time,). The characters before the first `<end>`."""
    return "".join(SYMBOLS[i] for i in ids.tolist()).split("<end>")[0]


def make_batch(pairs):
    """Returns source (batch, n_keys), source_mask, target (batch, 11) with `<end>`."""
    texts, dates = zip(*pairs)
    target = torch.tensor([[ID_OF[c] for c in date] + [END] for date in dates])
    return *to_ids(texts), target
