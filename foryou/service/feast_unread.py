"""Who imports Feast imports this first.

Most of Feast's seconds of importing are typeguard's, which reads and compiles the source of each of its classes anew at
every start, to check at every call the types of what we hand over: mypy has checked that. Python's -O turns the same
off, and our own asserts with it.
"""

import typeguard

typeguard.typechecked = lambda target: target  # type: ignore[assignment]
