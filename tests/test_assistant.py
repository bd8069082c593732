"""Chapter 23 against its definitions in float64, and against closed forms."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dot2gpt.assistant import (
    LoRALinear,
    add_lora,
    answer_loss,
    best_policy,
    conversation,
    dpo_loss,
    group_advantages,
    grpo_loss,
    merge_lora,
    token_log_probs,
)
from dot2gpt.gpt import GPT, Characters, GPTConfig

MARKS = {"user": 3, "assistant": 4, "end": 5}


def test_a_conversation_is_marks_texts_and_ends():
    encode = Characters("abc").encode
    turns = [("user", "ab"), ("assistant", "c"), ("user", ""), ("assistant", "ba")]
    ids, learned = conversation(turns, encode, MARKS)
    assert ids == [3, 0, 1, 5, 4, 2, 5, 3, 5, 4, 1, 0, 5]
    assert [t for t, x in enumerate(learned) if x] == [5, 6, 10, 11, 12]
    assert conversation([], encode, MARKS) == ([], [])


@pytest.mark.parametrize(
    "speaker, text", [("system", "a"), ("end", "a"), ("user", "d")]
)
def test_a_stranger_and_a_text_that_holds_a_mark_are_refused(speaker, text):
    with pytest.raises(ValueError, match="mark"):
        conversation([(speaker, text)], Characters("abcd").encode, MARKS)


def test_the_loss_is_of_the_answer_alone():
    torch.manual_seed(0)
    logits, ids = torch.randn(2, 7, 11, dtype=torch.float64), torch.randint(11, (2, 7))
    learned = torch.tensor([[1, 0, 0, 1, 0, 1, 1], [0, 0, 0, 0, 1, 0, 0]]).bool()
    total, n = 0.0, 0
    for row, t in itertools.product(range(2), range(1, 7)):
        p = logits[row, t - 1].softmax(0)[ids[row, t]]
        assert math.isclose(token_log_probs(logits, ids)[row, t - 1], p.log())
        if learned[row, t]:
            total, n = total - math.log(p), n + 1
    assert math.isclose(answer_loss(logits, ids, learned), total / n)
    with pytest.raises(ValueError, match="no id is learned"):
        answer_loss(logits, ids, torch.arange(7).expand(2, -1) < 1)


def small_gpt(dtype=torch.float64):
    torch.manual_seed(0)
    model = GPT(GPTConfig(11, 9, d_model=12, n_heads=2, n_layers=2)).to(dtype)
    return model, torch.randint(11, (3, 7))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rank, alpha", [(1, 1), (3, 8), (9, 2.5)])
def test_lora_is_its_definition(rank, alpha, bias):
    torch.manual_seed(rank)
    linear = nn.Linear(5, 7, bias, dtype=torch.float64)
    weight, x = linear.weight.clone(), torch.randn(2, 3, 5, dtype=torch.float64)
    lora = LoRALinear(linear, rank, alpha)
    assert torch.equal(lora(x), F.linear(x, weight, linear.bias))  # B is zero
    nn.init.normal_(lora.b)
    change = torch.zeros(7, 5, dtype=torch.float64)
    for out, put, r in itertools.product(range(7), range(5), range(rank)):
        change[out, put] += alpha / rank * lora.b[out, r] * lora.a[r, put]
    want = F.linear(x, weight + change, linear.bias)
    for got in (lora(x), lora.merged()(x)):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    torch.testing.assert_close(lora.change(), change)
    assert (lora.merged().bias is None) == (not bias)
    assert lora.merged().weight.dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_gpt_with_lora_starts_as_it_was_and_merges(dtype):
    model, ids = small_gpt(dtype)
    before = model(ids)
    weights = {k: w.clone() for k, w in model.state_dict().items()}
    added = add_lora(model, rank=2, alpha=4)
    assert sum(w.numel() for w in added) == 2 * 2 * 12 * (4 + 2 + 5 + 5)
    torch.testing.assert_close(model(ids), before)
    optimizer = torch.optim.SGD(added, 1.0)
    for _ in range(3):
        optimizer.zero_grad()
        model(ids).square().mean().backward()
        optimizer.step()
    trained = model(ids)
    assert not torch.allclose(trained, before, atol=1e-3)
    assert merge_lora(model) == 8 and merge_lora(model) == 0
    assert set(model.state_dict()) == set(weights)
    torch.testing.assert_close(model(ids), trained, rtol=0, atol=1e-6)
    changed = {
        k for k, w in model.state_dict().items() if not torch.equal(w, weights[k])
    }
    assert changed == {
        f"layers.{n}.{name}.weight"
        for n, name in itertools.product(
            range(2),
            ("attention.w_qkv", "attention.w_o", "feed_forward.widen",
             "feed_forward.narrow"),
        )
    }  # fmt: skip


def test_only_what_is_named_gets_lora():
    model, _ = small_gpt()
    assert len(add_lora(model, 1, 1, names=("w_o",))) == 4
    assert not model.layers[0].attention.w_qkv.weight.requires_grad
    for names, rank in ((("nothing", "norm"), 1), (("widen",), 0)):
        model, _ = small_gpt()
        with pytest.raises(ValueError, match="expected 1 or more of both"):
            add_lora(model, rank, 1, names)
        assert all(w.requires_grad for w in model.parameters())
    with pytest.raises(ValueError, match="rank=0 is not 1 or more"):
        LoRALinear(nn.Linear(2, 3), 0, 1)


def test_two_zeros_have_no_gradient():
    lora = LoRALinear(nn.Linear(5, 7), 3, 3)
    nn.init.zeros_(lora.a)
    lora(torch.randn(2, 5)).square().sum().backward()
    assert not lora.a.grad.any() and not lora.b.grad.any()


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
def test_no_policy_is_better_than_the_best(beta):
    torch.manual_seed(0)
    reference = torch.rand(3, 5, dtype=torch.float64).softmax(-1)
    reward = torch.randn(3, 5, dtype=torch.float64)
    powers = reference * (reward / beta).exp()
    best = best_policy(reference, reward, beta)
    torch.testing.assert_close(best, powers / powers.sum(-1, keepdim=True))

    def value(policy):
        return (policy * (reward - beta * (policy / reference).log())).sum(-1)

    torch.testing.assert_close(value(best), beta * powers.sum(-1).log())
    for _ in range(200):
        other = (best.log() + 0.3 * torch.randn_like(best)).softmax(-1)
        assert (value(other) < value(best)).all()
    with pytest.raises(ValueError, match="beta=0 is not above 0"):
        best_policy(reference, reward, 0)


def test_dpo_is_its_definition():
    torch.manual_seed(0)
    logs = torch.randn(4, 6, dtype=torch.float64).requires_grad_()
    want = 0.0
    for w, l, rw, rl in logs.detach().T.tolist():  # noqa: E741
        margin = 0.7 * ((w - rw) - (l - rl))
        want -= math.log(1 / (1 + math.exp(-margin))) / 6
    loss = dpo_loss(*logs, beta=0.7)
    assert math.isclose(loss.item(), want)
    loss.backward()
    assert (logs.grad[0] < 0).all() and (logs.grad[1] > 0).all()
    assert not logs.grad[2:].any()
    same = torch.randn(2, 9)
    assert math.isclose(dpo_loss(*same, *same, beta=3.0), math.log(2), rel_tol=1e-6)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_dpo_ends_at_the_best_policy(beta):
    torch.manual_seed(1)
    reference = torch.rand(4, dtype=torch.float64).softmax(-1)
    reward = torch.randn(4, dtype=torch.float64)
    scores = reference.log().requires_grad_()
    ahead = torch.sigmoid(reward[:, None] - reward)  # Bradley and Terry
    optimizer = torch.optim.LBFGS(
        [scores], max_iter=300, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        log_p, log_r = scores.log_softmax(-1), reference.log()
        loss = sum(
            ahead[i, j] * dpo_loss(log_p[i], log_p[j], log_r[i], log_r[j], beta)
            for i, j in itertools.permutations(range(4), 2)
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    found = scores.detach().softmax(-1)
    torch.testing.assert_close(
        found, best_policy(reference, reward, beta), rtol=0, atol=1e-5
    )


def test_advantages_are_standardised_by_group():
    rewards = torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0, 0, 0, 4.0]])
    got = group_advantages(rewards)
    want = [[-1, 1, 1, -1], [0, 0, 0, 0], [-(3**-0.5)] * 3 + [3**0.5]]
    torch.testing.assert_close(got, torch.tensor(want))
    torch.testing.assert_close(group_advantages(3 * rewards - 7), got)
    odd = group_advantages(torch.full((1, 3), 0.1))  # whose mean may be rounded
    assert not odd.any()


def grpo_by_hand(new, old, reference, advantages, said, clip, kl):
    total = 0.0
    for row, by in enumerate(advantages.tolist()):
        part, n = 0.0, 0
        for t in range(new.shape[1]):
            if said[row, t]:
                a, b, c = (x[row, t].item() for x in (new, old, reference))
                ratio = math.exp(a - b)
                cut = min(max(ratio, 1 - clip), 1 + clip)
                part += min(ratio * by, cut * by)
                part -= kl * (math.exp(c - a) - (c - a) - 1)
                n += 1
        total -= part / n / len(new)
    return total


@pytest.mark.parametrize("clip, kl", [(0.2, 0.0), (0.1, 0.7), (5.0, 0.04)])
def test_grpo_is_its_definition(clip, kl):
    torch.manual_seed(0)
    new, old, reference = torch.randn(3, 4, 7, dtype=torch.float64).sub(2)
    advantages = torch.tensor([1.5, -0.5, 0.0, -2.0], dtype=torch.float64)
    said = torch.rand(4, 7) < 0.6
    said[:, 3] = True
    got = grpo_loss(new, old, reference, advantages, said, clip, kl)
    want = grpo_by_hand(new, old, reference, advantages, said, clip, kl)
    assert math.isclose(got, want, rel_tol=1e-12)


def test_a_first_step_is_the_policy_gradient_and_a_clipped_one_none():
    torch.manual_seed(0)
    old = torch.randn(2, 3, dtype=torch.float64)
    by, said = torch.tensor([2.0, -1.0], dtype=torch.float64), torch.ones(2, 3).bool()
    for moved, want in ((0.0, [-1 / 3, 1 / 6]), (0.5, [0, 1 / 6 * math.exp(0.5)])):
        new = (old + moved).requires_grad_()
        (slope,) = torch.autograd.grad(grpo_loss(new, old, old, by, said), new)
        want = torch.tensor(want, dtype=torch.float64)[:, None].expand(2, 3)
        torch.testing.assert_close(slope, want)


def test_the_price_of_leaving_is_the_kl_on_average():
    torch.manual_seed(0)
    p, q = torch.randn(2, 6, dtype=torch.float64).softmax(-1)
    said, by = torch.ones(1, 1).bool(), torch.zeros(1, dtype=torch.float64)
    cost = 0.0
    for a, b in zip(p, q):
        new, reference = a.log().view(1, 1), b.log().view(1, 1)
        cost += a * grpo_loss(new, new, reference, by, said, kl=1.0)
    torch.testing.assert_close(cost, (p * (p / q).log()).sum())


def test_what_is_not_said_does_not_count():
    new = torch.tensor([[-1.0, -9.0]], requires_grad=True)
    old, said = torch.tensor([[-1.0, -2.0]]), torch.tensor([[True, False]])
    loss = grpo_loss(new, old, old, torch.ones(1), said, kl=0.1)
    (slope,) = torch.autograd.grad(loss, new)
    assert loss == -1 and slope.tolist() == [[-1, 0]]
