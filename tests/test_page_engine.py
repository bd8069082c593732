"""The engine of the pages against torch: the same numbers, tokens and texts."""

import dataclasses
import functools
import itertools
import json
import shutil
import subprocess
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from dot2gpt.block import LayerNorm
from dot2gpt.corpus import textbook
from dot2gpt.encoder_decoder import Transformer, TransformerConfig
from dot2gpt.generation import generate, next_probabilities
from dot2gpt.gpt import GPT, Characters, GPTConfig, gelu
from dot2gpt.page import ENGINE
from dot2gpt.page.weights import pack, unpack, vocabulary
from dot2gpt.positions import RotaryAttention, rotary, sinusoidal_positions
from dot2gpt.t5 import RMSNorm
from dot2gpt.tokens import encoding, train_bpe

# Numbers go in as lists, and come out so; tables of two axes there and back.
HELP = """
const into = rows => table(rows.length, rows[0].length, Float32Array.from(rows.flat()));
const out = x => Array.from({ length: x.rows }, (_, n) => [...row(x, n)]);
"""


# A line of code and arguments in, a line with the result out.
SERVE = """
require('readline').createInterface({ input: process.stdin }).on('line', line => {
  const [code, args] = JSON.parse(line);
  let said;
  try { said = [new Function('a', code)(args)]; } catch (e) { said = `${e.stack}`; }
  console.log(JSON.stringify(said));
});
"""


def run_in_node(node, source):
    """A function that runs code after the source, and the process to end."""
    script = f"const ENGINE = {json.dumps(source + HELP)};"
    script += SERVE.replace("code)(", "ENGINE + code)(")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([node, "-e", script], encoding="utf-8", **pipes)

    def ask(code, args):
        process.stdin.write(json.dumps([code, args]) + "\n")
        process.stdin.flush()
        said = json.loads(process.stdout.readline())
        assert isinstance(said, list), said
        return said[0]

    return ask, process


@pytest.fixture(scope="module")
def engine(request):
    """engine(source): a function js(code, *args), what the code returns after the
    source, `a` holds the args. In Node where there is one, else in Chromium.
    """
    node = shutil.which("node")
    page = None if node else request.getfixturevalue("browser").new_page()
    started = []

    def start(source):
        if node:
            ask, process = run_in_node(node, source)
            started.append(process)
        else:

            def ask(code, args):
                return page.evaluate(f"a => {{ {source}{HELP}{code} }}", args)

        def js(code, *args):
            args = [a.tolist() if isinstance(a, torch.Tensor) else a for a in args]
            return ask(code, args)

        return js

    yield start
    for process in started:
        process.stdin.close()
        process.stdout.close()
        process.wait()


@pytest.fixture(scope="module")
def js(engine):
    return engine(ENGINE)


