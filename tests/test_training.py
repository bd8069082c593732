"""Training against PyTorch's own parts, and what must survive a stop at any moment."""

import copy
import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dot2gpt.processes import distributed, pick_device
from dot2gpt.tokens import batches
from dot2gpt.training import (
    AdamW,
    Tiny,
    TrainConfig,
    clip_gradients,
    cosine_schedule,
    cross_entropy,
    evaluate,
    load_checkpoint,
    new_optimizer,
    save_checkpoint,
    train,
    training_step,
)

ROOT = Path(__file__).resolve().parents[1]
CONFIG = TrainConfig(n_steps=12, learning_rate=0.02, warm_up=3, accumulate=2)


def new_run(seed=0, batch=3, dropout=0.2):
    """A small model, its batches, and their generator."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Embedding(13, 7), nn.Dropout(dropout), nn.Linear(7, 13))
    ids = torch.randint(0, 13, (200,), generator=torch.Generator().manual_seed(9))
    return model, batches(ids, batch, 5, generator), generator


def press_ctrl_c(data, after):
    for count, pair in enumerate(data):
        if count == after:
            signal.raise_signal(signal.SIGINT)
        yield pair


@pytest.fixture(scope="module")
def whole():
    model, data, _ = new_run()
    return train(model, data, CONFIG), model.state_dict()


@pytest.mark.parametrize("dtype, atol", [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_cross_entropy_is_pytorchs_with_its_gradient(dtype, atol):
    torch.manual_seed(0)
    logits = (5 * torch.randn(2, 3, 11, dtype=dtype)).requires_grad_()
    targets = torch.randint(0, 11, (2, 3))
    ours = cross_entropy(logits, targets)
    theirs = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients, atol=atol, rtol=0)


def test_cross_entropy_takes_extreme_logits_and_half_precision():
    far = torch.tensor([[0.0, 1e4]])
    assert cross_entropy(far, torch.tensor([0])).item() == 1e4
    logits = torch.randn(5, 7).bfloat16()
    loss = cross_entropy(logits, torch.arange(5))
    assert loss.dtype == torch.float32
    assert loss.isclose(F.cross_entropy(logits.float(), torch.arange(5)))


def test_cross_entropy_names_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(3,\), expected \(2,\)"):
        cross_entropy(torch.zeros(2, 5), torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize("dtype, atol", [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5)])
def test_adamw_is_pytorchs_over_20_steps(dtype, atol, decay, betas):
    torch.manual_seed(1)
    start = torch.randn(7, 3, dtype=dtype)
    ours, theirs, idle = (nn.Parameter(start.clone()) for _ in range(3))
    options = {"lr": 0.05, "betas": betas, "weight_decay": decay}
    optimizers = AdamW([ours, idle], **options), torch.optim.AdamW([theirs], **options)
    for _ in range(20):
        ours.grad = theirs.grad = 10 * torch.randn(7, 3, dtype=dtype)
        for optimizer in optimizers:
            optimizer.step()
    assert (ours - start).abs().max() > 0.1
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)
    assert torch.equal(idle, start), "no gradient, no move, no decay"


def test_adamw_goes_on_from_its_state_and_calls_a_closure():
    weight = nn.Parameter(torch.ones(3))
    optimizer = AdamW([weight], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 3
    twin = nn.Parameter(weight.detach().clone())
    other = AdamW([twin], lr=7.0)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    weight.grad = twin.grad = torch.tensor([1.0, -2.0, 0.0])
    optimizer.step(), other.step()
    assert torch.equal(weight, twin)


@pytest.mark.parametrize(
    "wrong", [{"lr": -1.0}, {"eps": -2.0}, {"weight_decay": -3.0}, {"betas": (0.9, 1)}]
)
def test_adamw_names_a_number_that_is_out_of_range(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError) as raised:
        AdamW([nn.Parameter(torch.ones(1))], **wrong)
    assert f"{name}={value}" in str(raised.value)


@pytest.mark.parametrize("max_norm", [0.5, 3.0, 1000.0])
def test_clipping_is_pytorchs(max_norm):
    torch.manual_seed(2)
    ours = [nn.Parameter(torch.zeros(s)) for s in [(5, 3), (7,), ()]]
    theirs = [nn.Parameter(torch.zeros_like(p)) for p in ours]
    for a, b in zip(ours, theirs):
        a.grad = torch.randn(a.shape)
        b.grad = a.grad.clone()
    unused = nn.Parameter(torch.zeros(2))
    before = clip_gradients((p for p in [*ours, unused]), max_norm)
    want = nn.utils.clip_grad_norm_(theirs, max_norm)
    torch.testing.assert_close(before, want)
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-6, rtol=0)


def test_clipping_without_gradients_or_with_a_wrong_norm():
    assert clip_gradients([nn.Parameter(torch.zeros(2))], 1.0).item() == 0
    with pytest.raises(ValueError, match="max_norm=-1 is not above 0"):
        clip_gradients([], -1)


def test_the_schedule_is_pytorchs():
    peak, warm_up, n_steps, floor = 0.3, 7, 40, 0.05
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=peak)
    parts = [
        torch.optim.lr_scheduler.LinearLR(
            optimizer, start_factor=1 / (warm_up + 1), total_iters=warm_up
        ),
        torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, n_steps - warm_up, eta_min=floor
        ),
    ]
    both = torch.optim.lr_scheduler.SequentialLR(optimizer, parts, [warm_up])
    for step in range(n_steps + 1):
        ours = cosine_schedule(step, peak, warm_up, n_steps, floor)
        assert ours == pytest.approx(both.get_last_lr()[0], abs=1e-6), step
        optimizer.step(), both.step()


def test_the_ends_of_the_schedule():
    assert cosine_schedule(0, 1.0, 9, 100) == pytest.approx(0.1)
    assert cosine_schedule(9, 1.0, 9, 100) == 1.0
    assert cosine_schedule(0, 1.0, 0, 100) == 1.0
    assert cosine_schedule(100, 1.0, 9, 100, 0.2) == 0.2
    assert cosine_schedule(1000, 1.0, 9, 100, 0.2) == 0.2


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"n_steps": 0}, "n_steps=0 "),
        ({"accumulate": 0}, "accumulate=0 "),
        ({"evaluate_every": 0}, "evaluate_every=0 "),
        ({"save_every": -1}, "save_every=-1 "),
        ({"learning_rate": 0.0}, "learning_rate=0.0 "),
        ({"learning_rate": math.nan}, "learning_rate=nan "),
        ({"max_norm": -1.0}, "max_norm=-1.0 "),
        ({"warm_up": 10}, "warm_up=10 is not in 0 to 9"),
        ({"floor": 0.5}, "floor=0.5 is not in 0 to 0.001"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 "),
        ({"dtype": "float16"}, "dtype='float16' "),
    ],
)
def test_impossible_numbers_are_refused(wrong, says):
    with pytest.raises(ValueError) as raised:
        TrainConfig(**{"n_steps": 10, **wrong})
    assert says in str(raised.value)


def test_vectors_do_not_decay():
    model = nn.Linear(3, 2)
    groups = new_optimizer(model, TrainConfig(n_steps=1, weight_decay=0.7)).param_groups
    decay = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert (decay[id(model.weight)], decay[id(model.bias)]) == (0.7, 0.0)


def test_accumulated_batches_are_one_large_batch():
    torch.manual_seed(0)
    inputs, targets = torch.randint(0, 13, (2, 6, 5))
    ends = []
    for n in (1, 3):
        model = new_run()[0].eval()
        pieces = zip(inputs.split(6 // n), targets.split(6 // n))
        config = TrainConfig(n_steps=1, learning_rate=1.0, accumulate=n)
        optimizer = torch.optim.SGD(model.parameters())
        loss, _, n_tokens = training_step(model, pieces, optimizer, config, 0)
        assert n_tokens == 30
        ends.append((model[2].weight.detach(), torch.tensor(loss)))
    for one, three in zip(*ends):
        torch.testing.assert_close(one, three, atol=1e-6, rtol=0)


def test_bfloat16_is_used_and_trains():
    seen = []
    model, data, _ = new_run()
    model[2].register_forward_hook(lambda m, i, out: seen.append(out.dtype))
    train(model, data, TrainConfig(n_steps=2, dtype="bfloat16"))
    assert seen == [torch.bfloat16] * 2 and model[2].weight.dtype == torch.float32


def test_evaluation_leaves_the_model_as_it_was():
    model, data, _ = new_run()
    model.train()
    fixed = [next(data) for _ in range(3)]
    loss = evaluate(model, iter(fixed), 3)
    assert model.training and all(p.grad is None for p in model.parameters())
    model.eval()
    means = [F.cross_entropy(model(x).flatten(0, 1), y.flatten()) for x, y in fixed]
    assert loss == pytest.approx(torch.stack(means).mean().item(), abs=1e-6)


def test_evaluations_come_when_due_and_at_the_end():
    model, data, _ = new_run()
    config = TrainConfig(n_steps=7, evaluate_every=3)
    history = train(model, data, config, validate=lambda m: 0.5)
    assert history["evaluations"] == [[3, 0.5], [6, 0.5], [7, 0.5]]
    assert len(history["loss"]) == len(history["norm"]) == 7


def test_ctrl_c_saves_and_resuming_gives_the_same_bits(whole, tmp_path):
    path = tmp_path / "run.pt"
    model, data, generator = new_run()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="step 5"):
        train(model, press_ctrl_c(data, 11), CONFIG, path=path, generator=generator)
    assert signal.getsignal(signal.SIGINT) is before
    assert len(load_checkpoint(path)["history"]["loss"]) == 6

    model, data, generator = new_run(seed=77)
    history = train(model, data, CONFIG, path=path, generator=generator, resume=True)
    assert history == whole[0]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, whole[1][name]), name


@pytest.mark.parametrize("lost", ["generator", "random", "optimizer"])
def test_each_part_of_the_checkpoint_is_needed(whole, tmp_path, lost):
    """The comparison above can fail: a part of another run spoils the losses."""
    path = tmp_path / "run.pt"
    model, data, generator = new_run()
    with pytest.raises(KeyboardInterrupt):
        train(model, press_ctrl_c(data, 11), CONFIG, path=path, generator=generator)
    state = torch.load(path, weights_only=True)
    other, _, fresh = new_run(seed=3)
    state[lost] = {
        "generator": fresh.get_state(),
        "random": torch.get_rng_state(),
        "optimizer": new_optimizer(other, CONFIG).state_dict(),
    }[lost]
    torch.save(state, path)
    model, data, generator = new_run()
    history = train(model, data, CONFIG, path=path, generator=generator, resume=True)
    assert history["loss"] != whole[0]["loss"]


def test_a_finished_run_resumes_to_its_history(whole, tmp_path):
    path = tmp_path / "run.pt"
    for _ in range(2):
        model, data, generator = new_run()
        history = train(
            model, data, CONFIG, path=path, generator=generator, resume=True
        )
        assert history == whole[0]


def test_a_checkpoint_is_not_overwritten_and_not_resumed_with_other_numbers(tmp_path):
    path = tmp_path / "run.pt"
    model, data, generator = new_run()
    short = TrainConfig(n_steps=2)
    train(model, data, short, path=path, generator=generator)
    with pytest.raises(FileExistsError, match="resume=True"):
        train(model, data, short, path=path, generator=generator)
    with pytest.raises(ValueError, match="trained with n_steps=2, not 3"):
        longer = TrainConfig(n_steps=3)
        train(model, data, longer, path=path, generator=generator, resume=True)


def test_a_kill_before_the_rename_leaves_the_old_checkpoint(tmp_path):
    """A process of its own, ended by os._exit: nothing is cleaned up."""
    path = tmp_path / "a.pt"
    save_checkpoint(path, nn.Linear(3, 2), step=1)
    code = (
        "import os, sys; from torch import nn\n"
        "from dot2gpt.training import save_checkpoint\n"
        "os.replace = lambda *_: os._exit(9)\n"
        "save_checkpoint(sys.argv[1], nn.Linear(3, 2), step=2)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, timeout=60)
    assert done.returncode == 9
    assert path.with_name("a.pt.partial").exists()
    assert load_checkpoint(path, nn.Linear(3, 2)) == {"step": 1}
    save_checkpoint(path, nn.Linear(3, 2), step=3)
    assert load_checkpoint(path) == {"step": 3}
    assert os.listdir(tmp_path) == ["a.pt"]


def test_an_error_while_writing_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "a.pt"
    save_checkpoint(path, nn.Linear(3, 2), step=1)

    def half(state, file):
        file.write(b"half")
        raise OSError("no space left")

    with mock.patch("torch.save", half), pytest.raises(OSError, match="no space"):
        save_checkpoint(path, nn.Linear(3, 2), step=2)
    assert load_checkpoint(path) == {"step": 1}


def test_a_checkpoint_runs_no_code_and_says_what_it_lacks(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"more": print}, path)
    with pytest.raises(Exception, match="weights_only|Weights only"):
        load_checkpoint(path)
    model = nn.Linear(3, 2)
    save_checkpoint(path, model)
    with pytest.raises(ValueError, match="holds no state of the generator"):
        load_checkpoint(path, model, generator=torch.Generator())


@pytest.mark.parametrize("what", ["loss", "norm"])
def test_nan_stops_with_the_step_and_leaves_the_weights(what, tmp_path):
    model, data, generator = new_run()
    path, calls = tmp_path / "run.pt", []

    def poison(module, inputs, output):
        calls.append(1)
        if len(calls) <= 4:  # two steps of two batches are good
            return None
        if what == "loss":
            return output * math.nan
        output.register_hook(lambda gradient: gradient * math.inf)

    model[2].register_forward_hook(poison)
    config = TrainConfig(n_steps=9, accumulate=2, save_every=1)
    with pytest.raises(FloatingPointError, match=f"{what}.* (nan|inf) at step 2"):
        train(model, data, config, path=path, generator=generator)
    saved = torch.load(path, weights_only=True)["model"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, saved[name]) and tensor.isfinite().all()


def test_training_in_another_thread_needs_no_signal_handler(whole):
    model, data, _ = new_run()
    histories = []
    thread = threading.Thread(
        target=lambda: histories.append(train(model, data, CONFIG))
    )
    with torch.random.fork_rng():
        new = new_run()
        model, data = new[0], new[1]
        thread.start()
        thread.join(60)
    assert histories == [whole[0]]


def test_the_bar_shows_loss_and_tokens_per_second_on_stderr(capsys):
    model, data, _ = new_run()
    train(model, data, TrainConfig(n_steps=3))
    shown = capsys.readouterr()
    assert "loss=" in shown.err and "tok_s=" in shown.err and shown.out == ""


def test_the_device_is_the_fastest_there_is():
    with mock.patch("torch.cuda.is_available", return_value=True):
        assert pick_device().type == "cuda"
    with mock.patch("torch.cuda.is_available", return_value=False):
        with mock.patch("torch.backends.mps.is_available", return_value=True):
            assert pick_device().type == "mps"
        with mock.patch("torch.backends.mps.is_available", return_value=False):
            assert pick_device().type == "cpu"


def test_the_tiny_net_sees_as_far_as_it_says_and_no_future():
    torch.manual_seed(0)
    net = Tiny(13, d_model=5, reach=3).eval()
    ids = torch.randint(0, 13, (2, 11))
    changed = ids.clone()
    changed[:, 4] = (changed[:, 4] + 1) % 13
    moved = (net(changed) - net(ids)).abs().amax((0, 2)) > 0
    assert moved.nonzero().flatten().tolist() == [4, 5, 6]


def test_several_processes_do_not_take_apples_device():
    with (
        mock.patch("torch.cuda.is_available", return_value=False),
        mock.patch("torch.backends.mps.is_available", return_value=True),
        mock.patch("dot2gpt.processes.rank_and_size", return_value=(1, 2)),
    ):
        assert pick_device().type == "cpu", "gloo moves no tensors of mps"


@pytest.mark.parametrize(
    "n_gpus, backend, taken",
    [
        (0, "gloo", []),
        (1, "gloo", []),  # two processes share it
        (2, "cpu:gloo,cuda:nccl", [1]),
        (8, "cpu:gloo,cuda:nccl", [1]),
    ],
)
def test_nccl_is_used_only_with_a_gpu_for_each_process(
    n_gpus, backend, taken, monkeypatch
):
    begun, devices = [], []
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    for name, stand_in in {
        "distributed.is_torchelastic_launched": lambda: True,
        "distributed.init_process_group": begun.append,
        "distributed.destroy_process_group": lambda: None,
        "cuda.is_available": lambda: n_gpus > 0,
        "cuda.device_count": lambda: n_gpus,
        "cuda.set_device": devices.append,
    }.items():
        monkeypatch.setattr(f"torch.{name}", stand_in)
    with distributed():
        pass
    assert (begun, devices) == ([backend], taken)


# ---- two processes ------------------------------------------------------------------

TOGETHER = """
import contextlib, io, json, math, pathlib, sys
from unittest import mock
import torch
from dot2gpt.processes import distributed
from dot2gpt.training import TrainConfig, train
from tests.test_training import CONFIG, new_run, press_ctrl_c

