"""What cells cost: arithmetic, memory and bytes, from parameters and tokens alone. Pure; each source is named.

An estimate is good to a factor of about two: it serves to order cells, to choose a GPU and to see what a study is
about to spend, never to judge a result. What is assumed rather than derived is a constant that says so.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

BYTES: Mapping[str, float] = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "nf4": 4.5 / 8}
"""Bytes a parameter takes; nf4 holds a 32-bit scale for each block of 64 (QLoRA: arXiv 2305.14314, section 3)."""


class Gpu(NamedTuple):
    """A kind of GPU, as its vendor's data sheet has it."""

    name: str
    memory: float
    """GB."""
    tflops: float
    """Dense matrix products in bfloat16, or in float16 where it has no bfloat16; sheets print twice that for sparse."""
    single: float
    """TFLOP/s in float32."""
    bandwidth: float
    """GB/s of its memory."""
    bfloat16: bool
    sheet: str
    """Where the figures stand."""


GPUS = (
    Gpu("T4", 16, 65, 8.1, 320, False, "NVIDIA T4 data sheet, 2019"),
    Gpu("L4", 24, 121, 30.3, 300, True, "NVIDIA L4 data sheet, 2023"),
    Gpu("A10G", 24, 70, 35, 600, True, "NVIDIA A10G data sheet, 2021"),
    Gpu("A100-40", 40, 312, 19.5, 1_555, True, "NVIDIA A100 data sheet, SXM and PCIe 40 GB"),
    Gpu("A100-80", 80, 312, 19.5, 2_039, True, "NVIDIA A100 data sheet, SXM 80 GB"),
    Gpu("H100-80", 80, 989, 67, 3_350, True, "NVIDIA H100 data sheet, SXM"),
    Gpu("H200", 141, 989, 67, 4_800, True, "NVIDIA H200 data sheet, SXM"),
)
REFERENCE = GPUS[4]
"""The GPU that the estimate of a single cell is for."""

UTILISATION = 0.4
"""Assumed share of a GPU's arithmetic that tuning and reading prompts reach: 12.5k tokens a second, as published for
LoRA on an 8B model and one H100, are 0.41."""
BANDWIDTH_SHARE = 0.6
"""Assumed share of its bandwidth that decoding reaches."""
LAYER_SECONDS = 1e-3
"""Assumed least time of one layer in one pass, for Python and kernel launches: 30 passes a second through 32 layers."""
LOAD_BANDWIDTH = 1.0
"""Assumed GB/s at which weights come from disk to the GPU."""
USABLE = 0.92
"""Assumed share of a GPU's memory that is left beside its context and fragments."""
BATCH_TOKENS = 16_384
"""Tokens of a batch of evaluation on a GPU, new ones included: its key-value cache holds as many."""
ENCODER_BYTES = 3e9
"""Of an encoder of BERTScore beside the model: 0.75 G parameters in float32."""

# Seconds of one token in one pass on one core of a 2020s server: a constant for Python and kernel launches, and the
# arithmetic at 40 GFLOP/s; measured on ladder models of 40 k to 400 k parameters.
_TOKEN_SECONDS, _CORE_FLOPS = 4e-6, 40e9
_ASPECT = 128  # width of a model by its layers: 128 for LLaMA-2 7B and 13B, 102 for 70B, 142 for Pythia 12B
_TEXT_BYTES = 2.5  # of a token of text in a compressed Parquet file
_ROW_BYTES = 60  # of a row beside its text


class Shape(NamedTuple):
    """What of an architecture decides memory and the size of adapters."""

    layers: int
    width: int
    """Size of the residual stream."""
    keys: int
    """Numbers in one token's keys of one layer, and in its values; less than `width` where query heads share them."""
    linear: int
    """Inputs plus outputs, summed over the linear modules of one layer: parameters of one layer's rank-1 adapters."""


def llama_shape(layers: int, width: int, feed: int, keys: int, queries: int = 0) -> Shape:
    """The LLaMA architecture: projections of queries, keys, values and outputs, and a gated feed-forward net.

    `queries` is given where the heads together are wider or narrower than the residual stream.
    """
    queries = queries or width
    return Shape(layers, width, keys, 2 * (width + queries) + 2 * (width + keys) + 3 * (width + feed))


def fused_shape(layers: int, width: int) -> Shape:
    """GPT-2, GPT-NeoX and BLOOM: one projection for queries, keys and values; a feed-forward net of 4 widths."""
    return Shape(layers, width, width, 4 * width + 2 * width + 2 * 5 * width)


def estimated_shape(parameters: int) -> Shape:
    """The shape of a LLaMA of that size: N = 12 layers width^2 with width = 128 layers, feed-forward 2.7 widths.

    N = 12 layers width^2: Kaplan et al. 2020, arXiv 2001.08361, table 1. Adapters come out within 7 % for LLaMA-2;
    much too large for models below 100 M parameters, most of which are embeddings.
    """
    width = max(16, round((_ASPECT * parameters / 12) ** (1 / 3)))
    return llama_shape(max(1, round(width / _ASPECT)), width, round(2.69 * width), width)


class Phase(NamedTuple):
    """A stretch of work of one kind: reading prompts, decoding, or tuning."""

    flops: float
    """Of matrix products."""
    token_passes: float
    """Tokens times passes; a backward pass counts as two forward ones."""
    passes: float
    """Passes through all layers, whatever the tokens in each."""
    layers: int
    read: float
    """Bytes of weights that one pass moves through the GPU's memory."""
    single: bool
    """Computed in float32."""


