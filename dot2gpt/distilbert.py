"""A small model that learns from a large one. Built in chapter 19."""

from dataclasses import replace

import torch.nn.functional as F

from dot2gpt.bert import BERT, rename


def soft_target_loss(student, teacher, temperature=2.0):
    """How far the student's probabilities are from the teacher's, both softened: the
    KL divergence times temperature² (Hinton et al. 2015, section 2).

    student, teacher: logits (..., vocab_size); the teacher gets no gradient. Raises
    ValueError for different shapes and for a temperature that is not above 0.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"the student has logits {tuple(student.shape)}, "
            f"the teacher {tuple(teacher.shape)}"
        )
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} is not above 0")
    ours = (student / temperature).log_softmax(-1)
    theirs = (teacher.detach() / temperature).log_softmax(-1)
    divergence = (theirs.exp() * (theirs - ours)).sum(-1).mean()
    return temperature**2 * divergence


def direction_loss(student, teacher):
    """1 minus the cosine of the two models' hidden states, averaged over tokens (Sanh
    et al. 2019, section 3). student, teacher: (..., d_model)."""
    return 1 - F.cosine_similarity(student, teacher.detach(), dim=-1).mean()


def student_of(teacher):
    """A BERT of half the layers that starts with every other layer of the teacher, its
    embedding without segments, and its pooler (Sanh et al. 2019, section 3).

    teacher: a BERT. Raises ValueError if its number of layers is odd.
    """
    config = teacher.config
    if config.n_layers % 2:
        raise ValueError(f"n_layers={config.n_layers} cannot be halved")
    student = BERT(replace(config, n_layers=config.n_layers // 2, n_segments=0))
    weights = {n: w for n, w in teacher.state_dict().items() if "segment" not in n}
    kept = {f"layers.{2 * n}.": f"layers.{n}." for n in range(config.n_layers // 2)}
    for name, weight in weights.items():
        if name.startswith("layers."):
            continue
        student.get_parameter(name).data.copy_(weight)
    for theirs, ours in kept.items():
        for name, weight in weights.items():
            if name.startswith(theirs):
                student.get_parameter(name.replace(theirs, ours)).data.copy_(weight)
    return student


def from_hugging_face_distilbert(state_dict, config):
    """A BERT with the weights of Hugging Face's DistilBertModel; its pooler, which that
    model lacks, starts at random. config: a BERTConfig with n_segments=0."""
    names = {
        "distilbert.": "",
        "embeddings.word_embeddings": "embedding.token",
        "embeddings.position_embeddings.weight": "embedding.position.table",
        "embeddings.LayerNorm": "embedding.norm",
        "transformer.layer.": "layers.",
        "attention.q_lin": "attention.w_q",
        "attention.k_lin": "attention.w_k",
        "attention.v_lin": "attention.w_v",
        "attention.out_lin": "attention.w_o",
        "sa_layer_norm": "around_attention.norm",
        "ffn.lin1": "feed_forward.widen",
        "ffn.lin2": "feed_forward.narrow",
        "output_layer_norm": "around_feed_forward.norm",
    }
    model = BERT(config)
    own = {
        n: w
        for n, w in model.state_dict().items()
        if n.startswith(("pooler", "embedding.segment"))
    }
    model.load_state_dict({**own, **rename(state_dict, names)})
    return model
