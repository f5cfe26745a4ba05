"""What a study costs follows from parameters and tokens, by arithmetic that published figures confirm."""

from pathlib import Path

import pytest
from rich.console import Console

from app import costs, stages
from app.cli.planned import cost_tables, stage_table
from app.costs import GPUS, REFERENCE
from app.models import budget
from app.models.catalog import KNOWN_BASES, KnownBase
from app.plan import EvaluateCell, Plan, TuneCell, standing
from app.study import parse

SHAPES = {known.id: known.shape for known in KNOWN_BASES}
LLAMA_7B, LLAMA_13B, LLAMA_70B = 6_738_415_616, 13_015_864_320, 68_976_648_192
KINDS = {gpu.name: gpu for gpu in GPUS}
STUDY = """\
schema_version: 1
name: small
bases:
  - {family: pythia, source: hub, id: EleutherAI/pythia-410m, revision: main, dtype: bfloat16, resources: &g {gpus: 1}}
  - {family: qwen2.5, source: hub, id: Qwen/Qwen2.5-72B, revision: main, dtype: nf4, resources: *g}
recipes:
  - &regular {name: regular, method: lora, bases: [pythia], mixture: [rte, copa], examples: 400, batch: 4}
  - {<<: *regular, name: samplegen, format: samplegen}
  - {<<: *regular, name: full, method: full}
  - {<<: *regular, name: large, method: qlora, bases: [qwen2.5]}
tasks: [snli, common_gen]
conditions: [base-zero-shot, base-few-shot, tuned-direct, samplegen-direct, samplegen-pipeline]
shots: {counts: [1, 4]}
test_items: 500
answers: {max_new_tokens: 50}
"""


def planned(text: str = STUDY) -> Plan:
    return stages.plan(parse(text, Path("s.yaml")))


PLAN = planned()


def tuning(slug: str, plan: Plan = PLAN) -> TuneCell:
    return next(cell for cell in plan.tunings if cell.slug == f"tune/{slug}")


def evaluation(slug: str, plan: Plan = PLAN) -> EvaluateCell:
    return next(cell for cell in plan.evaluations if cell.slug == f"evaluate/{slug}")


def shown(plan: Plan, width: int = 80) -> str:
    console = Console(width=width, no_color=True)
    found = standing(plan, {})
    with console.capture() as captured:
        for table in [stage_table(plan, found), *cost_tables(plan, found)]:
            console.print(table)
    return captured.get()


def test_a_token_costs_two_flops_a_parameter_forward_and_six_in_full_tuning() -> None:
    forward = costs.forward_flops(LLAMA_7B, 0)
    assert forward == 2 * LLAMA_7B
    flops = {
        method: costs.tuning(LLAMA_7B, "bfloat16", method, 1_000, 0, 10).flops for method in ("full", "lora", "qlora")
    }
    assert flops["full"] == 6 * LLAMA_7B * 1_000
    assert flops["lora"] == flops["qlora"] == 4 * LLAMA_7B * 1_000
    assert costs.tuning(LLAMA_7B, "bfloat16", "full", 1_000, 0, 10, recomputed=True).flops == 8 * LLAMA_7B * 1_000


def test_attention_is_a_few_percent_of_a_long_prompt_and_nothing_of_a_short_one() -> None:
    share = [costs.forward_flops(LLAMA_7B, length) / costs.forward_flops(LLAMA_7B, 0) - 1 for length in (100, 4_096)]
    assert share[0] < 0.005
    assert 0.05 < share[1] < 0.1


@pytest.mark.parametrize(
    ("name", "parameters", "adapters"),
    [
        ("meta-llama/Llama-2-7b-hf", LLAMA_7B, 159_907_840),
        ("meta-llama/Llama-2-13b-hf", LLAMA_13B, 250_347_520),
        ("meta-llama/Llama-2-70b-hf", LLAMA_70B, 828_375_040),
    ],
)
def test_adapters_of_llama_2_have_their_published_size(name: str, parameters: int, adapters: int) -> None:
    assert costs.adapter_parameters(SHAPES[name], 64) == adapters
    estimated = costs.adapter_parameters(costs.estimated_shape(parameters), 64)
    assert estimated == pytest.approx(adapters, rel=0.07)


@pytest.mark.parametrize(
    "known", [known for known in KNOWN_BASES if known.parameters > 5e9], ids=lambda known: known.id
)
def test_an_unknown_model_is_estimated_near_the_known_ones_of_its_size(known: KnownBase) -> None:
    shape, estimated = known.shape, costs.estimated_shape(known.parameters)
    assert estimated.layers == pytest.approx(shape.layers, rel=0.5)
    assert costs.adapter_parameters(estimated, 8) == pytest.approx(costs.adapter_parameters(shape, 8), rel=0.6)


