#!/bin/sh
# Installs the Debian 12 packages that weir needs, and nothing that is there already.
#
#   packaging/deps.sh build    compile weir and run the demo
#   packaging/deps.sh test     build, and what the tests use
#   packaging/deps.sh bench    build, and the peers and load generators of bench/
#   packaging/deps.sh dev      all of these, and a debugger and profilers
#
# Needs root only when something is missing. Starts no service: a package that brings a daemon
# (nginx, redis) is installed with it stopped, the tests start their own on their own ports.
set -eu

build_packages() {
  cat <<'LIST'
g++                    the compiler (12.2)
cmake                  the build; presets need 3.21 or newer, Debian has 3.25
ninja-build            what the presets generate for
ccache                 a second build, or a second preset, costs seconds
pkg-config             finds libuv, which ships no CMake package
git                    the commit that `weir version` names
ca-certificates        roots against which a TLS backend is verified
libuv1-dev             event loop: sockets, timers, signals
libc-ares-dev          looks up host names without blocking, and tells their TTL
libhiredis-dev         reads the answers of Redis
node-llhttp            HTTP/1 parser; the C sources of /usr/share/llhttp are compiled in
libnghttp2-dev         HTTP/2 frames and header compression
libyaml-cpp-dev        reads the configuration file
prometheus-cpp-dev     the text form of /metrics
libfmt-dev             formatting without locale or allocation
libspdlog-dev          the daemon's own log
libcli11-dev           the command line
nlohmann-json3-dev     JSON of the admin endpoint and of tokens
dpkg-dev               dpkg-shlibdeps: what the Debian package depends on
file                   finds the programs among a package's files, for cpack
libssl-dev             TLS: OpenSSL 3
libcrypt-dev           checks hashes of passwords
libre2-dev             regular expressions of routes, in linear time
libisal-dev            gzip, low levels: half of zlib's time
zlib1g-dev             gzip, high levels; looked for by the CMake package of prometheus-cpp
libbrotli-dev          brotli
libzstd-dev            zstd
python3                the structure check that the build registers as a test
nodejs                 the demo's app servers
curl                   what the demo tells you to try
LIST
}

test_packages() {
  cat <<'LIST'
catch2                 unit tests
clang                  fuzzers (libFuzzer) and a second opinion on the code
libclang-rt-14-dev     run-time of libFuzzer and of clang's sanitizers
llvm                   llvm-symbolizer: names and lines in sanitizer reports
clang-format           the code's shape
clang-tidy             the code's usual mistakes
python3-pytest         end-to-end tests
python3-hpack          decodes the heads that tests of HTTP/2 frames get
groff-base             the man page, rendered without a warning
shellcheck             the shell scripts' usual mistakes
systemd                systemd-analyze: the units' mistakes and their exposure
nginx-light            a real backend
haproxy                a real peer of the PROXY protocol
python3-grpcio         a real gRPC client and server
redis-server           the store that limits and cache share
wrk                    load
nghttp2-client         h2load and nghttp: load and HTTP/2 by hand
chromium               a real browser, without a screen
openssl                certificates and s_client
brotli                 a real decoder
zstd                   a real decoder
strace                 counts system calls per request
LIST
}

bench_packages() {
  cat <<'LIST'
wrk                    load
nghttp2-client         h2load: load over HTTP/2
openssl                the certificate of the TLS scenarios
nginx-light            peer
redis-server           the store of bench/rate_limits
haproxy                peer
h2o                    an origin that speaks HTTP/1.1 and HTTP/2 in the clear
varnish                a cache beside weir's, in bench/cache
strace                 counts system calls per request
LIST
}

dev_packages() {
  cat <<'LIST'
gdb                    debugger
debootstrap            the fresh Debian that the package is tried out in
systemd-container      and boots in
linux-perf             where the time goes
valgrind               instruction counts without noise
LIST
}

packages_of() {
  case $1 in
    build) build_packages ;;
    test) build_packages; test_packages ;;
    bench) build_packages; bench_packages ;;
    dev) build_packages; test_packages; bench_packages; dev_packages ;;
  esac | awk '!seen[$1]++ {print $1}'
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

fail() {
  echo "deps.sh: $*" >&2
  exit 1
}

require_debian_12() {
  id=none version=none
  # shellcheck disable=SC1091
  [ -r /etc/os-release ] && id=$(. /etc/os-release && echo "${ID:-}") &&
    version=$(. /etc/os-release && echo "${VERSION_ID:-}")
  [ "$id $version" = "debian 12" ] ||
    fail "made for Debian 12 (bookworm); this is '$id $version'." \
      "Elsewhere, install the equivalents of: $missing"
}

# Packages ask policy-rc.d whether their daemon may start: 101 says no. An existing policy stays.
forbid_service_starts() {
  policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] && return
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

set_name=${1:-}
case $set_name in
  build | test | bench | dev) ;;
  *) fail "usage: packaging/deps.sh build|test|bench|dev" ;;
esac
command -v dpkg-query >/dev/null || fail "needs Debian 12; there is no dpkg here"

missing=
for package in $(packages_of "$set_name"); do
  is_installed "$package" || missing="$missing $package"
done
missing=${missing# }
if [ -z "$missing" ]; then
  echo "deps.sh: all packages for '$set_name' are installed"
  exit 0
fi

require_debian_12
[ "$(id -u)" = 0 ] || fail "run as root to install: $missing"
echo "deps.sh: installing for '$set_name': $missing"
forbid_service_starts
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086  # a list of package names
apt-get install -q -y --no-install-recommends $missing
