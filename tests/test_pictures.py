"""The pictures as text: what Python draws, refuses and repeats."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch

import dot2gpt
from dot2gpt import pictures

NAN, INF = float("nan"), float("inf")
SCORES = [[2.0, 0.0], [1.0, 1.0]]
CHOICES = [("yes", True, "It is."), ("no", False, "It is not.")]


def draw_small():
    rng = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 3, 4, generator=rng)
    scores = torch.randn(2, 4, 4, generator=rng)
    return [
        pictures.attention(scores, "abcd", caption="c"),
        pictures.attention(scores[0, :2, :3], "ab", "xyz", caption="c"),
        pictures.matrix({"one": SCORES, "two": SCORES}, "ab", caption="c"),
        pictures.lines(scores.softmax(-1), "abcd", caption="c"),
        pictures.steps(q, k, v, "abc", caption="c"),
        pictures.quiz("Is it?", CHOICES),
    ]


def cell_texts(picture):
    return re.findall(r"<td[^>]*--w[^>]*>([^<]*)</td>", picture._repr_html_())


def data_of(picture):
    found = re.search(r'application/json">(.*?)</script>', picture._repr_html_(), re.S)
    return json.loads(found[1])


class Balance(HTMLParser):
    """Fails on a tag that is closed but not open, or open at the end."""

    EMPTY = {"input", "path"}

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


# --- what is drawn ------------------------------------------------------------------


def test_pictures_are_pure_functions_of_their_input():
    for first, second in zip(draw_small(), draw_small()):
        assert first._repr_html_() == second._repr_html_()
        assert repr(first) == repr(second)
        assert "0x" not in repr(first) and not re.search(r"\bid=", first._repr_html_())


def test_every_picture_is_a_figure_with_a_caption():
    for picture in draw_small():
        html = picture._repr_html_()
        Balance(html)
        assert html.startswith('<figure class="pv"')
        assert re.search(r"<figcaption>[^<]+</figcaption>", html)


def test_a_page_carries_little_beside_the_data():
    for picture in draw_small():
        html = picture._repr_html_()
        rest = re.sub(r"<tbody>.*?</tbody>|<path[^>]*>", "", html, flags=re.S)
        rest = re.sub(r'application/json">.*?</script>', "", rest, flags=re.S)
        assert len(rest.encode()) < 12_000
        assert "\n " not in html and "//" not in html


@pytest.mark.parametrize(
    "banned", ["innerHTML", "clip-path", "http:", "https:", "@import"]
)
def test_the_files_hold_nothing_that_breaks_or_leaks(banned):
    for name in ("pictures.js", "pictures.css", "pictures.py"):
        text = (Path(dot2gpt.__path__[0]) / name).read_text(encoding="utf-8")
        assert banned not in text


def test_attention_shows_softmax_by_rows():
    picture = pictures.attention(SCORES, ["it", "cat"], caption="Look.")
    assert cell_texts(picture) == [".88", ".12", ".50", ".50"]  # e²/(e²+1) = .88
    assert repr(picture) == (
        "attention: 1 head, 2 x 2\n      it  cat\n it  .88  .12\ncat  .50  .50\nLook."
    )


def test_a_masked_score_is_an_exact_zero():
    picture = pictures.attention([[0.0, -INF], [0.0, 0.0]], "ab", caption="c")
    assert cell_texts(picture) == ["1.00", "0", ".50", ".50"]
    assert data_of(picture)["scores"] == [[[0.0, None], [0.0, 0.0]]]


def test_cross_attention_has_no_causal_switch():
    square = pictures.attention(SCORES, "ab", "xy", caption="c")
    assert data_of(square)["causal"] is False
    assert data_of(pictures.attention(SCORES, "ab", caption="c"))["causal"] is True


@pytest.mark.parametrize(
    "kind",
    [
        torch.float32,
        torch.bfloat16,
        torch.float64,
        "numpy",
        "list",
        "requires_grad",
    ],
)
def test_tensors_arrays_and_lists_draw_the_same(kind):
    if isinstance(kind, torch.dtype):
        scores = torch.tensor(SCORES, dtype=kind)
    elif kind == "requires_grad":
        scores = torch.tensor(SCORES, requires_grad=True)
    else:
        scores = np.array(SCORES) if kind == "numpy" else SCORES
    expected = pictures.attention(SCORES, "ab", caption="c")._repr_html_()
    assert pictures.attention(scores, "ab", caption="c")._repr_html_() == expected


def test_matrix_scales_to_its_largest_number_and_has_no_negative_zero():
    picture = pictures.matrix([[4, -2], [-0.001, 0]], "ab", caption="c")
    assert cell_texts(picture) == ["4.00", "−2.00", "0.00", "0.00"]
    strengths = re.findall(
        r'(?:class="([^"]*)" )?style="--w:([\d.]+)', picture._repr_html_()
    )
    assert strengths == [
        ("", "1.000"),
        ("pv-neg", "0.500"),
        ("", "0.000"),
        ("", "0.000"),
    ]
    whole = pictures.matrix([[0, 3]], ["a"], "xy", caption="c")
    assert cell_texts(whole) == ["0", "3"]


@pytest.mark.parametrize(
    "values, ends, window",
    [
        ([0, 1], ["0", "1"], "100%/200%"),  # a mask, counts: from no colour to blue
        ([-3, -1], ["−3", "0"], "0%/200%"),
        ([-2, 2], ["−2", "2"], "0%/100%"),
        ([-1, 3], ["−1", "3"], "100%/150%"),  # a third of the orange half
        ([0, 0], ["0", "1"], "100%/200%"),
    ],
)
def test_legend_fits_the_numbers(values, ends, window):
    text = pictures.matrix([values], ["a"], "xy", caption="c")._repr_html_()
    legend = text.split('class="pv-legend"')[-1].split("</p>")[0]
    assert re.findall(r"<span>(.*?)</span>", legend) == ends
    assert f") {window}" in legend


def test_steps_work_out_attention_by_hand():
    one = torch.eye(2)
    mask = torch.tensor([[True, False], [True, True]])
    v = [[1, 10], [3, 30]]
    picture = pictures.steps(2 * one, one, v, "ab", mask=mask, caption="c")
    texts = cell_texts(picture)
    scores, scaled, masked, weights, mixed = (texts[n : n + 4] for n in range(0, 20, 4))
    assert scores == ["2.00", "0.00", "0.00", "2.00"]
    assert scaled == ["1.41", "0.00", "0.00", "1.41"]
    assert masked == ["1.41", "−∞", "0.00", "1.41"]
    assert weights == ["1.00", "0", ".20", ".80"]
    assert mixed == ["1.00", "10.00", "2.61", "26.09"]


def test_words_show_their_spaces_and_are_escaped():
    picture = pictures.matrix(
        np.ones((2, 3)), ["<script>", " a b "], ["\n", "", 7], caption="`x < y` & z"
    )
    html = picture._repr_html_()
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", html)
    assert heads == ["⏎", "∅", "7", "&lt;script&gt;", "␣a b␣"]
    assert "<figcaption><code>x &lt; y</code> &amp; z</figcaption>" in html


def test_data_cannot_close_its_script():
    picture = pictures.lines(np.eye(2), "ab", caption="c", heads=None)
    named = pictures.lines([np.eye(2)] * 2, "ab", caption="c", heads=["</script>", "x"])
    ends = [p._repr_html_().count("</script>") for p in (named, picture)]
    assert ends == [2, 2]
    assert data_of(named)["heads"] == ["</script>", "x"]


def test_quiz_radio_name_comes_from_the_question():
    names = [
        set(re.findall(r'name="(q\w+)"', pictures.quiz(q, CHOICES)._repr_html_()))
        for q in ("One?", "One?", "Two?")
    ]
    assert len(names[0]) == 1 and names[0] == names[1] and names[0] != names[2]
    assert repr(pictures.quiz("One?", CHOICES)) == "One?\n  ( ) yes\n  ( ) no"


# --- what is refused ----------------------------------------------------------------

eye, ones = np.eye(2), np.ones((2, 2))
BAD = {
    "3 tokens, but scores are 4 x 4": lambda: pictures.attention(
        np.ones((4, 4)), "abc", caption="c"
    ),
    "2 tokens, but scores are 2 x 3": lambda: pictures.attention(
        np.ones((2, 3)), "ab", caption="c"
    ),
    "2 keys, but scores are 2 x 3": lambda: pictures.attention(
        np.ones((2, 3)), "ab", "xy", caption="c"
    ),
    "scores is 4, expected time x keys": lambda: pictures.attention(
        np.ones(4), "abcd", caption="c"
    ),
    "scores is 1 x 1 x 2 x 2, expected time x keys": lambda: pictures.attention(
        np.ones((1, 1, 2, 2)), "ab", caption="c"
    ),
    "scores is nan at head 0, row 1, column 0": lambda: pictures.attention(
        [[0, 0], [NAN, 0]], "ab", caption="c"
    ),
    "scores is inf at head 0, row 0, column 1": lambda: pictures.attention(
        [[0, INF], [0, 0]], "ab", caption="c"
    ),
    "every score of head 0, row 1 is -inf": lambda: pictures.attention(
        [[0, 0], [-INF, -INF]], "ab", caption="c"
    ),
    "3 names in heads, but there are 2 heads": lambda: pictures.attention(
        np.ones((2, 2, 2)), "ab", caption="c", heads="xyz"
    ),
    "scores is no array of numbers": lambda: pictures.attention(
        [[1, 2], [3]], "ab", caption="c"
    ),
    "values['b'] are 3 x 3": lambda: pictures.matrix(
        {"a": eye, "b": np.eye(3)}, "ab", caption="c"
    ),
    "values[0, 1] is nan, expected a finite number": lambda: pictures.matrix(
        [[0, NAN]], "a", "xy", caption="c"
    ),
    "values is 2, expected rows x columns": lambda: pictures.matrix(
        [1, 2], "ab", caption="c"
    ),
    "values is an empty dict": lambda: pictures.matrix({}, "ab", caption="c"),
    "weights run from 0 to 3, expected 0 to 1": lambda: pictures.lines(
        3 * eye, "ab", caption="c"
    ),
    "q is 2 x 2, k is 2 x 3, v is 2 x 2": lambda: pictures.steps(
        eye, np.ones((2, 3)), eye, "ab", caption="c"
    ),
    "3 tokens, but q are 2 x 2": lambda: pictures.steps(
        eye, eye, eye, "abc", caption="c"
    ),
    "mask is 2 x 2 of float64, expected 2 x 2 of bool": lambda: pictures.steps(
        eye, eye, eye, "ab", mask=ones, caption="c"
    ),
    "row 1 of the mask is False everywhere": lambda: pictures.steps(
        eye, eye, eye, "ab", mask=[[True, True], [False, False]], caption="c"
    ),
    "none of the 2 choices is right: 'Q?'": lambda: pictures.quiz(
        "Q?", [("a", False, "r"), ("b", False, "r")]
    ),
    "1 choices, expected at least 2": lambda: pictures.quiz("Q?", [("a", True, "r")]),
    "the choice 'b' has no reason": lambda: pictures.quiz(
        "Q?", [("a", True, "r"), ("b", False, " ")]
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_with_the_numbers(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        BAD[message]()


# --- matplotlib ---------------------------------------------------------------------


@pytest.fixture
def styled():
    matplotlib.use("agg")
    with matplotlib.rc_context():
        pictures.style()
        yield matplotlib


def test_style_draws_chinese_without_a_warning(styled, recwarn):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    axes.set_title("早上好 means good morning")
    figure.canvas.draw()
    plt.close(figure)
    assert [w for w in recwarn if "missing" in str(w.message)] == []
    fonts = styled.font_manager.fontManager.ttflist
    pictures.style()
    assert len([font for font in fonts if font.name == "dot2gpt CJK"]) == 1


def test_the_font_is_small_and_comes_with_its_licence():
    from fontTools.ttLib import TTFont

    folder = Path(dot2gpt.__path__[0]) / "fonts"
    font = TTFont(folder / "dot2gpt-cjk.otf")
    text = "早上好晚安你我他的是在有天地人中国学习注意力机器语言模型 abcXYZ019"
    assert {ord(c) for c in text} <= set(font.getBestCmap())
    assert (folder / "dot2gpt-cjk.otf").stat().st_size < 40_000
    assert {str(n) for n in font["name"].names if n.nameID == 1} == {"dot2gpt CJK"}
    assert "SIL OPEN FONT LICENSE" in (folder / "OFL.txt").read_text(encoding="utf-8")


# Linear RGB as seen without long-wave or without middle-wave cones
# (Viénot, Brettel and Mollon, 1999).
PROTAN = [[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.0040, -0.0040, 1]]
DEUTAN = [[0.2928, 0.7072, 0], [0.2928, 0.7072, 0], [-0.0223, 0.0223, 1]]


def linear(colour):
    c = np.array(matplotlib.colors.to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    xyz = (
        np.array(
            [
                [0.4124, 0.3576, 0.1805],
                [0.2126, 0.7152, 0.0722],
                [0.0193, 0.1192, 0.9505],
            ]
        )
        @ rgb
        / [0.9505, 1, 1.089]
    )
    x, y, z = np.cbrt(np.clip(xyz, 0, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize(
    "eye", [np.eye(3), PROTAN, DEUTAN], ids=["all", "protan", "deutan"]
)
def test_the_palette_is_told_apart_by_everybody(eye):
    seen = [lab(np.array(eye) @ linear(colour)) for colour in pictures.PALETTE]
    gaps = [np.linalg.norm(a - b) for n, a in enumerate(seen) for b in seen[:n]]
    assert min(gaps) > 15


def test_the_palette_stands_out_on_white():
    for colour in pictures.PALETTE:
        light = linear(colour) @ [0.2126, 0.7152, 0.0722]
        assert 1.05 / (light + 0.05) >= 3
