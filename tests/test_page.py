"""A GPT in the page: driven by mouse and keyboard, and compared with torch."""

import copy
import json
import re

import pytest
import torch

from dot2gpt import __main__ as cli
from dot2gpt.block import FeedForward
from dot2gpt.generation import generate, next_probabilities
from dot2gpt.gpt import GPT, Characters, GPTConfig
from dot2gpt.masking import causal_mask
from dot2gpt.multi_head import split_heads
from dot2gpt.page import standalone
from dot2gpt.page.explorer import explorer
from dot2gpt.page.weights import pack, still_picture, unpack, vocabulary
from dot2gpt.scaling import scaled_dot_product_attention
from tests import test_pictures_browser as pages
from tools.models import script

visit = pages.visit  # the fixture: an open page that asks for nothing and has no errors
WORDS = Characters("abcdefghijklmnopqrstuvwxyzABCDEF<>&\n .,'早好")
PROMPT = "the cat\nsat <"
ROOM = 19


def a_model(seed=0):
    """A GPT whose answers differ clearly from each other, as a page computes it."""
    torch.manual_seed(seed)
    model = GPT(GPTConfig(WORDS.n_vocab, ROOM, d_model=24, n_heads=3, n_layers=2))
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(5 if weight.dim() > 1 else 1)
    return unpack(pack(model))


def drawn(seeds=(0,), folder=None):
    """The explorer of one or more models; with a folder its weights lie there."""
    models, weights = [], {}
    for n, seed in enumerate(seeds):
        packed = pack(a_model(seed))
        bars, sample = still_picture(unpack(packed), WORDS, PROMPT)
        models.append({"step": 10 * n, "loss": 3.0 - n, "sample": sample})
        if folder is None:
            weights[10 * n] = packed
        else:
            models[-1]["source"] = f"{n}.js"
            (folder / f"{n}.js").write_text(script(packed), encoding="utf-8")
    about = {"prompt": PROMPT, "vocabulary": vocabulary(WORDS), "unit": "token"}
    about |= {"bars": bars, "models": models}
    return explorer(about, weights, caption="A `GPT` < others.")


def look_into(model, text):
    """States after the tables and each layer, and each layer's weights, by hand."""
    ids = torch.tensor([WORDS.encode(text)[-ROOM:]])
    time = ids.shape[1]
    x = model.tokens(ids) + model.positions(torch.arange(time))
    states, weights = [x], []
    for layer in model.layers:
        parts = layer.attention.w_qkv(layer.norm_1(x)).chunk(3, -1)
        q, k, v = (split_heads(part, 3) for part in parts)
        weights.append(scaled_dot_product_attention(q, k, v, causal_mask(time))[1][0])
        x = layer(x)
        states.append(x)
    return states, weights


def next_after(model, text, **how):
    ids = torch.tensor([WORDS.encode(text)[-ROOM:]])
    with torch.no_grad():
        logits = model(ids)[0, -1]
    order = logits.argsort(descending=True, stable=True)[:12]
    return order.tolist(), next_probabilities(logits, **how)


def bars(fig):
    names = fig.locator(".gpt-name").all_inner_texts()
    texts = fig.locator(".gpt-share").all_inner_texts()
    return names, [0 if t == "out" else float(t.removesuffix(" %")) for t in texts]


def check_bars(fig, model, text, **how):
    order, p = next_after(model, text, **how)
    names, shares = bars(fig)
    spell = {" ": "␣", "\n": "⏎"}
    letters = [WORDS.characters[id] for id in order]
    assert names == [spell.get(letter, letter) for letter in letters]
    assert shares == pytest.approx([100 * p[id].item() for id in order], abs=0.051)
    widths = fig.locator(".gpt-bar i").evaluate_all(
        "all => all.map(i => parseFloat(i.style.width))"
    )
    assert widths == pytest.approx([100 * p[id].item() for id in order], abs=0.01)


def text_of(fig):
    return fig.get_by_label("text", exact=True).input_value()


