"""Run a program under Docker's default seccomp profile: `python as_in_docker.py PROGRAM ARGUMENT…`."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.support import docker_profile

docker_profile.install()
os.execv(sys.argv[1], sys.argv[1:])
