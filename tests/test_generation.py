"""Generation against Hugging Face's, with and without the cache, and its draws."""

import codecs
import itertools
import math

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.generation.logits_process import (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from dot2gpt import generation
from dot2gpt.generation import (
    KVCache,
    evaluation_mode,
    first_visible,
    generate,
    move_on,
    next_logits,
    next_probabilities,
    next_token,
    restart,
    stream,
    stream_text,
)
from dot2gpt.gpt import GPT, GPTConfig
from dot2gpt.tokens import encoding

PRECISION = [(torch.float32, 1e-5), (torch.float64, 1e-10)]
PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3]]
VOCAB, CONTEXT = 23, 11


def small_gpt(dtype=torch.float64, context=CONTEXT, dropout=0.0):
    """A GPT with weights so large that even its greedy texts are varied."""
    torch.manual_seed(0)
    config = GPTConfig(VOCAB, context, 12, 3, 2, dropout=dropout)
    model = GPT(config).to(dtype).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.7)
        model.norm.bias.zero_()  # or one token would win everywhere
    return model


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# --- the probabilities --------------------------------------------------------------


def test_five_tokens_by_hand():
    logits = torch.tensor([1.0, 8, 2, 1, 4], dtype=torch.float64).log()

    def weights(**how):
        p = next_probabilities(logits, **how)
        assert p.sum().item() == pytest.approx(1)
        return (p / p[p > 0].min()).tolist()

    assert weights() == pytest.approx([1, 8, 2, 1, 4])
    assert weights(temperature=0.5) == pytest.approx([1, 64, 4, 1, 16])
    assert weights(temperature=0) == [0, 1, 0, 0, 0]
    assert weights(top_k=2) == pytest.approx([0, 2, 0, 0, 1])
    assert weights(top_k=9) == pytest.approx([1, 8, 2, 1, 4])
    assert weights(top_p=0.5) == [0, 1, 0, 0, 0]
    assert weights(top_p=0.5001) == pytest.approx([0, 2, 0, 0, 1])
    assert weights(top_p=0.75) == pytest.approx([0, 2, 0, 0, 1])
    assert weights(top_p=0.7501) == pytest.approx([0, 4, 1, 0, 2])
    assert weights(top_p=1e-9) == [0, 1, 0, 0, 0]
    # top_k first, then top_p of what is left; and the temperature before both
    assert weights(top_k=2, top_p=0.6) == [0, 1, 0, 0, 0]
    assert weights(temperature=2, top_p=0.75) == pytest.approx(
        [0, 2, 1, 0, math.sqrt(2)]
    )


def test_of_equals_the_smaller_id_stays():
    logits = torch.tensor([0.0, 1, 0, 1, 0, 1])
    assert next_probabilities(logits, top_k=2).tolist() == [0, 0.5, 0, 0.5, 0, 0]
    assert next_probabilities(logits, temperature=0)[1] == 1
    even = next_probabilities(torch.zeros(4), top_p=0.5)
    assert even.tolist() == [0.5, 0.5, 0, 0]
    many = next_probabilities(torch.zeros(3, 1000), top_k=7)
    assert (many[:, :7] > 0).all() and (many[:, 7:] == 0).all()


SETTINGS = [
    (0.7, None, None),
    (1.0, 5, None),
    (1.0, None, 0.6),
    (1.0, None, 1.0),
    (1.3, 7, 0.8),
    (0.4, 200, 0.95),
]


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), SETTINGS)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
def test_as_hugging_faces_warpers_where_no_scores_are_equal(
    temperature, top_k, top_p, dtype, tolerance
):
    logits = 3 * torch.randn(21, 101, generator=seeded()).to(dtype)
    warped = TemperatureLogitsWarper(temperature)(None, logits)
    if top_k:
        warped = TopKLogitsWarper(top_k)(None, warped)
    if top_p:
        warped = TopPLogitsWarper(top_p)(None, warped)
    ours = next_probabilities(logits.view(7, 3, 101), temperature, top_k, top_p)
    want = warped.softmax(-1).view(7, 3, 101)
    torch.testing.assert_close(ours, want, atol=tolerance, rtol=0)


def test_where_hugging_faces_warpers_keep_more():
    even = torch.zeros(1, 6)
    assert (TopKLogitsWarper(2)(None, even) > -math.inf).sum() == 6
    assert (next_probabilities(even, top_k=2) > 0).sum() == 2


