"""The Debian package on a machine that boots: installed, run, crashed, hung, drained, reloaded, upgraded, purged."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import packages
from tests.support.machines import Machine

pytestmark = [pytest.mark.full, pytest.mark.systemd, pytest.mark.timeout(900)]
ROOT = packages.ROOT
AGENT = "cd / && runuser -u meridyen -- agent"
SUBMITTER = "/var/lib/meridyen/submitter"
OUTBOX = "/var/lib/meridyen/drop/outbox/new"
UNIT = "meridyen-agent"
FIRST, SECOND = (f"/srv/admin/meridyen-agent_0.1.0-{revision}_amd64.deb" for revision in packages.REVISIONS)
QUERY = "SELECT count(*) AS n FROM customers"
PROGRAM = 'result = {"rows": len(c), "sum": int(c["n"].sum())}\n'
SLOW = "import time\ntime.sleep(4)\nresult = 42\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packages.shared(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def debs(folder: Path) -> dict[str, Path]:
    return packages.packages(folder)


@pytest.fixture(scope="module")
def machine(folder: Path, debs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One with both packages in a folder that only root may look into, and nothing installed."""
    machine = Machine.boot(packages.debian(folder), tmp_path_factory.mktemp("machine"))
    try:
        (machine.root / "srv/admin").mkdir(mode=0o700)
        for deb in debs.values():
            shutil.copyfile(deb, machine.root / "srv/admin" / deb.name)
        shop = machine.root / "srv/shop"
        shop.mkdir(mode=0o755)
        for file in (ROOT / "config/demo/shop").glob("*.csv"):
            (shop / file.name).write_bytes(file.read_bytes())
        for name, text in {"q.sql": QUERY, "p.py": PROGRAM, "slow.py": SLOW}.items():
            (machine.root / "srv" / name).write_text(text)
        yield machine
    finally:
        machine.close()


RESET = f"""
systemctl --quiet disable --now {UNIT}
dpkg -s {UNIT} >/dev/null || dpkg -i {FIRST}
rm -rf /etc/meridyen /var/lib/meridyen /var/log/meridyen /run/systemd/system/{UNIT}.service*
systemd-tmpfiles --create {UNIT}.conf
systemctl daemon-reload
systemctl reset-failed {UNIT}
journalctl -n 0 --show-cursor | sed -n 's/^-- cursor: //p' > /srv/admin/cursor
"""
DOCS = ROOT / "docs/operate"


def steps(page: str, heading: str = "") -> str:
    """The commands of a page, or of one section of it: what people copy is what is run."""
    text = (DOCS / page).read_text()
    if heading:
        text = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert blocks, f"{page} has no commands under {heading!r}"
    return "cd /srv/admin\nset -ex\n" + "".join(blocks)


@pytest.fixture
def installed(machine: Machine) -> Machine:
    """The package, not configured; of whichever build."""
    machine.run(RESET, check=False)
    return machine


@pytest.fixture
def serving(installed: Machine) -> Machine:
    """Configured, with one source and one submitter, and started."""
    configure(installed)
    installed.run(f"systemctl enable --now {UNIT}")
    return installed


def configure(machine: Machine) -> None:
    """As the documentation says; the second time, as it was the first time."""
    kept = "/etc/meridyen /var/lib/meridyen /var/log/meridyen"
    if (machine.root / "root/configured.tar").exists():
        machine.run("tar -xf /srv/admin/configured.tar -C /")
        return
    machine.run(steps("install-systemd.md", "Configure"))
    machine.run(steps("install-systemd.md", "Who may ask"))
    machine.run(f"tar -cf /srv/admin/configured.tar {kept}")


def override(machine: Machine, text: str) -> None:
    """A drop-in until the next test."""
    machine.run(f"mkdir -p /run/systemd/system/{UNIT}.service.d; printf '[Service]\\n{text}' > /run/systemd/system/"
                f"{UNIT}.service.d/{len(text)}.conf; systemctl daemon-reload")  # fmt: skip


COUNTED = ("/srv/p.py --source shop --kind python --wait --input",
           "'c=SELECT city, count(*) AS n FROM customers GROUP BY city'")  # fmt: skip


def submit(machine: Machine, *words: str) -> str:
    return machine.says(f"{AGENT} submit {' '.join(words)} --profile {SUBMITTER}")


def submitted(machine: Machine, *words: str) -> str:
    """The id of a job that is not waited for."""
    said = json.loads(submit(machine, *words, "--json"))
    return str(said["id"])


def opened(machine: Machine, job_id: str) -> str:
    machine.until(lambda: machine.says(f"ls {OUTBOX}/{job_id}.mres") == f"{OUTBOX}/{job_id}.mres", "the result")
    return machine.says(f"{AGENT} open {OUTBOX}/{job_id}.mres --profile {SUBMITTER}")


