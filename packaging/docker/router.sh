#!/bin/sh
# `router` inside a container: the program itself, and what a first start and a health check need.
set -eu
PROGRAM=/opt/meridyen/bin/router
DATA=${MERIDYEN_ROUTER_DATA:-/var/lib/meridyen-router}

case "${1:-}" in
  serve)
    if [ ! -w "$DATA" ]; then
      echo "router: the volume at $DATA cannot be written by uid $(id -u). Fix: mount it read-write; of a folder of the \
host's, chown $(id -u):$(id -g) it" >&2
      exit 78
    elif [ ! -e "$DATA/router.json" ] && [ -n "${MERIDYEN_ROUTER_HOSTS:-}" ]; then
      set -f
      # shellcheck disable=SC2086 # one word for each name
      "$PROGRAM" init --listen 0.0.0.0:8443 $(printf -- '--host %s ' $MERIDYEN_ROUTER_HOSTS)
      set +f
    elif [ ! -e "$DATA/router.json" ]; then
      echo "router: $DATA holds no Router yet. Fix: run \`router init --listen 0.0.0.0:8443 --host NAME\` in this image with \
the volume, or set MERIDYEN_ROUTER_HOSTS to the names that agents and submitters use." >&2
      exit 78
    fi
    ;;
  healthcheck)
    exec /opt/meridyen/bin/python - "$DATA/ca-bundle.pem" <<'PROBE'
import socket, ssl, sys
tls = ssl.create_default_context(cafile=sys.argv[1])
tls.check_hostname = False  # any of its names will do: it is asked on its own loopback
with socket.create_connection(("127.0.0.1", 8443), 4) as plain, tls.wrap_socket(plain) as link:
    link.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    sys.exit(b" 200 " not in link.recv(64))
PROBE
    ;;
esac
exec "$PROGRAM" "$@"
