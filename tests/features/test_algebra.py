"""What a tile holds is a commutative monoid, so that parts may be merged in any order."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from foryou.features.operations import Collect, Count, Latest, Toggle, Total, Watched, in_time_order

COLLECT = Collect(fields=("time", "video_id"), where="TRUE")
ACTIONS = st.lists(st.tuples(st.integers(0, 5), st.none() | st.sampled_from("ab")), max_size=6)

VALUES = {
    Count("TRUE"): st.integers(0),
    Total("watch_ms", "TRUE"): st.integers(),
    Toggle("like"): st.integers(),
    Watched(): st.integers(),
    Latest("TRUE"): st.none() | st.integers(),
    COLLECT: ACTIONS.map(in_time_order),
}
OPERATIONS = pytest.mark.parametrize("op", VALUES, ids=lambda op: type(op).__name__)


@OPERATIONS
@given(st.data())
def test_nothing_merged_changes_nothing(op, data):
    a = data.draw(VALUES[op])
    assert op.merge(a, op.zero) == op.merge(op.zero, a) == a


@OPERATIONS
@given(st.data())
def test_the_order_of_merging_cannot_be_seen(op, data):
    a, b = data.draw(VALUES[op]), data.draw(VALUES[op])
    assert op.merge(a, b) == op.merge(b, a)


@OPERATIONS
@given(st.data())
def test_the_grouping_of_merging_cannot_be_seen(op, data):
    a, b, c = (data.draw(VALUES[op]) for _ in range(3))
    assert op.merge(op.merge(a, b), c) == op.merge(a, op.merge(b, c))


@given(ACTIONS.flatmap(lambda actions: st.tuples(st.just(actions), st.permutations(actions))))
def test_the_same_actions_have_one_order(both):
    actions, permuted = both
    assert in_time_order(list(actions)) == in_time_order(list(permuted))
