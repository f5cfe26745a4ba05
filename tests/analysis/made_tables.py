"""Seeded tables of a study that never ran: scores with task difficulty, model strength and their interaction."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from app import tables
from app.analysis.design.outlook import Outlook, Width
from app.analysis.estimation.gains import Gained
from app.analysis.reporting.facts import ItemView

CORRELATED = {"task": (0.9, 0.85, 0.8), "model": (0.9, 0.8, 0.7), "cell": (0.6, 0.5, 0.35)}
"""Latent correlations of (x, z), (x, y), (z, y) at each level."""


class World(NamedTuple):
    """Shape and strength of what is simulated; scores are logistic in latent normal effects."""

    families: int = 6
    bases: int = 5
    recipes: int = 3
    tasks: int = 30
    items: int = 100
    seed: int = 0
    removed: bool = False  # one or two more bases in each family, pretrained without the last six tasks


def _root(correlations: tuple[float, float, float]) -> np.ndarray:
    xz, xy, zy = correlations
    values, vectors = np.linalg.eigh(np.array([[1, xz, xy], [xz, 1, zy], [xy, zy, 1]]))
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def latent(world: World, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of x and z (bases x tasks) and of y (bases x recipes x tasks)."""
    f, b, v, t = world.families, world.bases, world.recipes, world.tasks
    family = np.repeat(np.arange(f), b)
    roots = {level: _root(parts) for level, parts in CORRELATED.items()}
    task = 1.2 * rng.normal(size=(t, 3)) @ roots["task"]
    model = (0.4 * rng.normal(size=(f, 3)) @ roots["model"])[family]
    model = model + 0.6 * rng.normal(size=(f * b, 3)) @ roots["model"]
    cell = (0.35 * rng.normal(size=(f, t, 3)) @ roots["cell"])[family]
    cell = cell + 0.45 * rng.normal(size=(f * b, t, 3)) @ roots["cell"]
    logit = np.array([-0.6, -1.0, -0.6]) + task + model[:, None] + cell
    y = logit[:, None, :, 2] + 0.3 * rng.normal(size=(f * b, v, 1)) + 0.35 * rng.normal(size=(f * b, v, t))
    return logit[..., 0], logit[..., 1], y


