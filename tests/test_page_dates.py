"""The stored Transformer of chapter 10, and the page in which it writes dates."""

import copy
import datetime
import json
import random
import re
from dataclasses import asdict

import pytest
import torch

from dot2gpt.dates import END, ID_OF, SYMBOLS, draw, to_ids, to_text, written
from dot2gpt.encoder_decoder import TransformerConfig, move_right
from dot2gpt.page.dates import translator
from dot2gpt.page.weights import unpack
from tests import test_pictures_browser as pages
from tools.models import (
    DATE,
    DATE_STEPS,
    DATES,
    EXAMPLES,
    RATE,
    exact_match,
    script,
    stored,
    translate,
)
from tools.tree import ROOT, read

visit = pages.visit  # the fixture: an open page that asks for nothing and has no errors
ABOUT = json.loads((DATES / "dates.json").read_text(encoding="utf-8"))
PACKED = stored(DATE_STEPS, DATES)
MODEL = unpack(PACKED)


def drawn(**changes):
    about = copy.deepcopy(ABOUT) | changes
    weights = {} if "source" in changes else {DATE_STEPS: PACKED}
    return translator(about, weights, caption="A `caption` < others.")


@pytest.fixture
def fig(visit):
    return pages.figure(visit(drawn=[drawn()], reduced_motion="reduce"), "dates")


def looks(text):
    """Where each layer's heads look, their mean last: (n_layers, heads, time, keys);
    and what may be written: (time, symbols)."""
    ids, seen, hooks = target(text), [], []
    for layer in MODEL.decoder.layers:
        attend = layer.cross_attention
        hooks.append(attend.register_forward_hook(lambda _, __, r: seen.append(r[1])))
    source, mask = to_ids([text])
    with torch.no_grad():
        logits = MODEL(source, move_right(ids), mask)
    for hook in hooks:
        hook.remove()
    weights = [torch.cat([each[0], each[0].mean(0)[None]]) for each in seen]
    return torch.stack(weights), logits[0].softmax(-1)


def target(text):
    """What it writes, with the end: (1, time)."""
    answer = translate(MODEL, [text])[0][0]
    return torch.tensor([[ID_OF[c] for c in answer] + [END] * (len(answer) < 11)])


def fill(fig, text):
    fig.get_by_label("a date").fill(text)


def wrote(fig):
    letters = fig.get_by_role("listbox").locator("li span").all_inner_texts()
    return "".join(letters).removesuffix("<end>")


def verdict(fig):
    return fig.locator("fieldset").nth(1).get_by_role("status").inner_text()


def percents(locator):
    return [int(t.removesuffix(" %") or 0) / 100 for t in locator.all_inner_texts()]


# --- what is stored -----------------------------------------------------------------


def test_it_is_the_model_of_chapter_10_trained_as_there():
    assert PACKED["config"] == asdict(TransformerConfig(len(SYMBOLS), len(SYMBOLS)))
    path = ROOT / "chapters/10_encoder_decoder/encoder_decoder.ipynb"
    code = "\n".join(cell.source for cell in read(path).cells)
    assert f"teach(model, steps={DATE_STEPS}, rate=4e-3)" in code and RATE == 4e-3
    file = DATES / f"step_{DATE_STEPS}.js"
    assert file.stat().st_size < 500_000
    assert file.read_text(encoding="utf-8") == script(PACKED)


def test_the_stored_weights_write_what_is_said():
    found = exact_match(MODEL)
    assert found == pytest.approx(ABOUT["exact_match"], abs=0.003) and found > 0.99
    assert abs(found - ABOUT["float32_exact_match"]) < 0.005  # what 8 bits cost
    (answer,), weights = translate(MODEL, [DATE])
    assert answer == ABOUT["written"] == "2029-05-24"
    torch.testing.assert_close(
        torch.tensor(ABOUT["weights"]), weights[0], atol=2e-3, rtol=0
    )
    assert [name for name, _ in ABOUT["examples"]] == list(EXAMPLES)
    for (_, pairs), texts in zip(ABOUT["examples"], EXAMPLES.values()):
        assert [text for text, _ in pairs] == list(texts)
        assert [answer for _, answer in pairs] == translate(MODEL, texts)[0]


