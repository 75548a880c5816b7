"""Sealed parts as rows of PostgreSQL, for several Router processes that share no folder."""

from agent.wire.ids import is_ulid
from router.store.connections import Connections, translated
from router.store.tx import Row


class PostgresParts:
    """Satisfies `router.store.port.Parts`. A part is one row, at most 4 MiB of plaintext."""

    def __init__(self, address: str) -> None:
        """Args: `address` is a libpq connection string. It is opened by the first call."""
        self._connections = Connections(address)

    def claim(self, result_id: str, job_id: str) -> bool:
        """See `Parts.claim`."""
        self._run(
            "INSERT INTO part_owners (result_id, job_id) VALUES (?, ?) ON CONFLICT (result_id) DO NOTHING",
            *(_checked(result_id), job_id),
        )
        found = self._run("SELECT job_id FROM part_owners WHERE result_id = ?", result_id)
        return [row["job_id"] for row in found] == [job_id]

    def put(self, result_id: str, index: int, digest: str, data: bytes) -> None:
        """See `Parts.put`."""
        self._run(
            "INSERT INTO parts (result_id, number, digest, data) VALUES (?, ?, ?, ?) ON CONFLICT (result_id, number)"
            " DO UPDATE SET digest = excluded.digest, data = excluded.data",
            *(_checked(result_id), index, digest, data),
        )

    def held(self, result_id: str) -> dict[int, tuple[str, int]]:
        """See `Parts.held`."""
        sql = "SELECT number, digest, octet_length(data) AS size FROM parts WHERE result_id = ?"
        return {row["number"]: (row["digest"], row["size"]) for row in self._run(sql, _checked(result_id))}

    def read(self, result_id: str, index: int) -> bytes:
        """See `Parts.read`."""
        found = self._run("SELECT data FROM parts WHERE result_id = ? AND number = ?", _checked(result_id), index)
        if not found:
            raise KeyError(index)
        return bytes(found[0]["data"])

    def owners(self) -> dict[str, str]:
        """See `Parts.owners`."""
        found = self._run(
            "SELECT result_id, max(job_id) AS job_id FROM (SELECT result_id, job_id FROM part_owners"
            " UNION ALL SELECT DISTINCT result_id, '' FROM parts) AS every GROUP BY result_id"
        )
        return {row["result_id"]: row["job_id"] for row in found}

    def drop(self, result_id: str) -> None:
        """See `Parts.drop`."""
        self._run("DELETE FROM parts WHERE result_id = ?", _checked(result_id))
        self._run("DELETE FROM part_owners WHERE result_id = ?", result_id)

    def close(self) -> None:
        """Let go of all connections. Idempotent."""
        self._connections.close()

    def _run(self, sql: str, *parameters: object) -> list[Row]:
        with translated():
            return list(self._connections.run(sql, parameters))


def _checked(result_id: str) -> str:
    if not is_ulid(result_id):
        raise ValueError("not a result id")
    return result_id
