"""BERT against Hugging Face's, and the statistics of its corruption."""

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
)

from dot2gpt.bert import (
    BERT,
    BERTClassifier,
    BERTConfig,
    BERTForPreTraining,
    MaskedTokenHead,
    corrupt,
    join_sentences,
)
from dot2gpt.masking import padding_mask

PRECISION = [(torch.float32, 1e-5), (torch.float64, 1e-10)]
CONFIG = BERTConfig(23, 17, d_model=12, n_heads=3, n_layers=2, d_ff=31)
LENGTHS = [11, 7]


def reference(cls, dtype=torch.float64):
    """A model of Hugging Face's, every weight random, and a batch for it."""
    torch.manual_seed(0)
    model = cls(
        BertConfig(
            vocab_size=CONFIG.vocab_size,
            hidden_size=CONFIG.d_model,
            num_hidden_layers=CONFIG.n_layers,
            num_attention_heads=CONFIG.n_heads,
            intermediate_size=CONFIG.d_ff,
            max_position_embeddings=CONFIG.context_length,
            pad_token_id=None,  # with one, its row gets no gradient
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    ids, segments = torch.randint(0, 23, (2, 11)), torch.randint(0, 2, (2, 11))
    return model.eval().to(dtype), ids, segments


def theirs_on(model, ids, segments):
    """Hugging Face's output for a batch with sequences of LENGTHS."""
    mask = padding_mask(LENGTHS, 11)[:, 0]
    return model(ids, attention_mask=mask.long(), token_type_ids=segments)


@pytest.mark.parametrize("dtype, atol", PRECISION)
def test_it_equals_hugging_face(dtype, atol):
    theirs, ids, segments = reference(BertModel, dtype)
    ours = BERT.from_hugging_face(theirs.state_dict(), CONFIG).to(dtype)
    mask = padding_mask(LENGTHS, 11)
    hidden, want = ours(ids, segments, mask), theirs_on(theirs, ids, segments)
    real = mask[:, 0, :, None]
    torch.testing.assert_close(
        hidden * real, want.last_hidden_state * real, atol=atol, rtol=0
    )
    torch.testing.assert_close(ours.pool(hidden), want.pooler_output, atol=atol, rtol=0)
    torch.testing.assert_close(  # segment 0 where none is given, as theirs
        ours(ids), theirs(ids).last_hidden_state, atol=atol, rtol=0
    )


@pytest.mark.parametrize("dtype, atol", PRECISION)
def test_both_heads_and_the_gradients_equal_hugging_face(dtype, atol):
    theirs, ids, segments = reference(BertForPreTraining, dtype)
    ours = BERTForPreTraining.from_hugging_face(theirs.state_dict(), CONFIG).to(dtype)
    mask = padding_mask(LENGTHS, 11)
    tokens, follows = ours(ids, segments, mask)
    want = theirs_on(theirs, ids, segments)
    real = mask[:, 0, :, None]
    torch.testing.assert_close(
        tokens * real, want.prediction_logits * real, atol=10 * atol, rtol=atol
    )
    torch.testing.assert_close(
        follows, want.seq_relationship_logits, atol=atol, rtol=atol
    )
    ((tokens * real).square().mean() + follows.square().mean()).backward()
    loss = (want.prediction_logits * real).square().mean()
    (loss + want.seq_relationship_logits.square().mean()).backward()
    pairs = {  # the first is used twice, as embedding and in the head
        "embedding.token.weight": "embeddings.word_embeddings.weight",
        "embedding.position.table": "embeddings.position_embeddings.weight",
        "layers.1.attention.w_k.weight": "encoder.layer.1.attention.self.key.weight",
        "pooler.bias": "pooler.dense.bias",
    }
    for name, other in pairs.items():
        torch.testing.assert_close(
            ours.bert.get_parameter(name).grad,
            theirs.bert.get_parameter(other).grad,
            atol=100 * atol,
            rtol=100 * atol,
        )


def test_the_classifier_equals_hugging_face():
    theirs, ids, segments = reference(BertForSequenceClassification)
    state = theirs.state_dict()
    ours = BERTClassifier(BERT.from_hugging_face(state, CONFIG), 2).double()
    ours.classifier.load_state_dict(theirs.classifier.state_dict())
    got = ours(ids, segments, padding_mask(LENGTHS, 11))
    want = theirs_on(theirs, ids, segments).logits
    torch.testing.assert_close(got, want, atol=1e-10, rtol=0)


def test_names_of_the_first_published_files_load():
    theirs, ids, _ = reference(BertForPreTraining)
    old = {
        n.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): t
        for n, t in theirs.state_dict().items()
    }
    old["bert.embeddings.position_ids"] = torch.arange(17)[None]
    ours = BERTForPreTraining.from_hugging_face(old, CONFIG).double()
    want = theirs(ids).prediction_logits
    torch.testing.assert_close(ours(ids)[0], want, atol=1e-9, rtol=1e-9)
    alone = BERT.from_hugging_face(old, CONFIG).double()
    torch.testing.assert_close(alone(ids), ours.bert(ids))


def test_weights_that_are_missing_or_do_not_fit_are_named():
    theirs, _, _ = reference(BertModel)
    state = theirs.state_dict()
    del state["encoder.layer.1.output.dense.bias"]
    with pytest.raises(RuntimeError, match="layers.1.feed_forward.narrow.bias"):
        BERT.from_hugging_face(state, CONFIG)
    with pytest.raises(RuntimeError, match="embedding.position.table"):
        BERT.from_hugging_face(
            theirs.state_dict(),
            BERTConfig(23, 16, d_model=12, n_heads=3, n_layers=2, d_ff=31),
        )


def test_the_head_has_no_table_of_its_own():
    model = BERTForPreTraining(CONFIG)
    tables = [p for p in model.parameters() if tuple(p.shape) == (23, 12)]
    assert len(tables) == 1
    assert sum(p.numel() for p in model.parameters()) == sum(
        p.numel() for p in reference(BertForPreTraining)[0].parameters()
    )
    head = MaskedTokenHead(12, 5, 23, 1e-12)  # a table narrower than the model
    assert head(torch.randn(2, 7, 12), torch.randn(23, 5)).shape == (2, 7, 23)


def test_bert_base_has_110_million_parameters():
    with torch.device("meta"):
        base = BERT(BERTConfig(30_522, 512, 768, 12, 12, 3072))
    assert sum(p.numel() for p in base.parameters()) == 109_482_240


def test_a_padded_batch_equals_the_sequences_alone():
    torch.manual_seed(0)
    model = BERT(CONFIG).double()
    ids = torch.randint(0, 23, (2, 11))
    out = model(ids, mask=padding_mask(LENGTHS, 11))
    for i, n in enumerate(LENGTHS):
        alone = model(ids[i : i + 1, :n])[0]
        torch.testing.assert_close(out[i, :n], alone, atol=1e-12, rtol=0)


def test_without_segments_there_is_no_table_for_them():
    model = BERT(BERTConfig(23, 17, 12, 3, 2, 31, n_segments=0))
    assert model(torch.zeros(2, 5, dtype=torch.long)).shape == (2, 5, 12)
    assert model.embedding.segment.weight.numel() == 0
    with pytest.raises(ValueError, match="segment id 0 has no row in a table of 0"):
        zeros = torch.zeros(2, 5, dtype=torch.long)
        model(zeros, zeros)


def band(n, p):
    """Four standard deviations around n · p."""
    width = 4 * (n * p * (1 - p)) ** 0.5
    return n * p - width, n * p + width


def inside(count, n, p):
    low, high = band(n, p)
    return low <= count <= high


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "share, split", [(0.15, (0.8, 0.1, 0.1)), (0.5, (0.0, 0.7, 0.3)), (1.0, (1, 0, 0))]
)
def test_the_statistics_of_the_corruption(seed, share, split):
    generator = torch.Generator().manual_seed(seed)
    vocab_size, mask_id, special = 13, 4, (0, 11)
    ids = torch.randint(0, vocab_size, (211, 503), generator=generator)
    before = ids.clone()
    inputs, chosen = corrupt(ids, mask_id, vocab_size, special, share, split, generator)
    assert torch.equal(ids, before)
    assert inputs.dtype == torch.long and chosen.dtype == torch.bool
    ordinary = ~torch.isin(ids, torch.tensor([mask_id, *special]))
    assert not (chosen & ~ordinary).any()
    assert torch.equal(inputs[~chosen], ids[~chosen])
    assert inside(chosen.sum(), ordinary.sum(), share)
    n, new, old = chosen.sum(), inputs[chosen], ids[chosen]
    to_mask, to_random, _ = split
    assert inside((new == mask_id).sum(), n, to_mask)
    other = (new != mask_id) & (new != old)  # a random id is the old one 1 in 10 times
    assert inside(other.sum(), n, to_random * 9 / 10)
    assert not torch.isin(new, torch.tensor(special)).any()
    for id in range(vocab_size):  # random ids are even over the ten ordinary ones
        if id not in (mask_id, *special):
            replaced = old != id
            hits = (new[replaced] == id).sum()
            assert inside(hits, replaced.sum(), to_random / 10)


