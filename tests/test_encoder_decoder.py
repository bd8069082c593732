"""The Transformer against PyTorch's own, its two ways to write, its rate and BLEU."""

import itertools
import math

import pytest
import torch
from torch import nn

from dot2gpt.beam_search import beam_search, length_penalty
from dot2gpt.encoder_decoder import (
    Decoder,
    DecoderLayer,
    Transformer,
    TransformerConfig,
    bleu,
    greedy_decode,
    inverse_root_rate,
)
from dot2gpt.masking import causal_mask, leak_test, padding_mask

PRECISION = [(torch.float32, 1e-5), (torch.float64, 1e-10)]
D_MODEL, HEADS, D_FF, LAYERS = 12, 3, 31, 2
START, END = 0, 1


def randomise(module):
    """Random weights, biases and norms: zeros and ones would hide a mistake."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


@torch.no_grad()
def copy_attention(ours, theirs):
    parts = ours.w_q, ours.w_k, ours.w_v
    theirs.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
    theirs.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
    theirs.out_proj.load_state_dict(ours.w_o.state_dict())


def copy_layer(ours, theirs):
    """Copy an EncoderLayer or a DecoderLayer into PyTorch's."""
    if isinstance(ours, DecoderLayer):
        copy_attention(ours.self_attention, theirs.self_attn)
        copy_attention(ours.cross_attention, theirs.multihead_attn)
        around = ours.around_self, ours.around_cross, ours.around_feed_forward
    else:
        copy_attention(ours.attention, theirs.self_attn)
        around = ours.around_attention, ours.around_feed_forward
    for number, residual in enumerate(around, 1):
        norm = getattr(theirs, f"norm{number}")
        norm.load_state_dict(residual.norm.state_dict())
    theirs.linear1.load_state_dict(ours.feed_forward.widen.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.narrow.state_dict())


def copy_stack(ours, theirs, norm_first):
    """Copy a whole stack. With post-norm ours has no last norm, so theirs goes."""
    for layer, other in zip(ours.layers, theirs.layers, strict=True):
        copy_layer(layer, other)
    theirs.norm = None
    if norm_first:
        theirs.norm = nn.LayerNorm(D_MODEL, dtype=ours.norm.weight.dtype)
        theirs.norm.load_state_dict(ours.norm.state_dict())


def options(norm_first, dtype):
    return dict(dropout=0.0, batch_first=True, norm_first=norm_first, dtype=dtype)


def tokens(time, dtype=torch.float64, batch=2):
    return torch.randn(batch, time, D_MODEL, dtype=dtype)


def close(got, want, atol=1e-10):
    torch.testing.assert_close(got, want, atol=atol, rtol=0)


@pytest.mark.parametrize("dtype, atol", PRECISION)
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("n_queries, n_keys", [(5, 11), (7, 3), (1, 1)])
def test_the_layer_and_the_stack_equal_torch(
    dtype, atol, norm_first, n_queries, n_keys
):
    ours = randomise(Decoder(LAYERS, D_MODEL, HEADS, D_FF, norm_first)).to(dtype)
    layer = nn.TransformerDecoderLayer(
        D_MODEL, HEADS, D_FF, **options(norm_first, dtype)
    )
    stack = nn.TransformerDecoder(layer, LAYERS)
    copy_stack(ours, stack, norm_first)
    x, memory = tokens(n_queries, dtype), tokens(n_keys, dtype)
    causal = causal_mask(n_queries)
    padding = padding_mask([max(1, n_keys - 2), n_keys], n_keys)
    for mask, memory_mask in [(None, None), (causal, None), (causal, padding)]:
        masks = dict(
            tgt_mask=None if mask is None else ~mask,
            memory_key_padding_mask=None if memory_mask is None else ~memory_mask[:, 0],
        )
        want = stack.layers[0](x, memory, **masks)
        close(ours.layers[0](x, memory, mask, memory_mask), want, atol)
        close(ours(x, memory, mask, memory_mask), stack(x, memory, **masks), atol)


def small(dtype=torch.float64, vocab=(23, 19), **changes):
    """A Transformer with random weights, dropout off."""
    sizes = dict(d_model=D_MODEL, n_heads=HEADS, n_layers=LAYERS, d_ff=D_FF) | changes
    return randomise(Transformer(TransformerConfig(*vocab, **sizes))).to(dtype).eval()


