#!/bin/sh
# `make prod`: bring up docker-compose.hybrid.yaml, or say everything that is missing for it, each with its cure.
# PROFILE=local-router starts a Router beside it, for a trial.
set -eu
cd "$(dirname "$0")/../.."
DOCKER=${DOCKER:-docker}
UID_INSIDE=10001
FILE=docker-compose.hybrid.yaml
missing=0

lacks() { # WHAT FIX
  echo "prod: $1" >&2
  echo "      fix: $2" >&2
  missing=$((missing + 1))
}

readable_inside() { # PATH -> whether uid 10001 may read it, by its mode
  case $(stat -L -c '%u %g %a' "$1") in
    "$UID_INSIDE "*" "[4-7]??) ;;
    *" $UID_INSIDE "?[4-7]?) ;;
    *" "??[4-7]) ;;
    *) return 1 ;;
  esac
}

if ! command -v "$DOCKER" >/dev/null; then
  lacks "there is no program \`$DOCKER\`." "install Docker, or name it: DOCKER=/path/to/docker make prod"
elif ! $DOCKER info >/dev/null 2>&1; then
  lacks "no Docker engine answers." "start it (systemctl start docker), join the group docker, or set DOCKER_HOST"
else
  for image in sandbox $([ "${PROFILE:-}" != local-router ] || echo router); do
    $DOCKER image inspect "meridyen/$image:${MERIDYEN_TAG:-latest}" >/dev/null 2>&1 || lacks \
      "the image meridyen/$image:${MERIDYEN_TAG:-latest} is not here." "make images, or docker load -i the offline bundle's"
  done
fi

if $DOCKER compose version >/dev/null 2>&1; then
  compose="$DOCKER compose"
elif command -v docker-compose >/dev/null; then
  compose=docker-compose
elif [ -x .venv/bin/docker-compose ]; then
  compose=.venv/bin/docker-compose
else
  compose=
  lacks "Docker Compose is not here." "install the plugin docker-compose-plugin, or the program docker-compose"
fi

if [ ! -e config/sandbox.yaml ]; then
  lacks "config/sandbox.yaml is missing." "cp config/sandbox.example.yaml config/sandbox.yaml, and say in it what runs here"
fi
for file in config config/*.yaml; do
  [ ! -e "$file" ] || readable_inside "$file" || lacks \
    "$file cannot be read by uid $UID_INSIDE, the agent's: a mounted file keeps the host's owner and mode." \
    "chmod a+rX $file, or chgrp $UID_INSIDE $file and chmod g+rX $file"
done
for file in secrets/*; do
  [ ! -f "$file" ] || readable_inside "$file" || lacks \
    "$file cannot be read by uid $UID_INSIDE, the agent's: a mounted file keeps the host's owner and mode." \
    "chown $UID_INSIDE $file && chmod 0400 $file"
done
if [ "${PROFILE:-}" != local-router ] && [ -z "${MERIDYEN_ROUTER_URL:-}" ] && ! grep -qs '^MERIDYEN_ROUTER_URL=.' .env; then
  lacks "no Router is named." \
    "echo 'MERIDYEN_ROUTER_URL=https://router.example:8443' >> .env, or for a trial: make prod PROFILE=local-router"
fi
if [ "$missing" -gt 0 ]; then
  echo "prod: nothing was started." >&2
  exit 78
fi

options="-f $FILE ${PROFILE:+--profile $PROFILE}"
# shellcheck disable=SC2086 # words
set -- $compose $options
if ! "$@" run --rm --no-deps -T agent config check; then
  echo "prod: the configuration has errors; nothing was started." >&2
  exit 78
fi
if ! "$@" up -d --wait; then
  echo "prod: it does not get healthy. Its last words:" >&2
  "$@" logs --no-log-prefix --tail 20 agent >&2
  exit 1
fi
"$@" exec -T agent agent status
