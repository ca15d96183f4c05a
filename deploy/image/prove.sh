#!/usr/bin/env bash
# Proves the steps of deploy/docker/Dockerfile where there is no container engine: the same scripts run in Debian 13 roots made by
# debootstrap, from the mirror that this machine uses already. Then the image's command serves as a user without any rights, on a
# root that cannot be written, in namespaces of its own; pictures are fetched and looked at, and the sizes printed.
#
# It proves what is committed. Root and debootstrap are needed, Go, its module cache (nothing is downloaded for the build but
# Debian's packages), and curl. Use: prove.sh [REPORT.md]; IMAGE_WORK names the folder for the roots (.tools/image).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
work=${IMAGE_WORK:-$tree/.tools/image}
dockerfile=$tree/deploy/docker/Dockerfile
user=10001

say() { printf 'image: %s\n' "$*" >&2; }
die() { printf 'image: %s\n' "$*" >&2; exit 1; }

# fact NAME VALUE: a row of the report.
fact() { printf '| %s | %s |\n' "$1" "$2" | tee -a "$work/facts"; }

megabytes() { awk -v b="$1" 'BEGIN { printf "%.1f MB", b / 1e6 }'; }

# apparent DIR: bytes of the files in it, as a layer holds them.
apparent() { tar -C "$1" --exclude=./proc --exclude=./dev --exclude=./sys -cf - . | wc -c; }
packed() { tar -C "$1" --exclude=./proc --exclude=./dev --exclude=./sys -cf - . | gzip -6 | wc -c; }

