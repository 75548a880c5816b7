"""What a program gave back -> `Analysis`: capped and looked at by the second net as the rows of a statement are.

All that comes in was made by untrusted code. Its inputs were masked before, so it can tell no more than those.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

from agent.core.errors import Fault
from agent.core.job import ChartFormat, Format, OnLimit
from agent.core.limits import Limits
from agent.core.table import Analysis, Disclosure, Masked, Output, Printed, Table
from agent.masking import charts
from agent.masking.pii.values import ValueNet
from agent.masking.policy import Policy
from agent.masking.release import Caps, Form, caps_of, passed

MOST_OUTPUTS: Final = 20
MOST_OUTPUT_BYTES: Final = 16 << 20
"""Of all charts of a job together."""
_MAX_MESSAGE: Final = 2_000


class Chart(Protocol):
    """A chart as it came out of the sandbox."""

    @property
    def media_type(self) -> str:
        """What it says it is."""
        ...

    @property
    def data(self) -> bytes:
        """Its bytes."""
        ...


class Said(Protocol):
    """What a program printed, as it came out of the sandbox."""

    @property
    def stdout(self) -> str:
        """Its output."""
        ...

    @property
    def stderr(self) -> str:
        """Its errors."""
        ...

    @property
    def stdout_cut(self) -> bool:
        """Whether there was more."""
        ...

    @property
    def stderr_cut(self) -> bool:
        """Whether there was more."""
        ...


class Given(Protocol):
    """What a program gave back, as it came out of the sandbox. `frame` is a `pyarrow.Table`, `value` is JSON."""

    @property
    def result(self) -> Literal["frame", "json", "none"]:
        """Which of them is the result."""
        ...

    @property
    def frame(self) -> Any:
        """Rows."""
        ...

    @property
    def value(self) -> Any:
        """Everything else."""
        ...

    @property
    def outputs(self) -> Sequence[Chart]:
        """Charts."""
        ...

    @property
    def withheld(self) -> Sequence[str]:
        """Charts that had no format that may leave."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under what a program's answer leaves. `limits` are the site's, clamped by the job's."""

    policy: Policy
    limits: Limits
    on_limit: OnLimit
    format: Format
    disclosure: Disclosure

    @property
    def caps(self) -> Caps:
        """The most that a result may hold."""
        return caps_of(self.policy, self.limits)


class _TooManyPointsError(charts.ChartError):
    """A chart met its limit."""


def chart_formats(policy: Policy, asked: Sequence[ChartFormat]) -> tuple[ChartFormat, ...]:
    """The formats that a program may give, the preferred first: those asked for, or all that the policy has."""
    allowed = policy.release.charts_out
    return tuple(name for name in asked or allowed if name in allowed)


def output_bytes(policy: Policy, limits: Limits) -> int:
    """The most bytes of all charts together."""
    return min(MOST_OUTPUT_BYTES, int(limits.bytes), policy.release.max_bytes)


def analysed(given: Given, said: Said, terms: Terms) -> Analysis:
    """What may leave. Raises Fault(limit.rows | limit.bytes | limit.output) and Refuse(policy.pii)."""
    net = ValueNet(terms.policy.release.pii_net)
    shown = _printed(said, net)
    outputs, left_out, thick = _charts(given.outputs, terms, net)
    if given.withheld:
        count = len(given.withheld)
        left_out.append(f"{f'{count} charts' if count > 1 else 'A chart'} had no format that may leave.")
    result, cut = _result(given, terms, net)
    return Analysis(
        result=result,
        outputs=tuple(outputs),
        printed=shown,
        disclosure=replace(terms.disclosure, notes=(*terms.disclosure.notes, *left_out)),
        truncated=cut or thick,
        pii=dict(net.found),
    )


def printed(said: Said, policy: Policy) -> Printed:
    """The printed text of a program that gave nothing back. Raises Refuse(policy.pii)."""
    return _printed(said, ValueNet(policy.release.pii_net))


def message(text: str, policy: Policy) -> str:
    """What a program's exception says, as it may leave. Raises Refuse(policy.pii)."""
    return ValueNet(policy.release.pii_net).text("error", text[:_MAX_MESSAGE])


def _printed(said: Said, net: ValueNet) -> Printed:
    stdout, stderr = net.text("stdout", said.stdout), net.text("stderr", said.stderr)
    return Printed(stdout, stderr, said.stdout_cut, said.stderr_cut)


def _result(given: Given, terms: Terms, net: ValueNet) -> tuple[Masked | bytes | None, bool]:
    match given.result:
        case "frame":
            table = Table(given.frame.schema, iter(given.frame.to_batches()))
            form = Form(terms.on_limit, terms.format)
            return passed(table, terms.caps, terms.policy, terms.disclosure, form), False
        case "json":
            value, cut = _fitting(given.value, terms)
            data = _text(net.value("result", value))
            if len(data) > terms.caps.bytes:
                raise Fault("limit.bytes", "The result has more bytes than may leave.")
            return data, cut
        case "none":
            return None, False


def _fitting(value: Any, terms: Terms) -> tuple[Any, bool]:
    """The value, its outermost list cut if it may be; no list or object in it is longer than a result has rows."""
    rows, cut = terms.caps.rows, False
    if isinstance(value, list) and len(value) > rows and terms.on_limit == "truncate":
        value, cut = value[:rows], True
    if max(_lengths(value), default=0) > rows:
        raise Fault("limit.rows", "The result has more rows than may leave.")
    return value, cut


def _lengths(value: Any) -> Iterable[int]:
    level = [value]
    while level:
        inside = [one for one in level if isinstance(one, dict | list)]
        yield from map(len, inside)
        level = [child for one in inside for child in (one.values() if isinstance(one, dict) else one)]


def _text(value: Any) -> bytes:
    """Compact JSON in UTF-8, members as they stand."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def _charts(given: Sequence[Chart], terms: Terms, net: ValueNet) -> tuple[list[Output], list[str], bool]:
    """The charts that may leave; for each other one a sentence that says why not; whether one met a limit."""
    kept: list[Output] = []
    left_out: list[str] = []
    thick = False
    for number, one in enumerate(given[:MOST_OUTPUTS], 1):
        try:
            kept.append(_chart(number, one, terms, net))
        except charts.ChartError as error:
            left_out.append(f"Chart {number} was left out: {error}.")
            thick = thick or isinstance(error, _TooManyPointsError)
    if len(given) > MOST_OUTPUTS or sum(len(one.data) for one in kept) > output_bytes(terms.policy, terms.limits):
        raise Fault("limit.output", "The charts are more, or larger, than may leave.")
    return kept, left_out, thick


def _chart(number: int, given: Chart, terms: Terms, net: ValueNet) -> Output:
    release = terms.policy.release
    if charts.format_of(given.media_type) not in release.charts_out:
        raise charts.ChartError("its media type may not leave")
    with_data = release.charts == "with_data"
    if with_data and charts.points(given.media_type, given.data) > release.chart_points:
        if terms.on_limit == "fail":
            raise Fault("limit.output", "A chart has more data points than may leave.", "Aggregate before drawing.")
        raise _TooManyPointsError("it has more data points than may leave")
    place = f"chart {number}"
    data = charts.cleaned(place, given.media_type, given.data, net, with_data=with_data)
    return Output(charts.file_name(number, given.media_type), given.media_type, data)