folder, said = pathlib.Path(sys.argv[1]), {}
with distributed() as (rank, size):
    model, data, _ = new_run(batch=6, dropout=0.0)
    said["rows"] = set()
    model.register_forward_pre_hook(lambda m, args: said["rows"].add(len(args[0])))
    with contextlib.redirect_stderr(io.StringIO()) as bar:
        validate = lambda m: m[2].bias.sum().item()
        said["plain"] = train(model, data, CONFIG, validate=validate)
    said["bar"], said["rows"] = bar.getvalue(), list(said["rows"])

    model, data, _ = new_run(batch=6)
    said["whole"] = train(model, data, CONFIG)
    said["noise"] = torch.rand(5).tolist()

    model, data, generator = new_run(batch=6)
    if rank == 1:  # Ctrl-C reaches this one alone
        data = press_ctrl_c(data, 11)
    how = {"path": folder / "run.pt", "resume": True}
    with mock.patch("torch.save", wraps=torch.save) as save:
        try:
            train(model, data, CONFIG, generator=generator, **how)
        except KeyboardInterrupt as stop:
            said["stop"], said["saved"] = str(stop), save.call_count
    model, data, generator = new_run(seed=50 + rank, batch=6)
    said["resumed"] = train(model, data, CONFIG, generator=generator, **how)

    model, data, _ = new_run(batch=6)
    if rank == 1:
        model[2].register_forward_hook(lambda module, inputs, out: out * math.nan)
    for name, run in ("nan", (model, data)), ("odd", new_run(batch=3)[:2]):
        try:
            train(*run, CONFIG)
        except (FloatingPointError, ValueError) as error:
            said[name] = f"{type(error).__name__}: {error}"
    (folder / f"{rank}_of_{size}.json").write_text(json.dumps(said))