def test_decoding_is_as_slow_as_the_memory_and_prompts_as_the_arithmetic() -> None:
    read = costs.reading(LLAMA_70B, "bfloat16", 1e6, 500)
    assert costs.gpu_seconds(read, REFERENCE) == pytest.approx(read.flops / (312e12 * costs.UTILISATION))
    decode = costs.decoding(LLAMA_70B, "bfloat16", 10_000, 500, 1_000)
    weights = LLAMA_70B * 2 / (2_039e9 * costs.BANDWIDTH_SHARE)
    assert costs.gpu_seconds(decode, REFERENCE) == pytest.approx(1_000 * weights)
    slower, faster = (costs.gpu_seconds(decode, KINDS[name]) for name in ("A100-40", "H200"))
    assert slower > costs.gpu_seconds(decode, REFERENCE) > faster


def test_a_small_model_waits_for_its_launches_on_any_gpu() -> None:
    decode = costs.decoding(134_515_008, "bfloat16", 10_000, 500, 1_000)
    assert {costs.gpu_seconds(decode, gpu) for gpu in GPUS[1:]} == {1_000 * decode.layers * costs.LAYER_SECONDS}


def test_unpacking_4_bits_moves_more_bytes_than_16_bits_do() -> None:
    assert costs.reading(LLAMA_70B, "nf4", 1, 1).read > costs.reading(LLAMA_70B, "bfloat16", 1, 1).read


def test_float32_is_left_to_the_slower_part_of_a_gpu() -> None:
    seconds = [costs.gpu_seconds(costs.reading(LLAMA_7B, dtype, 1e6, 1), REFERENCE) for dtype in ("float32", "float16")]
    assert seconds[0] == pytest.approx(seconds[1] * 16)


@pytest.mark.parametrize(
    ("gpu", "gigabytes", "wanted"),
    [("T4", 14, 1), ("T4", 16, 2), ("A100-80", 73, 1), ("A100-80", 80, 2), ("H200", 129, 1), ("H200", 141, 2)],
)
def test_a_part_of_a_gpus_memory_is_not_for_the_model(gpu: str, gigabytes: float, wanted: int) -> None:
    assert costs.gpus_needed(gigabytes * 1e9, KINDS[gpu]) == wanted


def test_full_tuning_takes_sixteen_bytes_a_parameter_and_adapters_little_more_than_the_weights() -> None:
    shape = SHAPES["meta-llama/Llama-2-7b-hf"]
    full = costs.tuning_bytes(LLAMA_7B, "bfloat16", shape, "full", 64, 0)
    assert full == 16 * LLAMA_7B
    lora = costs.tuning_bytes(LLAMA_7B, "bfloat16", shape, "lora", 64, 0)
    assert lora == 2 * LLAMA_7B + 16 * 159_907_840


def test_recomputing_activations_lets_a_70b_model_in_4_bits_fit_80_gb() -> None:
    shape, tokens = SHAPES["meta-llama/Llama-2-70b-hf"], 2 * 4_096
    needed = [
        costs.tuning_bytes(LLAMA_70B, "nf4", shape, "qlora", 64, tokens, recomputed) for recomputed in (False, True)
    ]
    assert [costs.gpus_needed(one, KINDS["A100-80"]) for one in needed] == [4, 1]


def test_shared_key_heads_make_a_smaller_cache() -> None:
    wide, narrow = (SHAPES[name] for name in ("meta-llama/Llama-2-7b-hf", "mistralai/Mistral-7B-v0.1"))
    first, second = (costs.evaluation_bytes(LLAMA_7B, "bfloat16", shape, 0, encoder=False) for shape in (wide, narrow))
    assert first - 2 * LLAMA_7B == pytest.approx(4 * (second - 2 * LLAMA_7B))
    assert costs.evaluation_bytes(LLAMA_7B, "bfloat16", wide, 0, encoder=True) == first + costs.ENCODER_BYTES


def test_the_plan_fills_batches_as_evaluation_does() -> None:
    assert budget.MOST["cuda"] == costs.BATCH_TOKENS


def test_data_sheets_say_what_every_gpu_is() -> None:
    assert len({gpu.name for gpu in GPUS}) == len(GPUS)
    for gpu in GPUS:
        assert gpu.single < gpu.tflops
        assert "data sheet" in gpu.sheet
    assert [gpu.name for gpu in GPUS if not gpu.bfloat16] == ["T4"]


def test_tokens_of_a_tuning_grow_with_examples_and_with_worked_examples() -> None:
    regular, samplegen = tuning("pythia-410m.regular-s0"), tuning("pythia-410m.samplegen-s0")
    assert samplegen.tokens > 2 * regular.tokens
    more = tuning("pythia-410m.regular-s0", planned(STUDY.replace("examples: 400", "examples: 800")))
    assert more.tokens == 2 * regular.tokens
    assert more.cost > regular.cost


