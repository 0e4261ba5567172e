#!/usr/bin/env bash
# Installs what Sluice needs and this machine lacks, on Debian 12, as root or through sudo.
#
#   tools/setup.sh --build   what it takes to build and run it (tools/demo.sh)
#   tools/setup.sh --test    all of it: clang's sanitizers and linters, servers to test against (tools/test.sh)
#
# Without an option: --test. Says nothing and takes no time when nothing is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

build=(
  g++ cmake ninja-build pkg-config
  liburing-dev android-libboringssl-dev libc-ares-dev libmimalloc-dev
  libfmt-dev libtomlplusplus-dev libsimdjson-dev nlohmann-json3-dev libcli11-dev libidn2-dev
  libmicrohttpd-dev prometheus-cpp-dev libcrypt-dev zlib1g-dev
  libgtest-dev libgmock-dev libbenchmark-dev
)
test=(
  # git lists the files to check, ccache spares the second build.
  git ccache python3
  # SMTP clients that speak TLS.
  ca-certificates openssl gnutls-bin swaks libnet-ssleay-perl curl msmtp
  # Reads our delivery status notifications.
  python3-flufl.bounce
  # cpack makes the package, systemd-analyze reviews its unit.
  dpkg-dev file systemd
  # Verifies our signatures.
  python3-dkim python3-dnspython
  # Checks answers against docs/openapi.json.
  python3-jsonschema
  clang-19 lld-19 libclang-rt-19-dev llvm-19 clang-tidy-19 clang-format-19
  # What Postfix's tools load; they are unpacked beside the system, see postfix_tools.sh.
  libdb5.3 libicu72 libnsl2
  # What mail(1) loads, likewise: mailx_tools.sh.
  libbsd0 liblockfile1
  # What Knot's name server loads, likewise: knot_tools.sh.
  libknot13 libdnssec9 libzscanner4 libcap-ng0 liblmdb0 liburcu8
  # What Exim loads, likewise: exim_tools.sh.
  libgnutls-dane0 libidn12
  # What opendkim loads, likewise: opendkim_tools.sh.
  libopendkim11 libldap-2.5-0 liblua5.3-0 libmemcached11 libmilter1.0.1 libopendbx1 librbl1 libunbound8 libvbr2
  # What unbound loads, likewise: unbound_tools.sh.
  libevent-2.1-7 libnghttp2-14 libprotobuf-c1 libpython3.11 libssl3
)

fail() {
  echo "setup.sh: $*" >&2
  exit 1
}

case ${1:---test} in
  --build) wanted=("${build[@]}") ;;
  --test) wanted=("${build[@]}" "${test[@]}") ;;
  *) fail "unknown option $1; it is --build or --test" ;;
esac

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  fail "this machine is not Debian. Install by its own means what these packages of Debian 12 hold: ${wanted[*]}"
fi

# Package names among "$@" that are not installed, one a line.
missing_of() {
  local installed package
  installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    grep -qx "installed $package" <<<"$installed" || echo "$package"
  done
}

as_root() {
  if [[ $EUID == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "neither root nor sudo. Ask one who is root to run: apt-get install ${missing[*]}"
  fi
}

apt_get() {
  # Another apt may be at work: wait for it rather than fail.
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@"
}

mapfile -t missing < <(missing_of "${wanted[@]}")
if ((${#missing[@]})); then
  echo "setup.sh: installing ${missing[*]}"
  # One stale list among many must not stop us: the install below says what really is not there.
  apt_get update || true
  if ! apt_get install --yes --no-install-recommends "${missing[@]}" >/dev/null; then
    # shellcheck disable=SC1091
    system=$(. /etc/os-release && echo "$PRETTY_NAME")
    fail "apt-get could not install them; the names are Debian 12's, and this is $system"
  fi
fi

if [[ ${1:---test} == --test ]]; then
  "$here/postfix_tools.sh" >/dev/null
  "$here/knot_tools.sh" >/dev/null
  "$here/exim_tools.sh" >/dev/null
  "$here/opendkim_tools.sh" >/dev/null
  "$here/unbound_tools.sh" >/dev/null
  "$here/mailx_tools.sh" >/dev/null
  "$here/prometheus_tools.sh" >/dev/null
fi
