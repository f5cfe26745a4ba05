"""Greedy continuations by vLLM on a GPU, in the place of our own loop: for many items, long answers or large models.

vllm is no dependency: it comes with its own build of torch, so a cluster that wants it installs it in its image. It
holds the weights a second time, beside those that score options. Rows come back as from our own loop, in tokens, so
where an answer ends is decided by the same code; its kernels round otherwise, so texts may differ where two tokens are
equally likely, and a study names the engine.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from peft import PeftConfig

from app.errors import CellError
from app.models.decoding import Row
from app.models.loading import LoadedModel, causal, context_length
from app.models.stopping import Ending

_SHARE = 0.4
"""Of the GPU's memory that a cell may take: the weights that score options need the rest."""
_RANK = 64
"""Of the largest adapter: room for it is taken beforehand."""


class Engine:
    """vLLM with the weights of one model, and with whichever adapter a call asks for."""

    def __init__(self, loaded: LoadedModel, gpus: float) -> None:
        """`gpus`: the share of a GPU that the cell holds.

        Raises CellError where vllm is not installed, where the cell has no GPU, and for weights that it cannot read.
        """
        try:
            self._vllm: Any = import_module("vllm")
        except ImportError:
            raise CellError(
                "answers.engine is vllm, which is not installed on this node: install it in the image of the cluster's "
                "nodes (`pip install vllm`), or leave answers.engine out"
            ) from None
        if causal(loaded).device.type != "cuda":
            raise CellError(
                "answers.engine is vllm, which needs a GPU: set resources.gpus, or leave answers.engine out"
            )
        if loaded.source.kind not in ("hub", "checkpoint") or loaded.source.dtype == "nf4":
            raise CellError(f"vllm does not read {loaded.source.location} as we do: leave answers.engine out")
        self._adapters: dict[Path, int] = {}
        self._engine: Any = self._vllm.LLM(
            model=loaded.source.location,
            revision=loaded.source.revision,
            tokenizer_revision=loaded.source.revision,
            trust_remote_code=loaded.source.trust_remote_code,
            dtype=loaded.source.dtype,
            max_model_len=context_length(loaded),
            enable_prefix_caching=True,
            enable_lora=True,
            max_lora_rank=_RANK,
            gpu_memory_utilization=_SHARE * min(gpus, 1.0),
            seed=0,
        )

    def decode(self, rows: Sequence[Row], new: int, ending: Ending, adapter: Path | None) -> None:
        """Write the greedy continuation of each row, up to where `ending` says or to `new` tokens.

        `adapter`: the folder of the one in force. Raises CellError where its rank is too large.
        """
        settings = self._vllm.SamplingParams(
            temperature=0.0,
            max_tokens=new,
            stop=[ending.stop] if ending.stop else [],
            stop_token_ids=sorted(ending.ends),
            include_stop_str_in_output=True,
        )
        given = [self._vllm.TokensPrompt(prompt_token_ids=list(row.tokens)) for row in rows]
        found = self._engine.generate(given, settings, lora_request=self._request(adapter), use_tqdm=False)
        for row, one in zip(rows, found, strict=True):
            row.text[:] = one.outputs[0].token_ids
            row.done = True

    def _request(self, adapter: Path | None) -> Any:
        if adapter is None:
            return None
        rank = PeftConfig.from_pretrained(str(adapter)).r  # pyright: ignore  # LoRA's own field
        if rank > _RANK:
            raise CellError(f"{adapter.name} has rank {rank}, vllm is given room for {_RANK}: leave answers.engine out")
        number = self._adapters.setdefault(adapter, len(self._adapters) + 1)
        return import_module("vllm.lora.request").LoRARequest(adapter.name, number, str(adapter))