def inputs(batch=3, n_keys=11, n_queries=5, vocab=(23, 19)):
    """Random ids, and a mask in which only the last source is full."""
    torch.manual_seed(1)
    source = torch.randint(vocab[0], (batch, n_keys))
    target = torch.randint(vocab[1], (batch, n_queries))
    lengths = torch.linspace(2, n_keys, batch).long()
    return source, target, padding_mask(lengths, n_keys)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("dtype, atol", PRECISION)
@pytest.mark.parametrize("norm_first", [False, True])
def test_the_whole_equals_torch(dtype, atol, norm_first):
    ours = small(dtype, norm_first=norm_first)
    theirs = nn.Transformer(
        D_MODEL, HEADS, LAYERS, LAYERS, D_FF, **options(norm_first, dtype)
    )
    copy_stack(ours.encoder, theirs.encoder, norm_first)
    copy_stack(ours.decoder, theirs.decoder, norm_first)
    source, target, mask = inputs()
    out = theirs(
        ours.embed(ours.source_embedding, source),
        ours.embed(ours.target_embedding, target),
        tgt_mask=~causal_mask(5),
        src_key_padding_mask=~mask[:, 0],
        memory_key_padding_mask=~mask[:, 0],
    )
    close(ours(source, target, mask), ours.to_logits(out), atol)


def test_embeddings_begin_as_large_as_the_positions():
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(500, 7, d_model=64, n_heads=4))
    ids = torch.arange(500).view(-1, 1)
    position = torch.tensor([0.0, 1.0]).repeat(32)  # sin 0, cos 0, sin 0, …
    x = model.embed(model.source_embedding, ids) - position
    assert 0.95 < x.std() < 1.05
    close(x[:, 0], 8 * model.source_embedding.weight, 1e-5)


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_decoder_hides_the_future_and_sees_the_memory(norm_first):
    decoder = randomise(Decoder(LAYERS, D_MODEL, HEADS, D_FF, norm_first)).double()
    memory, x = tokens(7, batch=1), tokens(5)[0]
    mask = causal_mask(5)
    assert leak_test(lambda x: decoder(x[None], memory, mask)[0], x) == []
    assert len(leak_test(lambda x: decoder(x[None], memory)[0], x)) == 10
    changed = memory.clone()
    changed[:, 6] += 1
    moved = decoder(x[None], changed, mask) - decoder(x[None], memory, mask)
    assert (moved.abs().amax(-1) > 1e-6).all()


def test_the_order_of_the_memory_does_not_matter_to_the_decoder():
    decoder = randomise(Decoder(LAYERS, D_MODEL, HEADS, D_FF)).double()
    x, memory = tokens(5), tokens(7)
    close(decoder(x, memory[:, torch.randperm(7)]), decoder(x, memory))


def test_gradients_reach_every_parameter_and_dropout_is_for_training_alone():
    source, target, mask = inputs()
    model = small(dropout=0.5)
    model(source, target, mask).square().sum().backward()
    for name, parameter in model.named_parameters():
        if not name.endswith("w_k.bias"):  # softmax takes no notice of it
            assert parameter.grad.abs().sum() > 0, name
    close(model(source, target, mask), small()(source, target, mask))
    shares = [m.p for m in model.modules() if isinstance(m, nn.Dropout)]
    assert shares == [0.5] * (LAYERS * 2 + LAYERS * 3 + 1)  # the last on embeddings
    model.train()
    assert not torch.equal(model(source, target, mask), model(source, target, mask))


def test_teacher_forcing_is_writing_step_by_step():
    model = small()
    source, target, mask = inputs()
    memory = model.encode(source, mask)
    steps = [model.decode(target[:, : t + 1], memory, mask)[:, -1] for t in range(5)]
    close(model(source, target, mask), torch.stack(steps, 1))


def test_a_padded_batch_equals_single_runs_and_padding_ids_do_not_matter():
    model = small()
    source, target, mask = inputs()
    logits = model(source, target, mask)
    for i, length in enumerate(mask.sum(-1).flatten().tolist()):
        alone = model(source[i : i + 1, :length], target[i : i + 1])
        close(logits[i : i + 1], alone)
    other = torch.where(mask[:, 0], source, 22 - source)
    close(model(other, target, mask), logits)


def sharp(seed, vocab=7, dtype=torch.float64):
    """A seeded model whose answers depend on the source and end at different times."""
    torch.manual_seed(seed)
    config = TransformerConfig(23, vocab, D_MODEL, HEADS, 1, D_FF, norm_first=True)
    model = Transformer(config).to(dtype).eval()
    with torch.no_grad():
        for matrix in [p for p in model.decoder.parameters() if p.dim() == 2]:
            matrix.mul_(3)
        model.to_logits.weight.mul_(4)
    return model


