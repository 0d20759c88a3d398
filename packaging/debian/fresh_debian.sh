# shellcheck shell=bash
# For packaging/test_deb and packaging/test_systemd: makes a fresh Debian 12 in the folder $root,
# with the package to try in it, and removes it again. Sourced at the top of the tree, with the
# script's arguments.
#
# Environment: WEIR_DEBOOTSTRAP, a folder that debootstrap has made already, to be copied;
# WEIR_MIRROR (http://deb.debian.org/debian).

say() { printf '== %s\n' "$*"; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
  DEBIAN_FRONTEND=noninteractive "$@"; }

# apt-get, and what it says only when it fails.
apt() {
  inside apt-get -qq -y -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=0 "$@" \
    >"$root/tmp/apt.log" 2>&1 || { cat "$root/tmp/apt.log"; fail "apt-get $*"; }
}

unmount_all() {
  local folder
  for folder in dev proc; do
    if mountpoint -q "$root/$folder"; then umount "$root/$folder" || umount -l "$root/$folder"; fi
  done
}

remove_debian() {
  unmount_all
  rm -rf --one-file-system "$root"  # never through a mount that is still there
}

make_debian() {
  if [[ -n ${WEIR_DEBOOTSTRAP:-} ]]; then
    cp -a "$WEIR_DEBOOTSTRAP/." "$root"
  else
    debootstrap --variant=minbase bookworm "$root" \
      "${WEIR_MIRROR:-http://deb.debian.org/debian}" >"$root.log" 2>&1 ||
      { cat "$root.log"; fail "debootstrap failed"; }
    rm -f "$root.log"
  fi
  chmod 755 "$root"
  mount -t proc proc "$root/proc"
  mount --bind /dev "$root/dev"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"  # nothing starts in a chroot
  chmod 755 "$root/usr/sbin/policy-rc.d"
  cp "$package" "$root/tmp/weir.deb"
  apt update
}

(($(id -u) == 0)) || fail "run as root"
package=${1:-}
if [[ -z $package ]]; then
  packages=(build/release/weir_*.deb)
  package=${packages[0]}
fi
[[ -f $package ]] || fail "no package at $package: run packaging/deb"
root=$(mktemp -d "${TMPDIR:-/tmp}/weir-debian.XXXXXX")
trap 'exit 130' INT
trap 'exit 143' TERM
