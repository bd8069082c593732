"""The losses of distillation and the student; tests/test_family.py has the rest."""

import pytest
import torch

from dot2gpt.bert import BERT, BERTConfig
from dot2gpt.distilbert import direction_loss, soft_target_loss, student_of


def logits(seed=0, shape=(2, 5, 11), dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(2, *shape, generator=g, dtype=dtype)


def gradient(loss, *leaves):
    leaves = [x.clone().requires_grad_() for x in leaves]
    return torch.autograd.grad(loss(*leaves), leaves, allow_unused=True)


@pytest.mark.parametrize("loss", [soft_target_loss, direction_loss])
def test_the_student_alone_gets_a_gradient(loss):
    student, teacher = logits()
    ours, theirs = gradient(loss, student, teacher)
    assert (ours != 0).all() and theirs is None


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_gradient_is_the_difference_of_the_probabilities(temperature):
    student, teacher = logits()
    p, q = (teacher / temperature).softmax(-1), (student / temperature).softmax(-1)
    got = gradient(lambda s, t: soft_target_loss(s, t, temperature), student, teacher)
    want = temperature * (q - p) / 10  # 2 x 5 places
    torch.testing.assert_close(got[0], want, atol=1e-12, rtol=0)


def test_without_end_of_temperature_the_logits_are_compared():
    student, teacher = logits()
    gap = student - teacher
    want = gap.var(-1, correction=0).mean() / 2
    got = soft_target_loss(student, teacher, 1e4)
    torch.testing.assert_close(got, want, atol=1e-3, rtol=0)


def test_a_number_added_to_all_logits_of_a_place_changes_nothing():
    student, teacher = logits()
    moved = student + torch.arange(5.0, dtype=student.dtype)[:, None]
    want = soft_target_loss(student, teacher)
    torch.testing.assert_close(soft_target_loss(moved, teacher), want)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_finite_and_keeps_its_precision_for_certain_teachers(dtype):
    student, teacher = 100 * logits(dtype=dtype)
    loss = soft_target_loss(student, teacher)
    assert loss.isfinite() and loss > 0 and loss.dtype == dtype


def test_refusals_name_the_shapes_and_the_temperature():
    student, teacher = logits()
    with pytest.raises(ValueError, match=r"\(2, 5, 11\).*teacher \(2, 4, 11\)"):
        soft_target_loss(student, teacher[:, 1:])
    for temperature in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=f"temperature={temperature} is not above"):
            soft_target_loss(student, teacher, temperature)


def test_directions_do_not_know_lengths():
    student, teacher = logits()
    lengths = torch.rand(2, 5, 1, dtype=torch.float64) + 0.1
    want = direction_loss(student, teacher)
    torch.testing.assert_close(direction_loss(student * lengths, teacher), want)
    torch.testing.assert_close(direction_loss(-student, teacher), 2 - want)
    assert direction_loss(3 * teacher, teacher).abs() < 1e-12


def test_a_student_is_its_own_model_without_segments():
    teacher = BERT(BERTConfig(23, 7, 12, 3, 4, 5, n_segments=2, norm_eps=0.01))
    student = student_of(teacher)
    assert student.config.n_layers == 2 and student.config.norm_eps == 0.01
    assert student.embedding.segment.weight.numel() == 0
    before = {n: w.clone() for n, w in teacher.state_dict().items()}
    with torch.no_grad():
        for weight in student.parameters():
            weight.add_(1)
    for name, weight in teacher.state_dict().items():
        assert torch.equal(weight, before[name]), name


def test_a_student_of_a_teacher_whose_odd_layers_do_nothing_is_the_teacher():
    torch.manual_seed(0)
    teacher = BERT(BERTConfig(23, 7, 12, 3, 4, 5)).double().eval()
    with torch.no_grad():
        teacher.embedding.segment.weight.zero_()
        for layer in teacher.layers[1::2]:
            for weight in (*layer.attention.parameters(),
                           *layer.feed_forward.parameters()):  # fmt: skip
                weight.zero_()  # what is left is the norm of what is normed already
    ids = torch.randint(0, 23, (2, 7))
    student = student_of(teacher).double()
    torch.testing.assert_close(student(ids), teacher(ids), atol=1e-10, rtol=0)
    assert torch.equal(student.pooler.weight, teacher.pooler.weight)
