"""The house keeps its plan: floors, names, a light start, and imports that do nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
APP = ROOT / "app"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in APP.rglob("*.py")
)
HEAVY = ("torch", "transformers", "ray", "datasets", "scipy", "peft")


def python(code: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | environment
    ).stdout


def test_a_floor_imports_only_floors_below_it() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert found.returncode == 0, found.stdout
    assert "0 broken" in found.stdout


def test_no_module_is_named_after_nothing() -> None:
    empty = {"utils", "util", "common", "helpers", "base", "manager", "misc_utils", "core"}
    assert [name for name in MODULES if empty & set(name.split("."))] == []


def test_every_module_says_in_a_few_lines_what_it_is() -> None:
    for path in APP.rglob("*.py"):
        text = path.read_text()
        if text.strip():
            first = text.lstrip().split('"""')
            assert text.lstrip().startswith('"""'), path
            # A catalogue may show by an example how to add to it.
            assert len(first[1].splitlines()) <= 14, path


def test_help_needs_neither_torch_nor_ray() -> None:
    code = f"""
import json, sys
from app.cli.main import cli
try:
    cli(["--help"], prog_name="fewtune", standalone_mode=False)
finally:
    print("LOADED", json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""
    output = python(code)
    assert "Usage: fewtune" in output
    assert json.loads(output.split("LOADED")[1]) == []


@pytest.mark.parametrize("module", ["app.study", "app.store", "app.tables", "app.stages", "app.cli.planned"])
def test_a_plan_loads_nothing_that_computes(module: str) -> None:
    loaded = json.loads(python(f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"))
    assert [name for name in HEAVY if name in loaded] == []


def test_a_laptop_without_the_engine_plans_and_is_told_what_the_rest_needs(tmp_path: Path) -> None:
    absent = f"import sys\nsys.modules.update(dict.fromkeys({HEAVY}))\n"  # None there: the import fails
    (tmp_path / "sitecustomize.py").write_text(absent)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])

    def fewtune(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "app.cli.main", *words, "--store", "store"],
            capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, check=False,
        )  # fmt: skip

    study = str(ROOT / "jobs" / "studies" / "demo.yaml")
    planned = fewtune("plan", study)
    assert (planned.returncode, planned.stderr) == (0, "")
    assert "base models" in planned.stdout
    for words in (("plan", study, "--power"), ("run", study)):
        found = fewtune(*words)
        assert found.returncode == 1
        assert " is not installed here, and this needs it: pip install 'fewtune[engine]'" in found.stderr
        assert "Traceback" not in found.stderr


def test_importing_every_module_changes_neither_environment_nor_files(tmp_path: Path) -> None:
    # The libraries are imported first: what they do to the environment is not ours.
    libraries = "import torch, transformers, peft, ray, ray.data, ray.tune, datasets, scipy, matplotlib, rich, typer"
    code = f"""
import importlib, json, logging, os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
{libraries}
before = dict(os.environ), logging.getLogger().level, signal.getsignal(signal.SIGTERM), torch.get_num_threads()
for name in {MODULES}:
    importlib.import_module(name)
after = dict(os.environ), logging.getLogger().level, signal.getsignal(signal.SIGTERM), torch.get_num_threads()
print(json.dumps([before == after, ray.is_initialized(), os.listdir()]))
"""
    home = tmp_path / "home"
    home.mkdir()
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"HOME": str(home)},
        check=True,
    )
    assert json.loads(found.stdout.splitlines()[-1]) == [True, False, ["home"]]