def log_prob(model, source, ids, mask):
    """The teacher-forced log-probability of ids, up to the first END."""
    given = torch.cat([torch.full((len(ids), 1), START), ids[:, :-1]], 1)
    steps = model(source, given, mask).log_softmax(-1)
    steps = steps.gather(-1, ids[..., None])[..., 0]
    before = (ids == END).cumsum(1) - (ids == END).long()
    return (steps * (before == 0)).sum(1)


def end_with(ids, time):
    return nn.functional.pad(ids, (0, time - ids.shape[1]), value=END)


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_one_is_greedy_and_both_return_what_they_say(seed):
    model, (source, _, mask) = sharp(seed), inputs(batch=7)
    greedy = greedy_decode(model, source, START, END, 9, mask)
    ids, scores = beam_search(model, source, START, END, 9, 1, mask)
    assert torch.equal(ids, greedy)
    assert ids.shape[1] <= 9 and ids.dtype == torch.long
    for width in (1, 4):
        ids, scores = beam_search(model, source, START, END, 9, width, mask)
        close(scores, log_prob(model, source, ids, mask))


def test_the_seeded_models_end_at_different_times():
    """What the other tests of decoding rest on."""
    source, _, mask = inputs(batch=7)
    ids = [
        end_with(greedy_decode(sharp(seed), source, START, END, 9, mask), 9)
        for seed in range(5)
    ]
    lengths = set((torch.cat(ids) != END).sum(1).tolist())
    assert len(lengths) >= 4 and 9 in lengths


@pytest.mark.parametrize("seed", range(5))
def test_a_wider_beam_finds_texts_at_least_as_likely(seed):
    model, (source, _, mask) = sharp(seed), inputs(batch=7)
    narrow, wide, all_ = (
        beam_search(model, source, START, END, 3, width, mask)[1]
        for width in (1, 4, 7**3)
    )
    assert (wide >= narrow - 1e-9).all()
    assert (all_ >= wide - 1e-9).all()
    texts = torch.cartesian_prod(*[torch.arange(7)] * 3)  # all of 3 symbols
    for i in range(2):
        source_i = source[i : i + 1].expand(len(texts), -1)
        mask_i = mask[i : i + 1].expand(len(texts), -1, -1)
        best = log_prob(model, source_i, texts, mask_i).max()
        close(all_[i], best)


@pytest.mark.parametrize("width", [1, 4])
def test_a_batch_writes_what_single_runs_write(width):
    model, (source, _, mask) = sharp(2), inputs(batch=7)
    ids, scores = beam_search(model, source, START, END, 9, width, mask)
    greedy = greedy_decode(model, source, START, END, 9, mask)
    for i, length in enumerate(mask.sum(-1).flatten().tolist()):
        alone = source[i : i + 1, :length]
        one, score = beam_search(model, alone, START, END, 9, width)
        assert torch.equal(end_with(one, 9)[0], end_with(ids, 9)[i])
        close(score[0], scores[i])
        one = greedy_decode(model, alone, START, END, 9)
        assert torch.equal(end_with(one, 9)[0], end_with(greedy, 9)[i])


class Table:
    """A writer whose next token depends on the last one alone."""

    def __init__(self, rows):
        self.rows = torch.tensor(rows)
        self.config = TransformerConfig(1, len(rows))
        self.calls = 0

    def encode(self, source, source_mask=None):
        return torch.zeros(len(source), 1, 1)

    def decode(self, target, memory, source_mask=None):
        self.calls += 1
        return self.rows[target].log()


def test_beam_search_by_hand():
    """Greedy: A then C, 0.6 · 0.55 = 0.33. Better: B and the end, 0.4 · 0.9 = 0.36."""
    start, end, a, b, c = range(5)
    table = Table(
        [
            [0.0, 0.0, 0.6, 0.4, 0.0],
            [0.0, 1.0, 0.0, 0.0, 0.0],
            [0.0, 0.45, 0.0, 0.0, 0.55],
            [0.0, 0.9, 0.0, 0.0, 0.1],
            [0.0, 1.0, 0.0, 0.0, 0.0],
        ]
    )
    source = torch.zeros(1, 1, dtype=torch.long)
    assert greedy_decode(table, source, start, end, 5).tolist() == [[a, c, end]]
    assert table.calls == 3
    ids, score = beam_search(table, source, start, end, 5, width=2)
    assert ids.tolist() == [[b, end]]
    close(score.exp(), torch.tensor([0.36]), 1e-6)
    ids, score = beam_search(table, source, start, end, 5, width=11)
    assert ids.tolist() == [[b, end]], "more beams than there are texts"
    ids, score = beam_search(table, source, start, end, 1, width=2)
    assert ids.tolist() == [[a]], "no time to end"


