"""Every outcome code of the protocol: stable names that programs may match on. docs/errors.md is generated from here."""

from dataclasses import dataclass
from typing import Literal

OutcomeClass = Literal["completed", "refused", "failed", "rejected"]
RouterState = Literal["succeeded", "refused", "failed", "timed_out", "dead", "rejected"]


@dataclass(frozen=True, slots=True)
class Code:
    """One code. `rejected` codes concern an envelope that was never trusted: they get a reason file, no result."""

    name: str
    outcome: OutcomeClass
    state: RouterState
    meaning: str
    remedy: str


def _rejected(name: str, meaning: str, remedy: str) -> Code:
    return Code(name, "rejected", "rejected", meaning, remedy)


def _refused(name: str, meaning: str, remedy: str) -> Code:
    return Code(name, "refused", "refused", meaning, remedy)


def _failed(name: str, meaning: str, remedy: str, state: RouterState = "failed") -> Code:
    return Code(name, "failed", state, meaning, remedy)


_ALL = (
    Code("ok", "completed", "succeeded", "The job ran and its result is sealed.", "Open the result."),
    _rejected(
        "file.kind",
        "The entry in the inbox is not a regular file with one link (symlink, FIFO, hard link, folder, device).",
        "Write a plain file to inbox/tmp and rename it into inbox/new.",
    ),
    _rejected("file.foreign", "The file in the inbox is not named <id>.mjob.", "Put only .mjob files into inbox/new."),
    _rejected(
        "file.unreadable",
        "The file in the inbox cannot be opened by the agent's account.",
        "Make it readable for the agent's account.",
    ),
    _rejected(
        "envelope.too_large", "The envelope is larger than the limit of 1.5 MiB.", "Send large inputs as several jobs."
    ),
    _rejected("envelope.encoding", "The payload is not valid UTF-8.", "Encode the payload as UTF-8."),
    _rejected(
        "envelope.malformed",
        "The bytes are not a compact JWS, or its payload is not strict JSON (duplicate key, NaN, cut short).",
        "Make jobs with `agent submit` or the client library; copy files by rename.",
    ),
    _rejected(
        "envelope.header",
        "The JWS header is not exactly alg Ed25519, kid and typ meridyen-job+v1.",
        "Sign with the client library.",
    ),
    _rejected(
        "envelope.signature",
        "The signature does not match the payload.",
        "Do not change a job after signing it; sign it again.",
    ),
    _rejected(
        "envelope.untrusted",
        "The signing key is not in trust.json.",
        "The security officer adds it with `agent trust add`.",
    ),
    _rejected(
        "envelope.revoked", "The signing key is revoked in trust.json.", "Sign with a key that the site still trusts."
    ),
    _rejected(
        "envelope.field",
        "A field is unknown, missing or outside its bounds.",
        "Compare the job with docs/schema/job.schema.json.",
    ),
    _rejected(
        "envelope.tenant",
        "The job is for another tenant, or the key may not speak for this tenant.",
        "Check `tenant` and the key's tenants in trust.json.",
    ),
    _rejected("envelope.audience", "The job is for another agent or pool.", "Address it to this agent or its pool."),
    _rejected(
        "envelope.not_yet",
        "The job's not_before lies in the future.",
        "Check the clocks of both sides (tolerance 5 minutes).",
    ),
    _rejected("envelope.expired", "The job's latest start has passed.", "Sign a new job with a later `expires`."),
    _rejected(
        "envelope.replayed", "The job was claimed before and may not run again.", "Sign a new job with a new id."
    ),
    _rejected(
        "envelope.reply_to",
        "The key may not name this recipient.",
        "The security officer lists the recipient for this key in trust.json.",
    ),
    _rejected(
        "envelope.role",
        "The key may not assert one of the roles in requested_by.",
        "Drop the role, or have it granted to the key in trust.json.",
    ),
    _rejected(
        "envelope.kind", "The key may not ask for this kind of task.", "Have the kind granted to the key in trust.json."
    ),
    _rejected(
        "envelope.source", "The key may not ask for this source.", "Have the source granted to the key in trust.json."
    ),
    _refused(
        "task.malformed",
        "The task is not an object of the published schema.",
        "Compare it with docs/schema/task.schema.json.",
    ),
    _refused("task.kind", "This agent does not run this kind of task.", "Use a kind that `agent version` lists."),
    _refused("task.source", "No source of this name is configured here.", "Use a configured source."),
    _refused(
        "sql.size",
        "The statement is longer than 64 KB or has too many tokens.",
        "Shorten it; pass long lists as parameters.",
    ),
    _refused("sql.encoding", "The statement holds a NUL or is not valid Unicode.", "Remove the character."),
    _refused("sql.depth", "The statement is nested too deeply.", "Flatten it with WITH."),
    _refused(
        "sql.parse",
        "The statement does not parse in the source's dialect.",
        "Correct the syntax at the given position.",
    ),
    _refused("sql.statements", "There is not exactly one statement.", "Send one statement per job."),
    _refused("sql.root", "The statement is not a query.", "Send one SELECT, WITH, VALUES or set operation."),
    _refused("sql.node", "A construct is not on the dialect's allow-list.", "Write it with plain SELECT constructs."),
    _refused("sql.argument", "A clause of an allowed construct is not on the allow-list.", "Remove the clause."),
    _refused(
        "sql.function", "A function is not on the dialect's allow-list.", "Use one that docs/sql lists for the dialect."
    ),
    _refused(
        "sql.table_function", "A table function is not on the dialect's allow-list.", "Query a table of the catalog."
    ),
    _refused("sql.cast", "A cast target is not on the allow-list.", "Cast to a plain scalar type."),
    _refused("sql.relation", "The relation does not exist or is not allowed here.", "Use a relation of the catalog."),
    _refused("sql.column", "A column is not known, or the policy refuses it.", "Use a column of the catalog."),
    _refused(
        "sql.view",
        "The view's own definition cannot be proven safe.",
        "Query its base tables, or have the view simplified.",
    ),
    _refused(
        "sql.parameter",
        "A parameter is missing, unused, of a wrong type or not written as :name.",
        "Bind each :name exactly once in `parameters`.",
    ),
    _refused(
        "sql.explain",
        "EXPLAIN is allowed only bare and over unprotected tables.",
        "Drop ANALYZE or options, or run the query itself.",
    ),
    _refused(
        "sql.rewrite",
        "The masked statement could not be proven equal to what would run.",
        "Write the query more plainly; report it, it is a gap.",
    ),
    _refused(
        "python.size",
        "The program is empty, longer than 256 KB, or full of literals.",
        "Send the program's text, without data in it.",
    ),
    _refused(
        "python.encoding",
        "The program holds a NUL or a character that turns the direction of its text, or is not valid Unicode.",
        "Remove the character.",
    ),
    _refused("python.syntax", "The program does not parse as Python.", "Correct the syntax at the given position."),
    _refused("python.depth", "The program is nested too deeply.", "Name the inner parts, or use a loop."),
    _refused(
        "python.construct",
        "The program uses a construct that is not on the allow-list.",
        "Write it as the hint at the position says.",
    ),
    _refused(
        "python.name",
        "The program uses a name or an attribute that is reserved for the interpreter.",
        "Use the public name that the hint gives.",
    ),
    _refused(
        "python.import",
        "The program imports a module that this site does not allow.",
        "Use a module that docs/python lists.",
    ),
    _refused(
        "python.input",
        "An input is missing, misnamed, nested too deeply, or not a table.",
        "Name each input as the program uses it; compare them with docs/schema/task.schema.json.",
    ),
    _refused(
        "policy.chart",
        "The policy does not let charts of this kind out.",
        "Ask for a format that docs/policy.md allows.",
    ),
    _refused(
        "policy.mask",
        "The policy asks for a mask that the source's dialect cannot write.",
        "The security officer chooses another rule for the column: docs/sql lists each dialect's masks.",
    ),
    _refused(
        "policy.pii",
        "The second net found personal data or secrets in the rows, and the policy refuses such results.",
        "Leave the named columns out, or aggregate them.",
    ),
    _refused("policy.aggregate", "The policy asks for aggregates only.", "Group the result."),
    _failed(
        "limit.wall",
        "The job ran longer than its wall limit.",
        "Ask for less, or raise limits.wall_seconds.",
        "timed_out",
    ),
    _failed("limit.cpu", "The job used more CPU time than its limit.", "Ask for less, or raise limits.cpu_seconds."),
    _failed(
        "limit.memory",
        "The job needed more memory than its limit; nothing is spilled to disk.",
        "Aggregate earlier, select fewer columns, or raise limits.memory_mb.",
    ),
    _failed(
        "limit.rows",
        "The result has more rows than its limit and on_limit is fail.",
        "Add LIMIT, aggregate, or set on_limit to truncate.",
    ),
    _failed(
        "limit.bytes",
        "The result is larger than its limit and on_limit is fail.",
        "Select fewer columns or rows, or set on_limit to truncate.",
    ),
    _failed(
        "source.unavailable",
        "The source cannot be opened.",
        "The platform engineer runs `agent config check --connect`.",
    ),
    _failed(
        "source.binding",
        "The engine could not bind the statement (unknown column, wrong types).",
        "Check names and types against the catalog.",
    ),
    _failed(
        "source.error",
        "The engine reported an error while running the statement.",
        "Check casts, divisions and types; the engine's own text stays at the site.",
    ),
    _failed(
        "python.error",
        "The program raised an exception.",
        "Correct the program at the given line; its printed text is in the result.",
    ),
    _failed(
        "python.result",
        "The program's result cannot be given back.",
        "Assign a frame, dict, list, text, number or None to `result`.",
    ),
    _failed(
        "limit.output",
        "The program gave more outputs, or larger ones, than may leave.",
        "Give fewer charts, with fewer points each.",
    ),
    _failed(
        "sandbox.isolation",
        "The sandbox could not isolate the program, or its tier is below python.min_tier; no code ran.",
        "The platform engineer runs `agent doctor sandbox`.",
    ),
    _failed(
        "sandbox.crashed",
        "The program's process ended without a result.",
        "Do not end the interpreter; report it otherwise.",
    ),
    _failed(
        "worker.isolation",
        "The worker could not isolate itself and refused to run.",
        "The platform engineer reads `agent status`.",
    ),
    _failed("worker.crashed", "The worker process ended without a result.", "Try a simpler statement; report it."),
    _failed(
        "job.interrupted",
        "The agent was stopped during the job, which may not run twice.",
        "Submit it again; mark it idempotent to have it retried.",
        "dead",
    ),
    _failed("job.cancelled", "The job was cancelled.", "Submit it again when wanted."),
    _failed("spool.full", "The site's spool could not take the result.", "The platform engineer frees disk space."),
    _failed("internal.error", "The agent met a defect of its own.", "Report it with the job's id."),
)

CODES: dict[str, Code] = {code.name: code for code in _ALL}