"""

KILLED = """
import os, pathlib, signal, sys
from dot2gpt.processes import distributed
from dot2gpt.training import TrainConfig, train
from tests.test_training import new_run

folder = pathlib.Path(sys.argv[1])
with distributed() as (rank, size):
    (folder / f"{rank}.pid").write_text(str(os.getpid()))

    def until_killed(data):
        for count, pair in enumerate(data):
            if rank == 1 and count == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            yield pair

    model, data, generator = new_run(batch=6)
    config = TrainConfig(n_steps=10**9, save_every=1)
    train(model, until_killed(data), config, path=folder / "run.pt")
"""


def torchrun(script, folder):
    """Run a script on two processes. Returns the exit code and what stderr got."""
    path = folder / "script.py"
    path.write_text(script)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    begun = subprocess.Popen(
        [sys.executable, *launcher, path, folder],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, err = begun.communicate(timeout=180)
        return begun.returncode, err
    finally:
        begun.terminate()  # torchrun ends both; a kill would leave them
        begun.wait()


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What each of two processes said of the runs in TOGETHER."""
    folder = tmp_path_factory.mktemp("together")
    code, err = torchrun(TOGETHER, folder)
    assert code == 0, err
    return [json.loads((folder / f"{r}_of_2.json").read_text()) for r in (0, 1)]


