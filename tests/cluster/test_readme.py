"""The README's section on clusters does what it says, command by command, from a folder like a fresh clone."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from head import free_port
from small_study import STUDY

ROOT = Path(__file__).parents[2]


def blocks(title: str) -> list[str]:
    """Blocks of commands below a heading of the README."""
    (section,) = re.findall(rf"^## {title}$(.*?)^## ", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@contextmanager
def terminal(command: str, folder: Path, environment: dict[str, str], ready: str) -> Iterator[None]:
    """A command that runs in a terminal of its own, from when it has said that it is ready."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            assert any(ready in line for line in process.stdout)
            yield
        finally:
            process.terminate()


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_the_commands_on_clusters_work_as_they_are_printed(tmp_path: Path) -> None:
    for name in ("app", "jobs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    (tmp_path / "jobs" / "studies" / "demo.yaml").write_text(STUDY.replace("name: small", "name: demo"))
    (tmp_path / "home").mkdir()
    port = free_port()
    started, submitted, without = (text.replace("8265", str(port)) for text in blocks("On a cluster"))
    started = started.partition("#")[0].strip() + f" --port {port}"
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("RAY_", "FEWTUNE_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = clean | {"HOME": str(tmp_path / "home"), "PATH": path, "PYTHONUNBUFFERED": "1", "COLUMNS": "300"}

    def run(text: str) -> str:
        done = subprocess.run(
            ["bash", "-ec", text], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with terminal(started, tmp_path, environment, "Ctrl-C here ends the cluster"):
        output = run(submitted)
        assert "done: " in output
        assert (tmp_path / "results" / "report" / "index.html").is_file()
        before = (tmp_path / "results" / "tables" / "scores.parquet").read_bytes()
        assert " 38 reused, 0 failed" in run(without)
    assert (tmp_path / "stores" / "demo" / "tables" / "scores.parquet").read_bytes() == before
