"""The two-way pigeonhole bootstrap: clusters of models and tasks are drawn anew, each by itself, and cells with them.

A cross-check beside jack2, and wider: where cells depend on both of their margins it overstates the variance by the
part that belongs to single cells (Owen 2007, "The pigeonhole bootstrap", doi:10.1214/07-AOAS122). Percentile limits.
Weights stand for the draws, so that all of them are a few matrix products.
"""

import numpy as np
from numpy.typing import NDArray

from app.analysis.estimation.coefficients import Floats, pearson_of_weights

DRAWS = 10_000
SEED = 0
_UNDEFINED = 0.01
"""Share of draws without a coefficient above which there is no interval."""


def pigeonhole(a: Floats, b: Floats, clusters: NDArray[np.int64], draws: int = DRAWS, seed: int = SEED) -> Floats:
    """Pearson's r of two runs x tasks grids at the five levels, for each draw: levels x draws, NaN where undefined.

    `clusters` numbers the cluster of each run from 0: one is drawn with all of its runs. The same seed gives the same
    draws for every predictor of a grid, so that differences may be taken draw by draw.
    """
    rng = np.random.default_rng(seed)
    groups, tasks = int(clusters.max()) + 1, a.shape[1]
    drawn, columns = (rng.multinomial(n, np.full(n, 1 / n), draws).astype(np.float64) for n in (groups, tasks))
    return pearson_of_weights(a, b, drawn[:, clusters], columns)


def limits(replicates: Floats, confidence: float = 0.95) -> tuple[float, float] | None:
    """Percentile limits of one statistic's draws; None where more than 1 % of them are undefined."""
    defined = replicates[np.isfinite(replicates)]
    if not replicates.size or defined.size < (1 - _UNDEFINED) * replicates.size:
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
