"""All statistics of a study, as its store keeps them."""

from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa

from app.analysis.estimation import agreement, attenuation, components, correlation, limit, noise_free
from app.analysis.pairing.items import Items
from app.analysis.pairing.pairs import Pairs, without, without_baselines
from app.study import Analysis


class Found(NamedTuple):
    """The statistics of a study; `tables` by name, as a store keeps them."""

    pairs: Pairs
    tables: Mapping[str, pa.Table]
    items: Items


def statistics(scores: pa.Table, pairs: Pairs, items: Items, analysis: Analysis, study: str) -> Found:
    """All statistics of pairs whose items are known; nothing is written.

    `scores` is the table of that name. Pairs whose sides answered other items are left out, and baselines that did.
    """
    pairs = without_baselines(without(pairs, items.mismatched), items.other_baselines)
    further = correlation.of_wordings(scores, analysis, study)
    further += attenuation.corrected(items.table, pairs.table, analysis, study)
    found = {
        "pairs": pairs.table,
        "correlations": correlation.correlations(pairs.table, analysis, study, further),
        "items": items.table,
        "agreement": agreement.agreement(items.table, items.first),
        "components": pa.concat_tables(
            [
                components.components(pairs.table, analysis, study),
                noise_free.components(items.table, pairs.table, analysis, study),
            ]
        ),
        "limits": limit.limits(scores, analysis, study),
    }
    return Found(pairs, found, items)