def test_top_p_of_1_drops_nothing_however_unlikely():
    logits = torch.tensor([20.0, 0, -3, -20])  # in float32 the first is 1 when rounded
    assert torch.equal(next_probabilities(logits, top_p=1.0), logits.softmax(-1))
    assert (next_probabilities(logits, top_k=3, top_p=1.0) > 0).tolist() == [1, 1, 1, 0]


def test_extreme_temperatures_and_scores():
    logits = torch.tensor([900.0, 1000, -1000, -math.inf])
    for temperature in (1e-38, 1e-9, 0.01):
        p = next_probabilities(logits, temperature=temperature)
        assert p.tolist() == [0, 1, 0, 0]
    hot = next_probabilities(logits, temperature=1e30)
    torch.testing.assert_close(hot, torch.tensor([1, 1, 1, 0]) / 3)
    tied = next_probabilities(torch.tensor([5.0, 5, 1]), temperature=1e-30)
    assert tied.tolist() == [0.5, 0.5, 0]
    for how in ({"top_k": 4}, {"top_p": 0.9}):
        assert next_probabilities(logits, **how).isfinite().all()


def test_the_argument_is_left_as_it_was():
    logits = torch.randn(2, 9, generator=seeded())
    before = logits.clone()
    next_probabilities(logits, 0.7, 3, 0.9)
    next_token(logits, 0.7, 3, 0.9, seeded())
    assert torch.equal(logits, before)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"temperature": -0.1}, "temperature=-0.1 is not 0 or more"),
        ({"temperature": math.nan}, "temperature=nan is not 0 or more"),
        ({"top_k": 0}, "top_k=0 is not 1 or more"),
        ({"top_p": 0.0}, r"top_p=0.0 is not in \(0, 1\]"),
        ({"top_p": 1.5}, r"top_p=1.5 is not in \(0, 1\]"),
        ({"temperature": 0, "top_k": -2}, "top_k=-2 is not 1 or more"),
    ],
)
def test_impossible_settings_are_refused(how, words):
    for call in (next_probabilities, next_token):
        with pytest.raises(ValueError, match=words):
            call(torch.zeros(1, 5), **how)
    with pytest.raises(ValueError, match=words):
        generate(small_gpt(), [[1]], 1, **how)


# --- draws --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [{}, {"temperature": 2.0}, {"top_k": 3}, {"top_p": 0.8}]
)
def test_frequencies_lie_in_four_sigma(how):
    logits = torch.tensor([1.0, 8, 2, 1, 4]).log()
    n, p = 20_000, next_probabilities(logits, **how)
    drawn = next_token(logits.expand(n, -1), **how, generator=seeded(5))
    counts = drawn.bincount(minlength=5)
    assert ((counts - n * p).abs() <= 4 * (n * p * (1 - p)).sqrt()).all()


def test_rows_are_drawn_by_themselves():
    logits = torch.full((2, 1000, 3), -math.inf)
    logits[0, :, 0] = logits[1, :, 1:] = 0.0
    first, second = (next_token(x, generator=seeded()) for x in logits)
    assert (first == 0).all() and set(second.tolist()) == {1, 2}


