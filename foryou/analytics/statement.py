"""What an SQL statement is, read from its tokens alone: its verb, its FORMAT, where an INSERT's data begins, and
whether it reaches outside of the database.

The engine decides what a statement may do (`readonly`); an embedded engine, though, was made to read the files of its
user, so what reaches files and networks is refused here, by name, before the engine sees it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from foryou.analytics.errors import QueryError


class Kind(StrEnum):
    """What a token is."""

    WORD = "word"
    QUOTED = "quoted"
    STRING = "string"
    NUMBER = "number"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a statement; `text` without the quotes of a quoted identifier; offsets in characters."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        """The keyword that it may be."""
        return self.text.upper() if self.kind is Kind.WORD else ""


_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|//[^\n]*|\#(?:\ |!)[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<heredoc>\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z))
      | (?P<string>'(?:[^'\\]|\\.|'')*(?:'|\Z))
      | (?P<quoted>`(?:[^`\\]|\\.|``)*(?:`|\Z)|"(?:[^"\\]|\\.|"")*(?:"|\Z))
      | (?P<number>\d[\w.]*)
      | (?P<word>[^\W\d][\w$]*)
      | (?P<symbol>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
READING = frozenset({"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN"})
# Table functions that stay inside the database, and name no table by a text as merge and loop do. Whatever else an
# engine brings is outside until it is listed here.
_INSIDE = """
    dictionary format fuzzquery generate_series generaterandom generateseries null numbers numbers_mt primes values
    view viewexplain viewifpermitted zeros zeros_mt
"""
INSIDE = frozenset(_INSIDE.split())


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. Of an INSERT with data, `head` is what precedes FORMAT or VALUES, `data_at` where data begins."""

    verb: str
    format: str | None = None
    head: str | None = None
    data_at: int | None = None

    @property
    def reads(self) -> bool:
        """Whether it is of a kind that only reads."""
        return self.verb in READING


def tokens(sql: str) -> Iterator[Token]:
    """The tokens of `sql`, without blanks and comments."""
    for found in _TOKEN.finditer(sql):
        kind = found.lastgroup if found.lastgroup != "tag" else "heredoc"
        if kind == "blank" or kind is None:
            continue
        text = found.group(kind)
        if kind == "quoted":
            text = text[1:-1]
        yield Token(Kind.STRING if kind == "heredoc" else Kind(kind), text, found.start(), found.end())


