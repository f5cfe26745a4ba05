"""What both sides are given: items of the embedded world, rendered as in a study, and models made on the spot.

The ladder's model is pretrained for a moment, so that its accuracy says something; the others keep random weights,
which cost what trained ones cost. Their tokenizer splits words into pieces, as those of real models do: byte-level BPE
learned from the ladder's own corpus, small, so that an answer has several tokens.
"""

import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel, PreTrainedTokenizerFast

from app import stages
from app.evaluation import requests
from app.evaluation.requests import Request
from app.models.loading import DTYPES, LoadedModel, ModelSource, load, save_checkpoint
from app.plan import EvaluateCell, LadderSpec
from app.pretraining import corpus
from app.pretraining.loop import pretrain
from app.study import Recipe, parse
from app.tasks import catalog, loading
from app.tasks.planned import task_of
from app.tuning.encoding import Encoded, encode, texts
from app.tuning.mixture import Drawn, draw

TASK_NAMES = ("job", "reverse", "track", "nli")
"""Three to eight options of one to nine pieces; items of one word to three sentences."""
TUNED_ON = ("plural", "color", "currency", "first", "count", "member", "track", "sentiment", "older", "bigger")
SHOTS = 5
SHAPES: Mapping[str, Mapping[str, int]] = {
    "ladder-small": {"hidden": 32, "layers": 2, "heads": 2, "feed": 64, "vocabulary": 640, "context": 1_024},
    "llama-6m": {"hidden": 256, "layers": 6, "heads": 8, "feed": 688, "vocabulary": 6_400, "context": 1_024},
    "smollm2-small": {"hidden": 192, "layers": 6, "heads": 3, "feed": 512, "vocabulary": 49_152, "context": 1_024},
    "wide-vocabulary": {"hidden": 64, "layers": 2, "heads": 2, "feed": 176, "vocabulary": 128_256, "context": 1_024},
    "smollm2-135m": {"hidden": 576, "layers": 30, "heads": 9, "feed": 1_536, "vocabulary": 49_152, "context": 2_048},
    "smollm2-360m": {"hidden": 960, "layers": 32, "heads": 15, "feed": 2_560, "vocabulary": 49_152, "context": 2_048},
    "llama-1b": {"hidden": 2_048, "layers": 16, "heads": 32, "feed": 8_192, "vocabulary": 128_256, "context": 2_048},
}
"""Llamas with tied embeddings; those with a name of their own are shaped as those models are."""
_END = "<end>"
_PIECES = 640
_DOCUMENTS = 2_000
_STUDY = """
schema_version: 1
name: bench
bases: [{{family: llama, source: ladder, sizes: [32x2], pretraining: {{tokens: 20000}}}}]
recipes: [{{method: lora}}]
tasks: [{tasks}]
conditions: [base-few-shot, gold-pipeline, tuned-direct]
wordings: [standard, closed-adversarial]
shots: {shots}
pipelines: {{examples: {shots}}}
analysis: {{baseline: null}}
test_items: {items}
"""

Rendered = dict[str, list[Request]]
"""Requests by task."""


def rendered(
    condition: str, wording: str, items: int, names: tuple[str, ...] = TASK_NAMES, shots: int = SHOTS
) -> Rendered:
    """The requests of a study's evaluations, at most `items` of each task; FEWTUNE_DATA_MIRROR serves real tasks."""
    text = _STUDY.format(tasks=", ".join(names), items=items, shots=shots)
    found: Rendered = {}
    for cell in stages.plan(parse(text, Path("bench.yaml"))).evaluations:
        if (cell.condition.name, cell.condition.wording) == (condition, wording):
            found[cell.task.name] = _requests(cell)
    return found


def _requests(cell: EvaluateCell) -> list[Request]:
    rows, _ = requests.render(cell, loading.load(task_of(cell.task), os.environ.get("FEWTUNE_DATA_MIRROR")))
    found: list[Request] = []
    for row in rows:
        told: dict[str, Any] = {name: row[name] for name in Request._fields}
        told |= {name: tuple(told[name]) for name in ("options", "meant", "references")}
        found.append(Request(**told))
    return found


def ladder(
    folder: Path, width: int = 64, depth: int = 2, tokens: int = 200_000, seed: int = 0, device: str = "cpu"
) -> LoadedModel:
    """A llama of the ladder, pretrained for some seconds."""
    place = folder / f"ladder-{width}x{depth}-{tokens}-s{seed}"
    if not place.exists():
        pretrain(LadderSpec("llama", width, depth, tokens, seed=seed), place)
    return load(ModelSource("checkpoint", str(place)), device)


def llama(folder: Path, shape: str, device: str = "cpu", dtype: str = "float32", widen: int = 1) -> LoadedModel:
    """A Llama of random weights, seeded, saved and loaded as any checkpoint; `widen` multiplies its width."""
    place = folder / f"{shape}-x{widen}"
    if not place.exists():
        size = SHAPES[shape]
        config = LlamaConfig(
            vocab_size=size["vocabulary"],
            hidden_size=size["hidden"] * widen,
            num_hidden_layers=size["layers"],
            num_attention_heads=size["heads"] * widen,
            num_key_value_heads=size["heads"] * widen,
            intermediate_size=size["feed"] * widen,
            max_position_embeddings=size["context"],
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=0,
        )
        torch.manual_seed(0)
        with torch.device(device):  # a billion random numbers take a CPU half a minute
            model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=DTYPES[dtype])
        save_checkpoint(LoadedModel(model, pieces(), "cpu", ModelSource("checkpoint", str(place))), place)
    return load(ModelSource("checkpoint", str(place), None, dtype), device)


def both(folder: Path, device: str = "cpu") -> dict[str, LoadedModel]:
    """A trained model, for which accuracy means something, and a larger one, whose arithmetic outweighs Python's."""
    return {"ladder llama 64x2": ladder(folder, device=device), "Llama, 6.4 M": llama(folder, "llama-6m", device)}


def pieces() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of a few hundred pieces; it adds no start token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_PIECES, special_tokens=[_END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(islice(corpus.documents(0), _DOCUMENTS), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=_END, pad_token=_END, clean_up_tokenization_spaces=False
    )


def mixture(count: int, names: tuple[str, ...] = TUNED_ON) -> list[Drawn]:
    """`count` training examples, drawn as a study draws them."""
    tasks = [catalog.by_name(name) for name in names]
    mirror = os.environ.get("FEWTUNE_DATA_MIRROR")
    return draw(tasks, {task.name: loading.load(task, mirror) for task in tasks}, count, 3_000, "bench")


def encoded(drawn: list[Drawn], loaded: LoadedModel, longest: int = 512) -> tuple[Encoded, ...]:
    """Training examples as token ids."""
    return encode(drawn, loaded.tokenizer, longest, _recipe()).examples


def worded(drawn: list[Drawn]) -> list[tuple[str, str]]:
    """Prompt and answer of training examples."""
    return [texts(one, _recipe()) for one in drawn]


def _recipe() -> Recipe:
    return Recipe.model_validate({"method": "lora"})
