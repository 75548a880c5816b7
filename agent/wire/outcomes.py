"""`Outcome` -> the published `OutcomeModel`: what of it is readable beside its data members."""

from dataclasses import asdict, replace

from agent.core.outcome import Completed, Failed, Outcome, OutcomeName, Refused
from agent.core.table import Analysis, Disclosure, Document, Masked, Printed
from agent.wire import strictjson
from agent.wire.models import (
    ColumnModel,
    DisclosureModel,
    OutcomeModel,
    PolicyModel,
    PrintedModel,
    ProblemModel,
    ResultModel,
)


def outcome_model(outcome: Outcome, columns: tuple[ColumnModel, ...], policy: PolicyModel) -> OutcomeModel:
    """The readable outcome. Final only when the rows were consumed."""
    match outcome:
        case Completed(result=result):
            rows, truncated = _counted(result)
            analysis = result if isinstance(result, Analysis) else None
            return OutcomeModel(
                outcome="completed",
                code="ok",
                columns=columns,
                rows=rows,
                truncated=truncated,
                result=_kind(analysis),
                printed=_printed(analysis.printed if analysis is not None else None),
                disclosure=_disclosure(_final(result)),
                policy=policy,
            )
        case Refused():
            return _ended("refused", outcome, None, policy)
        case Failed():
            disclosure = None if outcome.disclosure is None else _disclosure(outcome.disclosure)
            return _ended("failed", outcome, disclosure, policy)


def _kind(analysis: Analysis | None) -> ResultModel | None:
    if analysis is None:
        return None
    rows = isinstance(analysis.result, Masked)
    return ResultModel(kind="frame" if rows else "none" if analysis.result is None else "json")


def _printed(printed: Printed | None) -> PrintedModel | None:
    if printed is None:
        return None
    return PrintedModel(stdout_truncated=printed.stdout_cut, stderr_truncated=printed.stderr_cut)


def _final(result: Masked | Document | Analysis) -> Disclosure:
    """The disclosure with what was counted while the rows streamed."""
    match result:
        case Document():
            return result.disclosure
        case Masked():
            return replace(result.disclosure, pii=result.tally.pii, suppressed=result.tally.suppressed)
        case Analysis(result=Masked() as rows):
            found = {**result.disclosure.pii, **result.pii, **rows.tally.pii}
            return replace(
                result.disclosure, pii=found, suppressed=result.disclosure.suppressed + rows.tally.suppressed
            )
        case Analysis():
            return replace(result.disclosure, pii={**result.disclosure.pii, **result.pii})


def _counted(result: Masked | Document | Analysis) -> tuple[int, bool]:
    """Rows, and whether something was cut."""
    match result:
        case Document():
            return 0, result.truncated
        case Masked(tally=tally):
            return tally.rows, tally.truncated
        case Analysis(result=Masked(tally=tally)):
            return tally.rows, tally.truncated or result.truncated
        case Analysis():
            return 0, result.truncated


def _ended(
    name: OutcomeName, outcome: Refused | Failed, disclosure: DisclosureModel | None, policy: PolicyModel
) -> OutcomeModel:
    return OutcomeModel(
        outcome=name,
        code=outcome.code,
        message=outcome.message,
        hint=outcome.hint,
        problems=tuple(ProblemModel(**asdict(one)) for one in outcome.problems),
        printed=_printed(outcome.printed) if isinstance(outcome, Failed) else None,
        disclosure=disclosure,
        policy=policy,
    )


def _disclosure(disclosure: Disclosure) -> DisclosureModel:
    return DisclosureModel(
        source=disclosure.source,
        relations=disclosure.relations,
        columns=dict(disclosure.columns),
        policy_version=disclosure.policy_version,
        policy_sha256=disclosure.policy_sha256,
        notes=disclosure.notes,
        statement=disclosure.statement,
        pii=dict(disclosure.pii),
        suppressed=disclosure.suppressed,
    )


def disclosure_digest(disclosure: DisclosureModel | None) -> str:
    """What the manifest names a disclosure by; empty for none."""
    return "" if disclosure is None else strictjson.digest(disclosure.model_dump(mode="json"))
