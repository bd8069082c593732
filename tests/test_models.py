"""The stored GPT of chapter 13: its loss, what it writes, and the page that has it."""

import json
import math
from dataclasses import asdict

import pytest
import torch

from dot2gpt.generation import generate
from dot2gpt.page.weights import still_picture, unpack, vocabulary
from tests import test_page_engine
from tools import models
from tools.evidence import lesson
from tools.models import FOLDER, PROMPT, STEPS, Snapshots, main, script, stored

engine, js = test_page_engine.engine, test_page_engine.js  # fixtures

ABOUT = json.loads((FOLDER / "gpt.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page():
    return lesson("13_gpt")


def test_a_model_a_step_small_enough_to_load():
    assert [model["step"] for model in ABOUT["models"]] == list(STEPS)
    for step in STEPS:
        path = FOLDER / f"step_{step}.js"
        assert path.stat().st_size < 1_200_000
        assert path.read_text(encoding="utf-8") == script(stored(step))


def test_it_is_the_model_of_chapter_13(page):
    assert ABOUT["vocabulary"] == vocabulary(page.bpe)
    assert all(stored(step)["config"] == asdict(page.config) for step in STEPS)


def test_the_stored_weights_have_the_loss_that_the_page_says(page):
    found = []
    for about in ABOUT["models"]:
        model = unpack(stored(about["step"]))
        found.append(page.losses(model, page.whole).mean().item() / page.per_token)
        assert found[-1] == pytest.approx(about["loss"], abs=0.002)
        assert abs(found[-1] - about["float32_loss"]) < 0.001  # what 8 bits cost
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(page.lines["uniform"], abs=0.1)
    assert found[-1] < 1.3


def test_the_stored_samples_are_what_the_weights_write(page):
    for about in ABOUT["models"]:
        model = unpack(stored(about["step"]))
        bars, sample = still_picture(model, page.bpe, PROMPT)
        assert sample == about["sample"]
    assert [id for id, _ in bars] == [id for id, _ in ABOUT["bars"]]
    shares = [share for _, share in ABOUT["bars"]]
    assert [share for _, share in bars] == pytest.approx(shares, abs=0.001)


def test_the_page_writes_200_greedy_tokens_as_generate_does(js, page):
    packed = stored(2000)
    for prompt in (PROMPT, page.text[page.cut : page.cut + 400]):
        ids = page.bpe.encode(prompt)
        how = {"temperature": 0}
        got = js(test_page_engine.STREAM, packed, ids, 200, how)
        assert got == generate(unpack(packed), [ids], 200, temperature=0)[0]


def test_the_page_has_the_loss_of_torch_on_unseen_text(js, page):
    packed, model = stored(2000), unpack(stored(2000))
    x, y = (torch.cat(parts)[:20] for parts in zip(*page.whole))
    code = """const model = new GPT(unpack(a[0]));
    return a[1].flatMap((ids, n) => {
      const logits = model.logits(model.read(ids).states.at(-1));
      return ids.map((_, i) => -Math.log(
        nextProbabilities(row(logits, i), {})[a[2][n][i]]));
    });"""
    got = torch.tensor(js(code, packed, x, y)).view(20, -1)
    torch.testing.assert_close(got, page.losses(model, [(x, y)]), atol=1e-3, rtol=1e-4)


# --- what the page says of it -------------------------------------------------------


@pytest.mark.parametrize(("text", "expected"), [('The "with', '"'), ("__get", "at")])
def test_it_is_sure_of_what_the_page_names(page, text, expected):
    ids = torch.tensor([page.bpe.encode(text)])
    p = unpack(stored(2000))(ids)[0, -1].softmax(-1)
    assert page.bpe.decode([p.argmax().item()]) == expected
    assert p.max() > (0.9 if expected == '"' else 0.5)


def test_what_a_head_and_a_layer_are_worth(js, page):
    """Nats a token on unseen text with parts switched off, and how far heads look."""
    x, y = (torch.cat(parts)[:20] for parts in zip(*page.whole))
    code = """const model = new GPT(unpack(a[0]));
    let loss = 0;
    const far = [0, 0];
    a[1].forEach((ids, n) => {
      const { states, weights } = model.read(ids, { off: new Set(a[3]) });
      const logits = model.logits(states.at(-1));
      ids.forEach((_, i) => {
        loss -= Math.log(nextProbabilities(row(logits, i), {})[a[2][n][i]]);
        weights.forEach((heads, layer) => heads.forEach(looks =>
          row(looks, i).forEach((w, j) => { far[layer] += w * (i - j); })));
      });
    });
    return [loss, far[0] / 4, far[1] / 4].map(sum => sum / a[1].length / 64);"""
    packed = stored(2000)

    def loss(*off):
        return js(code, packed, x, y, list(off))[0]

    whole, near, far = js(code, packed, x, y, [])
    assert near < 8 and far > 12
    assert all(abs(loss(f"1.{head}") - whole) < 0.06 for head in range(4))
    assert 0.02 < loss("0.0") - whole < 0.4
    assert 0.15 < loss("1") - whole < 0.5
    assert loss("0") > 7 > math.log(768)


def test_the_tables_alone_say_the_token_that_was_read(js, page):
    ids = page.whole[0][0][0]
    code = """const model = new GPT(unpack(a[0])), { states } = model.read(a[1]);
    return out(model.logits(states[0]));"""
    said = torch.tensor(js(code, stored(2000), ids)).argmax(-1)
    assert (said == ids).float().mean() > 0.98


def test_at_step_30_what_stands_before_hardly_matters(page):
    """At step 0 all is equally likely, at 30 not, at 500 the text before counts."""
    ids = page.whole[0][0][:8]
    p = {step: unpack(stored(step))(ids)[:, 20:].softmax(-1) for step in STEPS}
    kinds = {step: torch.special.entr(q).sum(-1).mean().exp() for step, q in p.items()}
    assert kinds[0] > 600 and 200 < kinds[30] < 350 and kinds[2000] < 60
    mean = {step: q.mean((0, 1)) for step, q in p.items()}
    moved = {step: (q - mean[step]).abs().sum(-1).mean() / 2 for step, q in p.items()}
    assert moved[30] < 0.1 < 0.5 < moved[500]


def test_snapshots_are_copies_of_their_step():
    model, watch = torch.nn.Linear(1, 1), Snapshots(every=10)
    for step in range(0, 2001, 10):
        with torch.no_grad():
            model.weight.fill_(step)
        watch(model)
    assert {step: m.weight.item() for step, m in watch.models.items()} == {
        step: step for step in STEPS
    }


def test_an_unknown_model_is_refused():
    with pytest.raises(SystemExit, match="no model 'bert', only gpt, dates"):
        main(["bert"])


def test_stopping_keeps_the_models_that_were_trained(tmp_path, monkeypatch):
    def stop():
        raise KeyboardInterrupt

    made = {"first": (tmp_path / "a", lambda: ({"w.js": "1"}, {"step": 1}))}
    monkeypatch.setattr(models, "MODELS", made | {"second": (tmp_path / "b", stop)})
    with pytest.raises(
        SystemExit, match="stored weights of second are those of before"
    ):
        main([])
    found = {path.name: path.read_text() for path in (tmp_path / "a").iterdir()}
    assert found["w.js"] == "1" and json.loads(found["first.json"]) == {"step": 1}
    assert not (tmp_path / "b").exists()


# --- the readers of words beside chapter 15 -----------------------------------------


def test_the_stored_readers_of_words_are_as_good_as_their_curves_say():
    words = lesson("15_bert/real_words")
    curves = json.loads((models.WORDS / "words.json").read_text(encoding="utf-8"))
    path = models.WORDS / "words.pt"
    weights = torch.load(path, weights_only=True)
    assert set(weights) == set(curves) == set(words.SIDES)
    assert path.stat().st_size < 800_000
    for name, left_only in words.SIDES.items():
        reader = words.Reader(left_only)
        reader.load_state_dict(weights[name])
        log_p = words.log_shares(reader, words.windows, words.at)
        nats = -log_p.gather(1, words.answers[:, None]).mean().item()
        assert nats == pytest.approx(curves[name][-1][1], abs=0.01), name


def test_a_reader_does_not_see_the_word_that_it_is_asked_for():
    words = lesson("15_bert/real_words")
    ids, at = words.windows[:50], words.at[:50]
    other = ids.scatter(1, at, 7)
    for left_only in words.SIDES.values():
        torch.manual_seed(0)
        reader = words.Reader(left_only)
        same = [words.log_shares(reader, x, at) for x in (ids, other)]
        torch.testing.assert_close(*same, rtol=0, atol=0)
        right = ids.clone()
        right[:, 8:] = 9  # what stands to the right of the first half
        first = at[:, 0] < 8
        moved = words.log_shares(reader, right, at)[first] != same[0][first]
        assert bool(moved.any()) is not left_only