def test_seeds_repeat_and_differ():
    model = small_gpt(torch.float32)
    runs = [generate(model, PROMPTS, 20, generator=seeded(s)) for s in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    torch.manual_seed(3)
    first = generate(model, PROMPTS, 20)
    torch.manual_seed(3)
    assert generate(model, PROMPTS, 20) == first


# --- the cache ----------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("sizes", [[11], [1] * 11, [4, 1, 5, 1], [1, 10], [5, 6]])
def test_pieces_on_a_cache_are_the_whole(dtype, tolerance, sizes):
    model = small_gpt(dtype)
    ids = torch.randint(VOCAB, (3, CONTEXT), generator=seeded())
    cache = KVCache(model, 3)
    with torch.no_grad():
        whole = model(ids)
        pieces = [model(piece, cache) for piece in ids.split(sizes, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=tolerance, rtol=0)
    assert cache.lengths == [CONTEXT] * 3 and cache.store.dtype == dtype


def test_ragged_pieces_on_a_cache_are_each_row_alone():
    model, draw = small_gpt(), seeded(1)
    texts = torch.randint(VOCAB, (3, CONTEXT), generator=draw).tolist()
    cache, read = KVCache(model, 3), [0, 0, 0]
    with torch.no_grad():
        wholes = [model(torch.tensor([text]))[0] for text in texts]
        for counts in ([2, 5, 1], [1, 1, 1], [3, 0, 2], [1, 1, 4], [2, 2, 2]):
            rows = [t[n : n + c] for t, n, c in zip(texts, read, counts)]
            padded = torch.tensor([r + [22] * (max(counts) - len(r)) for r in rows])
            logits = model(padded, cache, counts)
            for row, (n, count) in enumerate(zip(read, counts)):
                want = wholes[row][n : n + count]
                torch.testing.assert_close(
                    logits[row, :count], want, atol=1e-10, rtol=0
                )
            read = [n + count for n, count in zip(read, counts)]
            assert cache.lengths == read


def test_the_mask_is_the_bottom_of_the_causal_square():
    cache = KVCache(small_gpt(), 2)
    assert torch.equal(cache.mask(4)[0, 0], torch.ones(4, 4).tril().bool())
    cache.advance([5, 3])
    mask = cache.mask(3)
    assert mask.shape == (2, 1, 3, 8)
    assert torch.equal(mask[0, 0], torch.ones(8, 8).tril()[5:].bool())
    assert torch.equal(mask[1, 0], torch.ones(8, 8).tril()[3:6].bool())
    assert cache.mask(1).sum(-1).flatten().tolist() == [6, 4]
    cache.advance([0, 2])
    assert cache.mask(1) is None


def test_the_cache_is_as_large_as_it_says():
    model = small_gpt()
    assert KVCache(model, 7).store.numel() == 2 * 2 * 7 * CONTEXT * 12


def test_rows_of_a_cache_are_kept_and_replaced():
    model = small_gpt()
    texts = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    cache = KVCache(model, 3)
    with torch.no_grad():
        model(torch.tensor(texts), cache)
        cache.keep([2, 0])
        restart(model, cache, 1, [5, 5])
        assert cache.lengths == [3, 2]
        logits = next_logits(model, [[7, 8, 9, 1], [5, 5, 2]], [0, 0], cache)
        alone = [next_logits(model, [t], [0])[0] for t in ([7, 8, 9, 1], [5, 5, 2])]
    torch.testing.assert_close(logits, torch.stack(alone), atol=1e-10, rtol=0)


def test_too_much_for_the_context_is_refused():
    model = small_gpt()
    cache = KVCache(model, 1)
    with torch.no_grad():
        model(torch.zeros(1, 9, dtype=torch.long), cache)
        with pytest.raises(ValueError, match="12 tokens are more than context_length"):
            model(torch.zeros(1, 3, dtype=torch.long), cache)


def test_a_text_with_nothing_to_read_is_refused():
    model = small_gpt()
    cache = KVCache(model, 2)
    with torch.no_grad():
        model(torch.tensor([[1, 2, 3], [4, 5, 6]]), cache, [3, 2])
        with pytest.raises(ValueError, match="text 0 has no id that is still"):
            next_logits(model, [[1, 2, 3], [4, 5, 6]], [0, 0], cache)


# --- texts --------------------------------------------------------------------------


def plain(model, prompt, n_tokens):
    """Greedy, one prompt, from the definition: read what is visible, take the best."""
    text, start = list(prompt), max(0, len(prompt) - model.config.context_length)
    for _ in range(n_tokens):
        with torch.no_grad():
            scores = model(torch.tensor([text[start:]]))[0, -1]
        text.append(scores.argmax().item())
        if len(text) - start > model.config.context_length:
            start = len(text) - max(1, model.config.context_length // 2)
    return text


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("context", [1, 2, 3, CONTEXT, 64])
def test_a_batch_is_each_prompt_alone_from_the_definition(use_cache, context):
    model = small_gpt(context=context)
    together = generate(model, PROMPTS, 50, temperature=0, use_cache=use_cache)
    assert together == [plain(model, prompt, 50) for prompt in PROMPTS]
    assert len(set(together[0][5:])) > 5 or context != CONTEXT


@pytest.mark.parametrize("how", [{}, {"top_k": 5}, {"temperature": 1.7, "top_p": 0.9}])
@pytest.mark.parametrize("seed", range(2))
def test_drawn_texts_are_the_same_with_and_without_the_cache(how, seed):
    model = small_gpt()
    ways = [
        generate(model, PROMPTS, 45, use_cache=use, generator=seeded(seed), **how)
        for use in (True, False)
    ]
    assert ways[0] == ways[1]
    assert [len(text) for text in ways[0]] == [len(p) + 45 for p in PROMPTS]
    stops = [
        generate(model, PROMPTS, 45, use_cache=use, stop=7, generator=seeded(seed))
        for use in (True, False)
    ]
    assert stops[0] == stops[1]


def test_logits_are_the_same_to_1e_10_far_past_the_context():
    model = small_gpt()
    new = torch.randint(VOCAB, (3, 5 * CONTEXT), generator=seeded()).tolist()
    texts = [list(prompt) for prompt in PROMPTS]
    starts = [max(0, len(text) - CONTEXT) for text in texts]
    cache, moves = KVCache(model, 3), 0
    with torch.no_grad():
        for step in range(5 * CONTEXT):
            fast = next_logits(model, texts, starts, cache)
            slow = next_logits(model, texts, starts)
            torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)
            for text, row in zip(texts, new):
                text.append(row[step])
            before = list(starts)
            move_on(model, texts, starts, cache)
            moves += before != starts
            assert cache.lengths == [len(t) - s - 1 for t, s in zip(texts, starts)]
    assert moves > 10


def test_the_window_moves_by_half_the_context():
    seen, start = [], 0
    for length in range(1, 20):
        start = first_visible(start, length, 8)
        seen.append(length - start)
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, *[4, 5, 6, 7, 8] * 2, 4]
    assert first_visible(0, 2, 1) == 1 and first_visible(3, 6, 3) == 3


def test_each_token_is_read_once_within_the_context():
    model = small_gpt(context=64)
    counted = []
    model.tokens.register_forward_hook(
        lambda module, inputs, output: counted.append(inputs[0].shape)
    )
    generate(model, [[1, 2, 3]], 61)
    assert counted == [(1, 3)] + [(1, 1)] * 60
    counted.clear()
    generate(model, [[1, 2, 3]], 61, use_cache=False)
    assert counted == [(1, n) for n in range(3, 64)]


def test_past_the_context_each_token_is_read_about_twice():
    model, counted = small_gpt(context=64), []
    model.tokens.register_forward_hook(
        lambda module, inputs, output: counted.append(inputs[0].numel())
    )
    generate(model, [[1]], 400)
    assert sum(counted) < 800


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_greedy_text_is_hugging_faces(dtype):
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCAB, n_positions=64, n_embd=12, n_head=3, n_layer=2,
        initializer_range=0.4, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    theirs = GPT2LMHeadModel(config).to(dtype).eval()
    torch.nn.init.normal_(theirs.transformer.wpe.weight, std=1.5)  # or it repeats
    ours = GPT.from_gpt2(theirs.state_dict(), n_heads=3).to(dtype)
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        want = theirs.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=40,
            do_sample=False,
            pad_token_id=0,
        )
        assert generate(ours, [prompt], 40, temperature=0) == want.tolist()
        assert len(set(want[0, -40:].tolist())) > 3