def close(got, want, atol=1e-5):
    got, want = torch.tensor(got, dtype=torch.float64), want.detach().double()
    torch.testing.assert_close(got, want, atol=atol, rtol=1e-5)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def spread(model, factor=4.0):
    """The model with weights so large that its answers differ clearly."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(factor if weight.dim() > 1 else 1)
            if weight.dim() == 1:
                weight.add_(0.1 * normal(*weight.shape, seed=len(name)))
    return model.eval()


def a_gpt(seed=0, **sizes):
    torch.manual_seed(seed)
    sizes = {"context_length": 19, "d_model": 20, "n_heads": 4, "n_layers": 3} | sizes
    return spread(GPT(GPTConfig(41, **sizes)))


# --- parts --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 4, 7])
def test_linear_is_torchs(js, size):
    layer, x = nn.Linear(size, 5), normal(3, size)
    got = js(
        "return out(linear(into(a[0]), { weight: into(a[1]), bias: into([a[2]]) }))",
        *(x, layer.weight, layer.bias),
    )
    close(got, layer(x))
    got = js("return out(linear(into(a[0]), { weight: into(a[1]) }))", x, layer.weight)
    close(got, x @ layer.weight.T)


@pytest.mark.parametrize("module", [LayerNorm(7), RMSNorm(7)])
def test_norms_are_those_of_the_course(js, module):
    x = torch.cat([3 * normal(3, 7) + 2, 1e-3 * normal(2, 7), torch.full((1, 7), 2.0)])
    with torch.no_grad():
        for n, weight in enumerate(module.parameters()):
            weight.copy_(normal(7, seed=n + 1))
    bias = [module.bias.tolist()] if hasattr(module, "bias") else None
    code = "const bias = a[2] && into(a[2]);"
    code += "return out(norm(into(a[0]), { weight: into([a[1]]), bias }))"
    close(js(code, x, module.weight, bias), module(x))


def test_activations_are_torchs(js):
    x = torch.linspace(-6, 6, 25)
    close(js("return a[0].map(gelu)", x), gelu(x))
    close(js("return a[0].map(relu)", x), x.relu())


def test_positions_are_those_of_chapter_8(js):
    close(js("return out(sinusoidal(9, 6, 3))"), sinusoidal_positions(12, 6)[3:])
    x = normal(5, 12)
    heads = x.view(5, 2, 6).transpose(0, 1)  # (n_heads, time, d_k)
    want = rotary(heads, torch.arange(4, 9)).transpose(0, 1).reshape(5, 12)
    close(js("return out(rotary(into(a[0]), 2, 4))", x), want)


def test_attention_has_heads_masks_and_other_keys(js):
    q, k, v = normal(3, 8), normal(5, 8, seed=1), normal(5, 6, seed=2)
    mask = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    got = js(
        "const { output, weights } = attention(into(a[0]), into(a[1]), into(a[2]), 2,"
        " (i, j) => a[3][i][j]); return [out(output), weights.map(out)]",
        *(q, k, v, mask),
    )
    q, k, v = (x.unflatten(-1, (2, -1)).transpose(0, 1) for x in (q, k, v))
    want = F.scaled_dot_product_attention(q, k, v, mask)
    close(got[0], want.transpose(0, 1).reshape(3, 6).nan_to_num())
    weights = (q @ k.mT / 2).masked_fill(~mask, -torch.inf).softmax(-1).nan_to_num()
    close(got[1], weights)


# --- models -------------------------------------------------------------------------

READ = """
const model = new GPT(unpack(a[0]));
const { states, weights } = model.read(a[1]);
const logits = out(model.logits(states.at(-1)));
return [logits, states.map(out), weights.map(heads => heads.map(out))];
"""


@pytest.mark.parametrize(
    "sizes",
    [{}, {"tied": False, "d_ff": 13}, {"n_heads": 1, "d_model": 7, "n_layers": 1}],
)
@pytest.mark.parametrize("length", [1, 11, 19])
def test_logits_of_a_gpt_are_torchs(js, sizes, length):
    model, ids = a_gpt(**sizes), torch.randint(41, (1, length))
    logits, states, weights = js(READ, pack(model, "float32"), ids[0])
    close(logits, model(ids)[0], atol=1e-4)
    assert len(states) == model.config.n_layers + 1
    for rows in itertools.chain.from_iterable(weights):
        close(torch.tensor(rows).sum(-1).tolist(), torch.ones(length))
        assert torch.tensor(rows).triu(1).abs().sum() == 0


def test_with_a_cache_the_logits_are_the_same(js):
    model, ids = a_gpt(), torch.randint(41, (1, 19))
    got = js(
        """const model = new GPT(unpack(a[0])), cache = new Cache();
        return a[1].flatMap(ids => out(model.logits(
          model.read(ids, { cache }).states.at(-1))));""",
        pack(model, "float32"),
        [ids[0, :4].tolist(), ids[0, 4:5].tolist(), ids[0, 5:].tolist()],
    )
    close(got, model(ids)[0], atol=1e-4)


def test_what_is_switched_off_gives_nothing(js):
    model, ids = a_gpt(), torch.randint(41, (1, 11))
    off = ["0.1", "0.2", "2"]
    got = js(
        "const model = new GPT(unpack(a[0])); return out(model.logits("
        "model.read(a[1], { off: new Set(a[2]) }).states.at(-1)))",
        *(pack(model, "float32"), ids[0], off),
    )
    with torch.no_grad():
        model.layers[0].attention.w_o.weight[:, 5:15] = 0  # heads 1 and 2 of width 5
    model.layers = nn.ModuleList([model.layers[0], model.layers[1]])
    close(got, model(ids)[0], atol=1e-4)


def test_a_gpt_with_rotary_positions_and_rmsnorm(js):
    """The modern one: norms without shift, turned queries and keys, ReLU."""
    model, ids = a_gpt(d_model=24), torch.randint(41, (1, 11))
    packed = pack(model, "float32")
    norms = [f"layers.{n}.norm_{m}" for n in range(3) for m in (1, 2)] + ["norm"]
    drop = {"positions.weight", *(f"{name}.bias" for name in norms)}
    got = js(
        """const { config, parts } = unpack(a[0]);
        delete parts.positions;
        const plain = part => { delete part.bias; };
        Object.values(parts.layers).forEach(p => { plain(p.norm_1); plain(p.norm_2); });
        plain(parts.norm);
        Object.assign(config, { positions: 'rotary', activation: 'relu' });
        const model = new GPT({ config, parts }), cache = new Cache();
        return [a[1].slice(0, 7), a[1].slice(7)].flatMap(ids =>
          out(model.logits(model.read(ids, { cache }).states.at(-1))));""",
        *(packed, ids[0]),
    )
    weights = {n: w for n, w in model.state_dict().items() if n not in drop}
    causal, x = torch.ones(11, 11).tril().bool(), model.tokens(ids)

    def normed(x, name):
        module = RMSNorm(24)
        module.load_state_dict({"weight": weights[f"{name}.weight"]})
        return module(x)

    for n, layer in enumerate(model.layers):
        attend = RotaryAttention(24, 4)
        parts = zip("qkv", *(w.chunk(3) for w in layer.attention.w_qkv.parameters()))
        for letter, weight, bias in parts:
            part = getattr(attend, f"w_{letter}")
            part.load_state_dict({"weight": weight, "bias": bias})
        attend.w_o = layer.attention.w_o
        x = x + attend(normed(x, f"layers.{n}.norm_1"), mask=causal)[0]
        layer.feed_forward.activation = F.relu
        x = x + layer.feed_forward(normed(x, f"layers.{n}.norm_2"))
    close(got, model.head(normed(x, "norm"))[0], atol=1e-4)


def test_a_gpt_with_sines_reads_on(js):
    model, ids = a_gpt(), torch.randint(41, (1, 11))
    with torch.no_grad():
        model.positions.weight.copy_(sinusoidal_positions(19, 20))
    got = js(
        """const { config, parts } = unpack(a[0]), cache = new Cache();
        delete parts.positions;
        config.positions = 'sinusoidal';
        const model = new GPT({ config, parts });
        return [a[1].slice(0, 7), a[1].slice(7)].flatMap(ids =>
          out(model.logits(model.read(ids, { cache }).states.at(-1))));""",
        *(pack(model, "float32"), ids[0]),
    )
    close(got, model(ids)[0], atol=1e-4)


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_transformer_of_chapter_10_is_torchs(js, norm_first):
    torch.manual_seed(0)
    config = TransformerConfig(17, 13, 12, 3, 2, 10, norm_first)
    model = spread(Transformer(config), 1.5)
    source, target = torch.randint(17, (1, 7)), torch.randint(13, (1, 5))
    logits, weights = js(
        """const model = new Transformer(unpack(a[0]));
        const { logits, weights } = model.decode(a[2], model.encode(a[1]));
        return [out(logits), weights.map(w => w.map(out))];""",
        *(pack(model, "float32"), source[0], target[0]),
    )
    close(logits, model(source, target)[0], atol=1e-4)
    assert torch.tensor(weights).shape == (2, 3, 5, 7)  # layers, heads, target, source
    seen, layer = [], model.decoder.layers[1].cross_attention
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output[1]))
    model(source, target)
    close(weights[1], seen[0][0], atol=1e-4)


def test_wrong_ids_and_too_many_are_refused(js):
    packed = pack(a_gpt(), "float32")
    for ids, said in (
        ([41], "the id 41 is outside 0 to 40"),
        ([-1], "the id -1 is outside"),
        ([0] * 20, "20 tokens are more than 19"),
    ):
        code = "try { new GPT(unpack(a[0])).read(a[1]) } catch (e) { return e.message }"
        assert said in js(code, packed, ids)


def test_int8_is_what_python_reads(js):
    model, ids = a_gpt(), torch.randint(41, (1, 11))
    packed = pack(model)
    logits, _, _ = js(READ, packed, ids[0])
    read = unpack(packed)
    close(logits, read(ids)[0], atol=1e-4)
    assert (read(ids) - model(ids)).abs().max() > 1e-3
    for before, after in zip(model.parameters(), read.parameters()):
        step = before.abs().amax(-1, keepdim=True) / 127
        assert ((before - after).abs() <= 0.51 * step).all()
    exact = unpack(pack(model, "float32"))
    assert torch.equal(exact(ids), model(ids))
    with pytest.raises(ValueError, match="dtype='int4', expected one of"):
        pack(model, "int4")


# --- writing ------------------------------------------------------------------------

STREAM = """
const written = [...a[1]];
for (const id of stream(new GPT(unpack(a[0])), a[1], a[3])) {
  if (written.push(id) === a[1].length + a[2]) return written;
}
"""


@pytest.mark.parametrize("length", [1, 5, 30])
@pytest.mark.parametrize("cache", [True, False])
def test_200_greedy_tokens_are_those_of_generate(js, length, cache):
    """Far beyond the context of 19, from prompts within it and beyond."""
    model = a_gpt(seed=3, tied=False)
    with torch.no_grad():
        model.positions.weight.mul_(3)  # no text goes round in circles
    prompt = torch.randint(41, (length,)).tolist()
    how = {"temperature": 0, "useCache": cache}
    got = js(STREAM, pack(model, "float32"), prompt, 200, how)
    assert got == generate(model, [prompt], 200, temperature=0)[0]
    assert len(set(got)) > 4


def test_the_probabilities_are_those_of_chapter_14(js):
    logits = 2 * normal(30).round(decimals=1)  # some are equal
    for temperature, k, p in itertools.product(
        (0, 0.3, 1, 2), (None, 1, 3, 30), (0.05, 0.5, 0.95, 1)
    ):
        how = {"temperature": temperature, "topP": p} | ({"topK": k} if k else {})
        got = js("return [...nextProbabilities(a[0], a[1])]", logits, how)
        want = next_probabilities(logits.double(), temperature, k, p)
        torch.testing.assert_close(torch.tensor(got).double(), want, atol=1e-6, rtol=0)


def test_draws_follow_the_probabilities_and_the_seed(js):
    p = [0.5, 0.0, 0.3, 0.2]
    code = "return Array.from({ length: 4000 }, (_, n) => draw(a[0], uniform(a[1], n)))"
    counts = Counter(drawn := js(code, p, 7))
    assert counts[1] == 0
    chi2 = sum((counts[n] - 4000 * p[n]) ** 2 / (4000 * p[n]) for n in (0, 2, 3))
    assert chi2 < 13.8  # one in a thousand
    pairs = Counter(zip(drawn, drawn[1:]))  # neighbours know nothing of each other
    assert abs(pairs[0, 0] / 4000 - 0.25) < 0.03
    assert js(code, p, 7) == drawn != js(code, p, 8)
    first = js(
        "return Array.from({ length: 500 }, (_, s) => draw(a[0], uniform(s, 5)))", p
    )
    assert abs(first.count(0) / 500 - 0.5) < 0.08  # seeds, too, are independent
    assert js("return draw([0.5, 0.5, 0], 1)") == 1


def test_a_seed_gives_a_text_and_no_prompt_is_refused(js):
    packed = pack(a_gpt(), "float32")
    texts = [js(STREAM, packed, [3], 30, {"seed": seed}) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    code = "try { stream(new GPT(unpack(a[0])), []).next() }"
    code += " catch (e) { return e.message }"
    assert "no tokens" in js(code, packed)


# --- tokens -------------------------------------------------------------------------

# Letters that both sides know: neither Python's nor Chromium's Unicode is the newest.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn"]))
WORDS = " \n\r\t'sſtLLve09.,-é早上\ufeff\x85\u2028\x1c好🙂x" + "import the"
TEXTS |= st.text(st.sampled_from(WORDS))
PATTERNS = ["cl100k", "gpt2"]
ENCODE = "const t = new Tokens(a[0]), ids = t.encode(a[1]); return [ids, t.decode(ids)]"


@pytest.fixture(scope="module")
def encodings():
    text = textbook()[:60_000] + "早上好 🙂 I'll I'LL 'ſ don't  \n\n" * 50
    text += "ſtart 34 " * 300  # pairs that only a right cut keeps apart
    return {
        name: encoding(train_bpe(text, 600, pattern=name)[1], pattern=name)
        for name in PATTERNS
    }


@pytest.mark.parametrize("name", PATTERNS)
def test_bpe_is_ours_for_any_string(js, encodings, name):
    ours = encodings[name]
    words = vocabulary(ours)

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(TEXTS)
    def check(text):
        assert js(ENCODE, words, text) == [ours.encode_ordinary(text), text]

    check()
    known_text(js, ours)


def known_text(js, ours):
    """Text of the course, and what the patterns' rare branches are for."""
    text = (
        textbook()[100_000:103_000] + "a'ſtart b'LL  \ufeff\x85 \r\n 12345é早 +\n\n x"
    )
    assert js(ENCODE, vocabulary(ours), text) == [ours.encode_ordinary(text), text]


