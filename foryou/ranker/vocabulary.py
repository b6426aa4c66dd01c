"""Words as small integers, so that a million videos' categories and creators are columns of numbers."""

UNKNOWN = 0  # the code of "not said"


class Vocabulary:
    """Grows, never forgets. One thread adds, any thread reads: a code is published after its word."""

    def __init__(self) -> None:
        self.words: list[str | None] = [None]
        self._codes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.words)

    def code(self, word: str | None) -> int:
        """The word's code, given now if it has none."""
        if word is None:
            return UNKNOWN
        code = self._codes.get(word)
        if code is None:
            code = len(self.words)
            self.words.append(word)
            self._codes[word] = code
        return code

    def find(self, word: str | None) -> int:
        """The word's code, or UNKNOWN."""
        return UNKNOWN if word is None else self._codes.get(word, UNKNOWN)
