"""Scores that others measured to the same tables and the same report that a study of FewTune gets."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from app import tables
from app.analysis.design import outlook
from app.analysis.estimation import agreement, attenuation, components, correlation, gains, noise_free
from app.analysis.own.given import Own
from app.analysis.pairing import audits, pairs
from app.analysis.reporting import report
from app.analysis.reporting.facts import Facts
from app.errors import InputError
from app.grammar import some
from app.identity import fingerprint, versions
from app.store import Store

_EXPERIMENTS = 60
"""Simulated studies of the power section: a second or so, where a store keeps the result of more."""


_PAGE = " · FewTune</title>"
"""What every page of FewTune holds."""


class Analysed(NamedTuple):
    """All that follows from the scores; `tables` by name."""

    pairs: pairs.Pairs
    tables: dict[str, pa.Table]


def analyse(own: Own) -> Analysed:
    """Pairs and correlations of given scores. Raises InputError where no score has its counterpart."""
    made = pairs.pairs(own.scores, own.analysis)
    if not made.table.num_rows:
        why = sorted({missing.reason for missing in made.missing})
        raise InputError(f"no tuned model has a pair ({'; '.join(why) or 'no few-shot or no tuned scores'})")
    study = str(own.scores["study"][0])
    items, further = own.items, correlation.of_wordings(own.scores, own.analysis, study)
    if items is not None:
        further += attenuation.corrected(items, made.table, own.analysis, study)
    found = {
        "scores": own.scores,
        "pairs": made.table,
        "correlations": correlation.correlations(made.table, own.analysis, study, further),
    }
    found["components"] = components.components(made.table, own.analysis, study)
    if items is not None:
        found["items"] = items
        found["agreement"] = agreement.agreement(items)
        free = noise_free.components(items, made.table, own.analysis, study)
        found["components"] = pa.concat_tables([found["components"], free])
    return Analysed(made, found)


def left_out(found: Analysed) -> str:
    """How many pairs the statistics do without, and why; empty where none is missing."""
    reasons = Counter(missing.reason for missing in found.pairs.missing)
    if not reasons:
        return ""
    count, whole = reasons.total(), reasons.total() + found.pairs.table.num_rows
    listed = some(f"{reason} ({number:,})" for reason, number in reasons.most_common())
    return f"{count:,} of {whole:,} pairs of a tuned model and a task are left out: {listed}."


def _outlook(found: Analysed, own: Own) -> outlook.Outlook | None:
    """What scores of this design can tell."""
    design = outlook.realised(found.pairs.table, own.analysis.cluster_by)
    return outlook.outlook(design, _EXPERIMENTS) if design else None


def check(place: Store) -> None:
    """Raise InputError where results cannot be written: over a file, a store, or a report that is not FewTune's."""
    if place.is_file():
        raise InputError(f"{place.root} is a file: give a folder with --out")
    if place.exists("store.json"):
        raise InputError(f"{place.root} is a store: give another folder with --out")
    page = place.read_text("report/index.html") if place.sizes("report") else _PAGE
    if _PAGE not in (page or ""):
        raise InputError(f"{place.shown('report')} is no report of FewTune: give another folder with --out")


def write(place: Store, own: Own, found: Analysed, command: Sequence[str], origin: str) -> None:
    """Tables and report; what earlier results left there goes."""
    for name, table in found.tables.items():
        place.write_table(name, f"tables/{name}.parquet", table)
    for name in tables.TABLES.keys() - found.tables.keys():
        place.delete_file(f"tables/{name}.parquet")
    with place.new_folder("report") as folder:
        for name, content in files(own, found, command, origin).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def files(own: Own, found: Analysed, command: Sequence[str], origin: str) -> dict[str, bytes]:
    """The report's files; `command` makes it again, `origin` says in words what was read."""
    facts = Facts(
        study=str(own.scores["study"][0]),
        description=" ".join(
            filter(None, (f"Scores measured elsewhere, read from {origin}.", left_out(found), *own.warnings))
        ),
        command=" ".join(command),
        versions=versions(),
        fingerprints={"scores": fingerprint(sorted(set(own.scores["fingerprint"].to_pylist())))},
        items=found.tables.get("items"),
        agreement=found.tables.get("agreement"),
        components=found.tables.get("components"),
        confounds=audits.confounds(found.pairs.table, None, own.computed),
        gained=gains.gained(own.items) if own.items is not None else (),
        views=own.views,
        power=_outlook(found, own),
        planned_pairs=found.pairs.table.num_rows,  # nothing is still to come
    )
    return report.render(found.pairs, found.tables["correlations"], own.scores, own.analysis, facts)
