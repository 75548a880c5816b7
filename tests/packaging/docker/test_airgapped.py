"""docs/operate/install-docker.md, air-gapped: typed as it stands, under a real engine."""

import json
import re
import time

import pytest

from tests.packaging.docker import page
from tests.packaging.docker.conftest import Site

pytestmark = [pytest.mark.full, pytest.mark.docker, pytest.mark.timeout(900)]
C = "docker-compose -f docker-compose.airgapped.yaml"


def test_the_two_commands_bring_it_up_and_a_signed_job_goes_through_the_folders(fresh: Site) -> None:
    fresh.run(page.block("config/sandbox.yaml && docker-compose -f docker-compose.airgapped.yaml up -d"))
    said = fresh.says(page.block("submitter submit -"))
    assert re.search(r"Lisbon +│ 8", said), said
    deadline = time.monotonic() + 30
    while True:  # figures are read every two seconds
        found = json.loads(fresh.says(f"{C} exec -T agent agent status --json"))
        if found["jobs"]["done_24h"] or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert (found["state"], found["mode"], found["jobs"]["done_24h"]) == ("online", "airgapped", 1)
    assert found["isolation"]["python"]["min_tier"] == "container"


def test_there_is_no_way_out(fresh: Site) -> None:
    (found,) = json.loads(fresh.says("docker inspect meridyen-airgapped-agent-1"))
    assert found["HostConfig"]["PortBindings"] == {}
    (network,) = found["NetworkSettings"]["Networks"]
    assert fresh.says(f"docker network inspect -f '{{{{.Internal}}}}' {network}") == "true"
    serve = 'import socket; s = socket.create_server(("0.0.0.0", 7000))\nwhile True: s.accept()[0].close()'
    image = "meridyen/sandbox-airgapped:latest"
    fresh.run(f"docker run -d --rm --name outside --entrypoint /opt/meridyen/bin/python {image} -c '{serve}'")
    try:
        where = fresh.says("docker inspect -f '{{.NetworkSettings.IPAddress}}' outside")
        call = f"import socket; socket.create_connection(({where!r}, 7000), 3)"
        fresh.run(f"docker run --rm -i --entrypoint /opt/meridyen/bin/python {image} -", stdin=call)
        stopped = fresh.run(
            "docker exec -i meridyen-airgapped-agent-1 /opt/meridyen/bin/python -", stdin=call, check=False
        )
        assert "Error" in stopped.stderr, "it was reached"
    finally:
        fresh.run("docker rm -f outside")


def test_a_mode_of_the_file_that_is_another_stops_it(fresh: Site) -> None:
    wrong = "sed 's/^# mode: airgapped/mode: hybrid/' config/sandbox.example.yaml > config/sandbox.yaml"
    done = fresh.run(f"{wrong}; {C} run --rm -T agent config check", check=False)
    assert done.returncode == 78
    assert "MERIDYEN_MODE" in done.stdout
    assert "contradicts the file" in done.stdout


def test_down_leaves_nothing(fresh: Site) -> None:
    fresh.run(page.block("down --volumes"))
    assert fresh.says("docker ps -aq") + fresh.says("docker volume ls -q") == ""
