"""What nobody but the simulator knows: how much a person would enjoy a video.

enjoyment = sigmoid(BIAS + INTEREST·i + QUALITY·q + LANGUAGE·l + LENGTH·t): i the person's interest in the genre beside
the strongest one (0…1), q the video's quality (standard normal), l whether it is in the person's language, t how well
its length suits (0…1). In a row of the same genre every further video is enjoyed a little less.
"""

import numpy as np
from numpy.typing import NDArray

from foryou.simulator.catalogue import Catalogue
from foryou.simulator.population import Population
from foryou.simulator.words import GENRES, HOMES

BIAS, INTEREST, QUALITY, LANGUAGE, LENGTH = -2.8, 3.4, 0.8, 0.7, 0.6
FATIGUE = 0.12  # lost per video of the same genre in a row, beyond the second
MOST_FATIGUE = 0.6
_LANGUAGES = sorted({language for _, language, _ in HOMES})
_LANGUAGE_OF_HOME = np.array([_LANGUAGES.index(language) for _, language, _ in HOMES])


class Truth:
    """Expected enjoyment in (0, 1) of any person and any video, fatigue apart."""

    def __init__(self, population: Population, catalogue: Catalogue) -> None:
        self._interest = population.interests / population.interests.max(axis=1, keepdims=True)
        self._log_length = population.log_length
        self._speaks = _LANGUAGE_OF_HOME[population.home]
        self._genre = catalogue.genre
        self._quality = catalogue.quality
        self._log_duration = np.log(catalogue.duration_ms)
        self._spoken = _LANGUAGE_OF_HOME[catalogue.home]

    def enjoyment(self, person: int | NDArray[np.int64], videos: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of one person for many video rows, or of people and rows pair by pair."""
        interest = self._interest[person, self._genre[videos]]
        language = self._spoken[videos] == self._speaks[person]
        length = np.exp(-(((self._log_duration[videos] - self._log_length[person]) / 1.2) ** 2))
        logit = BIAS + INTEREST * interest + QUALITY * self._quality[videos] + LANGUAGE * language + LENGTH * length
        result: NDArray[np.float64] = 1 / (1 + np.exp(-logit))
        return result

    def of_sequence(self, person: int, videos: list[int]) -> list[float]:
        """Of one person for videos watched one after the other, fatigue included."""
        plain = self.enjoyment(person, np.array(videos, dtype=np.int64))
        genres = self._genre[videos].tolist()
        streak, before = 0, -1
        enjoyed = []
        for genre, joy in zip(genres, plain.tolist(), strict=True):
            streak = streak + 1 if genre == before else 1
            before = genre
            enjoyed.append(joy * weariness(streak))
        return enjoyed

    def favourite(self, person: int) -> str:
        """The genre that a person likes best."""
        return GENRES[int(self._interest[person].argmax())]


def weariness(streak: int) -> float:
    """Factor on enjoyment for the `streak`-th video (1 = the first) of one genre in a row."""
    return 1 - min(MOST_FATIGUE, FATIGUE * max(0, streak - 2))
