"""What an exercise may ask to write by hand, and every ready function that does it.

A sheet names kinds: `with checks.by_hand("softmax", "matrix product"):`. Most names are
of torch.ops.aten: the few operations that all of PyTorch's functions come down to,
whatever they are called in torch, torch.Tensor, torch.nn, torch.linalg, torch.special.
The others never get there.
"""


def _aten(names):
    return tuple(f"torch.ops.aten.{name}" for name in names.split())


_FUSED_ATTENTION = _aten(
    "scaled_dot_product_attention _scaled_dot_product_attention_math"
    " _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu"
    " _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention"
    " _scaled_dot_product_fused_attention_overrideable"
    " _native_multi_head_attention _transformer_encoder_layer_fwd"
)
_NO_NUMPY = ("torch.Tensor.numpy", "torch.Tensor.__array__", "torch.Tensor.__dlpack__")

KINDS = {
    "matrix product": (
        *_aten(
            "mm bmm mv dot vdot addmm addmv addbmm baddbmm _addmm_activation _int_mm"
            " linear mkldnn_linear einsum linalg_vecdot convolution _trilinear"
            " _cdist_forward _euclidean_dist _embedding_bag"
            " _embedding_bag_forward_only _sparse_addmm _sparse_mm sspaddmm"
        ),
        *_FUSED_ATTENTION,
        "torch.einsum",  # with some formulas it comes down to `*` and a sum
        "torch.linalg.vecdot",
        *_NO_NUMPY,  # its arrays have `@`, too
        "numpy.matmul",
        "numpy.dot",
        "numpy.inner",
        "numpy.vdot",
        "numpy.vecdot",
        "numpy.tensordot",
        "numpy.einsum",
        "numpy.linalg.matmul",
        "numpy.linalg.vecdot",
        "numpy.linalg.tensordot",
        "numpy.linalg.multi_dot",
    ),
    "softmax": (
        *_aten(
            "_softmax _log_softmax _safe_softmax _masked_softmax _sparse_softmax"
            " _sparse_log_softmax logsumexp logcumsumexp logaddexp logaddexp2"
        ),
        *_FUSED_ATTENTION,
        "dot2gpt.weighted_average.softmax",
        "dot2gpt.masking.masked_softmax",
        "numpy.logaddexp",
        "numpy.logaddexp2",
    ),
    "exponential": (
        *_aten("exp exp2 expm1 sigmoid tanh sinh cosh pow.Scalar float_power.Scalar"),
        "math.exp",
        "math.exp2",
        "math.expm1",
        "numpy.exp",
        "numpy.exp2",
        "numpy.expm1",
        "numpy.tanh",
        "numpy.sinh",
        "numpy.cosh",
    ),
    "masked softmax": (
        *_aten("_masked_softmax _safe_softmax"),
        *_FUSED_ATTENTION,
        "dot2gpt.masking.masked_softmax",
        "dot2gpt.weighted_average.softmax",
        "dot2gpt.scaling.scaled_dot_product_attention",
    ),
    "fused attention": (
        *_FUSED_ATTENTION,
        "torch.nn.functional.scaled_dot_product_attention",
        "torch.nn.functional.multi_head_attention_forward",
        "torch.nn.MultiheadAttention",
        "torch.nn.attention.flex_attention.flex_attention",
    ),
    "cross-entropy": (
        *_aten(
            "nll_loss nll_loss_nd nll_loss_forward nll_loss2d nll_loss2d_forward"
            " cross_entropy_loss binary_cross_entropy kl_div"
            " binary_cross_entropy_with_logits"
        ),
        "torch.nn.functional.cross_entropy",
        "torch.nn.functional.kl_div",
        "torch.nn.functional.binary_cross_entropy_with_logits",
        "torch.nn.AdaptiveLogSoftmaxWithLoss",
        "dot2gpt.training.cross_entropy",
    ),
    "autograd": (
        "torch.autograd.grad",
        "torch.autograd.backward",
        "torch.Tensor.backward",
        "torch.autograd.graph._engine_run_backward",  # all of the others come here
        "torch._C._enter_dual_level",  # all that goes forward comes here
    ),
    "embedding": (
        *_aten(
            "embedding embedding_backward embedding_dense_backward embedding_bag"
            " embedding_sparse_backward _embedding_bag _embedding_bag_forward_only"
            " _embedding_bag_backward _embedding_bag_dense_backward"
        ),
        "torch.nn.functional.embedding",
        "torch.nn.functional.embedding_bag",
        "torch.nn.Embedding",
        "torch.nn.EmbeddingBag",
    ),
    "models": ("torch.nn.Module",),  # each is one
    "byte pair encoding": (
        "tiktoken.Encoding",
        "tiktoken._tiktoken.CoreBPE",
        "tiktoken._educational.bpe_encode",
        "dot2gpt.tokens.encoding",
    ),
    # What the library has of it, which the sheets let their learners extend or mend.
    "nucleus": ("dot2gpt.generation.next_probabilities",),
    "key-value cache": ("dot2gpt.generation.KVCache",),
    "corruption": ("dot2gpt.bert.corrupt",),
    "relative buckets": ("dot2gpt.t5.relative_bucket",),
    "relative biases": ("dot2gpt.t5.RelativeBias",),
    "permutation masks": ("dot2gpt.xlnet.permutation_masks",),
    "soft-target loss": ("dot2gpt.distilbert.soft_target_loss",),
    "swapped pairs": ("dot2gpt.albert.swap_pairs",),
}
