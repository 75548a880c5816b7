#!/bin/sh
# What the tests of the images need beside .venv: an engine, a way to make a base image, and what both call.
# Nothing is started: the tests start an engine of their own, in folders of their own.
set -eu
for program in dockerd docker-init mmdebstrap iptables ip; do
  PATH=$PATH:/usr/sbin:/usr/libexec/docker command -v "$program" >/dev/null || missing="${missing:-} $program"
done
[ -n "${missing:-}" ] || exit 0
echo "missing:$missing"
root=
[ "$(id -u)" = 0 ] || root="sudo -n"
$root apt-get update -qq
$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
  docker.io iptables iproute2 mmdebstrap tini
# The package would start an engine of its own at the next boot; nobody here wants it.
$root systemctl disable --now docker.service docker.socket 2>/dev/null || true