def test_a_text_ends_with_its_stop_token_and_the_others_go_on():
    model, kinds = small_gpt(), set()
    free = generate(model, PROMPTS, 25, temperature=0)
    for stop in range(VOCAB):
        ended = generate(model, PROMPTS, 25, temperature=0, stop=stop)
        for got, text, prompt in zip(ended, free, PROMPTS):
            after = text[len(prompt) :]
            n = after.index(stop) + 1 if stop in after else 25
            assert got == text[: len(prompt) + n]
            kinds.add(n)
    assert len(kinds) > 5 and 25 in kinds


def test_a_stop_token_in_the_prompt_does_not_end_it():
    model = small_gpt()
    text = generate(model, [[9, 9]], 30, stop=9, generator=seeded())[0]
    assert len(text) > 2 and 9 not in text[2:-1]


def test_a_stream_yields_each_step_and_only_rows_that_go_on():
    model = small_gpt()
    rows = [list(s) for s in stream(model, PROMPTS, 40, stop=7, generator=seeded())]
    lengths = [
        len(text) - len(prompt)
        for text, prompt in zip(
            generate(model, PROMPTS, 40, stop=7, generator=seeded()), PROMPTS
        )
    ]
    assert [sum(n in row for row in rows) for n in range(3)] == lengths
    assert len(set(lengths)) > 1 and len(rows) == max(lengths)
    first = next(stream(model, PROMPTS, 10**9, temperature=0))
    assert first == {n: plain(model, p, 1)[-1] for n, p in enumerate(PROMPTS)}


