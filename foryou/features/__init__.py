"""The meaning: what a feature is, as data, and what it computes, as pure functions. Imports the contract only.

`definitions/` says what there is; `compilers/` turn a definition into SQL, Avro and Feast; `merge` is what the store
and the ranker run; `oracle` computes the same answers in the most naive way, for the tests.
"""
