# Runs as root in the emulated machine, see vm.py. Each check is one line on the console.
# What is checked: the unit with control groups of its own, and jobs that take more memory than there is.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
U=meridyen-agent
S=/var/lib/meridyen/submitter
group=/sys/fs/cgroup/system.slice/$U.service
cd /

check() {
  local what=$1
  shift
  if "$@" >/tmp/said 2>&1; then
    echo "CHECK ok $what"
  else
    echo "CHECK FAILED $what"
    tail -n 30 /tmp/said
  fi
}
as() { runuser -u meridyen -- agent "$@"; }
says() { echo "CHECK ok $1: $(eval "$2" 2>&1 | tail -n 1)"; }
field() { as status --json | python3 -c "import json,sys; d=json.load(sys.stdin); print(eval(sys.argv[1]))" "$1"; }
submit() { timeout 400 runuser -u meridyen -- agent submit "$@" --profile $S --wait; }
ends_with() { # CODE and the words of a submission: it ends with that code
  local code=$1
  shift
  submit "$@" >/tmp/job 2>&1
  cat /tmp/job
  grep -q "$code" /tmp/job
}
wait_for() { # SECONDS COMMAND
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 1; done
}
tier() { [ "$(field "d['isolation']['python']['tier']")" = full ]; }
serve() { # TEXT of a drop-in
  mkdir -p /etc/systemd/system/$U.service.d
  printf '[Service]\n%b' "$1" >/etc/systemd/system/$U.service.d/check.conf
  systemctl daemon-reload
  systemctl restart $U && wait_for 300 tier
}

says "kernel" "uname -r"
says "systemd" "systemctl --version | head -n 1"
says "security modules" "cat /sys/kernel/security/lsm"
check "control groups are version 2, with a memory controller" grep -q memory /sys/fs/cgroup/cgroup.controllers
check "the package installs" dpkg -i /srv/meridyen-agent.deb
check "a start without a configuration ends with 78" \
  sh -c "systemctl start $U; [ \$(systemctl show -P ExecMainStatus $U) = 78 ]; r=\$?; systemctl reset-failed; exit \$r"

cp /usr/share/meridyen-agent/examples/*.yaml /etc/meridyen/
sed -i 's|^sources: {}|sources: {shop: {type: duckdb, path: /srv/shop}}|' /etc/meridyen/sandbox.yaml
sed -i 's|^limits: .*|limits: {drain_seconds: 60, memory_mb: 300}|' /etc/meridyen/sandbox.yaml
sed -i 's|^rules: \[\]|rules: [{match: "shop.*.*.*", rule: keep}]|' /etc/meridyen/policy.yaml
echo 'SELECT count(*) AS n FROM customers' >/srv/q.sql
echo 'result = 6 * 7' >/srv/two.py
printf 'held = []\nwhile True:\n    held.append(bytearray(8 << 20))\n' >/srv/grow.py
check "agent exec answers" as exec /srv/q.sql --source shop
as keys new $S --user ada --tenant acme --audience pool:default --drop /var/lib/meridyen/drop >/dev/null
as trust add ada --key $S/signing.pub.jwk --opening-key $S/opening.pub.jwk --source shop --kind sql --kind python >/dev/null
as keys fingerprint --export $S/agent.jwk >/dev/null
as keys pin $S/agent.jwk --profile $S >/dev/null

check "the unit starts, and says that it is ready" systemctl start $U
check "the sandbox's tier is full" wait_for 300 tier
says "isolation of workers" "field \"d['isolation']['tier']\""
check "the service lies in a group below the unit's" test -s $group/agent/cgroup.procs
check "the memory controller is on for groups of jobs" grep -q memory $group/cgroup.subtree_control
check "a SQL job runs" submit /srv/q.sql --source shop
check "a Python job runs" submit /srv/two.py --kind python
exposed() { systemd-analyze security $U --no-pager | tail -n 1 | grep -oE '[0-9]+\.[0-9]' | awk '{exit !($1 <= 3.0)}'; }
check "exposure is 3.0 or less" exposed
says "exposure" "systemd-analyze security $U --no-pager"

before=$(systemctl show -P MainPID $U)
check "a job that outgrows its own limit is ended" ends_with limit.memory /srv/grow.py --kind python
check "the service did not restart" test "$(systemctl show -P MainPID $U)" = "$before"
check "the next job runs" submit /srv/two.py --kind python

# The unit has less than one job may take: the kernel has to kill, and picks in the unit's own groups.
sed -i 's|memory_mb: 300|memory_mb: 4000|' /etc/meridyen/sandbox.yaml
check "the unit starts with an upper bound" serve 'MemoryMax=900M\nMemorySwapMax=0\n'
before=$(systemctl show -P MainPID $U)
submit /srv/grow.py --kind python >/tmp/job 2>&1
says "how the job ended" "head -n 1 /tmp/job"
check "the kernel killed for want of memory" sh -c "cat $group/memory.events; grep -qE 'oom_kill [1-9]' $group/memory.events"
check "the job has a stated result" grep -qE 'limit\.memory|sandbox\.crashed|worker\.crashed' /tmp/job
check "the service did not restart" test "$(systemctl show -P MainPID $U)" = "$before"
check "it serves again" wait_for 300 tier
check "the next job runs" submit /srv/two.py --kind python
check "the audit log verifies" as audit verify
check "purge leaves nothing" sh -c "dpkg -P meridyen-agent && ! ls -d /opt/meridyen /etc/meridyen /var/lib/meridyen"
echo "CHECKS DONE"