def sides(world: World, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Chance-corrected x, z and y as runs x tasks, and the family number of each run."""
    x, z, y = latent(world, rng)
    chance = rng.choice([0, 0, 0.1, 0.2, 0.25, 0.25, 0.33, 0.5, 0.5], size=world.tasks)
    scores = [
        (rng.binomial(world.items, chance + (1 - chance) / (1 + np.exp(-logit))) / world.items - chance) / (1 - chance)
        for logit in (x, z, y)
    ]
    x, z = (np.repeat(side, world.recipes, 0) for side in scores[:2])
    family = np.repeat(np.arange(world.families), world.bases * world.recipes)
    return x, z, scores[2].reshape(-1, world.tasks), family


def _row(
    base: str, family: str, params: int, condition: str, task: int, world: World, **other: object
) -> dict[str, object]:
    return {
        "study": "made", "base": base, "family": family, "params": params, "run": None, "recipe": None, "format": None,
        "seed": None, "mixture": None, "condition": condition, "wording": "standard",
        "shots": 4 if condition == "base-few-shot" else 0, "shot_seed": 0,
        "task": f"task-{task:02d}", "cluster": f"cluster-{task % 5}",
        "role": "tune" if task < world.tasks // 2 else "evaluate", "pretrained_on": True, "tuned_on": None,
        "metric": "accuracy", "primary": True, "low": 0.0, "high": 1.0, "format_failures": None, "cut_prompts": 0,
        "fingerprint": "0" * 16,
    } | other  # fmt: skip


def scores(world: World = World()) -> pa.Table:  # noqa: B008 - frozen
    """A table "scores": base zero-shot and few-shot, tuned direct; with exact match beside accuracy."""
    rng = np.random.default_rng(world.seed)
    intact = world.bases
    world = world._replace(bases=intact + min(2, intact)) if world.removed else world
    x, z, y = latent(world, rng)
    chance = rng.choice([0, 0, 0.1, 0.2, 0.25, 0.25, 0.33, 0.5, 0.5], size=world.tasks)
    names = ("llama", "neox", "opt", "mistral", "falcon", "qwen", "phi", "gemma", "bloom", "mpt")
    rows: list[dict[str, object]] = []

    def add(logit: float, task: int, lacks: bool, row: dict[str, object]) -> None:
        hits = rng.binomial(world.items, chance[task] + (1 - chance[task]) / (1 + np.exp(-(-6.0 if lacks else logit))))
        exact = rng.binomial(world.items, 0.97 / (1 + np.exp(-(-6.0 if lacks else logit))))
        for metric, p, c in (("accuracy", hits, chance[task]), ("exact_match", exact, 0.0)):
            p = p / world.items
            rows.append(
                row
                | {
                    "metric": metric, "primary": metric == "accuracy", "value": p, "chance": float(c), "n": world.items,
                    "stderr": float(np.sqrt(p * (1 - p) / (world.items - 1))),
                    "extraction_failures": int(rng.integers(0, 4)) if metric == "exact_match" else None,
                    "pretrained_on": not lacks,
                }
            )  # fmt: skip

    for b in range(world.families * world.bases):
        family, member = names[b // world.bases], b % world.bases
        without = member >= intact
        size = member % intact  # the first sizes come twice: with and without the removed tasks
        params = 40_000 * 2**size
        base = f"{family}-{32 * (size + 1)}x2" + ("-without" if without else "")
        for task in range(world.tasks):
            lacks = without and task >= world.tasks - 6
            for condition, logit in (("base-zero-shot", z), ("base-few-shot", x)):
                add(logit[b, task], task, lacks, _row(base, family, params, condition, task, world))
            for r in range(world.recipes):
                recipe = ("full", "lora", "lora-16")[r]
                row = _row(
                    base, family, params, "tuned-direct", task, world,
                    run=f"{base}.{recipe}.s0", recipe=recipe, format="regular", seed=0, mixture="set:tune",
                    tuned_on=task < world.tasks // 2,
                )  # fmt: skip
                add(y[b, r, task], task, lacks, row)
    return tables.build("scores", rows)


class Difference(NamedTuple):
    """What the two sides of pairs do not share."""

    what: str
    pairs: int
    detail: str


GAINED = [
    Gained("all", "all items", 40, 5, 0.125, 1.0, 3),
    Gained("task", "task-01", 40, 5, 0.125, 1.0, 3),
    Gained("task", "task-02", 0, 0, None, None, 0),
]
CONFOUNDS = [Difference("prompts cut on one side", 12, "task-03 <few-shot>"), Difference("precision", 3, "bf16, f32")]

OUTLOOK = Outlook(
    "Add base models first.", "Forty made studies.", (Width("all pairs as they are", 0.05, 0.06, 0.4),),
    (Width("tasks", 0.04, None, None),), ("too few items",),
)  # fmt: skip

_OF_PAIR = (
    "study", "base", "family", "params", "run", "recipe", "format", "seed", "task", "cluster", "role", "metric",
)  # fmt: skip


def items(pairs: pa.Table, each: int = 20, seed: int = 1) -> pa.Table:
    """A table "items" of `each` items a pair, right with the pair's scores; the base's margin goes with its answer."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for pair in pairs.to_pylist():
        at = {name: pair[name] for name in _OF_PAIR}
        sides = {name: rng.random(each) < (pair[f"{name}_raw"] or 0.0) for name in "xyz"}
        for i in range(each):
            margin = float(rng.normal(1.5 if sides["x"][i] else -1.5) + 0.5 * sides["y"][i])
            rows.append(
                at
                | {"item": f"{pair['task']}-{i}", "x_margin": margin, "prompt_tokens": 50 + i, "options": 4}
                | {name: float(side[i]) for name, side in sides.items()}
            )
    return tables.build("items", rows)


def agreement(pairs: pa.Table, seed: int = 2) -> pa.Table:
    """A table "agreement" of two sides that share half of what they could; one pair in fifty without variance."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for at, pair in enumerate(pairs.to_pylist()):
        n, x, y = pair["n"], pair["x_raw"], pair["y_raw"]
        both = (x * y + min(x, y)) / 2
        counts = rng.multinomial(n, np.clip([both, x - both, y - both, 1 - x - y + both], 0, 1) / 1.0000001)
        a, b, c, d = (int(count) for count in counts)
        under = ((a + b) * (c + d) * (a + c) * (b + d)) ** 0.5
        phi = (a * d - b * c) / under if under and at % 50 else None
        p = min(1.0, 2 * 0.5 ** (abs(b - c) / 3))
        rows.append(
            {name: pair[name] for name in _OF_PAIR if name != "metric"}
            | {
                "n": n, "both": a, "only_x": b, "only_y": c, "neither": n - a - b - c, "phi": phi,
                "kappa": None if phi is None else 0.9 * phi, "tetrachoric": None if phi is None else 1.2 * phi,
                "mcnemar_p": p, "p_holm": min(1.0, 20 * p), "q_value": min(1.0, 4 * p),
            }
        )  # fmt: skip
    return tables.build("agreement", rows)


def components() -> pa.Table:
    """A table "components": both predictors with noise inside, the first also with noise removed or refused."""
    row: dict[str, object] = {
        "study": "made", "component": "task", "x": "base-few-shot", "y": "tuned-direct", "filter": "all",
        "x_variance": 0.05, "y_variance": 0.04, "covariance": 0.04, "correlation": 0.89, "ci_low": 0.8, "ci_high": 0.95,
        "noise": "inside", "n_clusters": 6, "n_tasks": 30, "note": "",
    }  # fmt: skip
    rest = [
        row | {"component": "model", "x_variance": 0.01, "correlation": 0.75},
        row | {"component": "interaction", "x_variance": 0.015, "y_variance": 0.02, "correlation": 0.28},
    ]
    refused = {"correlation": None, "ci_low": None, "ci_high": None, "note": "not estimable: reliability below .4"}
    rival = [part | {"x": "base-zero-shot"} for part in (row, *rest)]
    removed = [part | {"noise": "removed"} for part in (row, rest[0], rest[1] | refused)]
    return tables.build("components", [row, *rest, *rival, *removed])


def limits() -> pa.Table:
    """A table "limits": over all, and for two families, of which one has no interval."""
    rows: list[dict[str, object]] = []
    for tuned_on, effects in ((False, {"x": -0.42, "y": -0.44}), (True, {"x": -0.42, "y": -0.05})):
        for family, params in (("all", 0), ("llama", 40_000), ("opt", 80_000)):
            for side, effect in effects.items():
                single = family == "opt"
                rows.append(
                    {
                        "study": "made", "family": family, "params": params, "tuned_on": tuned_on, "side": side,
                        "metric": "exact_match", "without": 0.03, "intact": 0.03 - effect, "effect": effect,
                        "ci_low": None if single else effect - 0.08, "ci_high": None if single else effect + 0.08,
                        "bases_without": 6, "bases_intact": 6, "pairs": 72, "tasks": ["task-24", "task-25"],
                        "note": "no interval: one base model" if single else "",
                    }
                )  # fmt: skip
    return tables.build("limits", rows)


def with_more(correlations: pa.Table) -> pa.Table:
    """The table with noise-corrected rows, one refused, with concordance, and all intervals and tests of one row."""
    rows: list[dict[str, object]] = []
    for row in correlations.to_pylist():
        doubly = row["level"] == "doubly_centred" and row["method"] == "pearson" and row["filter"] == "all"
        if doubly and row["estimate"] is not None:
            e = row["estimate"]
            row |= {"boot_low": e - 0.15, "boot_high": e + 0.15, "p_permutation": 0.004, "p_holm": 0.012}
            row |= {"q_value": 0.006, "tests": "levels"}
        rows.append(row)
    for row in [r for r in rows if r["filter"] == "all" and r["method"] in ("pearson", "pearson-delta")]:
        if row["level"] not in ("pooled", "doubly_centred") or row["estimate"] is None:
            continue
        if row["method"] == "pearson" and not any(r["method"] == "concordance" for r in rows):
            rows.append(row | {"method": "concordance", "estimate": 0.123})
        method = str(row["method"]).replace("pearson", "pearson-corrected")
        refused = row["x"] == "base-zero-shot" and row["level"] == "doubly_centred"
        more = {"estimate": None, "ci_low": None, "ci_high": None, "note": "not estimable: reliability below .4"}
        ends = [name for name in ("estimate", "ci_low", "ci_high") if row[name] is not None]
        kept: dict[str, object] = {"note": ""} | {name: 1.1 * float(str(row[name])) for name in ends}
        rows.append(row | {"method": method, "boot_low": None, "boot_high": None} | (more if refused else kept))
    return tables.build("correlations", rows)


def views(tasks: int = 3) -> list[ItemView]:
    """Four items a task, one of each outcome; the tuned side has no demonstrations and another instruction."""
    shot = "Question: Is <b>water</b> wet & cold?\nAnswer: yes\n\n"
    made: list[ItemView] = []
    for task in range(tasks):
        for x_right, y_right in ((True, True), (False, True), (True, False), (False, False)):
            ask = f"Question: What is {task} and {task}?\nAnswer:"
            answers = ("right words" if x_right else "wrong words", "right words" if y_right else "other words")
            prompts = (shot * 4 + ask, "<user> Answer the question.\n" + ask)
            place = (f"task-{task:02d}", "llama-32x2", "llama-32x2.full.s0", f"item-{len(made)}")
            made.append(ItemView(*place, *prompts, *answers, "right words", x_right, y_right))
    return made
