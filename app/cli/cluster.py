"""`fewtune cluster demo`: a cluster on this machine, to try out submitting, watching and gathering."""

import signal
import threading
from typing import Annotated

import typer

from app.cli.console import out

cluster = typer.Typer(
    help="A cluster to try things out with; cluster/README.md has those of clouds.", no_args_is_help=True
)


@cluster.command("demo")
def demo(
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many nodes of one CPU; left out: one a core.", show_default=False),
    ] = None,
    gpus: Annotated[bool, typer.Option("--gpus", help="Also nodes that claim a GPU, to see them come and go.")] = False,
    idle_minutes: Annotated[float, typer.Option(min=0.05, help="An idle node goes after this time.")] = 1.0,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of dashboard and job server, on loopback.")] = 8265,
) -> None:
    """Start a real head, job server and autoscaler here; nodes come with work and go without. Ctrl-C ends all of it."""
    from app.launch import cluster as launch

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    out.print("starting ...")
    try:
        with launch.demo(workers, gpus=gpus, idle_minutes=idle_minutes, port=port) as running:
            out.print(_next(running.address), soft_wrap=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        out.print("the cluster and all its jobs have ended; stores are kept")


def _next(address: str) -> str:
    """What to do with it."""
    return (
        f"cluster  {address}  (its token is Ray's own, in this user's home; no worker node until there is work)\n"
        f"submit   fewtune submit jobs/studies/demo.yaml --address {address} --store stores/demo\n"
        f"status   fewtune status --address {address} --watch\n"
        f"gather   fewtune gather stores/demo --out results\n"
        "Ctrl-C here ends the cluster and its jobs"
    )
