"""The modules of Part IV against Hugging Face's models and against their definition."""

import itertools

import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertModel,
    DistilBertConfig,
    DistilBertModel,
    T5ForConditionalGeneration,
)
from transformers import T5Config as TheirT5Config
from transformers.models.t5.modeling_t5 import T5Attention

from dot2gpt.albert import ALBERT, ALBERTConfig
from dot2gpt.bert import BERT, BERTConfig
from dot2gpt.distilbert import (
    from_hugging_face_distilbert,
    soft_target_loss,
    student_of,
)
from dot2gpt.masking import padding_mask
from dot2gpt.t5 import T5, T5Config, corrupt_spans, relative_bucket, restore_spans
from dot2gpt.transformer_xl import (
    RelativeAttention,
    TransformerXL,
    TransformerXLConfig,
    distance_codes,
)
from dot2gpt.xlnet import XLNet, XLNetConfig, permutation_masks, random_ranks

LENGTHS = [20, 31, 31]


@pytest.fixture(autouse=True)
def _double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def shaken(model):
    """A model whose weights are all random, so that none can be forgotten."""
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


def inputs():
    """Ids (3, 31), Hugging Face's attention mask and ours; the first row is padded."""
    ids, theirs = torch.randint(97, (3, 31)), torch.ones(3, 31)
    theirs[0, LENGTHS[0] :] = 0
    return ids, theirs, padding_mask(LENGTHS, 31)


def test_t5_equals_hugging_face():
    config = TheirT5Config(
        vocab_size=97, d_model=48, d_kv=12, d_ff=77, num_layers=3, num_heads=4,
        dropout_rate=0, relative_attention_num_buckets=12,
        relative_attention_max_distance=20,
    )  # fmt: skip
    theirs = shaken(T5ForConditionalGeneration(config))
    ours = T5.from_hugging_face(
        theirs.state_dict(), T5Config(97, 48, 4, 3, 77, 12, 20)
    ).eval()
    ids, their_mask, mask = inputs()
    target = torch.randint(97, (3, 29))
    want = theirs(input_ids=ids, attention_mask=their_mask, decoder_input_ids=target)
    got = ours(ids, target, mask)  # theirs takes softmax in float32 at any precision
    torch.testing.assert_close(got, want.logits, atol=1e-6, rtol=0)


@pytest.mark.parametrize("both_sides", [True, False])
def test_buckets_are_those_of_the_published_code(both_sides):
    distance = torch.arange(-300, 301)
    want = T5Attention._relative_position_bucket(distance, both_sides, 32, 128)
    assert torch.equal(relative_bucket(distance, 32, 128, both_sides), want)


def test_cut_spans_can_be_put_back():
    generator = torch.Generator().manual_seed(0)
    sentinels = list(range(100, 140))
    for length in range(2, 90):
        text = list(range(length))
        source, target = corrupt_spans(text, sentinels, generator=generator)
        assert restore_spans(source, target, sentinels) == text
        n_cut = length - sum(token < 100 for token in source)
        assert n_cut == min(max(1, round(0.15 * length)), length - 1)
    with pytest.raises(ValueError, match="the text holds the sentinel 100"):
        corrupt_spans([5, 100], sentinels)


def test_relative_scores_are_the_four_terms_of_the_paper():
    attention = shaken(RelativeAttention(12, 3))
    x = torch.randn(1, 5, 12)
    place = torch.arange(5)
    distance = place[:, None] - place
    _, weights = attention(x, x, distance)
    heads = [m(x)[0].view(5, 3, 4) for m in (attention.w_q, attention.w_k)]
    codes = distance_codes(torch.arange(-4, 5), 12).double()
    codes = attention.w_r(codes).view(9, 3, 4)
    scores = torch.zeros(3, 5, 5)
    for h, i, j in itertools.product(range(3), range(5), range(5)):
        q, k, r = heads[0][i, h], heads[1][j, h], codes[i - j + 4, h]
        u, v = attention.u[h, 0], attention.v[h, 0]
        scores[h, i, j] = (q @ k + q @ r + u @ k + v @ r) / 2
    torch.testing.assert_close(weights[0], scores.softmax(-1))


