"""An opened result, as Arrow, pandas, polars or plain Python; with what a program printed and drew."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from agent.wire.errors import WireError
from agent.wire.models import OutcomeModel
from agent.wire.sealing import Opened
from router.client.errors import (
    ConfigurationError,
    JobCancelledError,
    JobError,
    JobFailedError,
    JobRefusedError,
    JobTimeoutError,
    Problem,
    ResultError,
)

_ROWS: Final = "rows."
_CHART: Final = "chart-"
_ENDINGS: Final = {
    "image/png": "png",
    "image/svg+xml": "svg",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of a program: a vega-lite or plotly specification as JSON, PNG or SVG."""

    media_type: str
    data: bytes = field(repr=False)

    @property
    def spec(self) -> Any:
        """The specification. Raises ValueError for a picture."""
        return json.loads(self.data)

    def save(self, path: Path | str) -> Path:
        """Write it, with an ending that fits where `path` has none."""
        target = Path(path)
        if not target.suffix:
            target = target.with_suffix("." + _ENDINGS.get(self.media_type, "json"))
        target.write_bytes(self.data)
        return target

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """For notebooks."""
        return {self.media_type: self.data if self.media_type == "image/png" else self._text()}

    def _text(self) -> Any:
        return self.data.decode() if self.media_type in _ENDINGS else self.spec


@dataclass(frozen=True, slots=True)
class Result:
    """What a completed job gave. Decoded when asked for, and not before."""

    job_id: str
    outcome: OutcomeModel
    members: Mapping[str, tuple[str, bytes]] = field(repr=False)

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Names and Arrow types of the rows."""
        return tuple((column.name, column.type) for column in self.outcome.columns)

    @property
    def truncated(self) -> bool:
        """Whether rows were cut at a limit."""
        return self.outcome.truncated

    @property
    def disclosure(self) -> Mapping[str, Any]:
        """What the result discloses: relations, columns with the rule that was applied, the policy."""
        disclosure = self.outcome.disclosure
        return {} if disclosure is None else disclosure.model_dump(mode="json")

    def arrow(self) -> Any:
        """The rows as a `pyarrow.Table`. Raises ResultError when the result has none."""
        from agent.wire.frames import decode  # noqa: PLC0415 - who wants no rows needs no Arrow

        for name, (media_type, data) in self.members.items():
            if name.startswith(_ROWS):
                try:
                    return decode(media_type, data)
                except WireError as error:
                    raise ResultError("result.malformed", f"The rows cannot be read: {error}.") from None
                except KeyError:
                    message = f"The rows are of the type {media_type}, which is not known here."
                    raise ResultError("result.format", message, "Use a newer client.") from None
        raise ResultError("result.rows", "The result has no rows.", "Look at `.value`, `.charts` and `.stdout`.")

    def pandas(self) -> Any:
        """The rows as a `pandas.DataFrame`."""
        _needs("pandas")
        return self.arrow().to_pandas()

    def polars(self) -> Any:
        """The rows as a `polars.DataFrame`."""
        return _needs("polars").from_arrow(self.arrow())

    def rows(self) -> list[dict[str, Any]]:
        """The rows as dicts. Columns of one name overwrite each other: use `arrow()` for those."""
        return self.arrow().to_pylist()  # type: ignore[no-any-return]

    def dict(self) -> dict[str, list[Any]]:
        """The rows as a list for each column."""
        return self.arrow().to_pydict()  # type: ignore[no-any-return]

    @property
    def value(self) -> Any:
        """What a program assigned to `result` that is no frame, or a catalog's or an explanation's document."""
        for name in ("result.json", "catalog.json", "explain.json"):
            if name in self.members:
                return json.loads(self.members[name][1])
        return None

    @property
    def charts(self) -> Sequence[Chart]:
        """What a program drew."""
        found = [(name, Chart(*member)) for name, member in self.members.items() if name.startswith(_CHART)]
        return [chart for _, chart in sorted(found, key=lambda pair: (len(pair[0]), pair[0]))]

    @property
    def stdout(self) -> str:
        """What a program printed, up to the site's limit."""
        return _text(self.members, "stdout.txt")

    @property
    def stderr(self) -> str:
        """What a program printed to its standard error."""
        return _text(self.members, "stderr.txt")


def result_of(job_id: str, opened: Opened) -> Result:
    """The result of a completed job. Raises the JobError of any other."""
    outcome = opened.outcome
    if outcome.outcome == "completed":
        return Result(job_id, outcome, opened.members)
    raise _kind_of(outcome)(
        outcome.code,
        outcome.message,
        outcome.hint,
        problems=tuple(Problem(**problem.model_dump()) for problem in outcome.problems),
        stdout=_text(opened.members, "stdout.txt"),
        stderr=_text(opened.members, "stderr.txt"),
    )


def _kind_of(outcome: OutcomeModel) -> type[JobError]:
    if outcome.code == "job.cancelled":
        return JobCancelledError
    if outcome.code == "limit.wall":
        return JobTimeoutError
    return JobRefusedError if outcome.outcome == "refused" else JobFailedError


def _needs(library: str) -> Any:
    try:
        return import_module(library)
    except ImportError:
        hint = f"pip install {library}, or use .arrow() or .rows()."
        raise ConfigurationError("library.missing", f"{library} is not installed here.", hint) from None


def _text(members: Mapping[str, tuple[str, bytes]], name: str) -> str:
    return members[name][1].decode("utf-8", "replace") if name in members else ""
