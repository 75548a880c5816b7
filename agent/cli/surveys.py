"""A configured source -> its whole catalog and what a sample of it looks like, through the local line."""

from typing import TYPE_CHECKING, Any

from agent.core.errors import AgentError

if TYPE_CHECKING:
    from agent.core.catalog import Catalog
    from agent.masking.starter import Facts
    from agent.settings import LoadedPolicy, Settings

_MAX_BYTES = 64 << 20


class SurveyError(AgentError):
    """A source could not be surveyed."""


def survey(settings: "Settings", policy: "LoadedPolicy", source: str, rows: int) -> "tuple[Catalog, Facts]":
    """The catalog, whatever the policy shows, and the facts of at most `rows` rows a table. Raises SurveyError.

    Only the operator of this host may: the order is the local line's, and no envelope can carry it.
    """
    from pydantic import TypeAdapter

    from agent.app import local_line
    from agent.cli import tasks
    from agent.cli.execute import Operator
    from agent.core.catalog import Catalog
    from agent.wire import strictjson

    with Operator(settings, local_line(settings, policy, survey=rows)) as operator:
        found = operator.run(tasks.catalog(source, ()), {})
    outcome: Any = found if isinstance(found, dict) else found.outcome.model_dump()
    if isinstance(found, dict) or outcome["outcome"] != "completed":
        raise SurveyError(f"the source {source} cannot be read: {outcome['code']}: {outcome['message']}")
    value = strictjson.loads(found.members["survey.json"][1], _MAX_BYTES)
    assert isinstance(value, dict), "the worker writes an object"
    facts: Any = value["columns"]
    return TypeAdapter(Catalog).validate_python(value["catalog"]), facts