def shown(machine: Machine, name: str, unit: str = UNIT) -> str:
    return machine.says(f"systemctl show -P {name} {unit}")


def state(machine: Machine) -> dict[str, object]:
    return dict(json.loads(machine.says(f"{AGENT} status --json")))


def log(machine: Machine) -> str:
    machine.run("journalctl --sync", check=False)
    return machine.says(f"journalctl -u {UNIT} -o cat --no-pager --after-cursor=$(cat /srv/admin/cursor)")


def test_sql_and_python_run_in_the_hardened_unit_and_nothing_can_listen(serving: Machine) -> None:
    assert shown(serving, "ActiveState") == "active"
    assert json.loads(submit(serving, "/srv/q.sql", "--source shop --wait --json"))["rows"] == [[20]]
    said = submit(serving, "/srv/p.py --source shop --kind python --wait --input",
                  "'c=SELECT city, count(*) AS n FROM customers GROUP BY city'")  # fmt: skip
    assert json.loads(said) == {"rows": 6, "sum": 20}
    found = state(serving)
    assert found["state"] == "online"
    assert "landlock" in str(found["isolation"]["tier"])  # type: ignore[index]
    assert found["isolation"]["python"]["tier"] == "full"  # type: ignore[index]
    serving.until(lambda: shown(serving, "StatusText") == "online, 0 running: waiting for jobs", "its own sentence")
    exposure = re.search(r"exposure level for \S+ (\d+\.\d)", serving.says(f"systemd-analyze security {UNIT}"))
    assert exposure is not None
    assert float(exposure[1]) <= 3.0
    listening = serving.says("cat /proc/$(systemctl show -P MainPID meridyen-agent)/net/tcp*").splitlines()
    assert [line for line in listening if " 0A " in line] == []


LISTEN = """
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
print("it listens")
"""


def test_listen_is_refused_to_whatever_runs_in_the_unit(installed: Machine) -> None:
    """The unit's own filters, around a program that listens; without `~listen` it can."""
    (installed.root / "srv/listen.py").write_text(LISTEN)
    override(installed, "Type=oneshot\\nRestart=no\\nWatchdogSec=0\\nExecStart=\\n"
             "ExecStart=/opt/meridyen/bin/python3 -I /srv/listen.py\\n")  # fmt: skip
    assert installed.run(f"systemctl start {UNIT}", check=False).returncode != 0
    assert "PermissionError: [Errno 1] Operation not permitted" in log(installed)
    installed.run(f"sed 's/^SystemCallFilter=~listen//' /usr/lib/systemd/system/{UNIT}.service"
                  f" > /run/systemd/system/{UNIT}.service; systemctl daemon-reload; systemctl start {UNIT}")  # fmt: skip
    assert "it listens" in log(installed)


def test_every_command_of_the_pages_runs(machine: Machine) -> None:
    """From nothing to nothing, in the order in which a person reads them."""
    machine.run(RESET, check=False)
    machine.run("dpkg -P meridyen-agent; rm -f /srv/admin/configured.tar")
    assert "n\n" not in machine.run(steps("install-systemd.md")).stdout.splitlines()
    machine.run(steps("upgrade.md"))
    assert shown(machine, "ActiveState") == "active"
    machine.run(steps("harden.md"))
    assert shown(machine, "MemoryMax") == str(7 << 30)
    machine.run(steps("uninstall.md"))
    machine.run("test -d /srv/meridyen-audit && test ! -e /etc/meridyen && test ! -e /opt/meridyen")
    machine.run(f"rm -r /srv/meridyen-audit; dpkg -i {FIRST}")


def test_a_crash_is_followed_by_a_start(serving: Machine) -> None:
    before = shown(serving, "MainPID")
    serving.run(f"kill -KILL {before}")
    serving.until(lambda: shown(serving, "MainPID") not in {before, "0"}, "another main process")
    serving.until(lambda: shown(serving, "ActiveState") == "active", "the start")
    assert shown(serving, "NRestarts") == "1"
    assert json.loads(submit(serving, "/srv/q.sql", "--source shop --wait --json"))["rows"] == [[20]]
    assert serving.says("pgrep -cf agent.worker.server") != "0"
    assert serving.says("ps -o ppid= -p $(pgrep -of agent.worker.server)") == shown(serving, "MainPID")


