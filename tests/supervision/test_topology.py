import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision import Edge, Overflow, Topology, TopologyError


def test_a_graph_without_a_cycle_passes():
    Topology(
        [
            Edge("connection", "aggregator"),
            Edge("connection", "writer"),
            Edge("queries", "aggregator", via="ask"),
            Edge("aggregator", "writer"),
        ]
    ).check()


def test_a_cycle_is_named():
    edges = [Edge("x", "a"), Edge("a", "b", via="ask"), Edge("b", "c"), Edge("c", "a", via="ask")]
    with pytest.raises(TopologyError, match=r"cycle: a -ask-> b -mailbox-> c -ask-> a"):
        Topology(edges).check()


def test_an_actor_cannot_wait_for_itself():
    with pytest.raises(TopologyError, match=r"cycle: a -ask-> a"):
        Topology([Edge("a", "a", via="ask")]).check()


@pytest.mark.parametrize("overflow", [Overflow.SHED, Overflow.CONFLATE])
def test_a_channel_in_which_nobody_waits_may_close_a_cycle(overflow):
    Topology([Edge("a", "b", via="ask"), Edge("b", "a", overflow=overflow)]).check()


def test_wrong_edges_are_refused():
    with pytest.raises(ValueError, match="'a' to 'b' must go via one of mailbox, ask, not 'pipe'"):
        Edge("a", "b", via="pipe")
    with pytest.raises(ValueError, match="'a' to 'b' must be an Overflow"):
        Edge("a", "b", overflow="drop")


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20))
def test_a_cycle_is_found_exactly_where_there_is_one(pairs):
    left = set(pairs)
    while any(removable := {pair for pair in left if pair[1] not in {source for source, _ in left}}):
        left -= removable
    topology = Topology([Edge(str(source), str(target)) for source, target in pairs])
    if left:
        with pytest.raises(TopologyError):
            topology.check()
    else:
        topology.check()


def test_many_ways_are_walked_once():
    layers = range(60)
    edges = [Edge(f"{n}{a}", f"{n + 1}{b}") for n in layers for a in "xyz" for b in "xyz"]
    Topology(edges).check()
