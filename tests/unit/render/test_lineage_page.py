"""The page of a lineage: what came first stands left, names are text, and nothing is loaded."""

from __future__ import annotations

import random
import re

from hostile import STRINGS, raw_controls
from mlconsole.domain.layers import layers
from mlconsole.domain.lineage import Edge, Node, NodeKind
from mlconsole.domain.times import from_us
from mlconsole.render.lineage_page import figure, page

NOW = from_us(0)


def test_every_step_leads_to_the_right_whatever_the_graph() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for _ in range(50):
        pairs = {(dice.randrange(30), dice.randrange(30)) for _ in range(60)}
        edges = [Edge(max(pair), min(pair), "made") for pair in pairs if len(set(pair)) == 2]

        found = layers(range(30), edges)

        column = {node: number for number, layer in enumerate(found) for node in layer}
        assert sorted(column) == list(range(30))
        assert all(column[edge.above] < column[edge.below] for edge in edges)


def test_a_circle_is_drawn_all_the_same() -> None:
    found = layers([1, 2, 3], [Edge(1, 2, ""), Edge(2, 3, ""), Edge(3, 1, "")])

    assert sorted(node for layer in found for node in layer) == [1, 2, 3]


def test_lines_that_need_not_cross_do_not() -> None:
    # Each of the four lower ones hangs on the one that stands opposite, counted from the other end.
    found = layers(range(8), [Edge(7 - n, n, "") for n in range(4)])

    assert [7 - node for node in found[0]] == found[1]


def test_a_page_of_hostile_names_shows_them_as_text_and_loads_nothing() -> None:
    kinds = list(NodeKind)
    labels = [*STRINGS.values(), "<script>alert(1)</script>", "a<b>c</b>"]
    nodes = [Node(n, kinds[n % len(kinds)], f"key:{label}", label, NOW) for n, label in enumerate(labels)]
    edges = [Edge(n + 1, n, label) for n, label in enumerate(labels[:-1])]

    text = page(nodes[0], nodes, edges, NOW, ["there is <i>more</i>"])

    assert raw_controls(re.sub(r"<script>.*?</script>", "", text, count=1, flags=re.DOTALL)) <= {"\n"}
    assert "alert(1)</script>" not in text and "<i>more" not in text and "&lt;b&gt;" in text
    assert not re.search(r'<(script|link|img)[^>]*\s(src|href)="', text)
    drawn = figure(nodes[0], nodes, edges)
    assert len(drawn.data) == 2 + len({node.kind for node in nodes})


def test_a_thing_that_stands_alone_has_a_page() -> None:
    node = Node(1, NodeKind.RUN, "run:a", "alone", NOW)

    assert "Lineage of run alone" in page(node, [node], [], NOW)