def test_a_hang_ends_by_the_watchdog_and_is_followed_by_a_start(serving: Machine) -> None:
    override(serving, "WatchdogSec=4\\n")
    serving.run(f"systemctl restart {UNIT}")
    before = shown(serving, "MainPID")
    serving.run("sleep 6")  # longer than the watchdog waits: an agent that is well outlives it
    assert shown(serving, "MainPID") == before
    serving.run(f"kill -STOP {before}")
    serving.until(lambda: shown(serving, "MainPID") not in {before, "0"}, "another main process")
    serving.until(lambda: shown(serving, "ActiveState") == "active", "the start")
    said = log(serving)
    assert "Watchdog timeout" in said
    assert "Fatal Python error: Aborted" in said  # and where it hung
    assert "agent/app.py" in said
    assert json.loads(submit(serving, "/srv/q.sql", "--source shop --wait --json"))["rows"] == [[20]]


def test_a_stop_lets_jobs_finish(serving: Machine) -> None:
    job = submitted(serving, "/srv/slow.py", "--kind python")
    serving.until(lambda: state(serving)["jobs"]["running"] == 1, "the job runs")  # type: ignore[index]
    serving.run(f"systemctl stop {UNIT}")
    assert shown(serving, "Result") == "success"
    assert opened(serving, job) == "42"
    assert state(serving)["state"] == "stopped"
    assert serving.says("pgrep -u meridyen") == ""


def test_a_reload_takes_what_holds_and_keeps_the_last_good_one(serving: Machine) -> None:
    sandbox = serving.root / "etc/meridyen/sandbox.yaml"
    good = sandbox.read_text()
    serving.run(f"systemctl reload {UNIT}")
    sandbox.write_text(good + "surprise: 1\n")
    serving.run(f"systemctl reload {UNIT}")
    serving.until(lambda: "surprise" in str(state(serving)["health"]), "what was rejected is named")
    serving.until(lambda: "surprise" in shown(serving, "StatusText"), "and the manager is told")
    assert shown(serving, "ActiveState") == "active"
    assert json.loads(submit(serving, "/srv/q.sql", "--source shop --wait --json"))["rows"] == [[20]]
    sandbox.write_text(good.replace("drain_seconds: 60", "rows: 7"))
    serving.run(f"systemctl reload {UNIT}")
    serving.until(lambda: state(serving)["limits"]["rows"] == 7, "the new one counts")  # type: ignore[index]
    assert state(serving)["health"] == []
    assert shown(serving, "NRestarts") == "0"


def test_a_new_installation_is_not_started(installed: Machine) -> None:
    assert shown(installed, "ActiveState") == "inactive"
    assert installed.run(f"systemctl is-enabled {UNIT}", check=False).stdout.strip() == "disabled"
    assert installed.says("stat -c '%a %U %G' /etc/meridyen /var/lib/meridyen /var/log/meridyen") == (
        "750 root meridyen\n750 meridyen meridyen\n750 meridyen meridyen"
    )
    assert installed.says("stat -c '%a %U' /etc/meridyen/credentials") == "700 root"


BROKEN = {
    "missing": ("rm /etc/meridyen/sandbox.yaml", 78, "/etc/meridyen/sandbox.yaml: the file does not exist."),
    "misspelt": ("echo 'tennant: x' >> /etc/meridyen/sandbox.yaml", 78, "tennant"),
    "unreadable configuration": ("chmod 0600 /etc/meridyen/sandbox.yaml", 2, "/etc/meridyen/sandbox.yaml"),
    "unreadable key": ("chown root: /var/lib/meridyen/identity/result.jwk", 78, "result.jwk"),
    "open key": ("chmod 0644 /var/lib/meridyen/identity/result.jwk", 78, "result.jwk"),
    "wrong owner": ("chown -R root: /var/lib/meridyen/identity", 77, "/var/lib/meridyen/identity"),
}
"""What is broken -> how, the exit code, and what the log names."""


@pytest.mark.parametrize("broken", sorted(BROKEN))
def test_an_installation_that_is_broken_says_so_once(installed: Machine, broken: str) -> None:
    how, code, named = BROKEN[broken]
    configure(installed)
    installed.run(how)
    assert installed.run(f"systemctl start {UNIT}", check=False).returncode != 0
    assert (shown(installed, "ExecMainStatus"), shown(installed, "NRestarts")) == (str(code), "0"), log(installed)
    sentences = [line for line in log(installed).splitlines() if line.startswith("agent: ")]
    assert any(named in line for line in sentences), sentences
    assert "Traceback" not in log(installed)


def test_a_read_only_volume_is_named(installed: Machine) -> None:
    """In the place of the state folder, as a failing disk is remounted."""
    configure(installed)
    override(installed, "StateDirectory=\\nReadOnlyPaths=/var/lib/meridyen\\n")
    assert installed.run(f"systemctl start {UNIT}", check=False).returncode != 0
    assert "Read-only file system" in log(installed)
    assert "Traceback" not in log(installed)


