"""No secret in an annotation or a label: everyone who may look at an object reads them, and so do logs and dashboards.

What is found is never repeated: a policy's message ends up in logs and pull requests.
"""

import re
from collections.abc import Iterator

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, Severity

from policies.rule import rule
from policies.workloads import pod

_SHAPES = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "a JSON web token": re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\."),
    "a URL with a password": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:[^\s/@]+@", re.IGNORECASE),
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\b(gh[pousr]_|github_pat_)\w{20,}"),
    "a GitLab token": re.compile(r"\bglpat-[\w-]{20,}"),
    "a Slack token": re.compile(r"\bxox[abeoprs]-[\w-]{10,}"),
    "a chat webhook": re.compile(r"https://(hooks\.slack\.com/services|discord\.com/api/webhooks)/\w+"),
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{20,}"),
    "an API key": re.compile(r"\b[sr]k[-_]([a-z]+[0-9]*[-_]){0,2}[A-Za-z0-9]{20,}"),
    "a bearer token": re.compile(r"\b(bearer|basic)\s+[\w+/=.~-]{16,}", re.IGNORECASE),
}
# Keys whose values are credentials, unlike those that only name a Secret, such as auth-secret.
_TELLING_KEY = re.compile(r"(password|passwd|passphrase|(api|access|private|signing)[-_.]?key|[-_./]token)$", re.I)


def _refusals(args: ResourceValidationArgs) -> Iterator[str]:
    if args.resource_type.startswith("kubernetes:"):
        allowed = frozenset(args.get_config().get("allowedKeys", ()))
        made = pod(args)
        for where, metadata in {
            "": args.props.get("metadata"),
            " of the pods": None if made is None or made is args.props else made.get("metadata"),
        }.items():
            for kind in ("annotations", "labels"):
                for key, value in ((metadata or {}).get(kind) or {}).items():
                    found = None if key in allowed else _found(key, value)
                    if found:
                        yield f"the {kind[:-1]} {key!r}{where} holds {found}."


def _found(key: str, value: object) -> str | None:
    text = str(value)
    shape = next((name for name, shape in _SHAPES.items() if shape.search(text)), None)
    return shape or ("a credential, as its key says" if text and _TELLING_KEY.search(key) else None)


RULE: ResourceValidationPolicy = rule(
    "no-secrets-in-annotations",
    "Annotations and labels hold no secrets.",
    _refusals,
    severity=Severity.CRITICAL,
    forgives=True,
    remedy="Put the value into a Kubernetes Secret, name that instead, and replace the secret: it is known by now.",
    config={
        "allowedKeys": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "default": [],
            "description": "Annotations and labels that may hold anything.",
        }
    },
)
