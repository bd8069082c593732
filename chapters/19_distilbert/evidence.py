"""What chapter 19 claims, measured: `python -m tools.evidence 19_distilbert`."""

import copy

import torch

from tools.evidence import claim, lesson


@claim(
    "With T² the soft loss keeps its size, and at a high temperature its gradient is the "
    "difference of the centred logits over the vocabulary's size",
    holds=lambda f: (
        f["T = 64, off the limit"] < 0.06 and 0.4 < f["size at 8 over size at 1"] < 2.5
    ),
)
def temperature(seed, budget):
    page, gaps, ratios = lesson("19_distilbert"), [], []
    for _ in range(50):
        z_s, z_t = 2 * torch.randn(2, 10).double()
        z_s, z_t = z_s - z_s.mean(), z_t - z_t.mean()
        limit, sizes = (z_s - z_t) / 10, {}
        for T in (1, 8, 64):
            z = z_s.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(page.soft_target_loss(z, z_t, T), z)
            sizes[T] = gradient.norm()
        gaps.append((gradient - limit).norm() / limit.norm())
        ratios.append(sizes[8] / sizes[1])
    return {
        "T = 64, off the limit": torch.stack(gaps).mean().item(),
        "size at 8 over size at 1": torch.stack(ratios).mean().item(),
    }


@claim(
    "The student starts as every other layer of its teacher, and at BERT's size it has "
    "39 % fewer parameters",
    holds=lambda f: 0.385 < f["fewer parameters"] < 0.395 and f["layers copied"] == 2,
)
def half(seed, budget):
    page = lesson("19_distilbert")
    with torch.device("meta"):
        teacher = page.BERT(page.base)
        student = page.student_of(teacher)
    teacher_4 = page.BERT(page.config)
    layers = page.student_of(teacher_4).layers
    same = [
        torch.equal(layers[n].attention.w_q.weight, theirs.attention.w_q.weight)
        for n, theirs in ((0, teacher_4.layers[0]), (1, teacher_4.layers[2]))
    ]
    fewer = 1 - page.count(student) / page.count(teacher)
    return {"fewer parameters": fewer, "layers copied": sum(same)}


@claim(
    "From 64 texts, soft targets beat hard ones from fresh weights and from the teacher's "
    "layers, and DistilBERT ends below half the excess of hard targets",
    budgets=(1, 2, 4),
    stronger="more steps for all of them",
    holds=lambda f: (
        f["soft"] < f["hard"] - 0.15
        and f["teacher's layers, soft"] < f["teacher's layers, hard"] - 0.05
        and f["DistilBERT"] < 0.5 * f["hard"]
    ),
)
def students(seed, budget):
    page = lesson("19_distilbert")
    teacher = page.BERTForPreTraining(page.config)
    page.fit(teacher, lambda g: page.hard_loss(teacher, g), 700, 1.5e-3, "teacher")
    page.teacher = teacher.requires_grad_(False)
    soft, hard = (1, 0, 0), (0, 1, 0)
    kinds = {
        "hard": (False, hard),
        "soft": (False, soft),
        "teacher's layers, hard": (True, hard),
        "teacher's layers, soft": (True, soft),
        "DistilBERT": (True, (5, 2, 1)),
    }
    found = {"teacher": page.excess(teacher)}
    for name, (from_teacher, weights) in kinds.items():
        student = copy.deepcopy(page.new_student(from_teacher))

        def loss(generator, student=student, weights=weights):
            return page.student_loss(student, weights, generator)

        page.fit(student, loss, 300 * budget, 2e-3, name)
        found[name] = page.excess(student)
    return found
