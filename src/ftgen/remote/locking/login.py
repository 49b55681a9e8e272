"""Logins of registries, as docker and podman keep them: `config.json`, and the programs that it names.

Nothing of a login is written or printed.
"""

from __future__ import annotations

import os
import re
import subprocess
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from ftgen.remote.locking.answer import Unresolved
from ftgen.text import files, yamlio
from ftgen.text.shapes import mapping, text

_LARGEST = 1 << 20
_SECONDS = 30.0
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DOCKER_HUB = "https://index.docker.io/v1/"
"""What docker calls Docker Hub in its file."""
_TOKEN_USER = "<token>"  # noqa: S105 - the user name that says the secret is an identity token


class Login(Struct, frozen=True):
    """Login of a registry.

    Attributes:
        user: user name.
        password: password.
        identity_token: token to get other tokens with, in place of both; empty for none.
    """

    user: str
    password: str
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @property
    def basic(self) -> str:
        """Return the header that sends user and password."""
        return f"Basic {b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


class Logins(Struct, dict=True):
    """Logins of the user.

    Attributes:
        environ: environment that names the folder of docker's settings (DOCKER_CONFIG, HOME).
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def path(self) -> Path:
        """Return the file of the logins."""
        home = Path(self.environ.get("HOME", "/"))
        return Path(self.environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"

    @cached_property
    def _settings(self) -> Mapping[str, Any]:
        try:
            return mapping(yamlio.parse_json(files.read(self.path, at_most=_LARGEST)))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or "it is no JSON"
            raise Unresolved(f"{self.path} cannot be read: {reason}", "mend it, or log in again") from None

    def of(self, registry: str) -> Login | None:
        """Return the login of a registry; None where the user has none.

        Raises:
            Unresolved: the settings cannot be read, or the program that keeps the login fails.
        """
        name = _DOCKER_HUB if registry == "docker.io" else registry
        helpers = mapping(self._settings.get("credHelpers"))
        helper = text(helpers.get(registry)) or text(helpers.get(name)) or text(self._settings.get("credsStore"))
        kept = mapping(mapping(self._settings.get("auths")).get(name))
        if helper and (found := self._helped(helper, name)):
            return found
        return _kept(kept)

    def _helped(self, helper: str, name: str) -> Login | None:
        """Ask the program that keeps the login, by docker's protocol; None where it has none."""
        program = f"docker-credential-{helper}"
        if not _HELPER.fullmatch(helper):
            raise Unresolved(f"{self.path} names {helper!r}, which is no program that keeps logins", "correct it")
        try:
            done = subprocess.run(
                [program, "get"], input=name.encode(), capture_output=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            raise Unresolved(
                f"{program}, which {self.path} names, does not answer", "install it, or correct it"
            ) from None
        if done.returncode:
            return None  # it says so where it has no login
        try:
            answer = mapping(yamlio.parse_json(done.stdout[:_LARGEST]))
        except ValueError:
            raise Unresolved(f"{program} answers with no login", "log in again") from None
        user, secret = text(answer.get("Username")), text(answer.get("Secret"))
        return Login("", "", secret) if user == _TOKEN_USER else Login(user, secret) if secret else None


def _kept(entry: Mapping[str, Any]) -> Login | None:
    if token := text(entry.get("identitytoken")):
        return Login("", "", token)
    try:
        pair = b64decode(text(entry.get("auth")), validate=True).decode()
    except (NotBase64, UnicodeDecodeError, ValueError):
        pair = ""
    user, _, password = pair.rstrip("\0").partition(":")
    user, password = user or text(entry.get("username")), password or text(entry.get("password"))
    return Login(user, password) if user else None
