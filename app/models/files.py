"""What lies on disk as a base model: a checkpoint folder, or a GGUF file; nothing of it is loaded here."""

from pathlib import Path

from app.errors import ModelError
from app.models import package

_TOKENIZER_FILES = ("tokenizer.json", "*.model", "vocab.*", "tekken.json")


def missing_parts(folder: str | Path) -> list[str]:
    """What keeps `folder` from being a checkpoint, one clause each; empty for a complete one."""
    folder = Path(folder)
    if not folder.is_dir():
        return ["there is no such folder"]
    names = {path.name for path in folder.iterdir()}
    if "adapter_config.json" in names:
        return ["it holds an adapter; give the folder of its base model"]
    faults = [] if "config.json" in names else ["config.json is missing"]
    if not any(name.endswith(".safetensors") for name in names):
        pickled = any(name.endswith((".bin", ".pt", ".pth")) for name in names)
        faults.append(
            "its weights are pickles, which can run code; convert them to safetensors"
            if pickled
            else "weights (*.safetensors) are missing"
        )
    if not any(any(folder.glob(pattern)) for pattern in _TOKENIZER_FILES):
        faults.append("the tokenizer (tokenizer.json) is missing")
    return faults


def gguf_file(location: str) -> Path:
    """The GGUF file at a path or at package://PACKAGE/FILE; the package's own code is not run.

    Raises ModelError where package or file is absent, naming the GGUF files that the package does hold.
    """
    if not location.startswith(package.SCHEME):
        path = Path(location)
        if not path.is_file():
            raise ModelError(f"{location}: there is no such GGUF file")
    else:
        folders, name = package.folders(location)
        path = next((folder / name for folder in folders if name and (folder / name).is_file()), folders[0] / name)
        if not path.is_file():
            held = sorted(file.name for folder in folders for file in folder.glob("*.gguf"))
            raise ModelError(f"{location}: the package has no such file; GGUF files in it: {', '.join(held) or 'none'}")
    with path.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ModelError(f"{location} is not a GGUF file: it does not begin with the letters GGUF")
    return path.resolve()
