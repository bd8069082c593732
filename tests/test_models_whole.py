"""Each model of the course is one graph: compiled whole, exported, run without data."""

import pytest
import torch

from dot2gpt.albert import ALBERT, ALBERTConfig, ALBERTForPreTraining
from dot2gpt.bert import BERT, BERTConfig, BERTForPreTraining
from dot2gpt.encoder_decoder import Transformer, TransformerConfig
from dot2gpt.gpt import GPT, GPTConfig
from dot2gpt.modern import Llama, LlamaConfig
from dot2gpt.t5 import T5, T5Config
from dot2gpt.transformer_xl import TransformerXL, TransformerXLConfig
from dot2gpt.xlnet import XLNet, XLNetConfig

SIZES = {"d_model": 16, "n_heads": 2, "n_layers": 2, "d_ff": 32}
IDS = torch.arange(16).view(2, 8)
REAL = (torch.arange(8) < torch.tensor([[8], [5]]))[:, None]
MODELS = {
    "Transformer": (Transformer, TransformerConfig(20, 20, **SIZES), (IDS, IDS, REAL)),
    "GPT": (GPT, GPTConfig(20, 16, **SIZES), (IDS,)),
    "BERT": (BERT, BERTConfig(20, 16, **SIZES), (IDS, IDS % 2, REAL)),
    "BERT, pre-training": (BERTForPreTraining, BERTConfig(20, 16, **SIZES), (IDS,)),
    "T5": (T5, T5Config(20, **SIZES), (IDS, IDS, REAL)),
    "Transformer-XL": (TransformerXL, TransformerXLConfig(20, 4, **SIZES), (IDS,)),
    "XLNet": (XLNet, XLNetConfig(20, **SIZES), (IDS, IDS)),
    "ALBERT": (ALBERT, ALBERTConfig(20, 16, **SIZES), (IDS, IDS % 2, REAL)),
    "ALBERT, pre-training": (
        ALBERTForPreTraining,
        ALBERTConfig(20, 16, **SIZES),
        (IDS,),
    ),
    "Llama": (Llama, LlamaConfig(20, 16, 16, 4, 2, 2, norm_qk=True), (IDS,)),
}


@pytest.fixture(params=MODELS)
def case(request):
    kind, config, inputs = MODELS[request.param]
    torch.manual_seed(0)
    return kind(config).eval(), inputs


def test_it_compiles_whole_to_the_same_numbers(case):
    model, inputs = case
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*inputs), model(*inputs), rtol=0, atol=0)


def test_it_is_exported_to_the_same_numbers(case):
    model, inputs = case
    exported = torch.export.export(model, inputs).module()
    torch.testing.assert_close(exported(*inputs), model(*inputs), rtol=0, atol=0)


def test_it_runs_on_meta(case):
    model, inputs = case
    want = model(*inputs)
    found = model.to("meta")(*(x.to("meta") for x in inputs))
    if isinstance(want, tuple):
        found, want = found[0], want[0]
    assert found.device.type == "meta" and found.shape == want.shape
