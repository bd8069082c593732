"""Wrong and right answers to the sheet of chapter 19."""

from tests.answers import right, wrong

LOSS = """
def distilbert_loss(student, teacher, ids, chosen, real, temperature, weights):
    (logits, hidden), (their_logits, their_hidden) = student, teacher
    soft = soft_target_loss({soft}, temperature)
    hard = cross_entropy({hard})
    direction = direction_loss({direction})
    a, b, c = {weights}
    return a * soft + b * hard + c * direction
"""
PARTS = {
    "soft": "logits[real], their_logits[real]",
    "hard": "logits[chosen], ids[chosen]",
    "direction": "hidden[real], their_hidden[real]",
    "weights": "weights",
}

BY_HAND = """
def distilbert_loss(student, teacher, ids, chosen, real, temperature, weights):
    (logits, hidden), (their_logits, their_hidden) = student, teacher
    {detach}
    theirs = (their_logits / temperature).softmax(-1)
    ours = (logits / temperature).log_softmax(-1)
    soft = {power}(theirs * (theirs.log() - ours)).sum(-1)
    hard = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none")
    cosine = F.cosine_similarity(hidden, their_hidden, dim=-1)
    def mean(x, where):
        return (x * where).sum() / where.sum()
    losses = mean(soft, real), mean(hard.view(ids.shape), chosen), mean({turn}, real)
    return sum(w * loss for w, loss in zip(weights, losses))
"""
HAND = {
    "detach": "their_logits, their_hidden = their_logits.detach(), "
    "their_hidden.detach()",
    "power": "temperature**2 * ",
    "turn": "1 - cosine",
}

GRADIENT = """
def limit_gradient(student, teacher):
    {}
"""
LIMIT = """
def limit_loss(student, teacher):
    d = student - teacher
    {}
"""
SPREAD = """
def spread_layers(n_teacher, n_student):
    {}
"""

WEIGHTS = """
def student_weights(weights, kept):
    ours = {{}}
    for name, weight in weights.items():
        if name.startswith("layers."):
            continue
        if {segments}:
            continue
        ours[name] = weight
    for new, old in enumerate({kept}):
        for name, weight in weights.items():
            if name.startswith({start}):
                ours[f"layers.{new}." + name.split(".", 2)[2]] = weight
    {fold}
    return ours
"""
MOVE = {
    "segments": "'segment' in name",
    "kept": "kept",
    "start": "f'layers.{old}.'",
    "new": "{new}",
    "fold": "ours['embedding.position.table'] = weights['embedding.position.table'] "
    "+ weights['embedding.segment.weight'][0]",
}

MENDED = """
def mended(student, teacher, temperature):
    {detach}
    p = (teacher / temperature).softmax(-1)
    q = (student / temperature).softmax(-1)
    {}
"""


def mended(body, detach="teacher = teacher.detach()"):
    return MENDED.replace("{detach}", detach).format(body)


