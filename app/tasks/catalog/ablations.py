"""Named mixtures of real tasks that ask what the tuning data adds: each leaves something out of the default mixture.

They are the set-ups 1 to 7 of arXiv 2501.08716, as selectors over that study's default mixture, paper:tune. Its own
program left Winogrande out of every mixture, also out of the one that was to hold it; here it is in.
"""

from collections.abc import Mapping
from types import MappingProxyType

SETUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # 1: text generation alone.
        "nlg-only": ("cluster:struct_to_text", "cluster:machine_translation", "-paper:evaluate"),
        # 2: neither inference nor text generation.
        "no-nli-no-nlg": (
            "paper:tune",
            "-cluster:natural_language_inference",
            "-cluster:struct_to_text",
            "-cluster:machine_translation",
        ),
        # 3 and 4: one inference task; the first of them is held out of the default mixture.
        "qnli-only": ("qnli",),
        "mnli-only": ("mnli",),
        # 5, 6 and 7: no coreference, or through one task; WNLI is Winograd schemas put as inference, so it goes too.
        "no-coreference": ("paper:tune", "-kin:coreference_resolution"),
        "coreference-winogrande": ("paper:tune", "-kin:coreference_resolution", "winogrande"),
        "coreference-dpr": ("paper:tune", "-kin:coreference_resolution", "dpr_raw"),
    }
)
"""Name of a set-up -> its selectors, which apply from left to right."""
