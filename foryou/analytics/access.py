"""Who may do what: `analyst` reads (without a password), `writer` does all, with the key of this stack."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from foryou.analytics.errors import QueryError
from foryou.analytics.request import Ask
from foryou.analytics.statement import refuse_outside, refuse_paths, refuse_settings, refuse_tables, settings_named

ANALYST = "analyst"
WRITER = "writer"
_ALSO_ANALYST = frozenset({"", "default", ANALYST})

# What lies there for a moment, before it is one of the tables: keys of people who withhold them are among it.
_STAGED = """
    withheld withheld_staged events_read events_planned events_nightly served_read served_planned served_nightly
    minutes_nightly hours_nightly days_nightly trends_nightly parity_nightly
"""
STAGED = frozenset(_STAGED.split())

# Where the server's files lie is not the analyst's to know: columns of `system` that are named for it, and these, whose
# values say it, too.
PATHS = "SELECT table, name FROM system.columns WHERE database = 'system' AND match(name, '(^|_)paths?$')"
VALUES = {"server_settings": frozenset({"value", "default"}), "errors": frozenset({"last_error_message"})}
VALUES |= {"user_directories": frozenset({"params"}), "text_log": frozenset({"message"})}
TELLING = frozenset({"getserversetting"})  # functions

# Settings whose value is a text may hold SQL (a filter, a table, a dialect) or name a file; these hold neither.
TEXTS = "SELECT name FROM system.settings WHERE match(type, 'String|Map|Dialect|Array|Tuple')"
_PLAIN = """
    bool_false_representation bool_true_representation chdb_client_name compatibility count_distinct_implementation
    format_csv_delimiter format_csv_null_representation format_custom_field_delimiter
    format_custom_result_after_delimiter format_custom_result_before_delimiter format_custom_row_after_delimiter
    format_custom_row_before_delimiter format_custom_row_between_delimiter format_tsv_null_representation log_comment
    output_format_avro_codec output_format_pretty_grid_charset output_format_sql_insert_table_name query_cache_tag
"""
PLAIN = frozenset(_PLAIN.split())

# Shows values that an UPDATE took out of rows, for as long as they lie on the disk.
UNPATCHED = frozenset({"apply_patch_parts"})

# What a query may cost, and how far a client may raise it; 0 (no limit) is no value for it.
LIMITS = {
    "max_execution_time": (60, 300),
    "max_memory_usage": (800_000_000, 1_200_000_000),
    "max_result_bytes": (268_435_456, 268_435_456),
    "max_result_rows": (5_000_000, 50_000_000),
    "max_threads": (2, 4),
}


@dataclass(frozen=True, slots=True)
class Access:
    """The users of this stack. `outside` are functions that leave the database, in lower case; `paths`: table of the
    database `system` → its columns that tell where the server's files lie; `texts`: settings that are the writer's."""

    writer_key: str = field(repr=False)
    outside: frozenset[str]
    paths: Mapping[str, frozenset[str]]
    texts: frozenset[str] = frozenset()

    def user(self, ask: Ask) -> str:
        """Whose request it is: analyst or writer. Raises QueryError (AUTHENTICATION_FAILED)."""
        if ask.user in _ALSO_ANALYST and not ask.password:
            return ANALYST
        if ask.user == WRITER and hmac.compare_digest(ask.password.encode(), self.writer_key.encode()):
            return WRITER
        told = f"{ask.user}: Authentication failed: password is incorrect, or there is no user with such name."
        raise QueryError(516, "AUTHENTICATION_FAILED", told)

    def settings(self, ask: Ask, user: str) -> dict[str, str]:
        """The settings that the engine gets. Raises QueryError for what this user may not do or ask for."""
        settings = {name: str(default) for name, (default, _) in LIMITS.items()} | dict(ask.settings)
        for name, value in (*settings.items(), *settings_named(ask.sql, LIMITS).items()):
            if name in LIMITS:
                _bounded(name, value)
        if user == WRITER:
            return settings
        if settings.pop("readonly", "2") not in ("1", "2"):
            raise QueryError(164, "READONLY", "Cannot modify 'readonly' setting in readonly mode.")
        if theirs := sorted(settings.keys() & (self.texts | UNPATCHED)):
            raise QueryError(452, "SETTING_CONSTRAINT_VIOLATION", f"Setting {theirs[0]} is not for {ANALYST}.")
        if not ask.statement.reads:
            raise QueryError(164, "READONLY", f"{ANALYST}: Cannot execute query in readonly mode.")
        self.judge(ask.sql, ask)
        return settings | {"readonly": "2"}

    def judge(self, sql: str, ask: Ask) -> None:
        """Raises QueryError where the analyst's statement reaches for what is not theirs. `sql`: as it was sent, or as
        the engine writes it, which reads some of it in ways of its own."""
        refuse_outside(sql, self.outside | TELLING)
        refuse_settings(sql, self.texts | UNPATCHED)
        refuse_tables(sql, STAGED, ask.params)
        refuse_paths(sql, self.paths, ask.database, ask.params)


def _bounded(name: str, value: str) -> None:
    limit = LIMITS[name][1]
    try:
        number = float(value)
    except ValueError:
        raise QueryError(36, "BAD_ARGUMENTS", f"Setting {name} is a number, not {value!r}") from None
    if not 0 < number <= limit:
        told = f"Setting {name} shouldn't be greater than {limit}, nor 0 (no limit): {value}"
        raise QueryError(452, "SETTING_CONSTRAINT_VIOLATION", told)


def outside(table_functions: Iterable[str], inside: frozenset[str]) -> frozenset[str]:
    """Of all table functions of an engine, those that are not known to stay inside; in lower case."""
    return frozenset(name.lower() for name in table_functions) - inside


def paths(columns: Iterable[tuple[str, str]]) -> Mapping[str, frozenset[str]]:
    """Of the pairs (table, column) that PATHS gives, and of VALUES: table → columns."""
    found = dict(VALUES)
    for table, column in columns:
        found[table] = found.get(table, frozenset()) | {column}
    return found