def test_corruption_repeats_with_its_generator_and_columns_are_independent():
    ids = torch.full((20_011, 2), 5)

    def draw(seed):
        return corrupt(ids, 1, 7, generator=torch.Generator().manual_seed(seed))

    assert all(torch.equal(a, b) for a, b in zip(draw(0), draw(0)))
    assert not torch.equal(draw(0)[1], draw(1)[1])
    both = draw(0)[1].all(1).sum()
    assert inside(both, 20_011, 0.15**2)


def test_pairs_are_laid_in_a_row():
    first, second = torch.tensor([[5, 6], [7, 8]]), torch.tensor([[9, 10, 11]] * 2)
    ids, segments = join_sentences(first, second, 2, 3)
    assert ids[1].tolist() == [2, 7, 8, 3, 9, 10, 11, 3]
    assert segments[1].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert ids.shape == segments.shape == (2, 8)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"d_model": 10}, "d_model=10 is not divisible by n_heads=3"),
        ({"vocab_size": 0}, "vocab_size=0 is less than 1"),
        ({"n_layers": 0}, "n_layers=0 is less than 1"),
        ({"n_segments": -1}, "n_segments=-1 is less than 0"),
        ({"dropout": 1.5}, "dropout=1.5 is not between 0 and 1"),
    ],
)
def test_sizes_that_cannot_be_are_refused(change, words):
    sizes = {"vocab_size": 23, "context_length": 17, "d_model": 12, "n_heads": 3}
    with pytest.raises(ValueError, match=words):
        BERTConfig(**sizes | change)


