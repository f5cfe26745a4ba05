"""Well-known open base models on the Hugging Face hub: what to try first, what it asks for, what it weighs.

Only pretrained models, no instruction-tuned ones, and only repositories whose weights are safetensors (so no OPT).
Parameters count tied weights once. Which revision is used is the study's to pin.
"""

from typing import NamedTuple

from app.costs import BYTES, Shape
from app.costs import fused_shape as _fused
from app.costs import llama_shape as _llama


class KnownBase(NamedTuple):
    """A base model of the hub."""

    family: str
    """Architecture and pretraining recipe, shared by all its sizes."""
    id: str
    """OWNER/NAME on the hub."""
    parameters: int
    """All weights, tied ones once."""
    licence: str
    """The hub's name of the licence."""
    gated: bool
    """Whether the hub wants a login and consent first."""
    shape: Shape
    """From its config.json, for estimates of memory."""


def memory_gb(parameters: int, dtype: str) -> float:
    """GB (10^9 bytes) that the weights take; activations, caches and optimiser states come on top.

    KeyError for a dtype that is not in `BYTES`.
    """
    return parameters * BYTES[dtype] / 1e9


_BLOOM, _FALCON = "bigscience-bloom-rail-1.0", "falcon-llm-license"

KNOWN_BASES: tuple[KnownBase, ...] = (
    KnownBase("pythia", "EleutherAI/pythia-14m", 14_067_712, "apache-2.0", False, _fused(6, 128)),
    KnownBase("pythia", "EleutherAI/pythia-31m", 30_494_720, "apache-2.0", False, _fused(6, 256)),
    KnownBase("pythia", "EleutherAI/pythia-70m", 70_426_624, "apache-2.0", False, _fused(6, 512)),
    KnownBase("pythia", "EleutherAI/pythia-160m", 162_322_944, "apache-2.0", False, _fused(12, 768)),
    KnownBase("pythia", "EleutherAI/pythia-410m", 405_334_016, "apache-2.0", False, _fused(24, 1024)),
    KnownBase("pythia", "EleutherAI/pythia-1b", 1_011_781_632, "apache-2.0", False, _fused(16, 2048)),
    KnownBase("pythia", "EleutherAI/pythia-1.4b", 1_414_647_808, "apache-2.0", False, _fused(24, 2048)),
    KnownBase("pythia", "EleutherAI/pythia-2.8b", 2_775_208_960, "apache-2.0", False, _fused(32, 2560)),
    KnownBase("pythia", "EleutherAI/pythia-6.9b", 6_857_302_016, "apache-2.0", False, _fused(32, 4096)),
    KnownBase("pythia", "EleutherAI/pythia-12b", 11_846_072_320, "apache-2.0", False, _fused(36, 5120)),
    KnownBase("olmo2", "allenai/OLMo-2-0425-1B", 1_484_916_736, "apache-2.0", False, _llama(16, 2048, 8192, 2048)),
    KnownBase("olmo2", "allenai/OLMo-2-1124-7B", 7_298_617_344, "apache-2.0", False, _llama(32, 4096, 11008, 4096)),
    KnownBase("olmo2", "allenai/OLMo-2-1124-13B", 13_716_198_400, "apache-2.0", False, _llama(40, 5120, 13824, 5120)),
    KnownBase("olmo2", "allenai/OLMo-2-0325-32B", 32_234_279_936, "apache-2.0", False, _llama(64, 5120, 27648, 1024)),
    KnownBase("smollm2", "HuggingFaceTB/SmolLM2-135M", 134_515_008, "apache-2.0", False, _llama(30, 576, 1536, 192)),
    KnownBase("smollm2", "HuggingFaceTB/SmolLM2-360M", 361_821_120, "apache-2.0", False, _llama(32, 960, 2560, 320)),
    KnownBase(
        "smollm2", "HuggingFaceTB/SmolLM2-1.7B", 1_711_376_384, "apache-2.0", False, _llama(24, 2048, 8192, 2048)
    ),
    KnownBase("qwen2.5", "Qwen/Qwen2.5-0.5B", 494_032_768, "apache-2.0", False, _llama(24, 896, 4864, 128)),
    KnownBase("qwen2.5", "Qwen/Qwen2.5-1.5B", 1_543_714_304, "apache-2.0", False, _llama(28, 1536, 8960, 256)),
    KnownBase("qwen2.5", "Qwen/Qwen2.5-3B", 3_085_938_688, "qwen-research", False, _llama(36, 2048, 11008, 256)),
    KnownBase("qwen2.5", "Qwen/Qwen2.5-7B", 7_615_616_512, "apache-2.0", False, _llama(28, 3584, 18944, 512)),
    KnownBase("qwen2.5", "Qwen/Qwen2.5-14B", 14_770_033_664, "apache-2.0", False, _llama(48, 5120, 13824, 1024)),
    KnownBase("qwen2.5", "Qwen/Qwen2.5-32B", 32_763_876_352, "apache-2.0", False, _llama(64, 5120, 27648, 1024)),
    KnownBase("qwen2.5", "Qwen/Qwen2.5-72B", 72_706_203_648, "qwen", False, _llama(80, 8192, 29568, 1024)),
    KnownBase("qwen3", "Qwen/Qwen3-0.6B-Base", 596_049_920, "apache-2.0", False, _llama(28, 1024, 3072, 1024, 2048)),
    KnownBase("qwen3", "Qwen/Qwen3-1.7B-Base", 1_720_574_976, "apache-2.0", False, _llama(28, 2048, 6144, 1024)),
    KnownBase("qwen3", "Qwen/Qwen3-4B-Base", 4_022_468_096, "apache-2.0", False, _llama(36, 2560, 9728, 1024, 4096)),
    KnownBase("qwen3", "Qwen/Qwen3-8B-Base", 8_190_735_360, "apache-2.0", False, _llama(36, 4096, 12288, 1024)),
    KnownBase("qwen3", "Qwen/Qwen3-14B-Base", 14_768_307_200, "apache-2.0", False, _llama(40, 5120, 17408, 1024)),
    KnownBase("gpt2", "openai-community/gpt2", 124_439_808, "mit", False, _fused(12, 768)),
    KnownBase("gpt2", "openai-community/gpt2-medium", 354_823_168, "mit", False, _fused(24, 1024)),
    KnownBase("gpt2", "openai-community/gpt2-large", 774_030_080, "mit", False, _fused(36, 1280)),
    KnownBase("gpt2", "openai-community/gpt2-xl", 1_557_611_200, "mit", False, _fused(48, 1600)),
    KnownBase("bloom", "bigscience/bloom-560m", 559_214_592, _BLOOM, False, _fused(24, 1024)),
    KnownBase("bloom", "bigscience/bloom-1b1", 1_065_314_304, _BLOOM, False, _fused(24, 1536)),
    KnownBase("bloom", "bigscience/bloom-1b7", 1_722_408_960, _BLOOM, False, _fused(24, 2048)),
    KnownBase("bloom", "bigscience/bloom-3b", 3_002_557_440, _BLOOM, False, _fused(30, 2560)),
    KnownBase("bloom", "bigscience/bloom-7b1", 7_069_016_064, _BLOOM, False, _fused(30, 4096)),
    KnownBase("falcon3", "tiiuae/Falcon3-1B-Base", 1_669_408_768, _FALCON, False, _llama(18, 2048, 8192, 1024)),
    KnownBase("falcon3", "tiiuae/Falcon3-3B-Base", 3_227_655_168, _FALCON, False, _llama(22, 3072, 9216, 1024)),
    KnownBase("falcon3", "tiiuae/Falcon3-7B-Base", 7_455_550_464, _FALCON, False, _llama(28, 3072, 23040, 1024)),
    KnownBase("falcon3", "tiiuae/Falcon3-10B-Base", 10_305_653_760, _FALCON, False, _llama(40, 3072, 23040, 1024)),
    KnownBase("mistral", "mistralai/Mistral-7B-v0.1", 7_241_732_096, "apache-2.0", True, _llama(32, 4096, 14336, 1024)),
    KnownBase("gemma2", "google/gemma-2-2b", 2_614_341_888, "gemma", True, _llama(26, 2304, 9216, 1024, 2048)),
    KnownBase("gemma2", "google/gemma-2-9b", 9_241_705_984, "gemma", True, _llama(42, 3584, 14336, 2048, 4096)),
    KnownBase("gemma2", "google/gemma-2-27b", 27_227_128_320, "gemma", True, _llama(46, 4608, 36864, 2048, 4096)),
    KnownBase("gemma3", "google/gemma-3-270m", 268_098_176, "gemma", True, _llama(18, 640, 2048, 256, 1024)),
    KnownBase("gemma3", "google/gemma-3-1b-pt", 999_885_952, "gemma", True, _llama(26, 1152, 6912, 256, 1024)),
    KnownBase("llama2", "meta-llama/Llama-2-7b-hf", 6_738_415_616, "llama2", True, _llama(32, 4096, 11008, 4096)),
    KnownBase("llama2", "meta-llama/Llama-2-13b-hf", 13_015_864_320, "llama2", True, _llama(40, 5120, 13824, 5120)),
    KnownBase("llama2", "meta-llama/Llama-2-70b-hf", 68_976_648_192, "llama2", True, _llama(80, 8192, 28672, 1024)),
    KnownBase("llama3.1", "meta-llama/Llama-3.1-8B", 8_030_261_248, "llama3.1", True, _llama(32, 4096, 14336, 1024)),
    KnownBase("llama3.1", "meta-llama/Llama-3.1-70B", 70_553_706_496, "llama3.1", True, _llama(80, 8192, 28672, 1024)),
    KnownBase("llama3.2", "meta-llama/Llama-3.2-1B", 1_235_814_400, "llama3.2", True, _llama(16, 2048, 8192, 512)),
    KnownBase("llama3.2", "meta-llama/Llama-3.2-3B", 3_212_749_824, "llama3.2", True, _llama(28, 3072, 8192, 1024)),
)
