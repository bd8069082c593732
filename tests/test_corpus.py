"""The textbook: long enough, text, and the same on each machine."""

import hashlib

from dot2gpt.corpus import textbook


def test_the_textbook_is_a_long_english_text_with_code():
    text = textbook()
    assert len(text) == 465_126
    assert text.count(" the ") > 3_000 and "def " in text
    assert textbook() is text


def test_the_textbook_is_the_one_that_the_figures_of_the_book_come_from():
    digest = hashlib.sha256(textbook().encode()).hexdigest()
    assert digest.startswith("71f2ff5d99bdc1f9")
