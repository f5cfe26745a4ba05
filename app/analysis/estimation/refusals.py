"""What a design is too small to carry, in words; the same bounds for every table."""

from app.analysis.vocabulary import Level

MIN_TASKS = 10
MIN_CLUSTERS = 5


def too_few(clusters: int, tasks: int, cluster_by: str, min_tasks: int = MIN_TASKS) -> str:
    """Why there is no interval over so many clusters ("family" or "base") and tasks; empty where there may be one."""
    reasons: list[str] = []
    if clusters < MIN_CLUSTERS:
        kind = {"family": "family" if clusters == 1 else "families", "base": "base" if clusters == 1 else "bases"}
        reasons.append(f"descriptive only: {clusters} {kind[cluster_by]}, an interval needs {MIN_CLUSTERS}")
    if tasks < min_tasks:
        reasons.append(f"no interval: {tasks} task{'' if tasks == 1 else 's'}, an interval needs {min_tasks}")
    return "; ".join(reasons)


def alike(level: Level, bases: int, families: int, cluster_by: str) -> str:
    """Why there is no interval by base models at a level on which sister models are alike; empty where there may be.

    Simulated, such intervals cover 83 to 88 % within tasks and of means of models, not 95.
    """
    if cluster_by != "base" or families == bases or level not in ("within_task", "model"):
        return ""
    kind = "family" if families == 1 else "families"
    return (
        f"descriptive only: {bases} base models of {families} {kind} are not independent, and an interval that takes "
        "them so is too narrow at this level"
    )


def lone(bases: int, tasks: int) -> str:
    """Why nothing can be said of models, or of tasks, from a single one; empty where there are several of both."""
    said = [
        f"one {what}, so nothing can be said of {what}s"
        for what, count in (("base model", bases), ("task", tasks))
        if count == 1
    ]
    return "; ".join(said)
