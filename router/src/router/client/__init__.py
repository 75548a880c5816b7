"""`from router.client import Client`: signed jobs out, opened results back; sync and async."""

from router.client.aio import AsyncClient, AsyncJob, Progress
from router.client.errors import (
    ClientError,
    ConfigurationError,
    JobCancelledError,
    JobError,
    JobFailedError,
    JobRefusedError,
    JobTimeoutError,
    Problem,
    ResultError,
    RouterError,
    RouterUnavailableError,
)
from router.client.keys import Keys
from router.client.results import Chart, Result
from router.client.sync import Client, Job
from router.client.tasks import Terms

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "Chart",
    "Client",
    "ClientError",
    "ConfigurationError",
    "Job",
    "JobCancelledError",
    "JobError",
    "JobFailedError",
    "JobRefusedError",
    "JobTimeoutError",
    "Keys",
    "Problem",
    "Progress",
    "Result",
    "ResultError",
    "RouterError",
    "RouterUnavailableError",
    "Terms",
]
