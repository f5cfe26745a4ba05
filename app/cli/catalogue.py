"""`fewtune tasks` and `fewtune models`: what there is to choose from."""

from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from app.cli.console import out
from app.cli.options import Mirror

_WIDE = 140  # characters of a terminal that has room for licences

tasks = typer.Typer(help="The tasks.", no_args_is_help=True)
models = typer.Typer(help="The base models.", no_args_is_help=True)


@tasks.command("list")
def list_tasks(
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.", show_default=False)] = None,
) -> None:
    """All tasks by cluster."""
    from app.tasks import catalog
    from app.tasks.task import Generated, Manual

    wide = out.width >= _WIDE
    table = Table(_whole("task"), "role, metrics, source and test split", *(["licence"] if wide else []), box=None)
    wanted = catalog.select([f"cluster:{cluster}"]) if cluster else catalog.TASKS
    kinds = dict.fromkeys((task.cluster, isinstance(task.source, Generated)) for task in wanted)
    for name, generated in kinds:
        table.add_row(Text(f"{name}{' (generated)' if generated else ''}", style="bold"))
        for task in wanted:
            if task.cluster == name and isinstance(task.source, Generated) == generated:
                metrics = ", ".join((task.metric, *task.also))
                about = Text(f"{task.role} · {metrics} · {_source(task.source)}")
                table.add_row(f"  {task.name}", about, *([task.licence] if wide else []))
    out.print(table)
    by_hand = sum(isinstance(task.source, Manual) for task in wanted)
    real = sum(not isinstance(task.source, Generated) for task in wanted)
    out.print(
        f"{len(wanted)} tasks, {real} on real data, of which {by_hand} are fetched by hand; "
        f"`fewtune tasks show NAME` tells licence, citation and prompts"
    )


@tasks.command("show")
def show_task(
    name: Annotated[str, typer.Argument(help="Name of the task.", show_default=False)],
    mirror: Mirror = None,
    condition: Annotated[
        str | None, typer.Option(help="Only this condition; left out: the usual three.", show_default=False)
    ] = None,
    form: Annotated[str, typer.Option("--format", help="Prompt format: also shows what is tuned on.")] = "regular",
    wording: Annotated[str, typer.Option(help="Wording of the item.")] = "standard",
    shots: Annotated[int, typer.Option(min=0, help="Demonstrations, or worked examples.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of their draw.")] = 0,
    item: Annotated[int, typer.Option(min=0, help="Which test item.")] = 0,
    tokenizer: Annotated[
        str | None, typer.Option(help="Checkpoint folder or hub id that counts tokens; left out: the ladder's words.")
    ] = None,
) -> None:
    """A task's facts, and the exact prompts of one item with their token counts."""
    from app.cli import shown
    from app.tasks import catalog
    from app.tasks.task import Manual

    task = catalog.by_name(name)
    if isinstance(task.source, Manual):
        out.print(Text(f"{task.name} is fetched by hand: {task.source.how}"))
    view = shown.view(task, mirror, shown.Asked(condition, form, wording, shots, seed, item), shown.counter(tokenizer))
    facts = Table(show_header=False, box=None)
    for label, value in view.facts:
        facts.add_row(label, Text(value))
    out.print(facts)
    for title, prompt, count in view.prompts:
        out.rule(f"{title} · {count} tokens", align="left")
        out.print(Text(prompt))


def _source(source: object) -> str:
    """Where a task's data comes from, and its test split."""
    from app.tasks.task import Hub, Manual

    if isinstance(source, Hub):
        config = "" if source.config == "default" else f" {source.config}"
        return f"{source.id}{config}, {source.test}" + (" cut in two" if source.test == source.train else "")
    if isinstance(source, Manual):
        return f"by hand: {source.test or source.file}" + ("" if source.test else ", cut in two")
    return "generated"


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
