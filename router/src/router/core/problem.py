"""What goes wrong with a call, as its caller is told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A published problem: its stable name, HTTP status and what the caller can do."""

    code: str
    status: int
    meaning: str
    remedy: str


_ALL = (
    Kind(
        "request.malformed", 400, "The request is not of the published schema.", "Compare it with the API's reference."
    ),
    Kind(
        "request.too_large",
        413,
        "The body is larger than this call takes.",
        "Send less; the API's reference names the limit.",
    ),
    Kind(
        "request.media",
        415,
        "The body is of a type or an encoding that this call does not take.",
        "Send it as the API's reference says, uncompressed.",
    ),
    Kind("request.head", 431, "The head of the request is larger than 64 KiB.", "Send fewer or shorter headers."),
    Kind("request.method", 405, "This address does not take this method.", "The API's reference names the method."),
    Kind("request.timeout", 408, "The body came too slowly, or not whole.", "Send it again over a better link."),
    Kind(
        "auth.missing",
        401,
        "The call carries no certificate or token.",
        "Agents enrol; submitters send `Authorization: Bearer`.",
    ),
    Kind(
        "auth.invalid",
        401,
        "The token or certificate is unknown, expired or revoked.",
        "Ask the Router's operator for a new one.",
    ),
    Kind(
        "auth.scope", 403, "The token or certificate may not do this.", "Use one that is scoped to the tenant and pool."
    ),
    Kind("not_found", 404, "There is nothing of this name for this caller.", "Check the id, and whose token is used."),
    Kind(
        "enroll.token",
        403,
        "The enrolment token is unknown, used up or expired.",
        "`router token create` makes a new one.",
    ),
    Kind(
        "enroll.request", 400, "The certificate request is not a signed CSR of a supported key.", "Use `agent enroll`."
    ),
    Kind(
        "session.held",
        409,
        "Another instance of this agent holds the session.",
        "Stop it, or wait until it has been silent for a minute; a copied agent needs a name and a state_dir of its"
        " own.",
    ),
    Kind("session.unknown", 409, "The session is unknown or was taken over.", "Open a new session."),
    Kind("job.conflict", 409, "Another envelope was submitted under this job's id.", "Sign a new job with a new id."),
    Kind("job.expired", 400, "The job's latest start has passed.", "Sign a new job with a later `expires`."),
    Kind("job.ended", 409, "The job has ended.", "Nothing is left to do."),
    Kind("lease.lost", 409, "The lease is not this job's latest one.", "Stop the job; a later attempt counts."),
    Kind("offer.lapsed", 409, "The offer was not accepted in time.", "Ask for work again."),
    Kind("result.conflict", 409, "Another result was delivered under this id.", "Keep the result aside and report it."),
    Kind("result.late", 409, "A later attempt of the job counts; this result was kept aside.", "Drop the result."),
    Kind(
        "result.missing",
        404,
        "There is no result to fetch yet, or no more.",
        "Wait for the job's end; results are deleted after fetch or their time.",
    ),
    Kind("result.part", 400, "A part does not match its digest or size.", "Send the part again."),
    Kind(
        "quota.jobs", 429, "The tenant has as many open jobs as it may have.", "Wait for jobs to end, or cancel some."
    ),
    Kind(
        "quota.bytes",
        429,
        "The tenant's stored envelopes and results take all the room they may.",
        "Fetch results, or wait for them to be deleted.",
    ),
    Kind("quota.rate", 429, "Too many calls in a short time.", "Wait for the seconds that Retry-After names."),
    Kind(
        "quota.connections",
        429,
        "The caller has as many connections open as it may have.",
        "Use the connections that are open for several calls.",
    ),
    Kind(
        "store.unavailable",
        503,
        "The Router's store does not answer.",
        "Try again; the Router's operator looks at its log.",
    ),
    Kind("shutting_down", 503, "The Router is going down.", "Try again, here or at another address."),
    Kind("internal", 500, "The Router met a defect of its own.", "Report it with the time of the call."),
)

KINDS = {kind.code: kind for kind in _ALL}


class RouterProblem(Exception):
    """A call cannot be answered as wished. `code` is one of `KINDS`; the texts hold no secret and nothing of a job."""

    def __init__(self, code: str, message: str = "", *, retry_after: float | None = None) -> None:
        """Args: `message` says more than the kind's meaning; `retry_after` in seconds."""
        kind = KINDS[code]
        self.code, self.status = code, kind.status
        self.message, self.hint = message or kind.meaning, kind.remedy
        self.retry_after = retry_after
        super().__init__(f"{code}: {self.message}")