def slide(fig, name, value):
    fig.get_by_label(name).evaluate(
        "(input, value) => { input.value = value; "
        "input.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )


def press(fig, name):
    fig.get_by_role("button", name=name, exact=True).click()


@pytest.fixture
def fig(visit):
    return pages.figure(visit(drawn=[drawn()]), "gpt")


# --- writing ------------------------------------------------------------------------


def test_the_bars_are_torchs_under_every_setting(fig):
    model = a_model()
    assert text_of(fig) == PROMPT
    check_bars(fig, model, PROMPT)
    for temperature, k, p in (
        (0.3, 5, 1),
        (2, 2, 0.4),
        (0, 5, 1),
        (1, 7, 1),
        (1, 0, 1),
    ):
        slide(fig, "temperature", temperature)
        slide(fig, "top-k", k)
        slide(fig, "top-p", p)
        count = [1, 2, 3, 5, 10, 20, 30, None]  # of 42 tokens
        how = {"temperature": temperature, "top_k": count[k], "top_p": p}
        check_bars(fig, model, PROMPT, **how)
    said = fig.locator(".gpt-rest").inner_text()
    assert "1 of 42 tokens can be drawn, as varied as 1.0" in said


def test_a_press_on_a_bar_appends_its_token(fig):
    model, text = a_model(), PROMPT
    for n in (3, 0, 11):
        order, _ = next_after(model, text)
        fig.locator("fieldset > button").nth(n).click()
        text += WORDS.characters[order[n]]
        assert text_of(fig) == text
        check_bars(fig, model, text)
    press(fig, "take one back")
    assert text_of(fig) == text[:-1]
    check_bars(fig, model, text[:-1])
    press(fig, "start over")
    assert text_of(fig) == PROMPT


@pytest.mark.parametrize("cache", [True, False])
def test_steps_at_temperature_0_are_greedy_text_beyond_the_context(fig, cache):
    model = a_model()
    slide(fig, "temperature", 0)
    fig.get_by_label("cache").set_checked(cache)
    for _ in range(30):
        press(fig, "step")
    want = generate(model, [WORDS.encode(PROMPT)], 30, temperature=0)[0]
    assert text_of(fig) == WORDS.decode(want)
    said = "with the cache" if cache else "without it"
    assert f"Time a token: {said}" in fig.inner_text()


def test_a_seed_fixes_the_draws_however_they_are_made(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "gpt")

    def write(seed, n):
        press(fig, "start over")
        fig.get_by_label("seed").fill(str(seed))
        for _ in range(n):
            press(fig, "step")
        return text_of(fig)

    first = write(1, 12)
    assert write(1, 12) == first != write(2, 12)
    press(fig, "start over")
    fig.get_by_label("seed").fill("1")
    fig.get_by_role("button", name="run").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(
        f"document.querySelector('textarea').value.length > {len(PROMPT) + 30}"
    )
    page.keyboard.press("Enter")  # it says stop now
    text = text_of(fig)
    assert text.startswith(first)
    page.wait_for_timeout(200)
    assert text_of(fig) == text
    assert fig.get_by_role("button", name="run").is_visible()


def test_typed_text_is_read_and_what_cannot_be_read_is_said(fig):
    model, box = a_model(), fig.get_by_label("text", exact=True)
    box.fill("a dog, and 早")
    check_bars(fig, model, "a dog, and 早")
    long = "a text that is longer than the model sees"
    box.fill(long)
    check_bars(fig, model, long)
    said = fig.locator("fieldset").first.get_by_role("status")
    box.fill("7")
    assert said.inner_text() == "Not read: “7” is not among the 42."
    box.fill("")
    assert "write something" in said.inner_text()
    check_bars(fig, model, long)
    box.fill("ab")
    assert said.inner_text() == ""
    check_bars(fig, model, "ab")


# --- looking ------------------------------------------------------------------------


def test_attention_of_every_head_by_pointer_and_arrow_keys(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "gpt")
    _, weights = look_into(a_model(), PROMPT)
    items = fig.get_by_role("option")
    part = fig.locator("fieldset", has=page.get_by_role("listbox"))

    def shown():
        texts = items.locator("small").all_inner_texts()
        return [int(t.removesuffix(" %") or 0) / 100 for t in texts]

    for layer in range(2):
        part.get_by_label("layer").locator("label").nth(layer).click()
        for head in range(4):
            part.get_by_label("head").locator("label").nth(head).click()
            for at in (12, 4):
                items.nth(at).hover()
                want = weights[layer]
                want = (want[head] if head < 3 else want.mean(0))[at]
                assert shown() == pytest.approx(want.tolist(), abs=0.0051)
    items.nth(4).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    say = part.get_by_role("status")
    assert say.inner_text().startswith("“␣” looks at “")
    assert items.nth(3).get_attribute("aria-selected") == "true"
    assert items.nth(4).get_attribute("class") == "token-later"
    page.keyboard.press("End")
    assert say.inner_text().startswith("“<” looks at “")
    assert fig.locator("[role=option][tabindex='0']").count() == 1


def test_each_layer_says_what_its_state_gives(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "gpt")
    model = a_model()
    states, _ = look_into(model, PROMPT)
    rows = fig.locator("fieldset table tbody tr")
    for at in (5, 12):
        fig.get_by_role("option").nth(at).hover()
        heads = rows.locator("th").all_inner_texts()
        assert heads == ["the tables", "layer 1", "layer 2"]
        for row, state in zip(rows.all(), states):
            p = model.head(model.norm(state))[0, at].softmax(-1)
            best = p.argsort(descending=True)[0]
            letter = WORDS.characters[best].replace(" ", "␣").replace("\n", "⏎")
            said = f"{letter} {100 * p[best].item():.0f} %"
            assert row.locator("td").first.inner_text() == said


def test_heads_and_layers_are_switched_off_and_the_bars_move(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "gpt")
    model = a_model()
    _, whole = next_after(model, PROMPT)
    first, second = fig.locator(".gpt-row").all()
    first.get_by_label("head 2").uncheck()
    without = copy.deepcopy(model)
    with torch.no_grad():
        without.layers[0].attention.w_o.weight[:, 8:16] = 0  # d_k is 8
    check_bars(fig, without, PROMPT)
    order, _ = next_after(without, PROMPT)
    marks = fig.locator(".gpt-bar b").evaluate_all(
        "all => all.map(b => b.checkVisibility() && parseFloat(b.style.left))"
    )
    assert marks == pytest.approx([100 * whole[id].item() for id in order], abs=0.01)
    second.get_by_label("layer 2").uncheck()
    without.layers = without.layers[:1]
    check_bars(fig, without, PROMPT)
    assert "of the probability went to other tokens" in fig.inner_text()
    slide(fig, "temperature", 0)
    for _ in range(9):
        press(fig, "step")
    want = generate(without, [WORDS.encode(PROMPT)], 9, temperature=0)[0]
    assert text_of(fig) == WORDS.decode(want)
    first.get_by_label("head 2").check()
    second.get_by_label("layer 2").focus()
    page.keyboard.press("Space")
    assert "Everything is on." in fig.inner_text()
    slide(fig, "temperature", 1)
    press(fig, "start over")
    check_bars(fig, model, PROMPT)


def test_the_slider_over_training_loads_scripts_from_the_disk(browser, tmp_path):
    html = pages.page_html("book", "light", [drawn((0, 1, 2), tmp_path)])
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    context, asked = browser.new_context(offline=True), []
    page = context.new_page()
    page.on("request", lambda r: asked.append(r.url.rsplit("/")[-1]))
    page.goto((tmp_path / "page.html").as_uri())
    fig = pages.figure(page, "gpt")
    fig.locator(".gpt-name").first.wait_for()
    assert asked == ["page.html", "2.js"]  # only what is shown
    check_bars(fig, a_model(2), PROMPT)
    for n in (0, 1, 0):
        slide(fig, "steps of training", n)
        fig.get_by_text(f"After {10 * n} steps: {3 - n}.00 nats a token").wait_for()
        check_bars(fig, a_model(n), PROMPT)
    assert sorted(asked) == ["0.js", "1.js", "2.js", "page.html"]
    context.close()


# --- everywhere ---------------------------------------------------------------------


@pytest.mark.parametrize(("host", "theme"), pages.HOSTS)
def test_axe_finds_nothing_and_a_phone_is_wide_enough(visit, host, theme):
    page = visit(host, theme, [drawn((0, 1))], width=390, reduced_motion="reduce")
    fig = pages.figure(page, "gpt")
    fig.locator(".gpt-row").first.get_by_label("head 1").uncheck()
    fig.get_by_role("option").nth(5).hover()
    pages.assert_axe_finds_nothing(page, ".pv")
    contrasts = fig.locator(".token-list span").evaluate_all(pages.CONTRAST)
    assert len(contrasts) == len(PROMPT) and min(contrasts) >= 4.5
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_it_reads_with_javascript_off_and_without_weights(visit, browser, tmp_path):
    page = visit(drawn=[drawn((0, 1))], java_script_enabled=False)
    text = pages.figure(page, "gpt").inner_text()
    order, p = next_after(a_model(1), PROMPT)
    assert "With JavaScript the model runs here." in text
    assert f"{100 * p[order[0]].item():.1f} %" in text
    assert "A GPT < others." in text and "2.00" in text
    html = pages.page_html("book", "light", [drawn((0,), tmp_path)])
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    (tmp_path / "0.js").unlink()
    other = browser.new_page()
    other.goto((tmp_path / "page.html").as_uri())
    other.get_by_text("The weights could not be loaded").wait_for()
    assert other.locator(".still table").count() == 2
    other.close()


def test_the_page_is_small_and_a_model_needs_weights():
    packed = pack(a_model())
    html = drawn()._repr_html_()
    assert len(html.encode()) - len(json.dumps(packed)) < 60_000
    assert html.count("</script>") == 3  # no text ends one early
    assert drawn()._repr_html_() == html
    about = {"vocabulary": vocabulary(WORDS), "models": [{"step": 7}]}
    with pytest.raises(ValueError, match="step 7 has neither a source nor weights"):
        explorer(about, caption="c")


# --- a page of one's own ------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder that train wrote, a text of its own."""
    folder = tmp_path_factory.mktemp("own")
    text = "".join(f"{n} bottles & {n + 1} <b>cups</b>\n" for n in range(400))
    (folder / "text.txt").write_text(text, encoding="utf-8")
    options = "--layers 1 --heads 2 --width 8 --context 12 --steps 3 --batch 2"
    for tokens in ("characters", "bpe"):
        more = ["--vocab-size", "300"] if tokens == "bpe" else []
        command = ["train", "--text", str(folder / "text.txt"), "--tokens", tokens]
        out = ["--out", str(folder / tokens), "--device", "cpu"]
        assert cli.main([*command, *options.split(), *more, *out]) == 0
    return folder


@pytest.mark.parametrize("tokens", ["characters", "bpe"])
def test_one_file_holds_the_learners_own_model(own, browser, tokens, tmp_path, capsys):
    out = tmp_path / "mine.html"
    title = ["--title", "Cups & <b>bottles</b>"]
    command = ["page", "--model", str(own / tokens), "--out", str(out), *title]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert re.search(rf"{out}: 0\.[01] MB\. Open it in a browser\.", said)
    assert str(own) not in out.read_text(encoding="utf-8")
    context = browser.new_context(
        offline=True, viewport={"width": 390, "height": 800}, color_scheme="dark"
    )
    page, asked = context.new_page(), []
    page.on("request", lambda r: asked.append(r.url))
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.goto(out.as_uri())
    assert page.locator("h1").inner_text() == "Cups & <b>bottles</b>"
    fig = pages.figure(page, "gpt")
    prompt = text_of(fig)
    assert prompt and prompt in (own / "text.txt").read_text(encoding="utf-8")
    press(fig, "step")
    assert text_of(fig) != prompt
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    pages.assert_axe_finds_nothing(page, "html")
    assert asked == [out.as_uri()]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(18, 23, 30)"
    )
    context.close()


def test_what_cannot_become_a_page_is_refused_in_a_sentence(
    own, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "mine.html"

    def refused(*more):
        code = cli.main(["page", "--model", str(own / "bpe"), "--out", str(out), *more])
        said = capsys.readouterr().err
        assert code == 2 and said.startswith("dot2gpt: ") and said.count("\n") == 1
        assert not out.exists()
        return said

    assert "there is no folder ./nowhere" in refused("--model", "./nowhere")
    assert "is empty" in refused("--prompt", "")
    assert "Is a directory" in refused("--out", str(tmp_path))
    (own / "text.txt").rename(own / "gone.txt")
    assert "give --prompt TEXT" in refused()
    (own / "gone.txt").rename(own / "text.txt")
    monkeypatch.setattr(standalone, "MOST", 3000)
    n_weights = sum(w.numel() for w in FeedForward(8, 32).parameters())
    n_weights += 300 * 8 + 12 * 8 + 3 * (8 * 8 + 8) + 8 * 8 + 8 + 6 * 8
    assert f"the model has {n_weights:,} weights" in refused("--prompt", "a")
    assert "a page takes 3,000 weights at most" in refused("--prompt", "a")
