"""Digests of image tags, asked of registries by the HTTP API of the OCI distribution specification.

A registry names who gives out tokens, and may send elsewhere: a password goes only where its registry says over TLS,
and a token never to another address than the one that asked for it.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from email.message import Message
from functools import cached_property
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from msgspec import Struct, field

from ftgen.config.pins import Reference, is_digest
from ftgen.remote.locking.answer import Answer, Unresolved
from ftgen.remote.locking.login import Login, Logins
from ftgen.text import yamlio
from ftgen.text.lines import printable
from ftgen.text.shapes import mapping, text

_DOCKER_HUB = "docker.io"
_DOCKER_API = "registry-1.docker.io"
_ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
"""Of an image for several platforms the index comes first: its digest holds for the nodes of all of them."""
_SECONDS = 20.0
_LARGEST_MANIFEST = 4 << 20  # what the specification asks registries to take
_LARGEST_TOKEN = 1 << 20
_PARAMETER = re.compile(r'(?<![A-Za-z])([A-Za-z]+)="([^"\\]*)"')
_CLIENT = "ftgen"


class Image(Struct, frozen=True):
    """Image by the parts of its name, as github.com/distribution/reference reads it.

    Attributes:
        registry: host of the registry, with its port.
        repository: path of the image there.
        tag: its tag.
    """

    registry: str
    repository: str
    tag: str

    @classmethod
    def of(cls, name: str) -> Image:
        """Split a name; without a registry it is Docker Hub's, without a tag it is `latest`."""
        first, slash, rest = name.partition("/")
        is_host = bool(slash) and (first == "localhost" or "." in first or ":" in first or first != first.lower())
        registry, path = (first, rest) if is_host else (_DOCKER_HUB, name)
        path, _, tag = path.partition(":")
        registry = _DOCKER_HUB if registry == "index.docker.io" else registry
        is_official = registry == _DOCKER_HUB and "/" not in path
        return cls(registry, f"library/{path}" if is_official else path, tag or "latest")


class Registries(Struct, dict=True):
    """Registries, each asked with the user's own login.

    Attributes:
        logins: logins of the user.
        insecure: hosts that may be asked without TLS where they have none, beside those of this machine.
    """

    logins: Logins = field(default_factory=Logins)
    insecure: Collection[str] = ()
    _schemes: dict[str, str] = field(default_factory=dict)

    def answer(self, reference: Reference) -> Answer:
        """Return the digest that the tag of an image stands for.

        Raises:
            Unresolved: the registry cannot be asked, or has no such image.
        """
        wanted = Image.of(reference.name)
        try:
            return Answer(_digest(self._manifest(wanted)))
        except (OSError, ValueError, OverflowError, http.client.HTTPException) as problem:  # a port may be too large
            reason = printable(str(getattr(problem, "reason", problem)) or type(problem).__name__)
            how = "check the name and the network; a registry without TLS is named by --insecure-registry HOST"
            raise Unresolved(f"{wanted.registry} cannot be reached: {reason}", how) from None

    def _manifest(self, wanted: Image) -> _Reply:
        """Return the answer about a manifest: its head, or the whole where the head lacks the digest."""
        host = _host(wanted)
        url = f"{self._scheme(host)}://{host}/v2/{wanted.repository}/manifests/{wanted.tag}"
        headers = {"Accept": _ACCEPT}
        reply = self._send(url, headers, "HEAD")
        if reply.status == HTTPStatus.UNAUTHORIZED:
            headers |= {"Authorization": self._authorization(wanted, reply)}
            reply = self._send(url, headers, "HEAD")
        if not reply.digest and reply.status in {HTTPStatus.OK, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_FOUND}:
            reply = self._send(url, headers, "GET")
        if reply.status != HTTPStatus.OK:
            raise _refusal(wanted, reply)
        return reply

    def _authorization(self, wanted: Image, reply: _Reply) -> str:
        """Return the header that answers a registry's challenge."""
        scheme, _, rest = reply.headers.get("WWW-Authenticate", "").partition(" ")
        login = self.logins.of(wanted.registry)
        if scheme.lower() == "basic":
            if login is None:
                raise _refusal(wanted, reply)
            return login.basic
        if scheme.lower() != "bearer":
            raise Unresolved(f"{wanted.registry} wants a login of a kind that is not known here: {printable(scheme)}")
        parameters = {key.lower(): value for key, value in _PARAMETER.findall(rest)}
        return f"Bearer {self._token(wanted, parameters, login)}"

    def _token(self, wanted: Image, parameters: Mapping[str, str], login: Login | None) -> str:
        realm = parameters.get("realm", "")
        parts = urlsplit(realm)
        # A registry with TLS must not send us, with a password, to what has none, such as a program on this machine.
        is_plain = parts.scheme == "http" and "http" == self._scheme(_host(wanted)) == self._scheme(parts.netloc)
        if not parts.hostname or not (is_plain or parts.scheme == "https"):
            raise Unresolved(f"{wanted.registry} names {printable(realm)!r} as the place of its tokens, which is none")
        asked = {"scope": parameters.get("scope") or f"repository:{wanted.repository}:pull"}
        asked |= {"service": parameters["service"]} if "service" in parameters else {}
        if login and login.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": login.identity_token, "client_id": _CLIENT, **asked}
            reply = self._send(realm, {}, "POST", urlencode(form).encode())
        else:
            joint = "&" if parts.query else "?"
            header = {"Authorization": login.basic} if login else {}
            reply = self._send(f"{realm}{joint}{urlencode(asked)}", header, "GET")
        if reply.status != HTTPStatus.OK:
            raise _refusal(wanted, reply)
        return _token_in(reply, wanted)

    def _scheme(self, host: str) -> str:
        """Return how a host is asked: by TLS, unless it may and does do without."""
        if host not in self._schemes:
            may_be_plain = host in self.insecure or _is_loopback(host)
            self._schemes[host] = self._spoken(host) if may_be_plain else "https"
        return self._schemes[host]

    def _spoken(self, host: str) -> str:
        """Return what a host speaks; one that wants TLS sends there, calls a plain request bad, or hangs up."""
        try:
            reply = self._send(f"http://{host}/v2/", {}, "GET")
        except http.client.HTTPException:
            return "https"
        except OSError as problem:
            refused = isinstance(getattr(problem, "reason", problem), ConnectionRefusedError)
            return "http" if refused else "https"
        return "https" if reply.status == HTTPStatus.BAD_REQUEST else urlsplit(reply.url).scheme

    def _send(self, url: str, headers: Mapping[str, str], method: str, data: bytes | None = None) -> _Reply:
        request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - http or https, as `_scheme` holds
        request.add_header("User-Agent", _CLIENT)
        for name, value in headers.items():
            # What is not redirected stays with the address that it is meant for.
            (request.add_unredirected_header if name == "Authorization" else request.add_header)(name, value)
        limit = _LARGEST_TOKEN if data or "/manifests/" not in url else _LARGEST_MANIFEST
        try:
            with self._opener.open(request, timeout=_SECONDS) as response:
                return _Reply(response.url, response.status, response.headers, response.read(limit + 1), limit)
        except urllib.error.HTTPError as problem:
            with problem:
                return _Reply(problem.url, problem.code, problem.headers, b"", limit)

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        return urllib.request.build_opener(
            _Redirects, urllib.request.HTTPSHandler(context=ssl.create_default_context())
        )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects that stay on TLS: a manifest read on another way could be anybody's."""

    def redirect_request(self, *asked: Any) -> urllib.request.Request | None:
        request, reply, *_, new_url = asked
        if urlsplit(urljoin(request.full_url, new_url)).scheme not in {"https", request.type}:
            reply.close()
            raise urllib.error.URLError(f"it sends to an address without TLS: {printable(new_url)}")
        return super().redirect_request(*asked)