def test_bpe_joins_as_tiktoken_does_what_no_merge_made(js):
    """Any pair whose bytes are a token is joined, whatever merge made the token."""
    merges = [(b"a", b"b"), (b"b", b"c"), (b"ab", b"c"), (b"x", b"y"), (b"xy", b"z")]
    ours = encoding(merges)
    for text in ("abc", "zabcabc", "xyz", "bcabc", "aabc xyxyz"):
        assert js(ENCODE, vocabulary(ours), text)[0] == ours.encode(text)
    ours = encoding([(b"b", b"c"), (b"a", b"b"), (b"c", b"d"), (b"ab", b"cd")])
    assert js(ENCODE, vocabulary(ours), "abcd")[0] == ours.encode("abcd") == [259]


def test_half_a_character_is_decoded_as_python_does(js, encodings):
    ours = encodings["cl100k"]
    for ids in ([230, 151], [65, 230], [0xEF, 0xBB, 0xBF, 65], [0xF0, 0x9F, 65]):
        got = js("return new Tokens(a[0]).decode(a[1])", vocabulary(ours), ids)
        assert got == ours.decode(ids)


def test_a_surrogate_and_an_unknown_character_are_refused(js, encodings):
    code = "try { new Tokens(a[0]).encode('x' + String.fromCharCode(0xd800)) }"
    code += " catch (e) { return e.message }"
    assert "UTF-16" in js(code, vocabulary(encodings["cl100k"]))
    code = "try { new Tokens(a[0]).encode('ab早') } catch (e) { return e.message }"
    assert js(code, vocabulary(Characters("abc"))) == "“早” is not among the 3"