def test_the_length_penalty_by_hand():
    """ln 0.36 / (7/6) = -0.8758 for B and the end; ln 0.33 / (8/6) = -0.8315 for A, C
    and the end: the longer text wins at alpha 1, not at 0.6 (-0.9315 and -0.9329)."""
    assert length_penalty(1, 3.7) == 1 and length_penalty(7, 1) == 2
    close(length_penalty(torch.tensor([1, 7, 13]), 2.0), torch.tensor([1.0, 4.0, 9.0]))
    start, end, a, b, c = range(5)
    table = Table(
        [
            [0.0, 0.0, 0.6, 0.4, 0.0],
            [0.0, 1.0, 0.0, 0.0, 0.0],
            [0.0, 0.45, 0.0, 0.0, 0.55],
            [0.0, 0.9, 0.0, 0.0, 0.1],
            [0.0, 1.0, 0.0, 0.0, 0.0],
        ]
    )
    source = torch.zeros(2, 1, dtype=torch.long)
    for alpha, want, p in (0.6, [b, end], 0.36), (1.0, [a, c, end], 0.33):
        ids, score = beam_search(table, source, start, end, 5, 3, alpha=alpha)
        assert [row[: len(want)] for row in ids.tolist()] == [want] * 2
        close(score.exp(), torch.tensor([p, p]), 1e-6)
    with pytest.raises(ValueError, match="alpha=-0.5 is less than 0"):
        beam_search(table, source, start, end, 5, 3, alpha=-0.5)


