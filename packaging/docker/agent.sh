#!/bin/sh
# `agent` inside a container: the program itself, with a state folder of this container's own.
#
# Replicas share one volume; each takes the first folder of it that no other one holds, and keeps it over restarts and
# new containers: its keys, certificate and spool wait for it there. Commands run by `docker exec` use the same folder.
set -eu
PROGRAM=/opt/meridyen/bin/agent
STATE=/var/lib/meridyen
CONFIG=/etc/meridyen
MINE=/run/meridyen/replica
MOST=64

stop() { # SENTENCE CODE
  echo "agent: $1" >&2
  exit "$2"
}

# What a first start lacks, each with its cure: in words of the host, where the cure is.
check_config() {
  if [ ! -e "$CONFIG/sandbox.yaml" ] && [ ! -x "$CONFIG" ]; then
    stop "the folder mounted at $CONFIG cannot be entered by uid $(id -u). Fix: on the host, chmod a+rx config." 78
  elif [ ! -e "$CONFIG/sandbox.yaml" ]; then
    stop "$CONFIG/sandbox.yaml is missing. Fix: on the host, cp config/sandbox.example.yaml config/sandbox.yaml" 78
  elif [ ! -r "$CONFIG/sandbox.yaml" ]; then
    stop "$CONFIG/sandbox.yaml cannot be read by uid $(id -u): a mounted file keeps the host's owner and mode. \
Fix: on the host, chmod a+r config/sandbox.yaml, or chgrp $(id -g) config/sandbox.yaml && chmod 0640 config/sandbox.yaml" 78
  fi
}

check_places() {
  [ -w /run/meridyen ] || stop "/run/meridyen cannot be written by uid $(id -u). Fix: mount a tmpfs there: \
--tmpfs /run/meridyen:size=1m,uid=$(id -u),gid=$(id -g),mode=0700" 78
  [ -w "$STATE" ] || stop "the volume at $STATE cannot be written by uid $(id -u). Fix: mount it read-write; \
of a folder of the host's, chown $(id -u):$(id -g) it" 78
}

# A warning only: which of them is needed, the agent says.
check_secrets() {
  for secret in /run/secrets/*; do
    if [ -f "$secret" ] && [ ! -r "$secret" ]; then
      echo "agent: warning: $secret cannot be read by uid $(id -u): a mounted file keeps the host's owner and mode \
($(stat -c '%u:%g %04a' "$secret")). Fix: on the host, chown $(id -u) it and chmod 0400 it." >&2
    fi
  done
}

take_replica() {
  number=1
  while [ "$number" -le "$MOST" ]; do
    mkdir -p -m 0700 "$STATE/$number"
    exec 9>"$STATE/$number/.taken"
    if flock -n 9; then
      echo "$number" >"$MINE" # the lock goes with the service: it inherits the descriptor
      return
    fi
    number=$((number + 1))
  done
  stop "$MOST agents run on the volume at $STATE already. Fix: give this one a volume of its own." 78
}

if [ -z "${MERIDYEN_STATE_DIR:-}" ]; then
  if [ "${1:-}" = run ]; then
    check_config
    check_places
    check_secrets
    take_replica
  fi
  replica=1
  [ ! -r "$MINE" ] || read -r replica <"$MINE"
  export MERIDYEN_STATE_DIR="$STATE/$replica"
  # One name for one agent: the first keeps the configured one.
  [ "$replica" = 1 ] || export MERIDYEN_AGENT__NAME="${MERIDYEN_AGENT__NAME:-agent}-$replica"
  # Whom one of them trusts, all trust; unless sandbox.yaml says where that stands.
  if [ -z "${MERIDYEN_TRUST:-}" ] && ! grep -qs '^trust[[:space:]]*:' "$CONFIG/sandbox.yaml"; then
    export MERIDYEN_TRUST="$STATE/trust.json"
  fi
fi
exec "$PROGRAM" "$@"
