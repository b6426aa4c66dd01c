"""Properties that are never stored, whatever an app sends: removed at the gate, before anything is durable.

Names are compared by their letters and digits alone, without case: `E-Mail`, `e_mail` and `email` are one name. It is a
net for what slips in by mistake; who wants to hide an address in `properties.note` can.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache


class NeverStored:
    """A list of names, and of pieces that no name may contain."""

    def __init__(self, names: Iterable[str] = (), containing: Iterable[str] = ()) -> None:
        self._names = frozenset(map(_plain, names))
        self._pieces = tuple(sorted({_plain(piece) for piece in containing} - {""}))
        self.rule = lru_cache(maxsize=4_096)(self._rule)

    def split(self, properties: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
        """The properties that may stay, and the rule that took each of the others: the list's word, not the app's."""
        kept, rules = {}, []
        for name, value in properties.items():
            rule = self.rule(name)
            if rule is None:
                kept[name] = value
            else:
                rules.append(rule)
        return kept, tuple(rules)

    def _rule(self, name: str) -> str | None:
        plain = _plain(name)
        if plain in self._names:
            return plain
        return next((piece for piece in self._pieces if piece in plain), None)


def _plain(name: str) -> str:
    return "".join(mark for mark in name.casefold() if mark.isalnum())