class _Reply(Struct, frozen=True):
    """Answer of a server, after redirects; `limit` is the largest body in bytes that is taken."""

    url: str
    status: int
    headers: Message
    body: bytes
    limit: int

    @property
    def digest(self) -> str:
        return self.headers.get("Docker-Content-Digest", "").strip()


def _digest(reply: _Reply) -> str:
    """Return the digest of a manifest: the one that the registry states, which must be the body's if there is one."""
    if len(reply.body) > reply.limit:
        raise Unresolved("the registry answers with more than a manifest may hold")
    computed = f"sha256:{hashlib.sha256(reply.body).hexdigest()}" if reply.body else ""
    if reply.digest and not is_digest(reply.digest):
        raise Unresolved(f"the registry answers with no digest by sha256: {printable(reply.digest, 100)}")
    if computed and reply.digest not in {"", computed}:
        raise Unresolved("the registry states another digest than that of the manifest it sends")
    if not (reply.digest or computed):
        raise Unresolved("the registry answers with neither a digest nor a manifest")
    return reply.digest or computed


def _token_in(reply: _Reply, wanted: Image) -> str:
    try:
        answer = mapping(yamlio.parse_json(reply.body)) if len(reply.body) <= reply.limit else {}
    except ValueError:
        answer = {}
    token = text(answer.get("token")) or text(answer.get("access_token"))
    if not token or not token.isascii() or not token.isprintable():
        raise Unresolved(f"{wanted.registry} gives no token for {wanted.repository}")
    return token


def _refusal(wanted: Image, reply: _Reply) -> Unresolved:
    where = f"{wanted.repository}:{wanted.tag}"
    if reply.status == HTTPStatus.NOT_FOUND:
        return Unresolved(f"{wanted.registry} has no {where}", "correct the name or the tag, or push the image")
    if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        how = f"`docker login {wanted.registry}` as somebody who may pull it, and check the name"
        return Unresolved(f"{wanted.registry} does not let you pull {where} ({reply.status})", how)
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        how = f"wait, or `docker login {wanted.registry}`"
        return Unresolved(f"{wanted.registry} takes no more questions for now ({reply.status})", how)
    return Unresolved(f"{wanted.registry} answers {reply.status} about {where}", "ask whoever runs the registry")


def _host(wanted: Image) -> str:
    return _DOCKER_API if wanted.registry == _DOCKER_HUB else wanted.registry


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
