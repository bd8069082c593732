"""`python -m dot2gpt train` and `generate`: what they write, refuse and resume."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dot2gpt import __main__ as cli
from dot2gpt.commands import runs, texts
from dot2gpt.commands.runs import END
from dot2gpt.gpt import default_config
from dot2gpt.tokens import batches, gpt2_encoding, save_gpt2, train_bpe
from dot2gpt.training import cosine_schedule, load_checkpoint

ROOT = Path(__file__).resolve().parents[1]
SMALL = "--layers 1 --heads 2 --width 6 --context 5 --batch 4 --steps 7".split()
TEXT = "the cat sat on the mat; the rat sat too. " * 12 + "naïve été, 早上好.\n"
PYTHON = [sys.executable, "-m", "dot2gpt"]
TORCHRUN = "-m torch.distributed.run --standalone --nproc-per-node 2 -m dot2gpt".split()
PIPED = {"capture_output": True, "text": True}
QUIET = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model of characters."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    assert train("--text", folder / "text.txt", "--out", folder / "gpt") == 0
    return folder / "gpt"


def train(*more):
    return cli.main(["train", *SMALL, *map(str, more)])


def generate(*more):
    return cli.main(["generate", *map(str, more)])


def losses(folder):
    return load_checkpoint(Path(folder) / "checkpoint.pt")["history"]["loss"]


def number(name, said):
    return float(re.search(rf"^{name} +([\d.]+)$", said, re.M)[1])


# ---- train --------------------------------------------------------------------------


def test_it_trains_and_says_what_was_reached(text, capsys):
    assert train("--text", "text.txt", "--out", "a/b") == 0
    said = capsys.readouterr()
    kinds = len(set(TEXT))
    assert f"{len(TEXT)} characters, {len(TEXT)} tokens of {kinds} kinds" in said.out
    assert number("uniform", said.out) == pytest.approx(math.log(kinds), abs=1e-3)
    learn, unseen = TEXT[: len(TEXT) * 9 // 10], TEXT[len(TEXT) * 9 // 10 :]
    total = len(learn) + kinds
    alone = [-math.log((learn.count(c) + 1) / total) for c in unseen]
    want = sum(alone) / len(alone)
    assert number("unigram", said.out) == pytest.approx(want, abs=1e-3)
    row = re.search(r"^ +7 +([\d.]+) +([\d.]+) +([\d.]+)$", said.out, re.M)
    training, validation, bits = map(float, row.groups())
    assert f"perplexity {math.exp(validation):.1f}" in said.out
    assert "7/7" in said.err and "--model a/b" in said.out
    assert training != validation
    n_bytes = len(unseen.encode()) / len(unseen)
    assert bits == pytest.approx(validation / math.log(2) / n_bytes, abs=2e-3)
    files = ["best.pt", "checkpoint.pt", "learn.ids", "losses.csv", "model.json"]
    assert sorted(os.listdir("a/b")) == [*files, "unseen.ids"]


def test_without_options_it_is_the_run_of_chapter_13(text):
    seen = {}
    with mock.patch("dot2gpt.commands.train._fit", side_effect=KeyboardInterrupt("s")):
        with mock.patch("dot2gpt.commands.runs.save_run") as save:
            assert cli.main(["train"]) == 130
            seen = save.call_args.args[1]
    model, training, batch = default_config(seen.encoding.n_vocab)
    assert (seen.model, seen.training) == (model, training)
    assert seen.settings["batch"] == batch and seen.settings["text"] is None


def test_options_reach_the_model_and_the_training(text):
    more = "--dropout 0.25 --learning-rate 0.02 --dtype bfloat16 --seed 5 --threads 1"
    assert train("--text", text, "--out", "gpt", *more.split()) == 0
    run = runs.load_run("gpt")
    model, training = run.model, run.training
    assert (model.n_layers, model.n_heads, model.d_model, model.d_ff) == (1, 2, 6, 24)
    assert (model.context_length, model.dropout) == (5, 0.25)
    assert (training.n_steps, training.learning_rate) == (7, 0.02)
    assert (training.dtype, run.settings["seed"]) == ("bfloat16", 5)
    assert train("--text", text, "--out", "other") == 0
    assert losses("gpt") != losses("other")


def test_bpe_trains_and_generates(text, capsys):
    more = ["--tokens", "bpe", "--vocab-size", "270", "--learning-rate", "0.01"]
    assert train("--text", text, "--out", "gpt", *more) == 0
    assert "tokens of 270 kinds" in capsys.readouterr().out
    words = runs.load_run("gpt").encoding
    assert words.decode(words.encode(TEXT)) == TEXT
    assert len(words.encode(TEXT)) < 0.8 * len(TEXT.encode())
    assert generate("--model", "gpt", "--prompt", "€ the", "--tokens", 3) == 0
    assert capsys.readouterr().out.startswith("€ the")


def test_ctrl_c_saves_and_resume_gives_the_same_losses(text):
    """A process of its own, stopped from outside while its bar runs."""
    steps = ["--text", "text.txt", "--steps", "600", "--dropout", "0.1"]
    command = [*PYTHON, "train", *SMALL, *steps]
    begun = subprocess.Popen(
        [*command, "--out", "gpt"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=QUIET,
    )
    try:
        shown = ""
        while "loss=" not in shown:
            shown += begun.stderr.read(1)
            assert begun.poll() is None, shown
        begun.send_signal(signal.SIGINT)
        out, err = begun.communicate(timeout=60)
    finally:
        begun.kill()
    assert begun.returncode == 130, err
    assert "Traceback" not in err and "stopped after step" in out
    assert out.endswith("\n  python -m dot2gpt train --out gpt --resume\n")
    n_done = len(losses("gpt"))
    assert 0 < n_done < 600

    assert cli.main("train --out gpt --resume".split()) == 0
    assert train(*steps, "--out", "whole") == 0
    assert losses("gpt") == losses("whole") and len(losses("whole")) == 600


def test_torchrun_trains_to_the_same_losses_and_refuses_once(text):
    command = [sys.executable, *TORCHRUN, "train", *SMALL, "--text", "text.txt"]

    def run(*more):
        options = {"capture_output": True, "text": True, "timeout": 120, "env": QUIET}
        return subprocess.run([*command, *more], **options)

    done = run("--out", "two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("uniform") == done.stdout.count("perplexity") == 1
    assert train("--text", text, "--out", "one") == 0
    assert losses("two") == pytest.approx(losses("one"), abs=1e-6)
    odd = run("--out", "odd", "--batch", "3")
    assert odd.returncode != 0
    assert odd.stderr.count("--batch 3 is not above 0 and divisible by 2") == 1
    assert not Path("odd").exists()


@pytest.mark.parametrize(
    "more, says",
    [
        ("--text nowhere.txt", "nowhere.txt cannot be read: No such file"),
        ("--text folder", "folder holds no file that ends in .txt or .md"),
        ("--text empty.txt", "empty.txt is empty"),
        ("--text latin.txt", "latin.txt is not UTF-8 text: byte 3"),
        ("--text short.txt", "has 3 tokens, and --context 5 takes 6"),
        ("--text text.txt --width 7", "d_model=7 is not divisible by n_heads=2"),
        ("--text text.txt --layers 0", "n_layers=0 is not 1 or more"),
        ("--text text.txt --steps 0", "n_steps=0 is not 1 or more"),
        ("--text text.txt --batch 0", "--batch 0 is not above 0"),
        ("--text text.txt --dropout 1.5", "dropout=1.5 is not in [0, 1)"),
        ("--text text.txt --learning-rate -1", "learning_rate=-1.0 is not above 0"),
        ("--text text.txt --vocab-size 300", "--vocab-size goes with --tokens bpe"),
        ("--text text.txt --tokens bpe --vocab-size 9", "vocab_size=9 is less than"),
        ("--text text.txt --width 10000000", "not enough memory for these sizes"),
        ("--resume", "model.json cannot be read: No such file"),
        ("--text text.txt --out text.txt/x", "text.txt/x: Not a directory"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_sentence(text, capsys, more, says):
    Path("folder").mkdir()
    Path("empty.txt").write_text("")
    Path("short.txt").write_text("x" * 29)
    Path("latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    assert cli.main(["train", *SMALL, *more.split()]) == 2
    said = capsys.readouterr().err
    assert says in said and said.startswith("dot2gpt: ") and said.count("\n") == 1


def test_a_device_that_is_not_there(text, capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    assert train("--text", text, "--device", "cuda") == 2
    assert "--device cuda: this machine has none" in capsys.readouterr().err


def test_a_model_is_not_overwritten_nor_resumed_as_another(text, capsys):
    assert train("--text", text, "--out", "gpt") == 0
    before = Path("gpt/checkpoint.pt").read_bytes()
    assert train("--text", text, "--out", "gpt") == 2
    assert "holds a model already: --resume goes on" in capsys.readouterr().err
    assert cli.main("train --out gpt --resume --width 8".split()) == 2
    assert "begun with --width 6, not 8" in capsys.readouterr().err
    Path("other.txt").write_text(TEXT + "more")
    other = "train --out gpt --resume --text other.txt --steps 9"
    assert cli.main(other.split()) == 2
    assert "begun with another text" in capsys.readouterr().err
    text.write_text(TEXT + "more")
    assert cli.main("train --out gpt --resume".split()) == 2
    assert "begun with another text" in capsys.readouterr().err
    assert Path("gpt/checkpoint.pt").read_bytes() == before


def test_a_kill_leaves_no_half_written_folder(text):
    def killed(source, target, replace=os.replace):
        if Path(target).name == "model.json":
            raise SystemExit("killed")
        replace(source, target)

    with mock.patch("os.replace", side_effect=killed):
        with pytest.raises(SystemExit):
            train("--text", text, "--out", "gpt")
    assert sorted(os.listdir("gpt")) == [
        "learn.ids",
        "model.json.partial",
        "unseen.ids",
    ]
    assert train("--text", text, "--out", "gpt") == 0


def test_bpe_learns_from_what_the_model_learns_from(text):
    text.write_text("the cat sat. " * 90 + "zyzzyva " * 16)
    more = ["--text", text, "--tokens", "bpe", "--vocab-size", "280"]
    assert train(*more, "--out", "gpt") == 0
    words = runs.load_run("gpt").encoding
    tokens = [words.decode_single_token_bytes(id) for id in range(words.n_vocab)]
    assert b" sat" in tokens and not any(b"zy" in token for token in tokens)


def test_a_mark_at_the_head_of_a_file_is_no_character(text):
    text.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert train("--text", text, "--out", "gpt") == 0
    assert runs.load_run("gpt").vocabulary == "".join(sorted(set(TEXT)))


# ---- train: texts of any size --------------------------------------------------------


def documents(folder):
    """A folder of documents, with files that are none."""
    for name, content in {
        "a.txt": "the cat sat on the mat. " * 30,
        "b/c.md": "早上好, the rat said. " * 20 + END,  # which is plain text here
        "b/empty.txt": "",
        "b/d.TXT": "on the mat it sat. " * 40,
        "picture.png": "no text",
    }.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return Path(folder)


@pytest.mark.parametrize("piece", [1 << 18, 7])
def test_the_ids_on_disk_are_those_of_the_text(text, monkeypatch, piece):
    monkeypatch.setattr(texts, "PIECE", piece)
    for tokens in ("characters", "bpe"):
        more = ["--tokens", tokens] + ["--vocab-size", "300"] * (tokens == "bpe")
        whole = Path(f"{tokens}-{piece}")
        assert train("--text", text, "--out", whole, *more) == 0
        words = runs.load_run(whole).encoding
        found = texts.ids_in(whole, words)
        cut = len(TEXT) * 9 // 10
        for ids, part in zip(found, (TEXT[:cut], TEXT[cut:]), strict=True):
            assert ids.dtype == "uint16"
            assert ids.tolist() == words.encode(part)


def test_a_folder_is_its_documents_with_an_end_between_two(text, capsys):
    from transformers import AutoTokenizer

    documents("books")
    out = ["--text", "books", "--tokens", "bpe", "--vocab-size", "290"]
    assert train(*out, "--out", "gpt") == 0
    run = runs.load_run("gpt")
    end = run.encoding.encode_single_token(END)
    assert end == run.encoding.n_vocab - 1 == run.model.vocab_size - 1
    learn, unseen = texts.ids_in("gpt", run.encoding)
    ids = [*learn.tolist(), *unseen.tolist()]
    parts = run.encoding.decode(ids).split(END)
    # Two ends between three documents, and the plain text of one.
    assert ids.count(end) == 2 and len(parts) == 4
    assert parts[0] == "the cat sat on the mat. " * 30 and parts[2] == ""
    assert parts[3] == "on the mat it sat. " * 40
    assert cli.main(["train", "--out", "gpt", "--resume", "--steps", "9"]) == 0
    assert runs.load_model("gpt")[2] == end  # where generate stops
    assert generate("--model", "gpt", "--prompt", "the", "--tokens", "3") == 0
    assert cli.main("export --model gpt --out theirs".split()) == 0
    theirs = AutoTokenizer.from_pretrained("theirs")
    assert theirs.convert_tokens_to_ids(END) == end
    assert theirs(f"the{END}cat")["input_ids"].count(end) == 1
    assert json.loads(Path("theirs/config.json").read_text())["eos_token_id"] == end
    assert cli.main("page --model gpt --out gpt.html".split()) == 0
    Path("books/a.txt").write_text("another", encoding="utf-8")
    assert cli.main("train --out gpt --resume --steps 11".split()) == 2
    assert "was begun with another text" in capsys.readouterr().err


def test_characters_have_an_empty_line_between_two_documents(text):
    documents("books")
    assert train("--text", "books", "--out", "gpt") == 0
    run = runs.load_run("gpt")
    ids = [id for part in texts.ids_in("gpt", run.encoding) for id in part.tolist()]
    assert run.encoding.decode(ids).count("\n\n") == 2
    assert runs.load_model("gpt")[2] is None


def test_a_text_without_a_space_is_for_characters(text, capsys, monkeypatch):
    monkeypatch.setattr(texts, "UNCUT", 1000)
    monkeypatch.setattr(texts, "PIECE", 300)
    Path("genes.txt").write_text("ACGT" * 500)
    bpe = ["--tokens", "bpe", "--vocab-size", "260"]
    assert train("--text", "genes.txt", "--out", "gpt", *bpe) == 2
    with mock.patch("dot2gpt.commands.runs.train_bpe", side_effect=AssertionError):
        assert train("--text", "genes.txt", "--out", "gpt", *bpe) == 2
    assert capsys.readouterr().err.count("no space between words: pieces") == 2
    assert not Path("gpt").exists()
    assert train("--text", "genes.txt", "--out", "gpt") == 0


def test_windows_are_those_of_the_lessons_batches():
    ids = np.arange(500, dtype=np.uint16)
    draws = [torch.Generator().manual_seed(3) for _ in "ab"]
    ours, lessons = texts.windows(ids, 4, 7, draws[0]), batches(ids, 4, 7, draws[1])
    for _ in range(5):
        for a, b in zip(next(ours), next(lessons), strict=True):
            assert a.dtype == b.dtype and a.tolist() == b.tolist()
    with pytest.raises(ValueError, match="7 ids are too few for 7"):
        texts.windows(ids[:7], 4, 7, draws[0])


LEAN = """
import resource, sys
from dot2gpt.commands import runs, texts
from dot2gpt.commands.options import in_words
def peak():
    lines = open("/proc/self/status").read()
    return int(lines.split("VmHWM:")[1].split()[0]) >> 10