def test_what_it_has_read_comes_out_right_and_what_it_has_not_does_not():
    (_, read), (_, unseen) = ABOUT["examples"]
    assert all(text in written_forms(answer) for text, answer in read)
    assert not any(text in written_forms(answer) for text, answer in unseen)


def test_what_the_page_says_is_so():
    path = ROOT / "chapters/10_encoder_decoder/dates_in_the_page.md"
    text = path.read_text(encoding="utf-8")
    pairs = re.findall("`([^`]+)` → `([^`]+)`", text)
    assert len(pairs) == text.count("→") > 7
    texts, answers = zip(*pairs)
    assert translate(MODEL, texts)[0] == list(answers)
    assert f"{sum(weight.numel() for weight in MODEL.parameters()):,} weights" in text
    assert f"{500 * ABOUT['exact_match']:.0f} come out right" in text
    _, p = looks("31.6.2029")
    assert p[range(11), target("31.6.2029")[0]].min() > 0.9
    wrong = "Wednesday 12 September 2001"
    assert looks(wrong)[1][range(11), target(wrong)[0]].argmin() == 2
    weights = translate(MODEL, [DATE])[1][0]
    assert weights[:4, -4:].sum(1).min() > 0.5 > weights[5:10, -4:].sum(1).max()


def written_forms(iso):
    """The eight forms of a day, or none."""
    try:
        return written(datetime.date.fromisoformat(iso))
    except ValueError:
        return []


# --- the page -----------------------------------------------------------------------


def test_it_writes_what_torch_writes_and_judges_it(fig):
    days = draw(6, random.Random(3), test=True)
    texts = [text for _, date in days[:2] for text in written_forms(date)]
    texts += [text for text, _ in days[2:]]
    texts += [text for group in EXAMPLES.values() for text in group] + ["5", "----"]
    for text in texts:
        fill(fig, text)
        answer, _ = translate(MODEL, [text])
        assert wrote(fig) == answer[0], text
        _, p = looks(text)
        ids = target(text)[0]
        sure = p[range(len(ids)), ids]
        got = percents(fig.get_by_role("listbox").locator("small"))
        assert got == pytest.approx(sure.tolist(), abs=0.006)
        forms, said = written_forms(answer[0]), verdict(fig)
        if text in forms:
            assert said.startswith(f"Right: “{text}” is one of the eight forms of ")
        elif forms:
            assert said.startswith("Wrong, or a form that it has never read: ")
        else:
            assert said.startswith(f"“{answer[0]}” is no day of the calendar.")
        whole = int(said.rsplit(" ", 2)[1]) / 100
        assert whole == pytest.approx(sure.prod().item(), abs=0.006)


def test_cross_attention_of_every_head_by_pointer_and_arrow_keys(visit):
    page = visit(drawn=[drawn()], reduced_motion="reduce")
    fig = pages.figure(page, "dates")
    text = "24.5.2029"
    fill(fig, text)
    weights, _ = looks(text)
    part = fig.locator("fieldset").nth(2)
    source, options = part.get_by_role("listitem"), fig.get_by_role("option")
    assert source.locator("span").all_inner_texts() == list(text)
    for layer, heads in enumerate(weights):
        part.get_by_label("layer").locator("label").nth(layer).click()
        for head, wanted in enumerate(heads):
            part.get_by_label("head").locator("label").nth(head).click()
            for at in (8, 3):
                options.nth(at).hover()
                got = percents(source.locator("small"))
                assert got == pytest.approx(wanted[at].tolist(), abs=0.006)
    strengths = part.locator(".squares div").evaluate_all(
        "all => all.map(div => [...div.children].map("
        "i => +i.style.getPropertyValue('--w')))"
    )
    torch.testing.assert_close(
        torch.tensor(strengths), weights[-1, -1], atol=1e-3, rtol=0
    )
    options.nth(3).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert options.nth(5).get_attribute("aria-selected") == "true"
    said = part.get_by_role("status").inner_text()
    assert said.startswith("It writes “0” 100 %, and looks at “")
    page.keyboard.press("Home")
    said = part.get_by_role("status").inner_text()
    best = weights[-1, -1, 0].argmax().item()
    assert said.startswith("It writes “2” 100 %, and looks at “")
    assert f"looks at “{text[best]}” {100 * weights[-1, -1, 0, best]:.0f} %" in said
    part.locator(".squares div").nth(9).click()
    assert options.nth(9).get_attribute("aria-selected") == "true"