@pytest.mark.parametrize("alpha", [0.6, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_beam_that_keeps_everything_finds_the_best_score(seed, alpha):
    model, (source, _, mask) = sharp(seed, vocab=4), inputs(batch=3)
    ids, scores = beam_search(model, source, START, END, 4, 4**4, mask, alpha)
    close(scores, log_prob(model, source, end_with(ids, 4), mask))
    texts = torch.tensor(list(itertools.product(range(4), repeat=4)))
    lengths = (texts == END).int().argmax(1) + 1
    lengths[(texts != END).all(1)] = 4
    penalty = ((5 + lengths.double()) / 6) ** alpha
    for i in range(3):
        source_i = source[i : i + 1].expand(len(texts), -1)
        mask_i = mask[i : i + 1].expand(len(texts), -1, -1)
        best = (log_prob(model, source_i, texts, mask_i) / penalty).max()
        length = len(ids[i].tolist())
        if END in ids[i].tolist():
            length = ids[i].tolist().index(END) + 1
        close(scores[i] / ((5 + length) / 6) ** alpha, best)


def test_one_table_for_all_is_one_table_and_trained_from_all_sides():
    tied = Transformer(TransformerConfig(19, 19, D_MODEL, HEADS, 2, D_FF, tied=True))
    apart = Transformer(TransformerConfig(19, 19, D_MODEL, HEADS, 2, D_FF))
    sizes = [sum(p.numel() for p in m.parameters()) for m in (apart, tied)]
    assert sizes[0] - sizes[1] == 2 * 19 * D_MODEL
    source, target = torch.tensor([[3, 4, 5]]), torch.tensor([[0, 7]])
    tied(source, target)[:, -1, 11].sum().backward()
    moved = tied.to_logits.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert moved == [0, 3, 4, 5, 7, 11]
    with pytest.raises(
        ValueError, match="source_vocab_size=19 .* target_vocab_size=23"
    ):
        TransformerConfig(19, 23, tied=True)


def test_dropout_is_on_the_embeddings_and_positions_too():
    model = small(dropout=0.5).train()
    x = model.embed(model.source_embedding, torch.arange(23)[None])
    assert 0.3 < (x == 0).double().mean() < 0.7


def test_the_rate_by_hand():
    """d_model 4, w 4: 1/2 · min(1/√s, s/8), so 1/16, 1/8, 3/16, 1/4, then 1/(2√s)."""
    got = [inverse_root_rate(s, 4, 4) for s in (1, 2, 3, 4, 9, 16)]
    assert got == pytest.approx([1 / 16, 1 / 8, 3 / 16, 1 / 4, 1 / 6, 1 / 8])
    assert inverse_root_rate(4000, 512) == pytest.approx(1 / math.sqrt(512 * 4000))
    with pytest.raises(ValueError, match="step=0 is less than 1"):
        inverse_root_rate(0, 512)


def words(*texts):
    return [list(text.split()) for text in texts]


@pytest.mark.parametrize(
    "candidate, references, max_n, want",
    [
        # Papineni et al.: "the" counts twice, as in the first reference
        ("the " * 7, ["the cat is on the mat", "there is a cat on the mat"], 1, 2 / 7),
        ("a b a b", ["a b c"], 2, math.sqrt(2 / 4 * 1 / 3)),
        ("a b c d", ["a b c d e"], 4, math.exp(1 - 5 / 4)),
        ("a b c d", ["a b c", "a b c d e"], 2, 1.0),  # at one distance: the shorter
        ("a b c d e", ["a b c d"], 1, 4 / 5),
        ("a b", ["a x", "x b"], 1, 1.0),  # each word from another reference
        ("a b c", ["a b c"], 4, 0.0),  # no run of four
        ("x y z w", ["a b c d"], 4, 0.0),
        ("a b c d", ["d c b a"], 2, 0.0),
        ("", ["a b"], 4, 0.0),
    ],
)
def test_bleu_by_hand(candidate, references, max_n, want):
    assert bleu(words(candidate), [words(*references)], max_n) == pytest.approx(want)


def test_bleu_is_of_the_corpus_not_the_mean_of_its_texts():
    """Runs and lengths are added up first: 6 of 8 words, 4 of 6 pairs, no penalty."""
    texts = words("a b c d", "a b x y")
    got = bleu(texts, [words("a b c d"), words("a b c d")], 2)
    assert got == pytest.approx(math.sqrt(6 / 8 * 4 / 6))
    with pytest.raises(ValueError, match="shorter"):
        bleu(texts, [words("a b c d")], 2)


SIZES = dict(source_vocab_size=23, target_vocab_size=19)


@pytest.mark.parametrize(
    "sizes, words",
    [
        (SIZES | {"target_vocab_size": 0}, "target_vocab_size=0 is less than 1"),
        (SIZES | {"n_layers": 0}, "n_layers=0 is less than 1"),
        (SIZES | {"d_model": 0}, "d_model=0 is less than 1"),
        (SIZES | {"n_heads": 0}, "n_heads=0 is less than 1"),
        (SIZES | {"d_model": 15, "n_heads": 5}, "d_model=15 is odd"),
        (SIZES | {"n_heads": 5}, "d_model=64 is not divisible by n_heads=5"),
        (SIZES | {"dropout": 1.5}, "dropout=1.5 is not between 0 and 1"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes, words):
    with pytest.raises(ValueError, match=words):
        TransformerConfig(**sizes)


def test_inputs_that_cannot_be_are_refused_with_the_numbers():
    model, (source, target, mask) = small(), inputs()
    for bad in (23, -1):
        with pytest.raises(ValueError, match=f"id {bad} .* vocabulary of 23 tokens"):
            model.encode(torch.full((1, 4), bad))
    with pytest.raises(ValueError, match="id 19 .* vocabulary of 19 tokens"):
        model(source, torch.full((3, 4), 19), mask)
    expected = r"expected \(batch, 1, n_keys\) = \(3, 1, 11\)"
    for wrong in (mask[:2], mask[:, 0], causal_mask(11), mask[..., :10]):
        with pytest.raises(ValueError, match=expected):
            model(source, target, wrong)
        with pytest.raises(ValueError, match=expected):
            beam_search(model, source, START, END, 4, 2, wrong)
    with pytest.raises(ValueError, match=expected):
        model.decode(target, model.encode(source, mask), mask[:1])
    with pytest.raises(TypeError, match="torch.float64"):
        model(source, target, mask.double())
    with pytest.raises(ValueError, match="batch=1, the memory batch=3"):
        model.decode(target[:1], model.encode(source, mask), mask)


@pytest.mark.parametrize("search", [greedy_decode, beam_search])
def test_a_search_that_cannot_be_is_refused(search):
    model, (source, _, _) = sharp(0), inputs()
    with pytest.raises(ValueError, match="max_time=0 is less than 1"):
        search(model, source, START, END, 0)
    with pytest.raises(ValueError, match="end=7 is outside .* vocabulary of 7 tokens"):
        search(model, source, START, 7, 4)
    with pytest.raises(ValueError, match="id 9 is outside the vocabulary of 7 tokens"):
        search(model, source, 9, END, 4)
    with pytest.raises(ValueError, match="width=0 is less than 1"):
        beam_search(model, source, START, END, 4, width=0)
