"""The dates of chapter 10: forms, ids, and days of training and of test apart."""

import datetime
import random

import torch

from dot2gpt.dates import (
    END,
    PAD,
    START,
    SYMBOLS,
    draw,
    make_batch,
    to_ids,
    to_text,
    written,
)

LEAP = datetime.date(2024, 2, 29)


def test_eight_forms_of_one_day():
    assert written(LEAP) == [
        "Thursday 29 February 2024",
        "29 February 2024",
        "February 29, 2024",
        "29-Feb-2024",
        "Thu, Feb 29 2024",
        "29.2.2024",
        "2/29/2024",
        "2024/02/29",
    ]


def test_ids_and_characters_are_one_to_one():
    assert len(set(SYMBOLS)) == len(SYMBOLS) == 47
    assert [SYMBOLS[i] for i in (PAD, START, END)] == ["<pad>", "<start>", "<end>"]
    texts = written(LEAP)
    ids, mask = to_ids(texts)
    assert ids.shape == (8, 25) and mask.shape == (8, 1, 25)
    assert torch.equal(ids == PAD, ~mask[:, 0])
    for row, text in zip(ids, texts):
        assert to_text(row[: len(text)]) == text


def test_training_days_and_test_days_do_not_meet():
    days = [{date for _, date in draw(3000, random.Random(0), t)} for t in (0, 1)]
    assert not days[0] & days[1]
    for text, date in draw(200, random.Random(1), test=True):
        assert text in written(datetime.date.fromisoformat(date))
    assert draw(5, random.Random(2)) == draw(5, random.Random(2))


def test_a_batch_ends_with_end():
    source, mask, target = make_batch([("29.2.2024", "2024-02-29")])
    assert source.shape == (1, 9) and mask.all()
    assert target.shape == (1, 11) and target[0, -1] == END
    assert to_text(target[0]) == "2024-02-29"