# make_base: a Debian 13 as small as debian:13-slim, once.
make_base() {
  [ ! -e "$work/base/.made" ] || return 0
  local mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' |
    awk '$2 == "main" && $1 !~ /security/ && $1 ~ /debian/ { print $1; exit }')
  [ -n "$mirror" ] || die "no Debian mirror among this machine's package sources"
  rm -rf "$work/base"
  say "making a Debian 13 root"
  debootstrap --variant=minbase trixie "$work/base" "$mirror" >"$work/debootstrap.log" || die "debootstrap failed; see $work/debootstrap.log"
  rm -rf "$work"/base/var/lib/apt/lists/* "$work"/base/var/cache/apt/archives/*.deb
  find "$work/base/usr/share/doc" -type f ! -name copyright -delete
  rm -rf "$work"/base/usr/share/{man,info,locale}/*
  touch "$work/base/.made"
}

# in_root ROOT COMMAND...: runs it there as root, with a network for packages. Mounts end with it.
in_root() {
  local root=$1
  shift
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  unshare --mount --pid --fork --kill-child -- bash -euc '
    root=$1; shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    for pair in $BINDS; do
      mkdir -p "$root${pair#*=}"
      mount --bind "${pair%%=*}" "$root${pair#*=}"
    done
    exec chroot "$root" "$@"' in_root "$root" "$@"
}

build_stage() {
  rm -rf "$work/build" "$work/src"
  cp -a "$work/base" "$work/build"
  mkdir -p "$work/src" "$work/gocache"
  git -C "$tree" archive HEAD | tar -x -C "$work/src"
  install -D "$here/build.sh" "$work/src/deploy/image/build.sh"
  say "stage 1: packages and build"
  local began=$SECONDS
  BINDS="$(go env GOROOT)=/usr/local/go $(go env GOMODCACHE)=/go/pkg/mod $work/gocache=/root/.cache/go-build $work/src=/src" \
    in_root "$work/build" env -i PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root GOPATH=/go GOPROXY=off GOFLAGS=-mod=readonly \
    GOTOOLCHAIN=local bash -euc 'cd /src && deploy/image/build.sh /deckle "$1"' build "$(git -C "$tree" rev-parse HEAD)"
  fact "stage 1, packages and build" "$((SECONDS - began)) s"
  fact "binary" "$(megabytes "$(stat -c %s "$work/build/deckle")")"
}

runtime_stage() {
  rm -rf "$work/root"
  cp -a "$work/base" "$work/root"
  say "stage 2: what the image holds"
  local began=$SECONDS
  install -m 755 "$here/runtime.sh" "$work/root/runtime.sh"
  BINDS="" in_root "$work/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /runtime.sh
  rm -f "$work/root/runtime.sh" "$work/root/etc/resolv.conf" "$work/root/.made"
  install -m 755 "$work/build/deckle" "$work/root/usr/local/bin/deckle"
  install -D -m 644 "$work/build/deckle.1" "$work/root/usr/local/share/man/man1/deckle.1"
  fact "stage 2, packages" "$((SECONDS - began)) s"
  fact "base, files / packed" "$(megabytes "$(apparent "$work/base")") / $(megabytes "$(packed "$work/base")")"
  fact "image, files / packed" "$(megabytes "$(apparent "$work/root")") / $(megabytes "$(packed "$work/root")")"
  fact "packages of the base, of the image" "$(grep -c '^Package:' "$work/base/var/lib/dpkg/status"), $(grep -c '^Package:' "$work/root/var/lib/dpkg/status")"
}

# as_image COMMAND...: runs it as the image does, in the current network namespace: the root is the image's and cannot be written,
# /data and /tmp can, the user is the image's, and no privilege can be had.
as_image() {
  local environment=()
  mapfile -t environment < <(sed -n 's/^ENV //p' "$dockerfile")
  unshare --mount --pid --fork --kill-child -- bash -euc '
    root=$1 user=$2; shift 2
    mount --bind "$root" "$root"
    mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
    mount -t tmpfs -o nosuid,size=16m tmpfs "$root/dev"
    for device in null zero full random urandom; do
      touch "$root/dev/$device"
      mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount -t tmpfs -o nosuid,nodev tmpfs "$root/tmp"
    mount --bind "$root/../volume" "$root/data"
    mount -o remount,bind,ro "$root"
    cd "$root"
    pivot_root . .
    umount -l .
    cd /data
    exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- env -i PATH=/usr/local/bin:/usr/bin:/bin "$@"
  ' as_image "$work/root" "$user" "${environment[@]}" "$@"
}

# fetch NAME PATH: a picture from the edge, and what it is.
fetch() {
  local status
  status=$(curl -s -o "$work/$1" -w '%{http_code} %{content_type} %{size_download} bytes' "http://127.0.0.1:8080$2")
  [[ $status == 200\ * ]] || die "$2 answers $status: $(head -c 300 "$work/$1")"
  fact "\`$2\`" "$status"
}

# serve: the image's command and its health check, in a network namespace without anything but loopback.
serve() {
  ip link set lo up
  install -d -o "$user" -g "$user" "$work/volume"
  # shellcheck disable=SC2046 # words without blanks
  as_image deckle serve --demo >"$work/serve.log" 2>&1 &
  local supervisor=$! began healthy=
  began=$(date +%s%N)
  for _ in $(seq 200); do
    if as_image deckle healthcheck 2>/dev/null; then healthy=yes; break; fi
    sleep 0.1
  done
  [ -n "$healthy" ] || die "deckle healthcheck says no; see $work/serve.log"
  fact "start to healthy" "$((($(date +%s%N) - began) / 1000000)) ms"
  fetch demo.webp /demo_600_400_2x.webp
  fetch demo.avif /demo_600_400.avif
  fetch demo.jpg '/demo_300_300.jpg?fit=crop'
  fetch demo.png /demo_64_0.png
  fetch demo.json /demo.json
  look
  began=$(date +%s%N)
  kill -TERM "$(server)"
  wait "$supervisor" || die "deckle ended with $? on SIGTERM"
  fact "SIGTERM to the end, exit code 0" "$((($(date +%s%N) - began) / 1000000)) ms"
  if as_image deckle healthcheck 2>/dev/null; then die "deckle healthcheck says yes of a server that has ended"; fi
  fact "\`deckle healthcheck\`" "0 while it serves, 1 once it has ended"
}

# server: the process id of the server in this network namespace, whatever else runs on the machine.
server() { pgrep --ns $$ --nslist net -f '^deckle serve' | head -n 1; }

# look: what the kernel says of the server and of a renderer.
look() {
  local pid renderer
  pid=$(server)
  renderer=$(pgrep -P "$pid" | head -n 1)
  [ -n "$renderer" ] || die "no renderer runs"
  grep -q jemalloc "/proc/$pid/maps" || die "jemalloc is not loaded"
  grep -q jemalloc "/proc/$renderer/maps" || die "jemalloc is not loaded in the renderer"
  fact "user of the server; its effective rights" "$(awk '/^Uid/ { print $2 }' "/proc/$pid/status"); $(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")"
  fact "allocator of server and renderer" "jemalloc"
  fact "resident, server and one renderer" "$(awk '/^VmRSS/ { printf "%.0f MB", $2 / 1024 }' "/proc/$pid/status") and $(awk '/^VmRSS/ { printf "%.0f MB", $2 / 1024 }' "/proc/$renderer/status")"
  local network=shared
  [ "$(readlink "/proc/$pid/ns/net")" = "$(readlink "/proc/$renderer/ns/net")" ] || network="own namespace"
  fact "renderer: network, system call filter" "$network, $(awk '/^Seccomp:/ { print ($2 == 2 ? "on" : "off") }' "/proc/$renderer/status")"
  if nsenter --target "$pid" --mount --root touch /written 2>/dev/null; then die "the root can be written"; fi
  fact "root" "read only; /data and /tmp can be written"
}

report() {
  [ -n "$1" ] || return 0
  {
    echo "# The image's steps, without a container engine"
    echo
    echo "\`make image-proof\` at $(git -C "$tree" rev-parse --short HEAD) on $(date -u +%F), $(nproc) cores: the scripts of deploy/docker/Dockerfile in Debian 13 roots made by"
    echo "debootstrap; then the image's command and health check as user $user without capabilities, on a root mounted read only, in mount,"
    echo "process and network namespaces of its own. Sizes are of the files as tar holds them, and packed by gzip as registries keep them."
    echo
    echo "| | |"
    echo "|---|---|"
    cat "$work/facts"
    echo
    echo '`deckle version` in it:'
    echo
    echo '```'
    as_image deckle version
    echo '```'
  } >"$1"
  say "wrote $1"
}

if [ "${1:-}" = --serve ]; then serve; exit; fi
[ "$(id -u)" = 0 ] || die "root is needed to make roots and namespaces"
command -v debootstrap >/dev/null || { say "installing debootstrap"; apt-get install -y -q --no-install-recommends debootstrap >/dev/null; }
mkdir -p "$work"
work=$(cd "$work" && pwd)
rm -rf "$work/facts" "$work/volume"
mkdir "$work/volume"
make_base
build_stage
runtime_stage
IMAGE_WORK=$work unshare --net -- "$here/prove.sh" --serve
report "${1:-}"
