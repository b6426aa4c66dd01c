"""ClickHouse's errors, read from their text."""

from foryou.analytics.errors import QueryError


def test_code_and_name_are_read_and_wrapping_is_taken_off():
    inner = "Code: 164. DB::Exception: Cannot modify 'x' (yes). (READONLY) (version 26.9.2.1). (READONLY)"
    error = QueryError.parse(f"Streaming failed: Code: 164. DB::Exception: {inner}")
    assert (error.code, error.name, error.status) == (164, "READONLY", 500)
    assert str(error) == inner


def test_the_status_is_that_of_a_server():
    assert [
        QueryError(0, name, "").status
        for name in ("UNKNOWN_TABLE", "SYNTAX_ERROR", "TIMEOUT_EXCEEDED", "MEMORY_LIMIT_EXCEEDED")
    ] == [404, 400, 408, 500]


def test_what_has_no_code_is_unknown():
    assert QueryError.parse("broken").code == 1002
