# What a stage needs and a fresh Debian machine does not have. Sourced; each function installs only what is missing.

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install_missing PROGRAM=PACKAGE...: the packages whose program is not there.
install_missing() {
  local pair missing=()
  for pair in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
}

# For the tests marked `systemd`: machines that boot.
install_systemd_tools() {
  install_missing mmdebstrap=mmdebstrap systemd-nspawn=systemd-container nsenter=util-linux zstd=zstd openssl=openssl
}

# For the tests marked `bundle`.
install_bundle_tools() {
  install_missing unshare=util-linux zstd=zstd openssl=openssl dpkg-deb=dpkg
}

# For `make test-vm`: a machine with a kernel of its own, emulated.
install_vm_tools() {
  install_systemd_tools
  install_missing qemu-system-x86_64=qemu-system-x86 mkfs.ext4=e2fsprogs
}
