"""The made world has the noise, the chance and the series that it says it has."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app import stages
from app.analysis.design import designs, power, prospects
from app.analysis.design.designs import Pretrained, balanced
from app.analysis.design.worlds import World, draw, draw_items
from app.errors import StudyError
from app.study import load

SILENT = World(
    task=0, family=0, base=0, run=0, family_task=0, base_task=0, run_task=0, item=0, item_model=0, chances=(0.0,)
)


@pytest.mark.parametrize("items", [20, 160])
def test_item_noise_has_its_binomial_size_whether_or_not_all_items_are_drawn(items: int) -> None:
    x = draw(balanced(40, 1, 1, 100, items), SILENT, np.random.default_rng(0)).x
    right = 1 / (1 + math.exp(0.6))
    assert x.mean() == pytest.approx(right, abs=0.01)
    assert x.var() == pytest.approx(right * (1 - right) / items, rel=0.1)


def test_the_scores_of_single_answers_are_those_of_the_study() -> None:
    design = balanced(3, 2, 2, 5, 30)
    sides, answered = (
        draw(design, World(), np.random.default_rng(4)),
        draw_items(design, World(), np.random.default_rng(4)),
    )
    for side in "xyz":
        right = getattr(answered, side)
        assert right.shape == (12, 5, 30)
        made = (right.mean(2) - answered.chance) / (1 - answered.chance)
        assert np.allclose(made, getattr(sides, side), atol=1e-12)


def test_scores_are_corrected_for_chance() -> None:
    x = draw(balanced(40, 1, 1, 100, 400), replace(SILENT, chances=(0.5,)), np.random.default_rng(0)).x
    assert x.mean() == pytest.approx(1 / (1 + math.exp(0.6)), abs=0.01)


def test_checkpoints_of_a_run_go_on_from_one_another() -> None:
    design = balanced(400, 1, 1, 20, 400, checkpoints=2, cluster_by="base")
    first, second = draw(design, replace(SILENT, base=1.0), np.random.default_rng(0)).x.mean(1).reshape(400, 2).T
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.9, abs=0.03)


def test_hub_models_of_one_id_are_checkpoints_of_one_run(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    base = "  - {family: pythia, source: hub, id: EleutherAI/pythia-14m, params: 14000000, revision: r%d, name: p%d}\n"
    path.write_text(
        "schema_version: 1\nname: steps\nbases:\n"
        + "".join(base % (step, step) for step in (1000, 2000, 3000))
        + "recipes: [{method: lora}]\nanalysis: {cluster_by: base}\n"
    )
    design = designs.planned(stages.plan(load(path)))
    assert design.bases == (Pretrained(0, 3, 1),)
    assert design.cluster_by == "checkpoint"
    said = prospects.warnings(power.simulate(design, experiments=2))
    assert any("3 base models are checkpoints of 1 run" in line for line in said)


def test_a_study_whose_y_is_not_evaluated_has_no_design() -> None:
    plan = stages.plan(load(Path(__file__).parents[2] / "jobs" / "studies" / "demo.yaml"))
    with pytest.raises(StudyError, match="nothing is paired"):
        designs.planned(plan._replace(evaluations=tuple(cell for cell in plan.evaluations if not cell.run)))
