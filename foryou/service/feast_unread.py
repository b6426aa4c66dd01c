"""Who imports Feast imports this first.

Most of Feast's seconds of importing are typeguard's, which reads and compiles the source of each of its classes anew at
every start, to check types at every call. What our processes hand over is for mypy to check, and what stands in a
repository for `feast apply`, which imports Feast first and keeps the checks. Python's -O turns the same off, and our
own asserts with it.
"""

import typeguard

typeguard.typechecked = lambda target: target  # type: ignore[assignment]
