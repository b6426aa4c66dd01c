"""recall@k and NDCG@k by hand-made examples."""

from math import log2

import numpy as np
import pytest

from foryou.lake.recommendation_metrics import Quality, by_user, quality, recommended

NOBODY = np.empty(0, np.int64)


def rows(*numbers):
    return np.array(numbers, np.int64)


def test_the_best_come_first_ties_by_row_and_none_that_is_known():
    scores = np.array([0.1, 0.9, 0.5, 0.9, 0.5])
    assert recommended(scores, rows(1), 3).tolist() == [3, 2, 4]
    assert recommended(scores, rows(0, 1, 2, 3, 4), 3).tolist() == []


def test_all_found_at_the_front_is_one():
    assert quality(lambda user: np.arange(9.0), {}, {0: rows(8, 7)}, k=2) == Quality(1.0, 1.0, 1)


def test_the_place_of_a_find_counts_in_ndcg_alone():
    found = quality(lambda user: np.arange(9.0), {}, {0: rows(6)}, k=3)
    assert (found.recall, found.ndcg) == (1.0, pytest.approx(1 / log2(4)))


def test_everybody_counts_once_and_recall_is_of_what_could_be_found():
    then = {0: rows(8), 1: rows(0, 1, 2, 3)}
    found = quality(lambda user: np.arange(9.0), {1: rows(8, 7, 6, 5, 4)}, then, k=2)
    assert (found.recall, found.people) == (1.0, 2)


def test_nobody_held_out_is_no_figure():
    assert quality(lambda user: np.arange(9.0), {}, {}, k=2) == Quality(0.0, 0.0, 0)


def test_pairs_are_grouped_by_user():
    found = by_user(np.array([2, 0, 2]), np.array([5, 6, 7]))
    assert {user: videos.tolist() for user, videos in found.items()} == {0: [6], 2: [5, 7]}
    assert by_user(np.array([], np.int32), np.array([], np.int32)) == {}