def test_without_user_namespaces_the_lesser_tier_is_named(serving: Machine) -> None:
    override(serving, "RestrictNamespaces=yes\\n")
    serving.run(f"systemctl restart {UNIT}")
    serving.until(lambda: "tier `container`" in str(state(serving)["health"]), "the tier is named")
    assert json.loads(submit(serving, *COUNTED)) == {"rows": 6, "sum": 20}


def test_a_secret_comes_as_a_credential(installed: Machine) -> None:
    """Of a file that only root can read, and that the agent's account cannot."""
    configure(installed)
    (installed.root / "etc/meridyen/credentials/token").write_text("5e" * 32 + "\n")
    installed.run("chmod 0600 /etc/meridyen/credentials/token; cd /etc/meridyen;"
                  "sed -i 's|^# keys: |keys: |; s|rule: keep|rule: {token: {domain: name}}|' policy.yaml;"
                  )  # fmt: skip
    assert installed.run(f"systemctl start {UNIT}", check=False).returncode == 0, log(installed)
    assert installed.run("runuser -u meridyen -- cat /etc/meridyen/credentials/token", check=False).returncode != 0
    (installed.root / "srv/names.sql").write_text("SELECT family_name FROM customers")
    rows = json.loads(submit(installed, "/srv/names.sql", "--source shop --wait --json"))["rows"]
    assert len(rows) == 20
    assert "Almeida" not in str(rows)


def test_an_upgrade_keeps_everything_and_runs_the_jobs_that_wait(serving: Machine) -> None:
    """The job of the old build finishes; the one that came while nothing ran is the new build's."""
    assert serving.says("dpkg-query -W -f '${Version}' meridyen-agent").endswith("-1")
    before = {name: serving.says(f"sha256sum {name}") for name in (
        "/etc/meridyen/sandbox.yaml", "/var/lib/meridyen/identity/result.jwk", "/var/lib/meridyen/trust.json"
    )}  # fmt: skip
    running = submitted(serving, "/srv/slow.py", "--kind python")
    serving.until(lambda: state(serving)["jobs"]["running"] == 1, "the job runs")  # type: ignore[index]
    serving.run(f"dpkg --unpack {SECOND}")
    assert opened(serving, running) == "42"
    assert shown(serving, "ActiveState") == "inactive"
    waiting = submitted(serving, "/srv/q.sql", "--source shop")
    serving.run("dpkg --configure meridyen-agent")
    assert shown(serving, "ActiveState") == "active"
    assert "20" in opened(serving, waiting)
    assert {name: serving.says(f"sha256sum {name}") for name in before} == before
    assert serving.says("dpkg-query -W -f '${Version}' meridyen-agent").endswith("-2")
    assert serving.says(f"systemctl is-enabled {UNIT}") == "enabled"
    assert serving.run(f"{AGENT} audit verify", check=False).returncode == 0


def test_remove_keeps_the_state_and_purge_leaves_nothing(machine: Machine) -> None:
    everything = (
        "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log/journal -o -path /srv"
        " -o -path /var/cache \\) -prune -o -print | grep -v -e '^/var/lib/dpkg' -e '/var/lib/systemd/' | sort;"
        "getent passwd | cut -d: -f1; getent group | cut -d: -f1"
    )
    machine.run("dpkg -P meridyen-agent", check=False)
    before = machine.says(everything)
    machine.run(f"dpkg -i {FIRST}; rm -f /srv/admin/configured.tar")
    configure(machine)
    machine.run(f"systemctl enable --now {UNIT}")
    assert json.loads(submit(machine, "/srv/q.sql", "--source shop --wait --json"))["rows"] == [[20]]
    machine.run(f"systemctl stop {UNIT}; dpkg -i {SECOND}")
    assert shown(machine, "ActiveState") == "inactive"  # what was stopped stays so
    machine.run(f"systemctl start {UNIT}; dpkg -r meridyen-agent")
    assert machine.says("pgrep -u meridyen; ls -d /opt/meridyen /usr/bin/agent").count("cannot access") == 2
    assert (
        machine.says("ls /etc/meridyen/sandbox.yaml /var/lib/meridyen/trust.json /var/log/meridyen/audit | wc -l")
        != "0"
    )
    machine.run("dpkg -P meridyen-agent")
    backups = [line for line in machine.says(everything).splitlines() if not line.endswith("-")]
    assert backups == [line for line in before.splitlines() if not line.endswith("-")]
    assert machine.says("systemctl list-unit-files 'meridyen*' --no-legend") == ""