def read(sql: str) -> Statement:
    """What `sql` is. Raises QueryError when it is empty or more than one statement."""
    verb, format_name, previous = "", None, ""
    ended = False
    for token in tokens(sql):
        if ended:
            raise QueryError(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
        if token.text == ";" and token.kind is Kind.SYMBOL:
            ended = True
            continue
        if not verb and token.text != "(":
            verb = token.upper or token.text
        if verb == "INSERT" and (found := _insert(sql, token, previous)) is not None:
            return found
        if previous == "FORMAT" and token.kind is Kind.WORD:
            format_name = token.text
        previous = token.upper
    if not verb:
        raise QueryError(62, "SYNTAX_ERROR", "Syntax error: Empty query")
    return Statement(verb, format_name)


def _insert(sql: str, token: Token, previous: str) -> Statement | None:
    if previous == "FORMAT" and token.kind is Kind.WORD:
        head = sql[: token.start].rstrip()[: -len("FORMAT")]
        after = re.compile(r"[ \t\f]*;?[ \t\f]*\r?\n?").match(sql, token.end)
        assert after is not None
        return Statement("INSERT", token.text, head, after.end())
    if token.upper == "VALUES":
        return Statement("INSERT", "Values", sql[: token.start], token.end)
    return None


def refuse_outside(sql: str, outside: Iterable[str]) -> None:
    """Raises QueryError (READONLY) when `sql` calls one of the functions `outside` (lower case), or writes a file.

    What is not ASCII has no place outside of quotes: the engine takes some of it for quotes and blanks of its own, and
    would read another statement than we do.
    """
    names = frozenset(outside)
    before: Token | None = None
    for token in tokens(sql):
        if token.kind is Kind.SYMBOL and not token.text.isascii():
            told = f"Syntax error: {token.text!r} outside of quotes: write quotes, blanks and signs in ASCII."
            raise QueryError(62, "SYNTAX_ERROR", told)
        called = before is not None and token.text == "(" and before.kind in (Kind.WORD, Kind.QUOTED)
        if called and before is not None and before.text.lower() in names:
            told = f"analyst: {before.text} reads or writes outside of the database; this user may not."
            raise QueryError(164, "READONLY", told)
        if token.upper in ("OUTFILE", "INFILE") and before is not None and before.upper in ("INTO", "FROM"):
            raise QueryError(164, "READONLY", "analyst: files of the server are not this user's.")
        before = token


def refuse_tables(sql: str, names: Collection[str], params: Mapping[str, str]) -> None:
    """Raises QueryError (ACCESS_DENIED) when `sql` speaks of one of the tables `names`, by itself or by a parameter."""
    given = False
    for token in tokens(sql):
        named = token.kind in (Kind.WORD, Kind.QUOTED)
        if named and (token.text in names or (token.kind is Kind.QUOTED and "\\" in token.text)):
            told = f"analyst: Not enough privileges. {token.text} is for the loader and the night alone."
            raise QueryError(497, "ACCESS_DENIED", told)
        given |= token.upper == "IDENTIFIER"
    if given and any("\\" in value or value.rpartition(".")[2].strip('`"') in names for value in params.values()):
        raise QueryError(497, "ACCESS_DENIED", "analyst: Not enough privileges for a table that a parameter names.")


def refuse_settings(sql: str, names: Collection[str]) -> None:
    """Raises QueryError (SETTING_CONSTRAINT_VIOLATION) when a clause SETTINGS of `sql` sets one of `names`."""
    listed, within = list(tokens(sql)), False
    for before, token, after in zip([None, *listed], listed, [*listed[1:], None], strict=False):
        if token.upper == "SETTINGS":
            within = True
        begins = before is not None and (before.upper == "SETTINGS" or before.text == ",")
        if within and begins and token.text.lower() in names and after is not None and after.text == "=":
            told = f"Setting {token.text} is not for analyst."
            raise QueryError(452, "SETTING_CONSTRAINT_VIOLATION", told)


def refuse_paths(sql: str, paths: Mapping[str, Collection[str]], database: str, params: Mapping[str, str]) -> None:
    """Raises QueryError (ACCESS_DENIED) when `sql` may read a column of `paths`: table of the database `system` → its
    columns that tell where the server's files lie. Of such a table, columns are read by name."""
    listed = list(tokens(sql))
    given = {value.rpartition(".")[2].strip('`"') for value in params.values()}
    if not any(token.upper == "IDENTIFIER" for token in listed):
        given = set()
    spoken = (set(_of_system(listed, database)) | given) & paths.keys()
    if not spoken:
        return
    tables = ", ".join(f"system.{table}" for table in sorted(spoken))
    hidden = {column for table in spoken for column in paths[table]}
    named = {token.text for token in listed if token.kind in (Kind.WORD, Kind.QUOTED)} | given
    if column := min(named & hidden, default=None):
        told = f"{column} of {tables} says where files of the server lie"
        raise QueryError(497, "ACCESS_DENIED", f"analyst: Not enough privileges. {told}.")
    if _reads_unnamed(listed):
        told = f"Of {tables} name the columns that you need, after SELECT, without {', '.join(sorted(hidden))}"
        raise QueryError(497, "ACCESS_DENIED", f"analyst: Not enough privileges. {told}.")


def _of_system(listed: list[Token], database: str) -> Iterator[str]:
    """What may be the names of tables of `system`; a parameter may name that database, too."""
    for owner, dot, token in zip([None, None, *listed], [None, *listed], listed, strict=False):
        if token.kind in (Kind.WORD, Kind.QUOTED):
            owned = owner is not None and dot is not None and dot.text == "."
            if (owned and owner is not None and owner.text in ("system", "}")) or (not owned and database == "system"):
                yield token.text


def _reads_unnamed(listed: list[Token]) -> bool:
    """Whether columns may be read that are not named: by *, but for count(*), by COLUMNS, or by FROM without SELECT."""
    selects = [listed[0].upper == "SHOW"]  # by depth of brackets: is the next FROM a SELECT's?
    for called, before, token in zip([None, None, *listed], [None, *listed], listed, strict=False):
        counted = called is not None and called.upper == "COUNT" and before is not None and before.text == "("
        if (token.text == "*" and token.kind is Kind.SYMBOL and not counted) or token.upper == "COLUMNS":
            return True
        if token.text == "(" and token.kind is Kind.SYMBOL:
            selects.append(False)
        elif token.text == ")" and token.kind is Kind.SYMBOL and len(selects) > 1:
            selects.pop()
        elif token.upper == "SELECT":
            selects[-1] = True
        elif token.upper == "FROM" and not (before is not None and before.upper == "DISTINCT"):
            if not selects[-1]:
                return True
            selects[-1] = False
    return False


def settings_named(sql: str, names: Iterable[str]) -> dict[str, str]:
    """What `sql` itself sets of the settings `names`: `SETTINGS name = value`, by name."""
    wanted = frozenset(names)
    listed = list(tokens(sql))
    return {
        name.text.lower(): value.text.strip("'")
        for name, equals, value in zip(listed, listed[1:], listed[2:], strict=False)
        if equals.text == "=" and name.text.lower() in wanted
    }


def split(sql: str) -> list[str]:
    """The statements of a script, parted by semicolons outside of strings and comments; without empty ones."""
    ends = [token.start for token in tokens(sql) if token.text == ";" and token.kind is Kind.SYMBOL]
    parts = [sql[begin:end] for begin, end in zip([0, *(end + 1 for end in ends)], [*ends, len(sql)], strict=True)]
    return [part.strip() for part in parts if any(True for _ in tokens(part))]
