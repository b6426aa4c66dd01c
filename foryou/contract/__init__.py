"""The contract: what an event is, how it is encoded, where it travels, under which keys. Imports nothing of ours."""
