"""The textbook: long enough, text, and the same each time."""

from dot2gpt.corpus import textbook


def test_the_textbook_is_a_long_english_text_with_code():
    text = textbook()
    assert 300_000 < len(text) < 900_000
    assert text.count(" the ") > 3_000 and "def " in text
    assert textbook() is text
