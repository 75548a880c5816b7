"""profile.json: who a submitter is, where their keys lie, and the agents whose results they accept."""

from typing import Annotated

from pydantic import Field, ValidationError

from agent.wire import strictjson
from agent.wire.errors import JsonError
from agent.wire.fields import Audience, Kid, Line, Model, Name, explain
from agent.wire.trust import VerifyJwk

FILE_NAME = "profile.json"
MAX_BYTES = 1024 * 1024
PathText = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]


class AgentModel(Model):
    """An agent whose result key was compared out of band."""

    name: Line
    key: VerifyJwk


class ProfileModel(Model):
    """The content of profile.json. Relative paths are relative to its folder; `drop` is the agent's drop folder.

    `router` is the address of a Task Router, with the file of a token for it, or of a client certificate with its key,
    and, where it has a CA of its own, that.
    """

    user: Annotated[Line, Field(min_length=1)]
    tenant: Name
    audience: Audience
    signing_key: PathText = "signing.jwk"
    opening_key: PathText = "opening.jwk"
    drop: PathText | None = None
    router: Annotated[str, Field(pattern="^https://[^ ]{1,1024}$")] | None = None
    token_file: PathText | None = None
    certificate_file: PathText | None = None
    ca_file: PathText | None = None
    agents: dict[Kid, AgentModel] = Field(default_factory=dict)


def parse(data: bytes) -> ProfileModel:
    """The content of profile.json. Raises ValueError, saying where it is not one."""
    try:
        model = ProfileModel.model_validate(strictjson.loads(data, MAX_BYTES))
    except JsonError as error:
        raise ValueError(f"{error}") from None
    except ValidationError as error:
        raise ValueError(explain(error)) from None
    for kid, agent in model.agents.items():
        if agent.key.kid != kid:
            raise ValueError(f"the agent key under {kid} has another thumbprint")
    return model
