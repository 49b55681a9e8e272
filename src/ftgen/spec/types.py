"""Types that several sections share: quantities, names, references to Secrets and nodes, and the class `Section`."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)

from ftgen.text import kube


def _quantity(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be a Kubernetes quantity such as 8Gi or 500m")  # noqa: TRY004 - pydantic collects ValueErrors
    amount = kube.parse_quantity(str(value))
    if amount < 0:
        raise ValueError("must not be negative")
    if amount > kube.INT64_MAX:
        raise ValueError("must be at most 2**63 - 1")
    return kube.canonical_quantity(str(value))


def _at_least(value: object) -> str:
    """Return the canonical quantity, with its plus if it has one: `8Gi+` is that much, or what the training needs."""
    text = str(value)
    return f"{_quantity(text[:-1])}+" if text.endswith("+") else _quantity(value)


def _identifier(value: object) -> object:
    """Return an int as text: YAML reads a commit or tag of digits only as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _single_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not contain line breaks or control characters")
    return value


def _positive(value: str) -> str:
    if kube.parse_quantity(value) == 0:
        raise ValueError("must be more than nothing")
    return value


def _matching(pattern: str, problem: str, flags: re.RegexFlag = re.NOFLAG) -> AfterValidator:
    """Return the validator of texts that a pattern matches whole; `problem` says what they must be."""
    compiled = re.compile(pattern, flags)

    def validate(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(problem)
        return value

    return AfterValidator(validate)


def _label(value: str) -> str:
    if not kube.is_dns1123_label(value):
        raise ValueError(
            "must be at most 63 lower-case letters, digits and dashes, beginning and ending without a dash"
        )
    return value


def _object_name(value: str) -> str:
    if not kube.is_dns1123_subdomain(value):
        raise ValueError("no object can be called so: only lower-case letters, digits, dashes and dots")
    return value


def _image(value: str) -> str:
    if not kube.is_image_reference(value):
        raise ValueError("must be an image such as registry.example.com/team/image:1.0")
    return value


def _mount_path(value: str) -> str:
    if not re.fullmatch(r"(?:/[^/:]+)+/?", value) or ".." in value.split("/"):
        raise ValueError("must be an absolute path below /, without a colon or '..'")
    return value


def _argument(value: object) -> object:
    parts = value if isinstance(value, list) else [value]
    if all(part is None or isinstance(part, (str, int, float)) for part in parts):
        return value
    raise ValueError("must be text, a number, true, false, null or a list of these")


def _secret_key(value: str) -> str:
    if not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", value) or value in {".", ".."}:
        raise ValueError("must be a key of a Secret: letters, digits, dots, dashes and underscores only")
    return value


OF_SECRET = "of a Secret"  # noqa: S105 - a mark
"""Mark of types whose values name a Secret or a key in one: who mistakes them writes the secret itself there."""
_SCALAR = {"type": ["string", "integer"]}
_PACKAGE, _VERSION = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?(?:\[[\w.,-]+\])?", r"==[0-9][\w.!+-]*"
Name = Annotated[
    str,
    _matching(
        r"[A-Za-z][A-Za-z0-9._-]*",
        "must begin with a letter and hold letters, digits, dots, dashes and underscores only",
    ),
]
Quantity = Annotated[str, BeforeValidator(_quantity), WithJsonSchema({"type": ["string", "number"]})]
AtLeast = Annotated[str, BeforeValidator(_at_least), WithJsonSchema({"type": ["string", "number"]})]
Line = Annotated[str, Field(min_length=1), AfterValidator(_single_line)]
Positive = Annotated[Quantity, AfterValidator(_positive)]
Label = Annotated[Line, AfterValidator(_label)]
ObjectName = Annotated[Line, AfterValidator(_object_name)]
Image = Annotated[Line, AfterValidator(_image)]
SecretName = Annotated[ObjectName, OF_SECRET]
SecretKey = Annotated[Line, AfterValidator(_secret_key), OF_SECRET]
MountPath = Annotated[Line, AfterValidator(_mount_path)]
GitUrl = Annotated[
    Line,
    # Forms that git clone accepts, and the scripts with it: a URL, ssh's short form, or a path in the pod.
    _matching(
        r"(?:(?:https?|ssh|git|file)://|[A-Za-z0-9_][\w.-]*@[\w.-]+:|/)\S+",
        "must be a git repository's URL, such as https://git.example.com/team/name",
        re.ASCII,
    ),
]
Folder = Annotated[
    Line,
    _matching(
        r"\w[^/\s]*(?:/\w[^/\s]*)*",
        "must be the name of a folder, or a path of such, without a slash at its ends, blanks or leading dots",
    ),
]
ShellFile = Annotated[Line, _matching(r"\S+", "must be a path without blanks, by which the scripts split their list")]
FileName = Annotated[Line, _matching(r"\w[\w.-]*", "must be the name of a file in conf/trainer/, without a folder")]
ArgumentValue = Annotated[
    Any, AfterValidator(_argument), WithJsonSchema({"type": ["string", "number", "boolean", "array", "null"]})
]
Requirement = Annotated[
    Line,
    _matching(
        f"{_PACKAGE}{_VERSION}", "must be a package with its version, as pip takes it, such as ultralytics==8.4.190"
    ),
]
Package = Annotated[
    Line,
    _matching(
        f"{_PACKAGE}(?:{_VERSION})?",
        "must be a package as pip takes it, with a version or without: peft, or peft==0.18.1",
    ),
]
DebianPackage = Annotated[
    Line, _matching(r"[a-z0-9][a-z0-9+.-]+", "must be the name of a Debian package, such as libgl1")
]
Identifier = Annotated[Line, BeforeValidator(_identifier), WithJsonSchema(_SCALAR)]
Text = Annotated[str, BeforeValidator(_identifier), WithJsonSchema(_SCALAR)]
Count = Annotated[int, Field(ge=1, le=kube.INT64_MAX, strict=True)]
Natural = Annotated[int, Field(ge=0, le=kube.INT64_MAX, strict=True)]
Percent = Annotated[int, Field(ge=1, le=100, strict=True)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]


class Section(BaseModel):
    """Part of the configuration, frozen; it forbids unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, protected_namespaces=())


class SecretReference(Section):
    """A value that lies in a Secret of the namespace: `{secret: NAME, key: KEY}`; no manifest holds the value itself.

    Attributes:
        secret: name of the Secret.
        key: key of the value in the Secret.
        optional: whether the pod starts without the variable where the Secret or the key is missing.
    """

    secret: SecretName
    key: SecretKey
    optional: Flag = False


REFERENCE_FORM = "{secret: NAME, key: KEY}"
TEXT_TAG = "<text>"
REFERENCE_TAG = "<reference>"


def _env_value_tag(value: object) -> str:
    return REFERENCE_TAG if isinstance(value, (Mapping, SecretReference)) else TEXT_TAG


EnvValue = Annotated[
    Annotated[Text, Tag(TEXT_TAG)] | Annotated[SecretReference, Tag(REFERENCE_TAG)], Discriminator(_env_value_tag)
]
"""Value of an environment variable: text, or a reference to a Secret."""


class NodeRequirement(Section):
    """A requirement on a node's label, as Kubernetes' node affinity has it.

    Attributes:
        key: the label.
        operator: how the label's value is compared.
        values: what it is compared with.
    """

    key: Line
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: tuple[Text, ...] = ()


def repository_name(url: str) -> str:
    """Return the name of a git repository: the last part of its URL, without `.git`."""
    return url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
