"""The command line. Each command imports what computes only when it runs, so that `--help` answers at once."""

import os
import sys

import typer

from app.cli import bench, catalogue, cluster, doctor, remote, results, status, study
from app.cli.console import fail
from app.errors import DISK_FULL, FewTuneError, disk_full

cli = typer.Typer(
    name="fewtune",
    help="How much of what an instruction-tuned language model can do was already there in its base model?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.command("run")(study.run)
cli.command("plan")(study.plan)
cli.command("check")(study.check)
cli.command("schema")(study.schema)
cli.command("correlate")(results.correlate)
cli.command("report")(results.report)
cli.command("compare")(results.compare)
cli.command("submit")(remote.submit)
cli.command("status")(status.status)
cli.command("logs")(remote.logs)
cli.command("stop")(remote.stop)
cli.command("gather")(remote.gather)
cli.command("doctor")(doctor.doctor)
cli.add_typer(catalogue.tasks, name="tasks")
cli.add_typer(catalogue.models, name="models")
cli.add_typer(cluster.cluster, name="cluster")
cli.add_typer(bench.bench, name="bench")


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 wrong input."""
    try:
        cli()
    except FewTuneError as fault:
        fail(str(fault), fault.exit_code)
    except ModuleNotFoundError as fault:
        if fault.name is None or fault.name.split(".")[0] in ("app", "jobs"):
            raise
        fail(f"{fault.name} is not installed here, and this needs it: pip install 'fewtune[engine]'", 1)
    except BrokenPipeError:  # `fewtune plan | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as fault:
        fail(DISK_FULL if disk_full(fault) else f"the operating system says: {fault}", 1)


if __name__ == "__main__":
    main()
