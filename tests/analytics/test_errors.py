"""ClickHouse's errors, read from their text."""

from foryou.analytics.errors import QueryError


def test_code_and_name_are_read_and_wrapping_is_taken_off():
    inner = "Code: 164. DB::Exception: Cannot modify 'x' (yes). (READONLY)"
    again = " (version 26.9.2.1). (READONLY)"
    for wrapped in (inner, inner + again, inner + again + " (version 26.9.2.1 (official build)). (READONLY)"):
        error = QueryError.parse(f"Streaming failed: Code: 164. DB::Exception: {wrapped}")
        assert (error.code, error.name, error.status) == (164, "READONLY", 500)
        assert str(error) == inner


def test_a_servers_version_and_another_name_stay():
    for told in ("no (YES) (version 26.9.2.1 (official build))", "no. (YES) (version 26.9.2.1). (NO)"):
        assert str(QueryError.parse(f"Code: 1. DB::Exception: {told}")) == f"Code: 1. DB::Exception: {told}"


def test_places_are_told_of_the_statement_itself():
    told = "Syntax error: failed at position {} (x) (line {}, col {}): x. (SYNTAX_ERROR)"
    for line, col in ((1, 19), (2, 7)):
        error = QueryError.parse("Code: 62. DB::Exception: " + told.format(19, line, col)).behind("EXPLAIN AST ")
        assert str(error) == "Code: 62. DB::Exception: " + told.format(7, line, 7)
        assert (error.code, error.name) == (62, "SYNTAX_ERROR")


def test_the_status_is_that_of_a_server():
    assert [
        QueryError(0, name, "").status
        for name in ("UNKNOWN_TABLE", "SYNTAX_ERROR", "TIMEOUT_EXCEEDED", "MEMORY_LIMIT_EXCEEDED")
    ] == [404, 400, 408, 500]


def test_what_has_no_code_is_unknown():
    assert QueryError.parse("broken").code == 1002
