"""Arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

StudyPath = Annotated[Path, typer.Argument(help="The study file (YAML).", show_default=False)]
StoreRoot = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="FEWTUNE_STORE", help="Folder or URI of all artefacts; left out: stores/STUDY-NAME.",
        show_default=False,
    ),
]  # fmt: skip
Mirror = Annotated[
    str | None,
    typer.Option(
        "--data-mirror", envvar="FEWTUNE_DATA_MIRROR", show_default=False,
        help="Folder of Parquet files OWNER/NAME/CONFIG/SPLIT.parquet, read instead of the hub.",
    ),
]  # fmt: skip
Replace = Annotated[bool, typer.Option("--replace", help="Compute stale cells anew.")]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", envvar="FEWTUNE_ADDRESS", show_default=False,
        help="URL of the cluster's dashboard, http://HOST:8265; left out: the profile's.",
    ),
]  # fmt: skip
ClusterStore = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="FEWTUNE_STORE", show_default=False,
        help="Where artefacts go, as the cluster reaches it: s3://, gs://, file:///MOUNTED; left out: the profile's.",
    ),
]  # fmt: skip
Env = Annotated[
    list[str] | None,
    typer.Option(
        "--env", show_default=False, metavar="NAME",
        help="Pass this variable on to the job, for example of storage credentials; may be repeated. "
        "Who may use the cluster's dashboard can read it.",
    ),
]  # fmt: skip
