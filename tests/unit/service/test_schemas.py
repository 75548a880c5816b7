"""The published schemas are current, and a status is of its schema."""

import json
from pathlib import Path
from typing import Any

import anyio

from agent.service import schemas

ROOT = Path(__file__).parents[3]


def test_the_published_schemas_are_current() -> None:
    for name, schema in schemas.schemas().items():
        held = json.loads((ROOT / "docs/schema" / name).read_text())
        assert held == schema, "run: python -m agent.service.schemas docs/schema"


def test_a_status_is_of_its_schema(bench: Any) -> None:
    async def look() -> bytes:
        return bytes(bench.supervisor()._answer())

    document = json.loads(anyio.run(look)) | {"live": True, "age_seconds": 0.0}
    schemas.Status.model_validate_json(json.dumps(document), strict=True)
    assert set(document) == set(schemas.Status.model_fields)


def test_the_schemas_close_every_object() -> None:
    for schema in schemas.schemas().values():
        for node in (schema, *schema["$defs"].values()):
            assert node.get("type") != "object" or node["additionalProperties"] is False
