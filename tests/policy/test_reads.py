"""A rule is asked about what its expressions read only, and the verdict is the one on the whole object."""

import pytest

from ftgen.validation.cel import Expression, Problem
from ftgen.validation.site import _chains, _read, _tree

OBJECT = {
    "kind": "Job",
    "metadata": {"name": "a", "labels": {"all": "b", "team": "c", "object": "d"}},
    "spec": {"tasks": [{"name": "t", "object": {"x": 1}}], "object": 2, "a-b": 3},
}


def verdict(text, subject):
    try:
        return Expression(text, "object", bool).value(subject)
    except Problem as problem:
        return str(problem)


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("object.spec.tasks.all(t, t.name == 't')", {"spec": {"tasks": {}}}),
        ("object.metadata.name == 'a' && object.metadata.labels.team == 'c'", None),
        ("has(object.metadata.labels.none) || has(object.metadata.labels)", {"metadata": {"labels": {}}}),
        ("object.metadata.?labels.?team.orValue('') == 'c'", {"metadata": {"labels": {"team": {}}}}),
        ("object.metadata.labels.all(k, k != 'z')", {"metadata": {"labels": {}}}),
        ("object.metadata.labels.all == 'b'", {"metadata": {"labels": {"all": {}}}}),
        ("object.metadata.labels.all /* c */ == 'b'", None),
        ("object.metadata.labels.all // (\n (k, k != 'z')", {}),
        ("object\n  . metadata\n  .labels . all  (k, k != 'z')", {"metadata": {"labels": {}}}),
        (".object.metadata.name == 'a'", {"metadata": {"name": {}}}),
        ("object['metadata'].name == 'a'", {}),
        ("object.spec['a-b'] == 3", {"spec": {}}),
        ("object.spec.`a-b` == 3", {"spec": {}}),
        ("object.spec.object == 2", None),
        ("object.spec.tasks.all(object, object.name == 't')", None),
        ("object.spec.tasks[0].object.x == 1", None),
        ("[object].all(o, o.kind == 'Job')", {}),
        ("'object.kind' == 'x' || object.kind == 'Job'", {"kind": {}}),
        ("object.metadata.labels.size() == 3", {"metadata": {"labels": {}}}),
        ("size(object) == 3 && object.kind == 'Job'", {}),
        ("'metadata' in object && !('status' in object)", {}),
        ("object.nothing.at.all == 1", {"nothing": {"at": {"all": {}}}}),
        ("object.kind.name == 'x'", {"kind": {"name": {}}}),
        ("myobject.kind == 'x'", {}),
        ("true", {}),
    ],
)
def test_the_verdict_is_that_on_the_whole(text, reads):
    tree = _tree(_chains(text, "object"))
    assert reads is None or tree == reads
    assert verdict(text, _read(OBJECT, tree)) == verdict(text, OBJECT)
