"""What turns one object into another, and that merging it back gives the other object exactly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ftgen import schema
from ftgen.lower import delta, merge

JOB = schema.find("batch.volcano.sh/v1alpha1", "Job")
POD = schema.Node.of(JOB).at("spec", "tasks", 0, "template", "spec")

names = st.sampled_from(["a", "b", "c", "d"])
words = st.text("xyz/~$", max_size=4)
envs = st.lists(st.fixed_dictionaries({"name": names}, optional={"value": words}), max_size=4)
ports = st.lists(
    st.fixed_dictionaries({"containerPort": st.integers(1, 3)}, optional={"protocol": st.sampled_from(["TCP", "UDP"])}),
    max_size=3,
)
containers = st.lists(
    st.fixed_dictionaries(
        {"name": names},
        optional={
            "image": words,
            "env": envs,
            "ports": ports,
            "command": st.lists(words, max_size=3),
            "tty": st.booleans(),
        },
    ),
    max_size=3,
)
limits = st.dictionaries(names, st.one_of(words, st.integers(), st.booleans()), max_size=3)
pods = st.fixed_dictionaries(
    {"containers": containers},
    optional={
        "tolerations": st.lists(st.fixed_dictionaries({"key": names}), max_size=2),
        "nodeSelector": limits,
        "securityContext": st.fixed_dictionaries({}, optional={"fsGroup": st.integers(), "sysctls": envs}),
        "hostname": words,
    },
)


@given(pods, pods)
def test_a_patch_and_the_operations_it_leaves_give_the_other_object(old, new) -> None:
    merged = merge.strategic_merge(old, delta.strategic(old, new, POD), POD)
    assert delta.json_equal(merge.json_patch(merged, delta.operations(merged, new)), new)


@given(pods)
def test_nothing_turns_an_object_into_itself(pod) -> None:
    assert delta.strategic(pod, pod, POD) == {}
    assert delta.operations(pod, pod) == []


@given(pods, pods)
def test_operations_alone_give_the_other_object(old, new) -> None:
    assert delta.json_equal(merge.json_patch(old, delta.operations(old, new)), new)


def test_a_patch_names_what_changes_and_nulls_what_is_gone() -> None:
    old = {"hostname": "x", "containers": [{"name": "a", "image": "one"}, {"name": "b", "image": "two"}]}
    new = {"containers": [{"name": "a", "image": "one"}, {"name": "b", "image": "three"}]}
    assert delta.strategic(old, new, POD) == {"hostname": None, "containers": [{"name": "b", "image": "three"}]}


def test_what_has_nothing_in_common_is_replaced() -> None:
    old = {"containers": [{"name": name, "image": name} for name in "abcdefgh"]}
    new = {"containers": [{"name": "z"}]}
    assert delta.strategic(old, new, POD) == {"containers": [{"$patch": "replace"}, {"name": "z"}]}


def test_an_order_is_left_to_the_operations() -> None:
    old = {"containers": [{"name": "a"}, {"name": "b"}]}
    new = {"containers": [{"name": "b"}, {"name": "a"}]}
    assert delta.strategic(old, new, POD) == {}
    assert delta.operations(old, new) == [{"op": "replace", "path": "/containers", "value": new["containers"]}]


def test_items_that_share_a_name_are_left_to_the_operations() -> None:
    twice = [{"containerPort": 1}, {"containerPort": 1, "protocol": "UDP"}]
    assert delta.strategic({}, {"containers": [{"name": "a", "ports": twice}]}, POD) == {}


def test_pointers_escape_what_stands_in_names() -> None:
    assert delta.operations({"a/b": 1}, {"a~b": 1}) == [
        {"op": "remove", "path": "/a~1b"},
        {"op": "add", "path": "/a~0b", "value": 1},
    ]


def test_true_is_not_one() -> None:
    assert delta.operations({"tty": 1}, {"tty": True}) == [{"op": "replace", "path": "/tty", "value": True}]
