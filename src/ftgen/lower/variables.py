"""Environment variables: with a value, or with a reference to a Secret."""

from __future__ import annotations

from ftgen.lower.objects import Object
from ftgen.spec import SecretReference
from ftgen.text import kube


def variable(name: str, value: str | SecretReference) -> Object:
    """Return an environment variable with its value, or with a reference to a Secret's key."""
    if isinstance(value, SecretReference):
        return secret_variable(name, value.secret, value.key, optional=value.optional)
    return {"name": name, "value": kube.escape_dollars(value)}


def variables(**values: str | None) -> list[Object]:
    """Return environment variables with their values; those without a value are left out."""
    return [variable(name, value) for name, value in values.items() if value is not None]


def secret_variable(name: str, secret: str, key: str, *, optional: bool = False) -> Object:
    """Return an environment variable with a reference to a Secret's key."""
    reference = {"name": secret, "key": key, **({"optional": True} if optional else {})}
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}
