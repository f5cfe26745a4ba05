"""Every Arrow table of a store, declared once from column groups; checked at each write and each read.

A column's unit, where it has one, stands in its field metadata; `schema_version` and the table's name stand in
the schema's. Tables hold nothing that changes between two runs of the same study: no clock, no host.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from app.errors import StoreError

SCHEMA_VERSION = 4


class Column(NamedTuple):
    """One column: name, Arrow type, unit (empty for a name or a count without unit), whether null is allowed."""

    name: str
    type: pa.DataType
    unit: str = ""
    nullable: bool = False


STUDY = (Column("study", pa.string()),)
BASE = (
    Column("base", pa.string()),
    Column("family", pa.string()),
    Column("params", pa.int64(), "parameters"),
)
RUN = (
    Column("run", pa.string(), nullable=True),  # null: the base model itself
    Column("recipe", pa.string(), nullable=True),
    Column("format", pa.string(), nullable=True),
    Column("seed", pa.int64(), nullable=True),
)
MIXTURE = (Column("mixture", pa.string(), nullable=True),)  # as the study names it; null: the base model, or unknown
CONDITION = (
    Column("condition", pa.string()),
    Column("wording", pa.string()),
    Column("shots", pa.int64(), "demonstrations"),
    Column("shot_seed", pa.int64()),
)
TASK = (
    Column("task", pa.string()),
    Column("cluster", pa.string()),
    Column("role", pa.string()),  # tune, develop or evaluate: which of the three disjoint sets
)
EXPOSURE = (
    Column("pretrained_on", pa.bool_(), nullable=True),  # null: unknown, as for any public model
    Column("tuned_on", pa.bool_(), nullable=True),  # null for a base model
)
PROVENANCE = (Column("fingerprint", pa.string()),)

SCORE = (
    Column("metric", pa.string()),
    Column("primary", pa.bool_()),  # the task's own first metric
    Column("value", pa.float64(), "fraction"),  # words, for word_edit_distance
    Column("chance", pa.float64(), "fraction"),  # what guessing scores
    Column("low", pa.float64(), "fraction"),  # the metric's range
    Column("high", pa.float64(), "fraction"),
    Column("n", pa.int64(), "items"),
    Column("stderr", pa.float64(), "fraction"),
    Column("extraction_failures", pa.int64(), "items", nullable=True),  # null: nothing was extracted
    Column("format_failures", pa.int64(), "items", nullable=True),  # SampleGen texts without an answer; null: none
    Column("cut_prompts", pa.int64(), "items"),  # too long for the model's context, so cut on their left
)
RESPONSE = (
    Column("item", pa.string()),
    Column("prompt_hash", pa.string()),
    Column("prompt_tokens", pa.int64(), "tokens"),
    Column("cut_tokens", pa.int64(), "tokens"),  # prompt tokens dropped from the left to fit the context
    Column("options", pa.list_(pa.string())),
    Column("logprobs", pa.list_(pa.float64()), "nats"),  # sum over each option's tokens; empty if not scored
    Column("option_tokens", pa.list_(pa.int64()), "tokens"),
    Column("logprobs_unconditional", pa.list_(pa.float64()), "nats"),  # after the bare answer cue; empty without pmi
    Column("choice", pa.string(), nullable=True),  # the option of the highest summed log-probability
    Column("written", pa.string(), nullable=True),  # all that a SampleGen model wrote
    Column("worked", pa.list_(pa.struct([("input", pa.string()), ("answer", pa.string())]))),  # its worked examples
    Column("restated", pa.string(), nullable=True),  # the item as it restated it
    Column("generated", pa.string(), nullable=True),  # the answer
    Column("prediction", pa.string(), nullable=True),  # extracted from `generated`; null: extraction failed
    Column("rule", pa.string(), nullable=True),  # the extraction rule that found it; empty: none did
    Column("target", pa.string()),
    Column("choice_correct", pa.bool_(), nullable=True),
    Column("prediction_correct", pa.bool_(), nullable=True),
)
PAIR = (
    Column("metric", pa.string()),
    Column("chance", pa.float64(), "fraction"),
    Column("n", pa.int64(), "items"),
    Column("x", pa.float64(), "chance-corrected score"),  # base few-shot
    Column("y", pa.float64(), "chance-corrected score"),  # tuned, no demonstrations
    Column("z", pa.float64(), "chance-corrected score", nullable=True),  # base zero-shot; null if not in the study
    Column("x_raw", pa.float64(), "fraction"),
    Column("y_raw", pa.float64(), "fraction"),
    Column("z_raw", pa.float64(), "fraction", nullable=True),
    Column("x_stderr", pa.float64(), "fraction"),
    Column("y_stderr", pa.float64(), "fraction"),
    Column("z_stderr", pa.float64(), "fraction", nullable=True),
    Column("x_condition", pa.string()),
    Column("y_condition", pa.string()),
    Column("wording", pa.string()),
    Column("x_shots", pa.int64(), "demonstrations"),
    Column("floor", pa.string()),  # sides (of "xyz") that cannot be told from chance: within two standard errors
    Column("ceiling", pa.string()),  # sides within two standard errors of the metric's best
    Column("x_cut", pa.int64(), "items"),  # prompts too long for the model's context
    Column("y_cut", pa.int64(), "items"),
)
CORRELATION = (
    Column("level", pa.string()),
    Column("method", pa.string()),
    Column("x", pa.string()),
    Column("y", pa.string()),
    Column("filter", pa.string()),  # "all", "role=evaluate", "family=llama", "task=rte", ...
    Column("estimate", pa.float64(), nullable=True),  # null: not estimable, `note` says why
    Column("ci_low", pa.float64(), nullable=True),
    Column("ci_high", pa.float64(), nullable=True),
    Column("p_value", pa.float64(), nullable=True),
    Column("boot_low", pa.float64(), nullable=True),  # two-way pigeonhole bootstrap, percentiles; a wider cross-check
    Column("boot_high", pa.float64(), nullable=True),
    Column("p_permutation", pa.float64(), nullable=True),  # null: no valid permutation, or too few arrangements
    Column("p_holm", pa.float64(), nullable=True),  # within the family of tests that `tests` names
    Column("q_value", pa.float64(), nullable=True),  # Benjamini-Hochberg, same family
    Column("tests", pa.string()),  # the family of tests that this row belongs to; empty: none
    Column("n", pa.int64(), "pairs"),
    Column("n_clusters", pa.int64()),  # what the interval treats as independent: families, or bases
    Column("n_tasks", pa.int64()),
    Column("df", pa.float64(), nullable=True),
    Column("interval", pa.string()),  # the method of the interval, or "none"
    Column("note", pa.string()),
)

ITEM = (
    Column("item", pa.string()),
    Column("metric", pa.string()),
    Column("x", pa.float64(), "fraction", nullable=True),  # right answers over the seeds of demonstrations
    Column("y", pa.float64(), "fraction", nullable=True),
    Column("z", pa.float64(), "fraction", nullable=True),
    Column("x_margin", pa.float64(), "nats", nullable=True),  # base: right option less the best wrong one, summed
    Column("prompt_tokens", pa.int64(), "tokens"),  # of the tuned side
    Column("options", pa.int64(), nullable=True),
)
AGREEMENT = (
    Column("n", pa.int64(), "items"),
    Column("both", pa.int64(), "items"),  # right on both sides; x is the first seed's answer
    Column("only_x", pa.int64(), "items"),
    Column("only_y", pa.int64(), "items"),
    Column("neither", pa.int64(), "items"),
    Column("phi", pa.float64(), nullable=True),
    Column("kappa", pa.float64(), nullable=True),
    Column("tetrachoric", pa.float64(), nullable=True),
    Column("mcnemar_p", pa.float64(), nullable=True),  # exact, two-sided
    Column("p_holm", pa.float64(), nullable=True),  # over all pairs of the study
    Column("q_value", pa.float64(), nullable=True),
)
COMPONENT = (
    Column("component", pa.string()),  # model, task, interaction
    Column("x", pa.string()),
    Column("y", pa.string()),
    Column("filter", pa.string()),
    Column("x_variance", pa.float64(), nullable=True),
    Column("y_variance", pa.float64(), nullable=True),
    Column("covariance", pa.float64(), nullable=True),
    Column("correlation", pa.float64(), nullable=True),  # null: not estimable, `note` says why
    Column("ci_low", pa.float64(), nullable=True),
    Column("ci_high", pa.float64(), nullable=True),
    Column("noise", pa.string()),  # removed: by cross-half products; inside: part of the interaction
    Column("n_clusters", pa.int64()),
    Column("n_tasks", pa.int64()),
    Column("note", pa.string()),
)
LIMIT = (
    Column("family", pa.string()),  # "all": over families and sizes
    Column("params", pa.int64(), "parameters"),  # 0 for all
    Column("tuned_on", pa.bool_()),
    Column("side", pa.string()),  # x, y or z
    Column("metric", pa.string()),
    Column("without", pa.float64(), "fraction", nullable=True),  # mean score of base models pretrained without
    Column("intact", pa.float64(), "fraction", nullable=True),
    Column("effect", pa.float64(), "fraction", nullable=True),  # without - intact
    Column("ci_low", pa.float64(), nullable=True),
    Column("ci_high", pa.float64(), nullable=True),
    Column("bases_without", pa.int64()),
    Column("bases_intact", pa.int64()),
    Column("pairs", pa.int64(), "pairs"),
    Column("tasks", pa.list_(pa.string())),
    Column("note", pa.string()),
)

OVERLAP = (
    Column("recipe", pa.string()),
    Column("tuned_task", pa.string()),  # empty: no task of the mixture holds an item of `tested_task`
    Column("tested_task", pa.string()),
    Column("test_items", pa.int64(), "items"),
    Column("by_text", pa.int64(), "items"),  # test items that stand whole in a training example
    Column("by_13_gram", pa.int64(), "items"),  # test items that share 13 words in a row with one
    Column("train_examples", pa.int64(), "examples"),
    Column("left_out", pa.bool_()),  # whether the recipe leaves those training examples out
    Column("examples", pa.list_(pa.string())),  # some of them: TRAIN ~ TEST
)
RENDERING = (
    Column("base", pa.string()),
    Column("recipe", pa.string()),
    Column("task", pa.string()),
    Column("item", pa.string()),
    Column("x_condition", pa.string()),
    Column("y_condition", pa.string()),
    Column("same_answer_tokens", pa.bool_()),
    Column("x_bos", pa.int64(), "tokens"),
    Column("y_bos", pa.int64(), "tokens"),
    Column("only_x", pa.string()),  # tokens that one rendering has beyond what is declared to differ
    Column("only_y", pa.string()),
)

TABLES: Mapping[str, tuple[Column, ...]] = {
    "scores": STUDY + BASE + RUN + MIXTURE + CONDITION + TASK + EXPOSURE + SCORE + PROVENANCE,
    "responses": STUDY + BASE + RUN + CONDITION + TASK + RESPONSE + PROVENANCE,
    "pairs": STUDY + BASE + RUN + MIXTURE + TASK + EXPOSURE + PAIR,
    "correlations": STUDY + CORRELATION,
    "items": STUDY + BASE + RUN + TASK + ITEM,
    "agreement": STUDY + BASE + RUN + TASK + AGREEMENT,
    "components": STUDY + COMPONENT,
    "limits": STUDY + LIMIT,
    "contamination": STUDY + OVERLAP,
    "renderings": STUDY + RENDERING,
}


def schema(table: str) -> pa.Schema:
    """The Arrow schema of a table in `TABLES`."""
    fields = [
        pa.field(c.name, c.type, nullable=c.nullable, metadata={"unit": c.unit} if c.unit else None)
        for c in TABLES[table]
    ]
    return pa.schema(fields, metadata={"fewtune.table": table, "fewtune.schema_version": str(SCHEMA_VERSION)})


def build(table: str, rows: list[dict[str, object]], metadata: Mapping[str, str] | None = None) -> pa.Table:
    """Rows as a checked table. Raises StoreError for a missing, unknown or wrongly typed column."""
    wanted = schema(table)
    for row in rows:
        if set(row) != set(wanted.names):
            raise StoreError(f"a row of {table} has columns {sorted(row)}, wanted {sorted(wanted.names)}")
    try:
        made = pa.Table.from_pylist(rows, schema=wanted)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as fault:
        raise StoreError(f"a row does not fit the table {table}: {fault}") from fault
    return checked(table, made.replace_schema_metadata({**(wanted.metadata or {}), **(metadata or {})}))


def checked(table: str, data: pa.Table) -> pa.Table:
    """`data`, if it has exactly the columns of `table` and no null where none is allowed; else StoreError."""
    wanted = schema(table)
    if not data.schema.equals(wanted, check_metadata=False):
        raise StoreError(f"the table {table} has schema\n{data.schema}\nwanted\n{wanted}")
    for column in TABLES[table]:
        if not column.nullable and data[column.name].null_count:
            raise StoreError(f"the table {table} has nulls in {column.name}, which allows none")
    return data


def read(table: str, path: str | Path, filesystem: fs.FileSystem | None = None) -> pa.Table:
    """A Parquet file of `table`, checked. Raises StoreError where it is another table or another version."""
    try:
        data = pq.read_table(str(path), filesystem=filesystem)
    except (pa.ArrowInvalid, OSError) as fault:
        raise StoreError(f"{path} is damaged ({fault}): `fewtune report STORE` makes it anew") from fault
    metadata = data.schema.metadata or {}
    version = metadata.get(b"fewtune.schema_version", b"none").decode()
    if version != str(SCHEMA_VERSION):
        raise StoreError(
            f"{path} has schema version {version}, this FewTune reads {SCHEMA_VERSION}: `fewtune report STORE` writes "
            "it anew"
        )
    return checked(table, data)
