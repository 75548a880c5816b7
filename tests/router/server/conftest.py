"""One Router over TLS for all tests of a process; those that move its clock or stop it make their own."""

from collections.abc import Iterator

import pytest

from tests.router.server import site as sites
from tests.router.server.site import Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.running(tmp_path_factory.mktemp("router")) as found:
        yield found
