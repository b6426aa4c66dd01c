"""The contract: what an event is, how it is encoded, where it travels, and under which keys. Imports nothing of ours."""
