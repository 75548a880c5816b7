"""The keys of sandbox.yaml and router.json, and what follows -> meridyen/values.schema.json. Unknown keys are refused.

`python packaging/kubernetes/schema.py` writes it. A test compares.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from router.cli.site import TENANT_KEYS, Settings

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
TARGET: Final = HERE / "meridyen/values.schema.json"
Schema = dict[str, Any]

_QUANTITY: Final = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?([kMGTPE]i?|m)?$"}
_KEY: Final = {"type": "string", "pattern": r"^[A-Za-z0-9._-]{1,253}$"}
_RESOURCE: Final = {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"}
_MAYBE: Final = {"type": "string", "pattern": r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$"}
_PORT: Final = {"type": "integer", "minimum": 1, "maximum": 65_535}
_TEXT: Final = {"type": "string", "maxLength": 1024}
_DECIDED: Final = frozenset({"domain", "hosts", "listen", "database_file", "parts_folder", "tenants"})
"""Keys of router.json that the chart writes by itself, or that have a place of their own."""


def block(properties: Schema, *required: str, **more: Any) -> Schema:
    """An object of these keys and no others."""
    found: Schema = {"type": "object", "additionalProperties": False, "properties": properties, **more}
    return found | {"required": sorted(required)} if required else found


def many(item: Schema, **more: Any) -> Schema:
    """A list."""
    return {"type": "array", "items": item, **more}


def number(least: int, most: int) -> Schema:
    """A whole number within bounds."""
    return {"type": "integer", "minimum": least, "maximum": most}


def _words(**more: Any) -> Schema:
    return {"type": "object", "additionalProperties": {"type": "string"}, **more}


def _peer() -> Schema:
    # A rule for everybody, `/0`, would be none.
    cidr = {"type": "string", "pattern": r"^[0-9A-Fa-f.:]+/([1-9]|[1-9][0-9]|1[01][0-9]|12[0-8])$"}
    addresses = block({"cidr": cidr, "except": many(cidr)}, "cidr")
    pods = block({"namespace": _RESOURCE, "podLabels": _words()}, minProperties=1)
    return {"if": {"type": "object", "required": ["cidr"]}, "then": addresses, "else": pods}


def _sandbox() -> tuple[Schema, Schema]:
    """The keys of sandbox.yaml that a pool may set, and the definitions that they use."""
    whole = json.loads((ROOT / "config/sandbox.schema.json").read_text(encoding="utf-8"))
    defs, keys = whole["$defs"], whole["properties"]
    agent = {key: defs["AgentSettings"]["properties"][key] for key in ("slots", "labels")}
    link = defs["agent__transport__https__Config"]["properties"]
    https = {key: value for key, value in link.items() if key not in {"urls", "ca_file", "kind"}}
    config = block(
        {
            **{key: keys[key] for key in ("limits", "python", "catalog_ttl_seconds")},
            "sources": _sources(keys["sources"]),
            "agent": block(agent),
            "transport": block({"https": block(https)}),
        }
    )
    used: Schema = {}
    _collect(config, defs, used)
    return _plain(config), {name: _plain(used[name]) for name in sorted(used)}


def _sources(named: Schema) -> Schema:
    """Each judged by its own type alone, so that what is wrong with it can be said."""
    ((pattern, one),) = named["patternProperties"].items()
    kinds = one["discriminator"]["mapping"]
    judged = [{"if": {"properties": {"type": {"const": kind}}}, "then": {"$ref": kinds[kind]}} for kind in kinds]
    source = {"type": "object", "required": ["type"], "properties": {"type": {"enum": [*kinds]}}, "allOf": judged}
    return {"type": "object", "additionalProperties": False, "patternProperties": {pattern: source}}


def _collect(value: Any, defs: Schema, used: Schema) -> None:
    if isinstance(value, dict):
        name = str(value.get("$ref", "")).removeprefix("#/$defs/")
        if name in defs and name not in used:
            used[name] = defs[name]
            _collect(defs[name], defs, used)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _collect(inner, defs, used)


def _plain(value: Any) -> Any:
    """The same without what only documents.

    Secrets are any text here: what a schema refuses is shown, so that a template refuses those that are no reference.
    """
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    dropped = {"title", "default", "discriminator", "format", "writeOnly", "description"}
    return {key: _plain(inner) for key, inner in value.items() if key not in dropped or isinstance(inner, dict)}


def _placement() -> Schema:
    return {
        "nodeSelector": _words(),
        "tolerations": many({"type": "object"}),
        "affinity": {"type": "object"},
        "priorityClassName": _MAYBE,
    }


def _resources() -> Schema:
    amounts = {"type": "object", "additionalProperties": {"anyOf": [_QUANTITY, {"type": "integer", "minimum": 0}]}}
    return block({"requests": amounts, "limits": amounts})


def _image() -> Schema:
    return block(
        {
            "repository": {"type": "string", "pattern": r"^[a-z0-9][a-z0-9._/:-]*$"},
            "tag": {"type": "string", "pattern": r"^[A-Za-z0-9._-]{0,128}$"},
            "digest": {"type": "string", "pattern": r"^(sha256:[0-9a-f]{64})?$"},
            "pullPolicy": {"enum": ["IfNotPresent", "Always", "Never"]},
        }
    )


def _router() -> Schema:
    host = {"type": "string", "pattern": r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,252})$"}
    kinds = {one.name: one.type for one in fields(Settings) if one.name not in _DECIDED}
    plain: Schema = {
        name: {"type": "integer" if kind is int else "number", "exclusiveMinimum": 0} for name, kind in kinds.items()
    }
    own = block({key: plain[key] for key in sorted(TENANT_KEYS)})
    url = {"type": "string", "pattern": r"^https://[A-Za-z0-9.:\[\]/~%_-]+$"}
    return block(
        {
            "enabled": {"type": "boolean"},
            "external": block({"urls": many(url, maxItems=16), "egress": many({"$ref": "#/$defs/egress"})}),
            "replicas": number(1, 64),
            "domain": {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9.-]{0,253}[a-z0-9])?$"},
            "hosts": many(host),
            "ca": block({"secret": _RESOURCE}, "secret"),
            "tls": block({"secret": _MAYBE}),
            "database": block(
                {"secret": _RESOURCE, "key": _KEY, "port": _PORT, "to": many({"$ref": "#/$defs/peer"})}, "secret", "key"
            ),
            "settings": block(plain | {"tenants": {"type": "object", "additionalProperties": own}}),
            "service": block(
                {
                    "type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
                    "annotations": _words(),
                    "loadBalancerSourceRanges": many(_TEXT),
                }
            ),
            "from": many({"$ref": "#/$defs/peer"}),
            "resources": _resources(),
            "maxUnavailable": number(1, 64),
            **_placement(),
        },
        **{
            "if": {"properties": {"enabled": {"const": False}}},
            "then": {"properties": {"external": {"properties": {"urls": {"minItems": 1}, "egress": {"minItems": 1}}}}},
        },
    )


def _agents() -> Schema:
    path = {"type": "string", "pattern": r"^/data(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$"}
    keep = {"enum": ["Retain", "Delete"]}
    return {
        "replicas": number(0, 1000),
        "config": {"$ref": "#/$defs/config"},
        "egress": {"type": "object", "additionalProperties": {"$ref": "#/$defs/egress"}},
        # Never the CA's own key, which may lie beside it.
        "ca": block(
            {"configMap": _MAYBE, "secret": _MAYBE, "key": {"type": "string", "pattern": r"^[\w.-]+\.(pem|crt)$"}}
        ),
        "data": many(block({"claim": _RESOURCE, "path": path}, "claim", "path")),
        "storage": block({"size": _QUANTITY, "className": _MAYBE, "whenScaled": keep, "whenDeleted": keep}),
        "scratch": block({"shm": _QUANTITY, "tmp": _QUANTITY}),
        "resources": _resources(),
        "runtimeClassName": _MAYBE,
        "fullTier": block(
            {
                "enabled": {"type": "boolean"},
                "seccompProfile": {"type": "string", "pattern": r"^[A-Za-z0-9_][A-Za-z0-9._/-]*\.json$"},
                "appArmorProfile": {"enum": ["", "RuntimeDefault", "Unconfined"]},
            }
        ),
        "maxUnavailable": number(1, 1000),
        "keda": block(
            {
                "enabled": {"type": "boolean"},
                "secret": _MAYBE,
                # Without any agent the Router has no line for the pool, and KEDA no number.
                "minReplicas": number(1, 1000),
                "maxReplicas": number(1, 1000),
                "jobsPerAgent": number(1, 512),
                "pollingSeconds": number(1, 3600),
                "calmSeconds": number(0, 3600),
            }
        ),
        **_placement(),
    }


def _pool() -> Schema:
    name = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,126}$"}
    files = block({"configMap": _RESOURCE, "secret": _RESOURCE, "keys": many(_KEY, minItems=1, uniqueItems=True)},
                  "configMap", "secret", "keys")  # fmt: skip
    own = {
        "tenant": name,
        "pool": name,
        "files": files,
        "enrolment": block({"secret": _RESOURCE, "key": _KEY}, "secret"),
    }
    return block(own | _agents(), "tenant", "files", "enrolment")


def values() -> Schema:
    """The whole schema."""
    config, defs = _sandbox()
    own = {
        "config": config,
        "egress": block({"to": many({"$ref": "#/$defs/peer"}, minItems=1), "port": _PORT}, "to", "port"),
        "peer": _peer(),
    }
    cron = {"type": "string", "pattern": r"^[0-9*/,-]+( [0-9A-Za-z*/,-]+){4}$"}
    pools = {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$": _pool()},
    }
    made = block(
        {
            "nameOverride": _MAYBE,
            "fullnameOverride": _MAYBE,
            "global": {"type": "object"},
            "images": block({"agent": _image(), "router": _image(), "pullSecrets": many(_RESOURCE)}),
            "router": _router(),
            "dns": block({"to": many({"$ref": "#/$defs/peer"}, minItems=1), "port": _PORT}),
            "agents": block(_agents()),
            "pools": pools,
            "tokens": block(
                {"enabled": {"type": "boolean"}, "schedule": cron, "hours": number(1, 24), "uses": number(1, 1000)}
            ),
        }
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": own | defs, **made}


def text() -> str:
    """As it is written."""
    return json.dumps(values(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