def test_tokens_of_an_evaluation_follow_from_its_condition() -> None:
    def read(name: str) -> int:
        return evaluation(name).prompt_tokens

    zero, one, four = (
        read(f"pythia-410m/{name}/snli") for name in ("base-zero-shot", "base-few-shot-k1-s0", "base-few-shot-k4-s0")
    )
    assert zero < one < four
    assert four - one == pytest.approx(3 * (one - zero))
    direct = evaluation("pythia-410m.regular-s0/tuned-direct/snli")
    writes = evaluation("pythia-410m.samplegen-s0/samplegen-direct-k2/snli")
    passed_on = evaluation("pythia-410m.samplegen-s0/samplegen-pipeline-k2/snli")
    assert writes.generated_tokens > 20 * direct.generated_tokens
    assert passed_on.generated_tokens == direct.generated_tokens
    assert passed_on.prompt_tokens > direct.prompt_tokens


def test_the_limit_of_an_answer_bounds_what_is_generated() -> None:
    cells = planned(STUDY.replace("max_new_tokens: 50", "max_new_tokens: 1")).evaluations
    direct = [cell for cell in cells if cell.condition.name == "tuned-direct"]
    assert {cell.generated_tokens for cell in direct} == {500}


def test_a_free_answer_has_no_options_to_score() -> None:
    both, generated = (
        planned(),
        planned(STUDY.replace("answers: {", "analysis: {metric: exact_match}\nanswers: {modes: [generation], ")),
    )
    ratio = {
        task: evaluation(f"pythia-410m/base-zero-shot/{task}", both).prompt_tokens
        / evaluation(f"pythia-410m/base-zero-shot/{task}", generated).prompt_tokens
        for task in ("snli", "common_gen")
    }
    assert ratio["common_gen"] == 1
    assert ratio["snli"] > 2


def test_the_plan_of_a_study_on_gpus_fits_a_terminal_and_says_what_does_not_fit() -> None:
    text = shown(PLAN)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["T4"][-3:] == ["2", "of", "2"]
    assert rows["L4"][-3:] == ["1", "of", "2"]
    assert "of" not in rows["H200"]
    assert float(rows["H200"][-1]) > float(rows["L4"][5]) > 0.01
    assert int(rows["qwen2.5-72b"][-2]) <= 2 < int(rows["qwen2.5-72b"][-4])
    assert rows["models"][1:] == ["2", "base", "models,", "4", "tuned", "models"]
    assert {"tokens", "storage", "downloads", "estimates"} <= set(rows)


def test_what_is_done_costs_nothing_any_more() -> None:
    records = {cell.slug: cell.inputs for cell in PLAN.cells}
    console = Console(width=80)
    with console.capture() as captured:
        for table in cost_tables(PLAN, standing(PLAN, records)):
            console.print(table)
    assert "0 tuned on, 0 read, 0 generated" in captured.get()
    assert "GPU-hours" not in captured.get()


def test_a_study_without_gpus_shows_core_hours_alone() -> None:
    text = shown(planned(STUDY.replace("gpus: 1", "cpus: 2")))
    assert "A100-80" not in text
    assert "core-h" in text
    assert "tokens" in text


def test_a_fraction_of_a_gpu_has_a_fraction_of_its_memory() -> None:
    text = shown(planned(STUDY.replace("gpus: 1", "gpus: 0.25")))
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["H200"][-3:] == ["1", "of", "2"]


@pytest.mark.parametrize("kind", ["T4", "A100-80"])
def test_auto_takes_the_smallest_part_of_a_gpu_or_number_of_them_that_holds_the_cell(kind: str) -> None:
    plan = planned(STUDY.replace("gpus: 1", f"gpus: auto, gpu: {kind}"))
    room = KINDS[kind].memory * 1e9 * costs.USABLE
    taken = {cell.slug: (cell.needs.gpus, cell.gpu_bytes) for cell in (*plan.tunings, *plan.evaluations)}
    for gpus, held in taken.values():
        smaller = gpus - 1 if gpus > 1 else gpus / 2 if gpus > 1 / 8 else 0
        assert smaller * room < held <= gpus * room
    parts = {gpus for gpus, _ in taken.values() if gpus < 1}
    assert parts
    assert parts <= {1 / 8, 1 / 4, 1 / 2}
    assert max(gpus for gpus, _ in taken.values()) > 1
    two = planned(STUDY.replace("gpus: 1", f"gpus: auto, gpu: {kind}").replace("batch: 4", "batch: 4, workers: 2"))
    assert all(cell.needs.gpus == int(cell.needs.gpus) >= 1 for cell in two.tunings)


def test_an_estimate_is_for_the_gpus_that_a_cell_asks_for() -> None:
    cell = tuning("qwen2.5-72b.large-s0")
    loading = costs.load_seconds(cell.base.params, "nf4")
    assert cell.cost == pytest.approx(sum(costs.gpu_seconds(phase, REFERENCE) for phase in cell.phases) + loading)
