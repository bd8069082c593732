"""Attention over a sentence of the reader's own, step by step: the front page."""

import html

import numpy as np

from dot2gpt.page import ENGINE
from dot2gpt.page.figure import figure
from dot2gpt.pictures import _plain_cells, _step_grids, _table

FEATURES = ("alive", "thing", "action", "quality")
# Rows of X, set by hand. A word that is missing is an action where it ends in -ed or
# -ing, and a thing elsewhere.
WORDS = {
    "3100": "animal baby bear bird boy cat child cow dog fish fox friend girl horse"
    " king lion man mother mouse people person queen rabbit student teacher wolf woman",
    "2100": "he her him i it me she them they us we who you",
    "0100": "a an every his its my our that the their these this those your",
    "1030": "ate bit broke came caught cross did drank eat fell flew found gave go jump"
    " kicked knew left like likes love loved loves made met ran read run runs said sang"
    " sat saw see sees sing sit sits sleep sleeps slept spoke stood swam swim talk"
    " think thinks thought told took walk walks want wants went wrote",
    "0010": "am are be can could do does had has have is may must was were will would",
    "2003": "afraid angry asleep brave clever happy hungry kind old sad sick sleepy"
    " sorry thirsty tired young",
    "0103": "bad big black blue broken brown clean cold dark deep green heavy high hot"
    " large little long new red short slow small warm wet white wide yellow",
    "0000": "about after and as at because before but by didn't down for from if in"
    " into never no not of off on or out over so than then to too under until up very"
    " when where while with",
}
ROWS = {word: row for row, words in WORDS.items() for word in words.split()}
# Name, what happens, number of the chapter.
STEPS = (
    (
        "X",
        "A word is a row of numbers. Ours has four, from 0 to 3, which say how far the"
        " word stands for something alive, a thing, an action, a quality. They are set"
        " by hand: change them. A trained model finds its own.",
        "03",
    ),
    (
        "X·Xᵀ",
        "Each word of the sentence is compared with the query by a dot product: number"
        " times number, added up. Words that are alike get a large score.",
        "01",
    ),
    (
        "÷ √dₖ",
        "A row has dₖ = 4 numbers, so each score is divided by √4 = 2. Longer rows have"
        " larger scores, and the root takes that back.",
        "04",
    ),
    (
        "mask",
        "A model that writes may not look ahead: a word after the query gets −∞.",
        "05",
    ),
    (
        "softmax",
        "e to the score, divided by the sum over all words: weights between 0 and 1"
        " that add up to 1. Of −∞ there remains 0.",
        "02",
    ),
    (
        "mix",
        "The rows of all words, each times its weight, are added up. That is the"
        " query's new row: it now holds something of the words that it looked at.",
        "02",
    ),
)


def attend(text, query, links, *, caption):
    """Draw how one word of a sentence attends to the others, for the reader to change.

    text: the sentence that stands there, words of ROWS. query: the number of the word.
    links: {chapter's number: (address, title)}. caption: a sentence or two.
    Raises KeyError for a word that is not in ROWS.
    """
    words = text.split()
    x = np.array([[float(number) for number in ROWS[word]] for word in words])
    *grids, mixes = _step_grids(x, x, x, np.tri(len(words), dtype=bool))
    columns = zip(*(grid[query] for grid in grids))
    cells = [[*row, *more] for row, more in zip(_plain_cells(x, 3, 0), columns)]
    cells.append([*mixes[query], *[("", 0, "")] * 4])
    heads = (*FEATURES, "X·Xᵀ", "÷ √4", "mask", "softmax")
    steps = "".join(
        f"<li><b>{name}</b> <span>{what} "
        f'<a href="{links[chapter][0]}">{links[chapter][1]}</a></span></li>'
        for name, what, chapter in STEPS
    )
    asks = f"“{words[query]}” in “{text}”, which may not look ahead"
    still = (
        f'<ol class="steps">{steps}</ol><div class="still">'
        f"<p><b>{html.escape(asks)}</b></p>"
        f"{_table([*words, 'mix'], heads, cells)}</div>"
    )
    return figure(
        "sentence",
        still,
        caption,
        {"features": FEATURES, "rows": WORDS, "text": text, "query": query},
        engine=ENGINE.partition("// Queries from x")[0],
        text=[asks],
        styles=["grid"],
    )