def test_ids_and_probabilities_that_cannot_be_are_refused():
    model, ids = BERT(CONFIG), torch.zeros(2, 5, dtype=torch.long)
    with pytest.raises(ValueError, match="token id 23 has no row in a table of 23"):
        model(ids + 23)
    with pytest.raises(ValueError, match="segment id 2 has no row in a table of 2"):
        model(ids, ids + 2)
    with pytest.raises(ValueError, match=r"token ids are \(5,\)"):
        model(ids[0])
    with pytest.raises(ValueError, match="time=18, .* only 17 positions"):
        model(torch.zeros(1, 18, dtype=torch.long))
    with pytest.raises(ValueError, match="share=1.5"):
        corrupt(ids, 1, 7, share=1.5)
    with pytest.raises(ValueError, match="add to 1"):
        corrupt(ids, 1, 7, split=(0.8, 0.1, 0.2))
    with pytest.raises(ValueError, match="mask_id=7 is not in 0 to 6"):
        corrupt(ids, 7, 7)


def test_dropout_works_in_training_alone():
    config = BERTConfig(23, 17, 12, 3, 2, 31, dropout=0.5)
    classifier = BERTClassifier(BERT(config), 2)
    ids = torch.randint(0, 23, (2, 5))
    assert not torch.equal(classifier(ids), classifier(ids))
    classifier.eval()
    assert torch.equal(classifier(ids), classifier(ids))
    kinds = [m for m in classifier.modules() if isinstance(m, nn.Dropout)]
    assert len(kinds) == 1 + 2 * 2 + 1  # embedding, two a layer, classifier