def test_two_processes_have_the_losses_of_one(together):
    model, data, _ = new_run(batch=6, dropout=0.0)
    alone = train(model, data, CONFIG, validate=lambda m: m[2].bias.sum().item())
    for said in together:
        assert said["rows"] == [3], "each reads half of every batch"
        for name in ("loss", "norm"):
            assert said["plain"][name] == pytest.approx(alone[name], abs=1e-6), name
        for ours, theirs in zip(said["plain"]["evaluations"], alone["evaluations"]):
            assert ours == pytest.approx(theirs, abs=1e-6)
    assert together[0]["plain"] == together[1]["plain"]
    assert together[0]["noise"] != together[1]["noise"], "equal dropout on both"
    assert "loss=" in together[0]["bar"] and together[1]["bar"] == ""


def test_two_processes_stop_after_the_same_step_save_once_and_go_on(together):
    for said in together:
        assert said["stop"] == "stopped after step 5"
        assert len(said["whole"]["loss"]) == 12
        assert said["resumed"] == said["whole"]
    assert [said["saved"] for said in together] == [1, 0]


def test_nan_on_one_process_and_odd_batches_stop_both(together):
    for said in together:
        assert said["nan"].startswith("FloatingPointError: the loss is nan at step 0")
        assert said["odd"].startswith("ValueError: a batch of 3 sequences is not")


def test_a_killed_process_ends_the_other_and_leaves_the_checkpoint(tmp_path):
    code, err = torchrun(KILLED, tmp_path)
    assert code != 0 and "Signal 9 (SIGKILL)" in err
    for rank in (0, 1):
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / f"{rank}.pid").read_text()), 0)
    assert len(load_checkpoint(tmp_path / "run.pt")["history"]["loss"]) == 3
