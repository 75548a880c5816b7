#!/bin/sh
# Installs the Meridyen sandbox agent from this folder, without a network. Checks everything before it touches anything.
#
#   ./install.sh --key release.pub.pem --check           only checks
#   ./install.sh --key release.pub.pem --deb             Debian 12 with systemd: installs the package
#   ./install.sh --key release.pub.pem --venv /opt/x     anywhere: an environment of its own in a new folder
#   ./install.sh --key release.pub.pem --images          loads the container images into docker
#
# release.pub.pem is the publisher's public key. It has to come to you another way than this bundle.
set -eu
umask 022
export LC_ALL=C

say() { printf 'install.sh: %s\n' "$*"; }
fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}
usage() {
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

need() {
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "$program is not installed. Fix: install it, and start again."
  done
}

# Whoever can change a file between the check and its use decides what is installed.
check_owner() {
  strange=$(find . -xdev \( -perm /022 -o ! -uid "$(id -u)" \) ! -type l -print | head -n 3)
  [ -z "$strange" ] || fail "others may change this: $strange. Fix: unpack the bundle anew in a folder of your own."
}

# Every file is listed, every listed file is there, nothing is a link or a device.
check_files() {
  odd=$(find . -xdev ! -type f ! -type d -print | head -n 3)
  [ -z "$odd" ] || fail "neither file nor folder: $odd. Fix: unpack the bundle anew."
  listed=$(cut -c67- SHA256SUMS | sort)
  found=$(find . -xdev -type f ! -path ./SHA256SUMS ! -path ./SHA256SUMS.sig | cut -c3- | sort)
  [ "$listed" = "$found" ] || fail "its files are not those that it lists. Fix: get the bundle anew."
  sha256sum --check --strict --quiet SHA256SUMS >&2 || fail "a file was changed. Fix: get the bundle anew."
}

check_signature() {
  openssl pkeyutl -verify -rawin -pubin -inkey "$1" -in SHA256SUMS -sigfile SHA256SUMS.sig >/dev/null 2>&1 ||
    fail "the signature is not by $1. Fix: get the bundle anew, and compare the key with its owner."
}

install_deb() {
  need dpkg
  [ "$(id -u)" = 0 ] || fail "installing a package takes root. Fix: run it with sudo."
  set -- deb/*.deb
  [ -f "$1" ] || fail "this bundle holds no Debian package. Fix: use --venv."
  [ "$#" = 1 ] || fail "this bundle holds several Debian packages. Fix: dpkg -i the one that fits."
  dpkg -i "$1"
}

install_venv() {
  case $1 in /*) ;; *) fail "--venv needs an absolute path." ;; esac
  [ ! -e "$1" ] || fail "$1 exists already. Fix: name a new folder, and remove the old one when the new one works."
  python=$(wheels_python)
  need "$python"
  "$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python has no venv. Fix: apt install $python-venv"
  # What fails half-way is removed: a folder that is there works.
  trap 'rm -rf "$1"' EXIT
  "$python" -I -m venv "$1"
  "$1/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-cache-dir --isolated --no-index \
    --find-links wheels --only-binary :all: --require-hashes -r wheels/requirements-agent.txt
  "$1/bin/agent" version
  trap - EXIT
  say "installed in $1. Next: $1/bin/agent init DIR"
}

# pythonX.Y, as the wheels are for.
wheels_python() {
  tag=$(find wheels -name 'duckdb-*.whl' | sed -n 's/.*-cp3\([0-9]*\)-cp3.*/\1/p')
  [ -n "$tag" ] || fail "the wheels do not say which Python they are for. Fix: get the bundle anew."
  printf 'python3.%s' "$tag"
}

install_images() {
  need docker
  set -- images/*
  [ -f "$1" ] || fail "this bundle holds no images."
  for image in "$@"; do docker load --quiet --input "$image"; done
}

key='' what='' where=''
while [ $# -gt 0 ]; do
  case $1 in
    --key)
      [ $# -ge 2 ] || usage
      key=$2
      shift
      ;;
    --check | --deb | --images) what=${1#--} ;;
    --venv)
      [ $# -ge 2 ] || usage
      what=venv where=$2
      shift
      ;;
    *) usage ;;
  esac
  shift
done
[ -n "$what" ] && [ -n "$key" ] || usage

need openssl sha256sum find sort cut
[ -f "$key" ] || fail "$key: no such key. Fix: name the publisher's public key, PEM."
key=$(cd "$(dirname "$key")" && pwd)/$(basename "$key")
cd "$(dirname "$0")"
here=$(pwd -P)/
case $key in "$here"*) fail "the key must not come with the bundle. Fix: get it from its owner another way." ;; esac
check_owner
check_signature "$key"
check_files
say "$(wc -l <SHA256SUMS) files are as the publisher signed them"
case $what in
  deb) install_deb ;;
  venv) install_venv "$where" ;;
  images) install_images ;;
esac