def test_a_memory_of_everything_equals_one_long_sequence():
    model = shaken(TransformerXL(TransformerXLConfig(13, 100, 12, 3, 3, 20)))
    ids = torch.randint(13, (2, 24))
    whole, _ = model(ids)
    parts, memory = [], None
    for segment in ids.split(5, dim=1):
        logits, memory = model(segment, memory)
        parts.append(logits)
        assert not any(kept.requires_grad for kept in memory)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


def test_xlnet_sees_exactly_what_came_before_in_the_order():
    model = shaken(XLNet(XLNetConfig(13, 12, 3, 2, 20)))
    ids, rank = torch.randint(13, (2, 6)), random_ranks(2, 6)
    before = model(ids, rank)
    for place in range(6):
        changed = ids.clone()
        changed[:, place] = (changed[:, place] + 1) % 13
        moved = (model(changed, rank) - before).abs().amax(-1) > 1e-9
        assert torch.equal(moved, rank > rank[:, place : place + 1])
    content, query = permutation_masks(rank)
    assert torch.equal(content, query | torch.eye(6, dtype=torch.bool))


def test_albert_equals_hugging_face():
    config = AlbertConfig(
        vocab_size=97, embedding_size=20, hidden_size=48, num_hidden_layers=3,
        num_attention_heads=4, intermediate_size=77, max_position_embeddings=41,
        hidden_dropout_prob=0, attention_probs_dropout_prob=0,
    )  # fmt: skip
    theirs = shaken(AlbertModel(config))
    sizes = ALBERTConfig(97, 41, 20, 48, 4, 3, 77)
    ours = ALBERT.from_hugging_face(theirs.state_dict(), sizes).eval()
    ids, their_mask, mask = inputs()
    segments = torch.randint(2, (3, 31))
    want = theirs(ids, attention_mask=their_mask, token_type_ids=segments)
    hidden = ours(ids, segments, mask)
    torch.testing.assert_close(hidden, want[0], atol=1e-10, rtol=0)
    torch.testing.assert_close(ours.pool(hidden), want[1], atol=1e-10, rtol=0)


def test_distilbert_equals_hugging_face():
    config = DistilBertConfig(
        vocab_size=97, dim=48, n_layers=3, n_heads=4, hidden_dim=77,
        max_position_embeddings=41, dropout=0, attention_dropout=0,
    )  # fmt: skip
    theirs = shaken(DistilBertModel(config))
    sizes = BERTConfig(97, 41, 48, 4, 3, 77, n_segments=0)
    ours = from_hugging_face_distilbert(theirs.state_dict(), sizes).eval()
    ids, _, _ = inputs()
    torch.testing.assert_close(ours(ids), theirs(ids)[0], atol=1e-10, rtol=0)


def test_a_student_starts_with_every_other_layer():
    teacher = BERT(BERTConfig(97, 41, 48, 4, 4, 77))
    student = student_of(teacher)
    for mine, theirs in (0, 0), (1, 2):
        weights = student.layers[mine].state_dict()
        for name, weight in teacher.layers[theirs].state_dict().items():
            assert torch.equal(weights[name], weight)
    with pytest.raises(ValueError, match="n_layers=3 cannot be halved"):
        student_of(BERT(BERTConfig(97, 41, 48, 4, 3, 77)))


def test_soft_targets_equal_the_kl_divergence():
    student, teacher = torch.randn(2, 5, 11)
    want = 9 * torch.nn.functional.kl_div(
        (student / 3).log_softmax(-1), (teacher / 3).softmax(-1), reduction="batchmean"
    )
    torch.testing.assert_close(soft_target_loss(student, teacher, 3.0), want)
    assert soft_target_loss(teacher, teacher).abs() < 1e-12
