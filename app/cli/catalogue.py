"""`fewtune tasks` and `fewtune models`: what there is to choose from."""

from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from app.cli.console import out
from app.cli.study import Mirror

tasks = typer.Typer(help="The tasks.", no_args_is_help=True)
models = typer.Typer(help="The base models.", no_args_is_help=True)


@tasks.command("list")
def list_tasks(
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.", show_default=False)] = None,
) -> None:
    """All tasks by cluster."""
    from app.tasks import catalog
    from app.tasks.task import Hub

    table = Table("cluster", _whole("task"), "role", "metric", _whole("source"), "licence", box=None)
    wanted = catalog.select([f"cluster:{cluster}"]) if cluster else catalog.TASKS
    for task in sorted(wanted, key=lambda task: task.cluster):
        source = f"{task.source.id} {task.source.config}" if isinstance(task.source, Hub) else "generated"
        table.add_row(task.cluster, task.name, task.role, task.metric, source, task.licence)
    out.print(table)


@tasks.command("show")
def show_task(
    name: Annotated[str, typer.Argument(help="Name of the task.", show_default=False)],
    mirror: Mirror = None,
    shots: Annotated[int, typer.Option(min=0, help="Demonstrations of the few-shot prompt.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of their draw.")] = 0,
    item: Annotated[int, typer.Option(min=0, help="Which test item.")] = 0,
) -> None:
    """A task's facts, and the exact prompts of one item."""
    from app.errors import TaskError
    from app.tasks import catalog, loading, prompts

    task = catalog.by_name(name)
    data = loading.load(task, mirror)
    if item >= len(data.test):
        raise TaskError(f"{name} has {len(data.test)} test items, so there is no item {item}")
    example = data.test[item]
    facts = Table(show_header=False, box=None)
    for label, value in (
        ("task", task.name), ("cluster", task.cluster), ("role", task.role), ("metric", task.metric),
        ("licence", task.licence), ("citation", task.citation), ("data", data.fingerprint),
        ("examples", f"{len(data.train)} train, {len(data.test)} test"), ("item", example.id),
        ("options", " | ".join(example.options) or "free answer"), ("target", example.target),
    ):  # fmt: skip
        facts.add_row(label, Text(value))
    out.print(facts)
    shown = prompts.demonstrations(task, data, shots, seed) if shots else ()
    for title, prompt in (
        ("base zero-shot", prompts.few_shot(task, (), example)),
        (f"base few-shot, {shots} demonstrations", prompts.few_shot(task, shown, example)),
        ("tuned direct", prompts.instruct(task, example)),
    ):
        out.rule(title, align="left")
        out.print(Text(prompt))


def _whole(header: str) -> Column:
    """A column of names that must be copied whole, however narrow the terminal."""
    return Column(header, no_wrap=True)


@models.command("list")
def list_models() -> None:
    """Base models that FewTune knows, and the embedded ladder's families."""
    from app.models import catalog

    table = Table("family", _whole("id"), "parameters", "licence", "gated", "memory in bf16", box=None)
    for model in catalog.KNOWN_BASES:
        size = f"{model.parameters / 1e9:.2f} B" if model.parameters >= 1e9 else f"{model.parameters / 1e6:.0f} M"
        memory = f"{catalog.memory_gb(model.parameters, 'bfloat16'):.1f} GB"
        table.add_row(model.family, model.id, size, model.licence, "yes" if model.gated else "", memory)
    out.print(table)
    out.print("and the embedded ladder (source: ladder): gpt2, llama, neox, opt, bloom, qwen at any small WIDTHxLAYERS")
