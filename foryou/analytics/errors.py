"""ClickHouse's own words for what went wrong: a code, a name, a text; and the HTTP status that its server answers."""

from __future__ import annotations

import re

_CODE = re.compile(r"Code: (\d+)\. ")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)(?=[^()]*(?:\(version [^)]*\))?[^()]*\Z)")
_AGAIN = re.compile(r"(?: \(([A-Z][A-Z0-9_]+)\) \(version [^()]*(?:\([^()]*\)[^()]*)?\)\.?)+(?= \(\1\)\Z)")
_POSITION = re.compile(r"(?<=failed at position )\d+|(?<=\(line 1, col )\d+")
_WRAPPED = re.compile(r"\A(?:Code: \d+\. DB::Exception: )+(?=Code: \d+\. )")

# As exceptionCodeToHTTPStatus.cpp of ClickHouse's server has it; everything else is 500.
_STATUS = {
    401: "REQUIRED_PASSWORD",
    403: "UNKNOWN_USER WRONG_PASSWORD AUTHENTICATION_FAILED SET_NON_GRANTED_ROLE ACCESS_DENIED",
    400: """BAD_ARGUMENTS CANNOT_COMPILE_REGEXP CANNOT_PARSE_TEXT CANNOT_PARSE_ESCAPE_SEQUENCE
        CANNOT_PARSE_QUOTED_STRING CANNOT_PARSE_DATE CANNOT_PARSE_DATETIME CANNOT_PARSE_NUMBER
        CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING CANNOT_PARSE_IPV4 CANNOT_PARSE_IPV6 CANNOT_PARSE_INPUT_ASSERTION_FAILED
        CANNOT_PARSE_UUID DUPLICATE_COLUMN ILLEGAL_COLUMN UNKNOWN_ELEMENT_IN_AST UNKNOWN_TYPE_OF_AST_NODE
        THERE_IS_NO_COLUMN TOO_DEEP_AST TOO_BIG_AST UNEXPECTED_AST_STRUCTURE SYNTAX_ERROR INCORRECT_DATA TYPE_MISMATCH
        VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE""",
    404: """UNKNOWN_TABLE UNKNOWN_FUNCTION UNKNOWN_IDENTIFIER UNKNOWN_TYPE UNKNOWN_STORAGE UNKNOWN_DATABASE
        UNKNOWN_SETTING UNKNOWN_DIRECTION_OF_SORTING UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_FORMAT UNKNOWN_DATABASE_ENGINE
        UNKNOWN_TYPE_OF_QUERY UNKNOWN_ROLE""",
    413: "QUERY_IS_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    501: "NOT_IMPLEMENTED",
    503: "SOCKET_TIMEOUT CANNOT_OPEN_FILE CANNOT_SCHEDULE_TASK",
    408: "TIMEOUT_EXCEEDED",
}
_STATUS_OF = {name: status for status, names in _STATUS.items() for name in names.split()}


class QueryError(Exception):
    """A statement that failed. `code` and `name` are ClickHouse's (62, SYNTAX_ERROR), `told` its text."""

    def __init__(self, code: int, name: str, told: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {told} ({name})")
        self.code = code
        self.name = name

    @property
    def status(self) -> int:
        """The HTTP status of ClickHouse's server for it."""
        return _STATUS_OF.get(self.name, 500)

    def behind(self, prefix: str) -> QueryError:
        """The same error, its places told of the statement that was put behind `prefix` (one line)."""
        told = _POSITION.sub(lambda found: str(int(found[0]) - len(prefix)), str(self))
        error = QueryError(self.code, self.name, "")
        error.args = (told,)
        return error

    @classmethod
    def parse(cls, text: str) -> QueryError:
        """The error in what an engine says; code 1002 (UNKNOWN_EXCEPTION) when it says no code."""
        at = text.find("Code: ")
        words = _AGAIN.sub("", _WRAPPED.sub("", text[at:].strip())) if at >= 0 else text.strip()
        code, name = _CODE.match(words), _NAME.search(words)
        if code is None:
            return cls(1002, "UNKNOWN_EXCEPTION", words)
        error = cls(int(code[1]), name[1] if name else "UNKNOWN_EXCEPTION", "")
        error.args = (words,)
        return error
