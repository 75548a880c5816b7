"""`agent init DIR`: keys, configuration, policy and folders of an agent that is ready to run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import links
from agent.cli.options import Json

if TYPE_CHECKING:
    from agent.identity.profile import Profile
    from agent.identity.state import Identity
    from agent.wire.keys import SigningKey

_SHARED = "result.jwk"
_SANDBOX = """\
# Configuration of the agent. Every key: docs/configure.md; check with `agent config check`.
version: 1
mode: {mode}
tenant: {tenant}
agent:
{agent}
state_dir: ./state
transport:
  {transport}
trust: trust.json
policy: policy.yaml
sources: {{}}
# sources:
#   shop: {{type: duckdb, path: ./data/shop.duckdb}}      # a database file, or a folder of Parquet, CSV or JSON
#   ledger: {{type: sqlite, path: ./data/ledger.sqlite}}
"""

_POLICY = """\
# What may leave, in which form: the security officer's file. Every key: docs/policy.md.
version: 1
default: redact          # a column that no rule names: redact | keep | refuse
keys: {token: "file:token.key"}
rules: []                # first match wins; globs over source.schema.table.column
# rules:
#   - {match: "*.*.*.email", rule: {token: {domain: email}}}
#   - {match: "*.*.*.phone", rule: last4}
#   - {match: "shop.*.*.*", rule: keep}
release: {pii_net: mask} # what still looks like an address, a card number or a secret becomes a label
"""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder of the agent.")],
    *,
    tenant: Annotated[str, typer.Option(help="Whose jobs this agent runs.")] = "default",
    name: Annotated[str | None, typer.Option(help="Name of this agent; default: agent-1.")] = None,
    pool: Annotated[str, typer.Option(help="Its pool: agents of one pool share its jobs.")] = "default",
    router: Annotated[
        str | None, typer.Option(help="Address of a Task Router, https://…: jobs come from there, not from a folder.")
    ] = None,
    ca_file: Annotated[Path | None, typer.Option(help="The Router's CA, PEM, where it has one of its own.")] = None,
    replicas: Annotated[
        bool, typer.Option("--replicas", help="For several agents of the pool, which share a key for results.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write sandbox.yaml, policy.yaml, trust.json and all keys into DIR. Never overwrites."""
    from agent.cli.render import put_json
    from agent.core.errors import ConfigError

    link = links.checked(router, ca_file, pool=pool, replicas=replicas)
    if replicas and name is not None:
        fix = "Leave --name out: each takes its host's name, or MERIDYEN_AGENT__NAME."
        raise ConfigError("--name", "is one agent's, --replicas are several.", fix)
    folder = folder.absolute()
    taken = [n for n in ("sandbox.yaml", "policy.yaml", "trust.json", "state", "submitter") if (folder / n).exists()]
    if taken:
        raise ConfigError(str(folder), f"holds {', '.join(taken)} already; nothing was written.", "Name a new folder.")
    made = _make(folder, tenant, None if replicas else name or "agent-1", link)
    if as_json:
        put_json(made)
    else:
        _tell(folder, made, link)


def _make(folder: Path, tenant: str, name: str | None, link: "links.Link") -> dict[str, str]:
    """`name` is None for several agents."""
    import secrets
    import time

    from agent.identity import files, profile, state
    from agent.wire.keys import fingerprint

    folder.mkdir(parents=True, exist_ok=True)
    who = {"result_key": f"file:{_SHARED}"} if name is None else {"name": name}
    agent = "\n".join(f"  {key}: {_yaml(value)}" for key, value in {**who, "pool": link.pool}.items())
    text = _SANDBOX.format(tenant=_yaml(tenant), agent=agent, mode=link.mode, transport=link.transport())
    files.create(folder / "sandbox.yaml", text.encode(), 0o640)
    files.create(folder / "policy.yaml", _POLICY.encode(), 0o640)
    files.create(folder / "token.key", secrets.token_hex(32).encode() + b"\n", 0o600)
    (folder / "state").mkdir(mode=0o700)
    identity = state.ensure(folder / "state")
    signs = _shared(folder) if name is None else identity.result
    model = profile.ProfileModel(
        user="first-submitter",
        tenant=tenant,
        audience=f"agent:{name}" if link.router is None else f"pool:{link.pool}",
        **link.of_profile(),
        agents={signs.kid: profile.AgentModel(name=name or f"pool:{link.pool}", key=signs.public())},
    )
    submitter = profile.create(folder / "submitter", model)
    _trust(folder, tenant, identity, submitter, time.time())
    links.copy_ca(link, folder, folder / "submitter")
    if link.router is None:
        _folders(folder / "drop")
    return {
        "config": str(folder / "sandbox.yaml"),
        "result_key": fingerprint(signs.kid),
        "operator_key": fingerprint(identity.operator.kid),
        "submitter_key": fingerprint(submitter.signing().kid),
        "submitter": str(folder / "submitter"),
    }


def _shared(folder: Path) -> "SigningKey":
    """A key for the results of all agents of the folder."""
    from agent.identity import keystore
    from agent.wire.keys import SigningKey

    key = SigningKey.generate()
    keystore.save_private(folder / _SHARED, key)
    return key


def _trust(folder: Path, tenant: str, identity: "Identity", submitter: "Profile", now: float) -> None:
    from agent.identity import trustfile
    from agent.wire.trust import TrustStore

    store = trustfile.add(
        trustfile.with_operator(TrustStore(), identity, tenant, now),
        name="first-submitter",
        key=submitter.signing().public(),
        tenants=[tenant],
        sources=["*"],
        kinds=["*"],
        recipients={"first-submitter": submitter.opening().public()},
        now=now,
    )
    trustfile.save(folder / "trust.json", store)


def _folders(drop: Path) -> None:
    for name in ("inbox/tmp", "inbox/new", "processing", "outbox/tmp", "outbox/new", "archive", "failed"):
        (drop / name).mkdir(parents=True, exist_ok=True)


def _yaml(text: str) -> str:
    import json

    return json.dumps(text)


def _tell(folder: Path, made: dict[str, str], link: "links.Link") -> None:
    from agent.cli.render import put

    put(f"{'Agents of one pool are' if link.replicas else 'An agent is'} ready in {folder}.")
    put(f"  result key    {made['result_key']}   signs every result; submitters pin it")
    put(f"  operator key  {made['operator_key']}   signs `agent exec` on this host")
    put(f"  submitter     {made['submitter_key']}   a first submitter, trusted for every source, no role")
    put("In production the folder `submitter` belongs on the submitter's machine, not here:")
    put("move it there, and let the security officer narrow its sources with `agent trust add`.")
    put("")
    put("Next:  1. name your databases under `sources` in sandbox.yaml, and the columns to keep in policy.yaml")
    put(f"       2. agent config check --config {folder}/sandbox.yaml")
    put(f"       3. agent exec QUERY.sql --source NAME --config {folder}/sandbox.yaml")
    for number, line in enumerate(links.next_steps(link, folder), 4):
        put(f"       {number}. {line}")