@settings(
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(TEXTS.filter(bool))
def test_characters_are_ours_for_any_string(js, text):
    ours = Characters(text)
    assert js(ENCODE, vocabulary(ours), text) == [ours.encode(text), text]


def test_sizes_of_a_pack_are_those_of_the_model():
    model = a_gpt()
    packed = pack(model)
    assert packed["config"] == dataclasses.asdict(model.config)
    numbers = sum(rows * size for _, rows, size, _ in packed["weights"])
    assert numbers == sum(weight.numel() for weight in model.parameters())
    assert len(packed["data"]) < len(pack(model, "float32")["data"]) / 3


# --- the tests themselves -----------------------------------------------------------

part = functools.partial
linear_7 = part(test_linear_is_torchs, size=7)
heads = test_attention_has_heads_masks_and_other_keys
norms = test_norms_are_those_of_the_course
logits = part(test_logits_of_a_gpt_are_torchs, sizes={}, length=11)
cached = test_with_a_cache_the_logits_are_the_same
off = test_what_is_switched_off_gives_nothing
translate = test_the_transformer_of_chapter_10_is_torchs
shares = test_the_probabilities_are_those_of_chapter_14
draws = test_draws_follow_the_probabilities_and_the_seed
greedy = test_200_greedy_tokens_are_those_of_generate
positions = test_positions_are_those_of_chapter_8
joins = test_bpe_joins_as_tiktoken_does_what_no_merge_made

MISTAKES = [
    (
        "for (let n = 0; n < size; n++) sum",
        "for (let n = 1; n < size; n++) sum",
        linear_7,
    ),
    ("to[o + 3] = four", "to[o + 3] = three", linear_7),
    ("return scores.fill(0)", "top", heads),
    (") / Math.sqrt(dK)", ")", heads),
    ("subarray(head * dV", "subarray(0 * dV", heads),
    ("(bias ? 1e-5 : 1e-6)", "1e-5", part(norms, module=RMSNorm(7))),
    ("mean = bias ?", "mean = !bias ?", part(norms, module=LayerNorm(7))),
    ("0.044715", "0.045", test_activations_are_torchs),
    ("n % 2 ? Math.cos", "n % 2 ? Math.sin", positions),
    ("even ? -other : other", "other", positions),
    ("j <= before + i", "j < before + i", logits),
    ("j <= before + i", "j <= i", cached),
    ("this.length * k.size", "0", cached),
    ("=> before + i)", "=> i)", cached),
    ("nHeads, before)", "nHeads)", test_a_gpt_with_rotary_positions_and_rmsnorm),
    ("x.size, before)", "x.size)", test_a_gpt_with_sines_reads_on),
    ("Math.floor(n % output.size * nHeads / output.size)", "n % nHeads", off),
    ("if (!off.has(`${n}`))", "if (true)", off),
    (".head ?? this", ".head0 ?? this", part(logits, sizes={"tied": False})),
    ("normFirst ?", "!normFirst ?", logits),
    ("(y, memory, part.cross", "(y, y, part.cross", part(translate, norm_first=False)),
    ("number * Math.sqrt(", "number * (", part(translate, norm_first=True)),
    ("? norm(x, part) : x;", "? x : x;", part(translate, norm_first=True)),
    ("|| a - b)", "|| b - a)", shares),
    ("slice(topK)", "slice(topK + 1)", shares),
    ("above >= topP", "above + share >= topP", shares),
    ("+ n | 0", "| 0", draws),
    ("p => p > 0", "p => p >= 0", draws),
    ("Math.floor(room / 2)", "Math.ceil(room / 2)", part(greedy, length=5, cache=True)),
    ("Math.max(0, text.length - room)", "0", part(greedy, length=30, cache=True)),
    (
        "if (next !== start) cache",
        "if (false) cache",
        part(greedy, length=5, cache=True),
    ),
    ("has(piece) ?", "has(0) ?", joins),
    ("id < made[a]", "id > made[a]", joins),
    ("Math.floor(n / size)", "0", test_int8_is_what_python_reads),
]


@pytest.mark.parametrize(("right", "wrong", "check"), MISTAKES)
def test_a_mistake_in_the_engine_is_noticed(engine, right, wrong, check):
    assert right in ENGINE
    with pytest.raises((AssertionError, RuntimeError, ValueError, TypeError)):
        check(engine(ENGINE.replace(right, wrong)))


TOKEN_MISTAKES = [("Tſ]", "T]"), ("{1,3}", "+"), ("[\\r\\n]*|", "|")]
TOKEN_MISTAKES += [("ignoreBOM: true", "ignoreBOM: false")]


@pytest.mark.parametrize(("right", "wrong"), TOKEN_MISTAKES)
def test_a_mistake_in_the_tokens_is_noticed(engine, encodings, right, wrong):
    assert right in ENGINE
    js = engine(ENGINE.replace(right, wrong))
    with pytest.raises(AssertionError):
        test_half_a_character_is_decoded_as_python_does(js, encodings)
        known_text(js, encodings["cl100k"])
