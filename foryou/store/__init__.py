"""The online store: the tile ring in RocksDB, the writer that fills it from Kafka, Feast in front of it.

Who imports Feast imports this first. Three of its four seconds are typeguard's, which parses the source of each of its
classes at every start, to check the types of what we hand it at every call: mypy has checked that. Python's -O turns
the same off, and our own asserts with it.
"""

import typeguard

typeguard.typechecked = lambda target: target  # type: ignore[assignment]
