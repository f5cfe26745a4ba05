"""Seeded tables of a study that never ran: scores with task difficulty, model strength and their interaction."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from app import tables

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
        "seed": None, "condition": condition, "wording": "standard",
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
                    run=f"{base}.{recipe}.s0", recipe=recipe, format="regular", seed=0,
                    tuned_on=task < world.tasks // 2,
                )  # fmt: skip
                add(y[b, r, task], task, lacks, row)
    return tables.build("scores", rows)