small = texts.Text("text.txt")
texts.tokenise(small, texts.Characters(small.characters), "small", 5)
before = peak()
large = texts.Text("large.txt")
words = texts.Characters(large.characters)
texts.tokenise(large, words, "large", 5)
learn, unseen = texts.ids_in("large", words)
print(len(learn) + len(unseen), peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux counts so")
def test_a_large_text_takes_little_memory(text):
    Path("large.txt").write_text(TEXT * 70_000, encoding="utf-8")  # 36 MB
    done = subprocess.run([*PYTHON[:1], "-c", LEAN], **PIPED, env=QUIET)
    n_ids, more = map(int, done.stdout.split())
    assert n_ids == 70_000 * len(TEXT) and more < 80, done.stderr


# ---- train: a second try, and going on -----------------------------------------------


def test_a_failed_try_does_not_block_the_folder(text, capsys):
    Path("short.txt").write_text("x" * 29)
    assert train("--text", "short.txt", "--out", "gpt") == 2
    assert not Path("gpt").exists()
    assert train("--text", text, "--out", "gpt", "--learning-rate", "1e30") == 2
    assert "try a learning rate below" in capsys.readouterr().err
    assert train("--text", text, "--out", "gpt") == 0


def test_a_finished_training_goes_on_with_more_steps(text, capsys):
    every = ["--evaluate-every", "2"]
    assert train("--text", text, "--out", "gpt", *every) == 0
    first = losses("gpt")
    assert cli.main("train --out gpt --resume".split()) == 0
    assert "all 7 steps are done: --steps N" in capsys.readouterr().out
    assert losses("gpt") == first
    assert cli.main("train --out gpt --resume --steps 7".split()) == 0
    assert cli.main("train --out gpt --resume --steps 5".split()) == 2
    assert "gpt has done 7 steps: --steps 5 is less" in capsys.readouterr().err
    assert cli.main("train --out gpt --resume --steps 12".split()) == 0
    said = capsys.readouterr().out
    assert len(losses("gpt")) == 12 and losses("gpt")[:7] == first
    training = runs.load_run("gpt").training
    assert training.n_steps == 12 and training.warm_up == 0
    rate = cosine_schedule(7, 3e-3, 0, 12, 1.5e-4)
    assert f"7 of 12 steps are done; the rate is {rate:.2g}" in said
    steps = [row["step"] for row in runs.read_rows("gpt/losses.csv")]
    assert steps == [2, 4, 6, 7, 8, 10, 12]


def test_losses_are_looked_at_stored_and_drawn(text, capsys):
    every = "--evaluate-every 3 --save-every 2 --warm-up 2 --accumulate 2".split()
    more = [*every, "--weight-decay", "0.3", "--plot"]
    assert train("--text", text, "--out", "gpt", *more) == 0
    training = runs.load_run("gpt").training
    assert (training.warm_up, training.accumulate) == (2, 2)
    assert (training.weight_decay, training.save_every) == (0.3, 2)
    rows = runs.read_rows("gpt/losses.csv")
    assert [row["step"] for row in rows] == [3, 6, 7]
    looked = load_checkpoint("gpt/checkpoint.pt")["history"]["evaluations"]
    assert [[row["step"], row["validation"]] for row in rows] == looked
    for row in rows:
        rate = cosine_schedule(row["step"] - 1, 3e-3, 2, 7, 1.5e-4)
        assert row["learning_rate"] == rate
    assert "<svg" in Path("gpt/losses.svg").read_text()
    assert "drawn in gpt/losses.svg" in capsys.readouterr().out


def test_the_best_weights_are_kept_and_generate_takes_them(text, capsys):
    found = iter([9, 5.0, 9, 4.0, 9, 4.5, 9, 4.6, 9, 4.7, 9, 4.8, 9, 4.9])
    with mock.patch("dot2gpt.training.evaluate", lambda *_: next(found)):
        assert train("--text", text, "--out", "gpt", "--evaluate-every", "1") == 0
    said = capsys.readouterr().out
    assert said.count("has risen since step 2") == 1
    best, last = (torch.load(f"gpt/{n}.pt")["model"] for n in ("best", "checkpoint"))
    assert torch.load("gpt/best.pt")["more"] == {"step": 2}
    assert not torch.equal(best["tokens.weight"], last["tokens.weight"])
    model, *_ = runs.load_model("gpt")
    assert torch.equal(model.tokens.weight, best["tokens.weight"])


@pytest.mark.parametrize(
    "damage, says",
    [
        (lambda path: path.write_bytes(path.read_bytes()[:900]), "is damaged ("),
        (lambda path: path.write_bytes(b""), "is damaged ("),
        (lambda path: path.write_text("something else"), "is damaged ("),
        (lambda path: torch.save({"a": 1}, path), "is damaged ("),
        (
            lambda path: path.with_name("model.json").write_text(
                path.with_name("model.json")
                .read_text()
                .replace('_layers": 1', '_layers": 2')
            ),
            "holds another model than model.json says",
        ),
    ],
)
def test_a_damaged_checkpoint_is_said_in_one_sentence(text, capsys, damage, says):
    assert train("--text", text, "--out", "gpt") == 0
    damage(Path("gpt/checkpoint.pt"))
    before = Path("gpt/checkpoint.pt").read_bytes()
    capsys.readouterr()
    assert cli.main("train --out gpt --resume --steps 9".split()) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
    assert Path("gpt/checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "step,validation\n1\n"])
def test_a_damaged_table_of_losses_is_said_in_one_sentence(text, capsys, content):
    assert train("--text", text, "--out", "gpt") == 0
    Path("gpt/losses.csv").write_text(content)
    before = Path("gpt/checkpoint.pt").read_bytes()
    capsys.readouterr()
    code = cli.main("train --out gpt --resume".split())
    said = capsys.readouterr().err
    assert code == 2 and "losses.csv is damaged (" in said and said.count("\n") == 1
    assert Path("gpt/checkpoint.pt").read_bytes() == before


def test_a_full_disk_leaves_the_checkpoint_before_it(text):
    """Files may not grow beyond a size that model.json fits and weights do not."""
    assert train("--text", text, "--out", "gpt") == 0
    before = Path("gpt/checkpoint.pt").read_bytes()
    code = "import resource, sys; from dot2gpt.__main__ import main\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
    code += "sys.exit(main('train --out gpt --resume --steps 9'.split()))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=QUIET
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert re.search(r"dot2gpt: .*(File too large|disk is full)", done.stderr)
    assert Path("gpt/checkpoint.pt").read_bytes() == before
    assert not list(Path("gpt").glob("*.partial"))


def test_options_come_from_a_file_and_the_command_line_wins(text, capsys):
    Path("run.toml").write_text('steps = 5\nlearning-rate = 0.02\nout = "gpt"\n')
    assert train("--text", text, "--config", "run.toml", "--learning-rate", "0.01") == 0
    training = runs.load_run("gpt").training
    assert (training.n_steps, training.learning_rate) == (7, 0.01)  # SMALL says 7
    for content, says in (
        ("stepz = 5", "run.toml: there is no option --stepz"),
        ("steps = 'x'", "invalid int value: 'x'"),
        ("steps = [5]", "steps is not one value"),
        ("steps = ", "run.toml is no TOML"),
        ("config = 'run.toml'", "run.toml: a file of options names no other"),
    ):
        Path("run.toml").write_text(content)
        with pytest.raises(SystemExit):
            train("--config", "run.toml")
        assert says in capsys.readouterr().err


def test_it_begins_with_another_models_weights(text, capsys):
    assert train("--text", text, "--out", "gpt") == 0
    Path("new.txt").write_text("the mat sat on the rat. " * 20)
    new = ["train", "--text", "new.txt", "--out", "new", "--from", "gpt"]
    new += ["--steps", "2", "--learning-rate", "1e-9", "--context", "4"]
    assert cli.main(new) == 0
    before, after = (runs.load_model(name)[0] for name in ("gpt", "new"))
    assert torch.allclose(before.tokens.weight, after.tokens.weight, atol=1e-7)
    assert torch.allclose(
        before.positions.weight[:4], after.positions.weight, atol=1e-7
    )
    assert runs.load_run("new").vocabulary == runs.load_run("gpt").vocabulary
    Path("new.txt").write_text("the mät sat on the rat. " * 20)
    capsys.readouterr()
    for more, says in (
        ([], "'ä' is not among the"),
        (["--layers", "2"], "--layers is that of --from: leave it out"),
        (["--context", "6"], "--context 6 is not in 1 to 5"),
    ):
        assert cli.main([*new, "--out", "other", *more]) == 2
        assert says in capsys.readouterr().err and not Path("other").exists()


def test_an_error_is_shown_whole_if_asked(text):
    with pytest.raises(ValueError, match="n_layers=0"):
        train("--text", text, "--layers", "0", "--traceback")


def test_compile_compiles_the_model(text):
    with mock.patch("torch.nn.Module.compile", autospec=True) as compiled:
        assert train("--text", text, "--out", "gpt", "--compile") == 0
    assert compiled.call_count == 1


# ---- generate -----------------------------------------------------------------------


def test_it_continues_the_prompt_and_a_seed_repeats(trained, capsys):
    said = []
    for seed in (1, 1, 2):
        assert generate("--model", trained, "--prompt", "the", "--seed", seed) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != said[2]
    assert said[0].startswith("the") and len(said[0]) == len("the") + 200 + 1


def test_count_and_tokens(trained, capsys):
    more = ["--prompt", "the", "--count", 2, "--tokens", 9, "--seed", 3]
    assert generate("--model", trained, *more) == 0
    head, one, two = re.split(r"--- \d of 2\n", capsys.readouterr().out)
    assert head == "" and one != two and len(one) == len(two) == 3 + 9 + 1


def test_the_prompt_may_come_from_standard_input(trained, tmp_path):
    command = [*PYTHON, "generate", "--model", trained, "--tokens", "4"]
    options = {"capture_output": True, "text": True, "timeout": 60, "env": QUIET}
    done = subprocess.run(command, input="the cat\n", cwd=tmp_path, **options)
    assert done.returncode == 0 and re.fullmatch(r"(?s)the cat.{4}\n", done.stdout)


def test_text_appears_as_it_is_made(trained):
    """A reader that closes the pipe after ten characters ends the writer at once."""
    command = [*PYTHON, "generate", "--model", trained, "--prompt", "the"]
    writer = subprocess.Popen(
        [*command, "--tokens", "100000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=QUIET,
    )
    stuck = threading.Timer(60, writer.kill)  # or the read below waits for ever
    stuck.start()
    try:
        assert len(writer.stdout.read(10)) == 10
        writer.stdout.close()
        assert writer.wait() == 141 and writer.stderr.read() == b""
    finally:
        stuck.cancel()
        writer.kill()
        writer.stderr.close()


def test_temperature_and_cuts_reach_the_draw(trained, capsys):
    said = set()
    for more in (["--temperature", 0], ["--top-k", 1], ["--top-p", 1e-9]):
        generate("--model", trained, "--prompt", "the", "--tokens", 30, *more)
        said.add(capsys.readouterr().out)
    assert len(said) == 1


def test_a_published_gpt2_writes_what_hugging_face_writes(tmp_path, capsys):
    from transformers import GPT2Config, GPT2LMHeadModel

    vocab, merges = train_bpe(TEXT, 290, ["<|endoftext|>"], pattern="gpt2")
    save_gpt2(tmp_path, vocab, merges)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(vocab), n_positions=64, n_embd=8, n_layer=2, n_head=2
    )
    theirs = GPT2LMHeadModel(config).eval()
    theirs.save_pretrained(tmp_path)
    capsys.readouterr()
    more = ["--temperature", 0, "--tokens", 20]
    assert generate("--model", tmp_path, "--prompt", "the cat", *more) == 0
    words = gpt2_encoding(tmp_path)
    end = words.eot_token
    prompt = torch.tensor([words.encode("the cat")])
    options = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": end}
    ids = theirs.generate(prompt, pad_token_id=end, **options)[0].tolist()
    assert end == len(vocab) - 1 and len(set(ids)) > 3
    assert capsys.readouterr().out == words.decode(ids) + "\n"


@pytest.mark.parametrize(
    "more, says",
    [
        ("--prompt éÿ", "'ÿ' is not among the"),
        ("--prompt=", "the prompt is empty"),
        ("--prompt the --temperature -1", "temperature=-1.0 is not 0 or more"),
        ("--prompt the --top-k 0", "top_k=0 is not 1 or more"),
        ("--prompt the --top-p 2", "top_p=2.0 is not in (0, 1]"),
        ("--prompt the --model ./nowhere", "there is no folder ./nowhere"),
        ("--prompt the --model typo", "there is no folder typo"),
        ("--prompt the --model damaged/typo", "there is no folder damaged/typo"),
        ("--prompt the --model .", ". holds no GPT: "),
        ("--prompt the --model damaged", "model.json is damaged: Expecting"),
        ("--prompt the --model begun", "begun has no weights yet"),
        ("--prompt the --model torn", "checkpoint.pt is damaged: "),
    ],
)
def test_what_cannot_be_generated_is_said_in_one_sentence(
    trained, tmp_path, monkeypatch, capsys, more, says
):
    monkeypatch.chdir(tmp_path)
    for name in ("damaged", "begun", "torn"):
        Path(name).mkdir()
        (Path(name) / "model.json").write_bytes((trained / "model.json").read_bytes())
    Path("damaged/model.json").write_text("half")
    weights = (trained / "checkpoint.pt").read_bytes()
    Path("torn/checkpoint.pt").write_bytes(weights[: len(weights) // 2])
    model = [] if "--model" in more else ["--model", trained]
    assert generate(*model, *more.split()) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and said.out == ""


def test_without_a_model_it_says_how_to_make_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert generate("--prompt", "the") == 2
    assert "python -m dot2gpt train makes it" in capsys.readouterr().err


def test_model_json_holds_every_field_it_is_read_from(trained, tmp_path, capsys):
    saved = json.loads((trained / "model.json").read_text())
    for name in saved:
        less = {key: value for key, value in saved.items() if key != name}
        (tmp_path / "model.json").write_text(json.dumps(less))
        assert generate("--model", tmp_path, "--prompt", "the") == 2, name
        assert "is damaged" in capsys.readouterr().err


# ---- export -------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["characters", "bpe"])
def exported(request, tmp_path_factory):
    """Our folder and the one written for transformers."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    more = ["--text", folder / "text.txt", "--tokens", request.param]
    assert train(*more, "--learning-rate", "0.05", "--out", folder / "gpt") == 0
    out = ["--model", folder / "gpt", "--out", folder / "theirs"]
    assert cli.main(["export", *map(str, out)]) == 0
    return folder / "gpt", folder / "theirs"


def test_an_exported_gpt_gives_equal_logits_in_transformers(exported):
    from transformers import AutoModelForCausalLM

    ours, _, _ = runs.load_model(exported[0])
    theirs = AutoModelForCausalLM.from_pretrained(exported[1])
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(ours.config.vocab_size, (3, 5), generator=draw)
    with torch.no_grad():
        mine, other = ours.double()(ids), theirs.double()(ids).logits
    assert (mine - other).abs().max() < 1e-10 and mine.std() > 0.01


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.sampled_from(" \n\t'09aeéthsCs早上.,;ſ\u00a0"), max_size=30))
def test_an_exported_tokenizer_gives_the_same_ids(exported, text):
    from transformers import AutoTokenizer

    _, words, _ = runs.load_model(exported[0])
    if exported[0].parent.name.startswith("characters"):
        text = "".join(c for c in text if c in words.ids)
    theirs = AutoTokenizer.from_pretrained(exported[1])
    ids = getattr(words, "encode_ordinary", words.encode)(text)
    assert theirs.encode(text) == ids
    assert theirs.decode(ids) == text


def test_an_export_overwrites_nothing(exported, capsys):
    ours, theirs = map(str, exported)
    assert cli.main(["export", "--model", ours, "--out", theirs]) == 2
    assert "theirs is not empty" in capsys.readouterr().err
    assert cli.main(["export", "--model", "typo", "--out", "x"]) == 2
    assert "typo holds no model" in capsys.readouterr().err


# ---- all ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["train", "generate", "export"])
def test_help_teaches_with_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and said.count(f"-m dot2gpt {command}") >= 1 + 3 * (
        command != "export"
    )
    assert "%(" not in said and "object at" not in said


@pytest.mark.parametrize("seed", ["-1", "x", str(2**63)])
def test_a_seed_is_a_whole_number(seed, capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", f"--seed={seed}"])
    assert "is not a whole number from 0 on" in capsys.readouterr().err


def test_the_other_commands_do_not_wait_for_torch():
    code = "import sys; from dot2gpt.__main__ import main; main(['list'])\n"
    code += "assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr
