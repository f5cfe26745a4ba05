"""What a design is too small to carry, in words; the same bounds for every table."""

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


def lone(bases: int, tasks: int) -> str:
    """Why nothing can be said of models, or of tasks, from a single one; empty where there are several of both."""
    said = [
        f"one {what}, so nothing can be said of {what}s"
        for what, count in (("base model", bases), ("task", tasks))
        if count == 1
    ]
    return "; ".join(said)