def gpu_seconds(phase: Phase, gpu: Gpu) -> float:
    """Time on one GPU: whichever of arithmetic, memory traffic and kernel launches takes longest."""
    arithmetic = phase.flops / ((gpu.single if phase.single else gpu.tflops) * 1e12 * UTILISATION)
    traffic = phase.passes * phase.read / (gpu.bandwidth * 1e9 * BANDWIDTH_SHARE)
    return max(arithmetic, traffic, phase.passes * phase.layers * LAYER_SECONDS)


def core_seconds(phase: Phase) -> float:
    """Time on one CPU core."""
    return phase.token_passes * _TOKEN_SECONDS + phase.flops / _CORE_FLOPS


def load_seconds(parameters: int, dtype: str) -> float:
    """Time until weights are on the GPU; nf4 is made from 16-bit weights."""
    return parameters * max(BYTES[dtype], 2) / (LOAD_BANDWIDTH * 1e9)


def forward_flops(parameters: int, length: float) -> float:
    """FLOPs of one token of a text of `length`: 2 for each parameter, and 4 layers width length / 2 of attention.

    A parameter is multiplied and added once; keys and values are on average those of half the text. (Kaplan et al.
    2020, arXiv 2001.08361, section 2.1.)
    """
    shape = estimated_shape(parameters)
    return 2 * parameters + 2 * shape.layers * shape.width * length


def tuning(
    parameters: int, dtype: str, method: str, tokens: float, length: float, steps: int, recomputed: bool = False
) -> Phase:
    """`steps` optimiser steps over `tokens` tokens in texts of `length`.

    A backward pass costs two forward ones, for gradients of activations and of weights: 6 FLOPs a parameter and token
    for full tuning (Kaplan et al. 2020). Frozen weights need none of their own: 4 with adapters, whose own arithmetic,
    some percent, is left out. Recomputing activations adds a forward pass.
    """
    passes = (3 if method == "full" else 2) + recomputed
    flops = passes * forward_flops(parameters, length) * tokens
    layers, held = estimated_shape(parameters).layers, "float32" if method == "full" else dtype
    read = _read(parameters, held)
    return Phase(flops, passes * tokens, steps * (3 + recomputed), layers, read, dtype == "float32")


def reading(parameters: int, dtype: str, tokens: float, length: float) -> Phase:
    """Prompts read in batches of `BATCH_TOKENS`."""
    flops = forward_flops(parameters, length) * tokens
    passes = math.ceil(tokens / BATCH_TOKENS)
    layers = estimated_shape(parameters).layers
    return Phase(flops, tokens, passes, layers, _read(parameters, dtype), dtype == "float32")


def decoding(parameters: int, dtype: str, tokens: float, length: float, passes: float) -> Phase:
    """`tokens` new tokens in `passes` steps; each step of a batch reads all weights once, whatever its rows."""
    flops = forward_flops(parameters, length) * tokens
    layers = estimated_shape(parameters).layers
    return Phase(flops, tokens, passes, layers, _read(parameters, dtype), dtype == "float32")


def _read(parameters: int, dtype: str) -> float:
    """Bytes that one pass moves for its weights; nf4 is unpacked to 16 bits, written and read again."""
    return parameters * (BYTES[dtype] + (4 if dtype == "nf4" else 0))


def tuning_bytes(
    parameters: int,
    dtype: str,
    shape: Shape,
    method: str,
    rank: int,
    batch_tokens: float,
    recomputed: bool = False,
) -> float:
    """GPU memory of tuning, at its peak: weights, what is trained, and activations of the longest batch.

    Trained weights are float32 with a gradient and AdamW's two moments: 16 bytes each. Activations: 34 bytes for each
    token, unit of width and layer, without dropout of attention and with attention that never stores its scores
    (Korthikanti et al. 2022, arXiv 2205.05198, section 4); recomputed ones keep 2, and 34 for one layer at a time.
    """
    layers = shape.layers * 2 / 34 + 1 if recomputed else shape.layers
    activations = 34 * batch_tokens * shape.width * layers
    if method == "full":
        return parameters * 16 + activations
    return parameters * BYTES[dtype] + adapter_parameters(shape, rank) * 16 + activations


def evaluation_bytes(parameters: int, dtype: str, shape: Shape, adapter: int, encoder: bool) -> float:
    """GPU memory of evaluation, at its peak: weights, `adapter` parameters and the key-value cache of a full batch."""
    cache = 2 * shape.layers * shape.keys * 2 * BATCH_TOKENS
    return parameters * BYTES[dtype] + adapter * 4 + cache + (ENCODER_BYTES if encoder else 0)


def gpus_needed(needed: float, gpu: Gpu) -> int:
    """How many GPUs of a kind hold that many bytes."""
    return max(1, math.ceil(needed / (gpu.memory * 1e9 * USABLE)))


def adapter_parameters(shape: Shape, rank: int) -> int:
    """Parameters of low-rank adapters on all linear modules: rank (inputs + outputs) each (arXiv 2106.09685)."""
    return rank * shape.layers * shape.linear


def run_bytes(parameters: int, dtype: str, shape: Shape, method: str, rank: int) -> float:
    """What a tuned model takes in the store: float32 adapters, or all weights."""
    return parameters * BYTES[dtype] if method == "full" else adapter_parameters(shape, rank) * 4.0


def request_bytes(items: int, tokens: float) -> float:
    """What the requests of `items` items with prompts of `tokens` take: the prompt, and its parts once more."""
    return items * (_ROW_BYTES + 2 * tokens * _TEXT_BYTES)


def response_bytes(items: int, tokens: float) -> float:
    """What the responses to `items` items with `tokens` new tokens each take."""
    return items * (_ROW_BYTES + tokens * _TEXT_BYTES)