def test_what_cannot_be_read_is_said(fig):
    status = fig.locator("fieldset").first.get_by_role("status")
    fill(fig, "24.5.2029!")
    unknown = "Not read: “!” is not among the characters that it knows."
    assert status.inner_text() == unknown
    assert wrote(fig) == "2029-05-24"  # what stood there
    fill(fig, "")
    assert status.inner_text() == "Not read: write a date."
    fig.get_by_role("button", name="31.6.2029").click()
    assert status.inner_text() == ""
    assert wrote(fig) == translate(MODEL, ["31.6.2029"])[0][0]


def test_a_press_writes_it_slowly(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "dates")
    options = fig.get_by_role("option")

    def visible():
        all = "all => all.map(li => li.style.visibility)"
        return options.evaluate_all(all).count("")

    page.clock.install()
    page.clock.pause_at(datetime.datetime.now() + datetime.timedelta(hours=1))
    fig.get_by_role("button", name="write it slowly").click()
    assert visible() == 1
    page.clock.run_for(300)
    assert visible() == 2
    fig.get_by_role("button", name="5/24/2029").click()
    assert visible() == 1
    fig.get_by_label("a date").fill("24.5.2029")  # who types does not wait
    page.clock.run_for(300)
    assert visible() == 11
    fig.get_by_role("button", name="write it slowly").click()
    page.clock.run_for(11 * 300)
    assert visible() == 11
    assert options.first.get_attribute("aria-selected") == "true"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_a_phone_is_wide_enough(visit, theme):
    page = visit("book", theme, [drawn()], width=390, reduced_motion="reduce")
    fig = pages.figure(page, "dates")
    fill(fig, "Wednesday 24 September 2029")
    fig.get_by_role("option").nth(5).hover()
    pages.assert_axe_finds_nothing(page, ".pv")
    contrasts = fig.locator(".token-list span").evaluate_all(pages.CONTRAST)
    assert len(contrasts) == 11 + 27 and min(contrasts) >= 4.5
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_it_reads_with_javascript_off_and_without_weights(visit, browser, tmp_path):
    page = visit(drawn=[drawn()], java_script_enabled=False)
    fig = pages.figure(page, "dates")
    text = fig.inner_text()
    assert "With JavaScript the model runs here." in text
    for _, pairs in ABOUT["examples"]:
        assert all(f"{text} → {answer}" in fig.inner_text() for text, answer in pairs)
    weights = translate(MODEL, [DATE])[1][0]
    torch.testing.assert_close(pages.shown(fig), weights.double(), atol=0.007, rtol=0)
    html = pages.page_html("book", "light", [drawn(source="gone.js")])
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    other = browser.new_page()
    other.goto((tmp_path / "page.html").as_uri())
    other.get_by_text("The weights could not be loaded").wait_for()
    (tmp_path / "gone.js").write_text(script(PACKED), encoding="utf-8")
    other.reload()
    other.get_by_text("Right: “May 24, 2029”").wait_for()
    other.close()


def test_the_page_is_small():
    html = drawn()._repr_html_()
    assert len(html.encode()) - len(json.dumps(PACKED)) < 50_000
    assert html.count("</script>") == 3
    assert to_text(target(DATE)[0]) == ABOUT["written"]