ANSWERS = {
    "distilbert_loss": [
        wrong(
            "padding in the soft loss",
            "padding counts",
            LOSS.format(**PARTS | {"soft": "logits, their_logits"}),
        ),
        wrong(
            "padding in the direction",
            "padding counts",
            LOSS.format(**PARTS | {"direction": "hidden, their_hidden"}),
        ),
        wrong(
            "soft at the chosen places",
            "not at the chosen ones",
            LOSS.format(**PARTS | {"soft": "logits[chosen], their_logits[chosen]"}),
        ),
        wrong(
            "hard at all real places",
            "at the chosen places alone",
            LOSS.format(**PARTS | {"hard": "logits[real], ids[real]"}),
        ),
        wrong(
            "student and teacher exchanged",
            "wrong way round",
            LOSS.format(**PARTS | {"soft": "their_logits[real], logits[real]"}),
        ),
        wrong(
            "no weights",
            "the weights are ignored",
            LOSS.format(**PARTS | {"weights": "1, 1, 1"}),
        ),
        wrong(
            "no detach",
            "a gradient flows into the teacher",
            BY_HAND.format(**HAND | {"detach": ""}),
        ),
        wrong("no T²", "T² is missing", BY_HAND.format(**HAND | {"power": ""})),
        wrong(
            "the cosine itself",
            "the loss is 1 minus it",
            BY_HAND.format(**HAND | {"turn": "cosine"}),
        ),
        right("by the lesson's functions", LOSS.format(**PARTS)),
        right("by hand, with masks as numbers", BY_HAND.format(**HAND)),
        wrong(
            "the student detached in the soft loss",
            "the student learns nothing from the soft loss",
            LOSS.format(
                **PARTS | {"soft": "logits[real].detach(), their_logits[real]"}
            ),
        ),
        wrong(
            "the student detached in the direction",
            "the student learns nothing from the direction loss",
            LOSS.format(
                **PARTS | {"direction": "hidden[real].detach(), their_hidden[real]"}
            ),
        ),
    ],
    "limit_gradient": [
        wrong(
            "as in the lesson, not centred",
            "the logits are not centred",
            GRADIENT.format("return (student - teacher) / student.numel()"),
        ),
        wrong(
            "as if one place",
            "divide by their number",
            GRADIENT.format(
                "d = student - teacher\n"
                "    return (d - d.mean(-1, keepdim=True)) / d.shape[-1]"
            ),
        ),
        wrong(
            "no 1/V",
            "a 1/V is missing",
            GRADIENT.format(
                "d = student - teacher\n"
                "    return (d - d.mean(-1, keepdim=True)) * d.shape[-1] / d.numel()"
            ),
        ),
        wrong(
            "towards the teacher",
            "the sign is wrong",
            GRADIENT.format(
                "d = teacher - student\n"
                "    return (d - d.mean(-1, keepdim=True)) / d.numel()"
            ),
        ),
        wrong(
            "one mean for all places",
            "one number for each place",
            GRADIENT.format(
                "d = student - teacher\n    return (d - d.mean()) / d.numel()"
            ),
        ),
        wrong(
            "a large T",
            "not the limit itself",
            GRADIENT.format("return measured(student, teacher, 1000.0)[1]"),
        ),
        wrong(
            "T beyond all precision",
            "not the limit itself",
            GRADIENT.format("return measured(student, teacher, 1e12)[1]"),
        ),
        right(
            "each centred",
            GRADIENT.format(
                "s = student - student.mean(-1, keepdim=True)\n"
                "    t = teacher - teacher.mean(-1, keepdim=True)\n"
                "    return (s - t) / s.numel()"
            ),
        ),
        right(
            "from the limit of the loss",
            GRADIENT.format(
                "s = student.detach().clone().requires_grad_()\n"
                "    d = s - teacher\n"
                "    loss = (d**2).mean() - (d.mean(-1) ** 2).mean()\n"
                "    return torch.autograd.grad(loss / 2, s)[0]"
            ),
        ),
    ],
    "limit_loss": [
        wrong(
            "not centred",
            "the logits are not centred",
            LIMIT.format("return (d**2).mean() / 2"),
        ),
        wrong(
            "no half",
            "a factor 1/2 is missing",
            LIMIT.format("return d.var(-1, correction=0).mean()"),
        ),
        wrong(
            "the unbiased variance",
            "not by V - 1",
            LIMIT.format("return d.var(-1).mean() / 2"),
        ),
        wrong(
            "the sum of the squares",
            "a 1/V is missing",
            LIMIT.format(
                "return ((d - d.mean(-1, keepdim=True)) ** 2).sum(-1).mean() / 2"
            ),
        ),
        wrong(
            "a large T",
            "not the limit itself",
            LIMIT.format(
                "return torch.as_tensor(measured(student, teacher, 1000.0)[0])"
            ),
        ),
        right(
            "mean of the squares less the square of the mean",
            LIMIT.format("return ((d**2).mean(-1) - d.mean(-1) ** 2).mean() / 2"),
        ),
        right(
            "a squared error of centred logits",
            LIMIT.format(
                "centre = lambda x: x - x.mean(-1, keepdim=True)\n"
                "    return F.mse_loss(centre(student), centre(teacher)) / 2"
            ),
        ),
    ],
    "spread_layers": [
        wrong(
            "every other layer",
            "every other layer",
            SPREAD.format("return list(range(0, n_teacher, n_teacher // n_student))"),
        ),
        wrong(
            "the first ones",
            "the first layers",
            SPREAD.format("return list(range(n_student))"),
        ),
        wrong(
            "the last ones",
            "the last layers",
            SPREAD.format("return list(range(n_teacher - n_student, n_teacher))"),
        ),
        wrong(
            "rounded down",
            "rounds down",
            SPREAD.format(
                "return [i * (n_teacher - 1) // (n_student - 1) "
                "for i in range(n_student)]"
            ),
        ),
        wrong(
            "rounded up",
            "rounds up",
            SPREAD.format(
                "return [-(-i * (n_teacher - 1) // (n_student - 1)) "
                "for i in range(n_student)]"
            ),
        ),
        right(
            "linspace",
            SPREAD.format(
                "return torch.linspace(0, n_teacher - 1, n_student).round()"
                ".int().tolist()"
            ),
        ),
        right(
            "whole numbers alone",
            SPREAD.format(
                "a, b = n_teacher - 1, n_student - 1\n"
                "    return [(2 * i * a + b) // (2 * b) for i in range(b + 1)]"
            ),
        ),
    ],
    "student_weights": [
        wrong(
            "segment 0 lost",
            "the row of segment 0 is lost",
            WEIGHTS.format(**MOVE | {"fold": ""}),
        ),
        wrong(
            "all segments folded",
            "only segment 0 occurs",
            WEIGHTS.format(**MOVE | {"fold": MOVE["fold"][:-3] + ".sum(0)"}),
        ),
        wrong(
            "into the tokens instead",
            "they should come along as they are",
            WEIGHTS.format(
                **MOVE
                | {"fold": MOVE["fold"].replace("position.table", "token.weight")}
            ),
        ),
        wrong(
            "in place",
            "you changed the tensor",
            WEIGHTS.format(
                **MOVE
                | {
                    "fold": "ours['embedding.position.table'] += "
                    "weights['embedding.segment.weight'][0]"
                }
            ),
        ),
        wrong(
            "the teacher's numbers kept",
            "the student's layers are numbered",
            WEIGHTS.format(**MOVE | {"new": "{old}"}),
        ),
        wrong(
            "every other layer",
            "kept is not followed",
            WEIGHTS.format(**MOVE | {"kept": "[2 * k for k in range(len(kept))]"}),
        ),
        wrong(
            "layer 1 and also 11",
            "kept is not followed",
            WEIGHTS.format(**MOVE | {"start": "f'layers.{old}'"}),
        ),
        wrong(
            "in rising order",
            "not in its order",
            WEIGHTS.format(**MOVE | {"kept": "sorted(kept)"}),
        ),
        wrong(
            "with the segments",
            "the segments are still there",
            WEIGHTS.format(**MOVE | {"segments": "False"}),
        ),
        wrong(
            "without the pooler",
            "missing",
            WEIGHTS.format(
                **MOVE | {"segments": "'segment' in name or 'pool' in name"}
            ),
        ),
        right("two loops", WEIGHTS.format(**MOVE)),
        right(
            "a regular expression and clones",
            """
            def student_weights(weights, kept):
                import re
                place = {old: new for new, old in enumerate(kept)}
                ours = {}
                for name, weight in weights.items():
                    found = re.match(r"layers\\.(\\d+)\\.(.*)", name)
                    if not found:
                        ours[name] = weight.clone()
                    elif int(found[1]) in place:
                        ours[f"layers.{place[int(found[1])]}.{found[2]}"] = weight.clone()
                segment = ours.pop("embedding.segment.weight")
                ours["embedding.position.table"] += segment[0]
                return ours
            """,
        ),
        wrong(
            "names replaced one after another",
            "missing",
            """
            def student_weights(weights, kept):
                ours = {}
                for name, weight in weights.items():
                    if name.startswith("layers.") and int(name.split(".")[1]) not in kept:
                        continue
                    for new, old in enumerate(kept):
                        name = name.replace(f"layers.{old}.", f"layers.{new}.")
                    ours[name] = weight
                row = ours.pop("embedding.segment.weight")[0]
                ours["embedding.position.table"] = ours["embedding.position.table"] + row
                return ours
            """,
        ),
    ],
    "mended": [
        wrong(
            "as published",
            "nothing is mended yet",
            "def mended(student, teacher, temperature):\n"
            "    return faulty_loss(student, teacher, temperature)",
        ),
        wrong(
            "still the wrong way round",
            "wrong way round",
            mended("return temperature**2 * (q * (q / p).log()).sum(-1).mean()"),
        ),
        wrong(
            "still without T²",
            "T² is missing",
            mended("return (p * (p / q).log()).sum(-1).mean()"),
        ),
        wrong(
            "T instead of T²",
            "the factor is T², not T",
            mended("return temperature * (p * (p / q).log()).sum(-1).mean()"),
        ),
        wrong(
            "still a mean over the vocabulary",
            "also taken over the vocabulary",
            mended("return temperature**2 * (p * (p / q).log()).mean()"),
        ),
        wrong(
            "batchmean",
            "divides by the first axis alone",
            mended(
                "return temperature**2 * F.kl_div(q.log(), p, reduction='batchmean')"
            ),
        ),
        wrong(
            "a gradient into the teacher",
            "a gradient flows into the teacher",
            mended("return temperature**2 * (p * (p / q).log()).sum(-1).mean()", ""),
        ),
        wrong(
            "the student detached",
            "cut off from the student",
            mended(
                "return temperature**2 * (p * (p / q).log()).sum(-1).mean()",
                "student = student.detach()",
            ),
        ),
        wrong(
            "a cross-entropy",
            "entropy is missing",
            mended("return -temperature**2 * (p * q.log()).sum(-1).mean()"),
        ),
        wrong(
            "delegated",
            "soft_target_loss",
            "def mended(student, teacher, temperature):\n"
            "    return soft_target_loss(student, teacher, temperature)",
        ),
        right(
            "by the definition",
            mended("return temperature**2 * (p * (p / q).log()).sum(-1).mean()"),
        ),
        right(
            "batchmean of flat logits",
            mended(
                "flat = q.log().reshape(-1, q.shape[-1])\n"
                "    loss = F.kl_div(flat, p.reshape(flat.shape), "
                "reduction='batchmean')\n"
                "    return loss * temperature**2"
            ),
        ),
        right(
            "cross-entropy less the teacher's entropy",
            mended(
                "gap = (p * p.log()).sum(-1) - (p * q.log()).sum(-1)\n"
                "    return temperature**2 * gap.mean()"
            ),
        ),
    ],
}

EQUIVALENT = {
    "distilbert_loss": {"… in zip(losses, weights))": "a product is symmetric"},
    "limit_loss": {
        "….detach()…": "asked is the limit itself",
        "difference = teacher - student": "it is squared",
        "… correction=0, keepdim=True).mean() / 2": "the mean is over all places",
    },
    "student_weights": {"ours[f…{kept.index(int(number))}…": "kept is a list"},
    "mended": {
        "theirs = ….detach()…": "the teacher gets no gradient anyway",
        "each = ….sum(-1, keepdim=True)": "the mean is over all places",
    },
}