def test_nothing_to_write():
    model = small_gpt()
    assert generate(model, PROMPTS, 0) == PROMPTS
    assert generate(model, [], 5) == []
    prompts = [list(prompt) for prompt in PROMPTS]
    generate(model, prompts, 5)
    assert prompts == PROMPTS


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ([[1], []], "prompt 1 is empty"),
        ([[1, 23]], "prompt 0 has the id 23, outside 0 to 22"),
        ([[5], [-1]], "prompt 1 has the id -1, outside 0 to 22"),
    ],
)
def test_prompts_that_cannot_be_read_are_refused(prompts, words):
    with pytest.raises(ValueError, match=words):
        generate(small_gpt(), prompts, 1)


def test_dropout_is_off_while_it_writes_and_on_afterwards():
    model = small_gpt(dropout=0.5).train()
    assert generate(model, PROMPTS, 9, temperature=0) == [
        plain(small_gpt(), prompt, 9) for prompt in PROMPTS
    ]
    assert model.training
    steps = stream(model, PROMPTS, 9)
    next(steps)
    assert not model.training
    steps.close()
    assert model.training
    with pytest.raises(ZeroDivisionError), evaluation_mode(model):
        raise ZeroDivisionError
    assert model.training


def test_no_gradients_are_kept():
    model = small_gpt()
    caches = []

    class Kept(KVCache):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            caches.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "KVCache", Kept)
        generate(model, PROMPTS, 3)
    assert caches and not any(cache.store.requires_grad for cache in caches)
    assert torch.is_grad_enabled()


# --- text as it is written ----------------------------------------------------------


class Recital:
    """Stands in for a GPT: says its script, whatever it is asked."""

    def __init__(self, script, prompt):
        self.config = GPTConfig(256, 999, 1, 1, 1)
        self.tokens = torch.nn.Embedding(256, 1)
        self.script, self.n_prompt, self.training = script, prompt, False

    def states(self, ids, cache, counts):
        cache.advance(counts)
        return torch.tensor(cache.lengths).view(1, 1, 1).expand(*ids.shape, 1)

    def head(self, states):
        at = [n - self.n_prompt for n in states[:, 0].tolist()]
        return torch.nn.functional.one_hot(
            torch.tensor([self.script[n] for n in at]), 256
        ).float()

    def train(self, mode=True):
        pass

    eval = train


def recited(said, n_tokens=None):
    """The pieces of text that bytes, one a token, come out in."""
    model = Recital(list(said), prompt=2)
    n_tokens = len(said) if n_tokens is None else n_tokens
    return list(stream_text(model, encoding([]), "ab", n_tokens, temperature=0))


def test_a_cut_character_is_held_back_until_it_is_whole():
    assert recited("早a🙂!".encode()) == ["早", "a", "🙂", "!"]
    assert recited("é".encode(), 1) == ["\ufffd"]


@pytest.mark.parametrize("seed", range(5))
def test_the_pieces_are_the_text_of_all_bytes(seed):
    said = bytes(torch.randint(256, (60,), generator=seeded(seed)).tolist())
    assert "".join(recited(said)) == said.decode(errors="replace")


def test_the_pieces_are_what_generate_writes():
    torch.manual_seed(0)
    model = GPT(GPTConfig(256, 16, 12, 3, 2))
    enc = encoding([])
    pieces = list(stream_text(model, enc, "早上", 90, generator=seeded()))
    ids = generate(model, [enc.encode("早上")], 90, generator=seeded())[0]
    said = enc.decode_bytes(ids[6:])
    assert "".join(pieces) == said.decode(errors="replace")
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    shown = "".join(decoder.decode(bytes([b])) for b in said[:30])
    assert "".join(itertools.islice(pieces, len(pieces))).startswith(shown)


def test_streaming_comes_one_token_at_a_time():
    model = Recital(list(b"hello"), prompt=2)
    pieces = stream_text(model, encoding([]), "ab", 5, temperature=0)
    model.script[1] = ord("u")  # nothing is drawn before it is asked for
    assert next(pieces) == "h"
    model.script[2] = ord("g")
    assert [next(pieces), next(pieces)] == ["u", "g"]


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="prompt 0 is empty"):
        next(stream_text(small_gpt(), encoding([]), "", 3))
