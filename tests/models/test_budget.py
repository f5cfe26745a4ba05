"""The budget is bounded by memory and by a ceiling; a batch that does not fit is halved until it does."""

from collections.abc import Callable

import pytest
import torch

from app.errors import CellError
from app.models import budget
from app.models.loading import LoadedModel

Make = Callable[..., LoadedModel]


def test_a_small_model_gets_the_ceiling(make_loaded: Make) -> None:
    assert budget.found(make_loaded("llama")) == budget.MOST["cpu"]
    assert budget.room(make_loaded("llama")) == (2_048, 2_048 * budget.READ)
    assert budget.room(make_loaded("llama"), 100).tokens == 100


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "rwkv"])
def test_every_kind_of_configuration_has_room(make_loaded: Make, family: str) -> None:
    assert min(budget.room(make_loaded(family), 1)) >= 1


def test_held_columns_weigh_less_than_computed_ones_until_they_fill_the_memory() -> None:
    plenty, scarce = budget.Room(100, 1600), budget.Room(100, 50)
    assert plenty.weight(5, 40) == 5
    assert plenty.weight(5, 160) == 10
    assert scarce.weight(5, 40) == 80
    assert scarce.weight(5, 50) == 100  # one row alone fills it


def test_batches_keep_to_the_budget_and_cover_every_row_once() -> None:
    lengths, seen = [7, 1, 30, 12, 12, 3], list[list[int]]()
    budget.each(lengths, 30, seen.append)
    assert sorted(place for batch in seen for place in batch) == list(range(6))
    assert all(len(batch) * max(lengths[place] for place in batch) <= 30 for batch in seen)


@pytest.mark.parametrize("most", [1, 3, 7])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(most: int) -> None:
    done: list[int] = []
    failed: list[int] = []

    def work(batch: list[int]) -> None:
        if len(batch) > most:
            failed.append(len(batch))
            raise torch.cuda.OutOfMemoryError
        done.extend(batch)

    budget.each([4] * 60, 80, work)
    assert sorted(done) == list(range(60))
    assert failed == [size for size in (20, 10, 5, 3, 2) if size > most]  # what was learnt holds for later batches


def test_the_memory_of_a_cpu_runs_out_with_another_error() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert budget.is_out_of_memory(raised.value)
    assert budget.is_out_of_memory(MemoryError())
    assert not budget.is_out_of_memory(RuntimeError("shapes differ"))


def test_a_row_that_does_not_fit_alone_is_told() -> None:
    def work(batch: list[int]) -> None:
        torch.empty(2**60)

    with pytest.raises(CellError, match="a prompt of 4 tokens does not fit into memory"):
        budget.each([4] * 5, 100, work)


def test_other_faults_are_not_taken_for_a_lack_of_memory() -> None:
    def work(batch: list[int]) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        budget.each([4], 100, work)
