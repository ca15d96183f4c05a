#!/usr/bin/env bash
# Makes sure that libvips >= 8.16 with its headers is here, and says what it does.
#
# 1. A libvips that pkg-config finds and that is new enough is used as it is.
# 2. Else the distribution's libvips-dev is installed, if that is new enough (Debian 13 and later).
# 3. Else (Debian 12) Debian 13's source packages of highway and vips are built under /usr/local:
#    highway gives libvips its SIMD; every codec comes from the distribution.
#
# Then the codecs of libheif, where they are packages that nothing depends on (Debian 13): AVIF is written by aom, HEIC by x265.
#
# Safe to run again: nothing is downloaded or built twice. Root is needed for the installing
# steps only; sudo is used for them where the caller is not root.
set -euo pipefail

readonly want=8.16
readonly prefix=/usr/local
readonly suite=trixie

say() { printf 'libvips: %s\n' "$*"; }
die() { printf 'libvips: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || die "root is needed for: $*; run this script as root, or install sudo"
  sudo "$@"
}

# may_install NAMES...: ends with what to do where packages are needed and cannot be installed.
may_install() {
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    die "root is needed to install $*: run deploy/libvips.sh as root, or install sudo, then run this again"
}

at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

installed() { pkg-config --modversion vips 2>/dev/null || true; }

ready() {
  local have
  have=$(installed)
  [ -n "$have" ] && at_least "$have" "$want"
}

# missing_codecs prints those of libheif's codecs that are packages here and are not installed.
missing_codecs() {
  local name
  compgen -G '/usr/lib/*/libheif/plugins' >/dev/null && command -v apt-get >/dev/null || return 0
  for name in aomenc x265; do
    compgen -G "/usr/lib/*/libheif/plugins/libheif-$name.so" >/dev/null || echo "libheif-plugin-$name"
  done
}

install_packages() {
  say "installing $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null
}

candidate() { apt-cache policy "$1" | sed -n 's/^ *Candidate: //p' | sed 's/^[0-9]*://; s/-.*//'; }

# fetch_sources PACKAGE...: Debian 13's source packages, through an apt state of our own, so that
# the machine's package lists stay as they are. The mirror is the one the machine already uses.
fetch_sources() {
  local mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=""
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' |
    awk '$2 == "main" && $1 !~ /security/ && $1 ~ /debian/ { print $1; exit }')
  [ -n "$mirror" ] || die "no Debian mirror among this machine's package sources"
  [ -e "$keyring" ] && signed="[signed-by=$keyring] "
  mkdir -p apt/lists/partial apt/archives/partial
  printf 'deb-src %s%s %s main\n' "$signed" "$mirror" "$suite" >apt/sources.list
  local options=(-q -o Dir::Etc::SourceList="$PWD/apt/sources.list" -o Dir::Etc::SourceParts=-
    -o Dir::State::Lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update >/dev/null
  local name
  for name in "$@"; do
    apt-get "${options[@]}" source --download-only "$name/$suite" >/dev/null
    dpkg-source --no-check -x "$name"_*.dsc "$name" >/dev/null
    say "fetched $(ls "$name"_*.dsc)"
  done
}

build_highway() {
  say "building highway"
  cmake -S highway -B highway-build -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
    -DHWY_ENABLE_CONTRIB=OFF -DHWY_ENABLE_TESTS=OFF -DHWY_ENABLE_EXAMPLES=OFF -DBUILD_TESTING=OFF >highway.log
  ninja -C highway-build >>highway.log || { tail -n 40 highway.log >&2; die "highway did not build"; }
  as_root ninja -C highway-build install >>highway.log
}

build_vips() {
  say "building libvips (about two minutes on two cores)"
  local on=() off=() name
  for name in highway jpeg spng webp heif tiff jpeg-xl cgif imagequant lcms exif rsvg openjpeg; do on+=("-D$name=enabled"); done
  for name in poppler openslide matio cfitsio openexr magick nifti pdfium orc fftw quantizr pangocairo archive; do off+=("-D$name=disabled"); done
  PKG_CONFIG_PATH="$prefix/lib/pkgconfig" meson setup vips-build vips --prefix="$prefix" --libdir=lib --buildtype=release \
    -Dintrospection=disabled -Dmodules=disabled -Dexamples=false -Dcplusplus=false -Ddeprecated=true \
    "${on[@]}" "${off[@]}" >vips.log 2>&1 || { tail -n 40 vips.log >&2; die "libvips did not configure"; }
  ninja -C vips-build >>vips.log 2>&1 || { tail -n 40 vips.log >&2; die "libvips did not build"; }
  as_root ninja -C vips-build install >>vips.log
  as_root ldconfig
}

build_from_source() {
  say "$(. /etc/os-release && echo "$PRETTY_NAME") has libvips $(candidate libvips-dev); $want is needed, so Debian 13's is built"
  install_packages build-essential pkg-config meson ninja-build cmake dpkg-dev ca-certificates \
    libvips-dev libspng-dev libcgif-dev libimagequant-dev
  local work
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # the directory's name is fixed here
  trap "rm -rf '$work'" EXIT
  chmod 755 "$work"
  cd "$work"
  fetch_sources highway vips
  build_highway
  build_vips
}

install_libvips() {
  command -v apt-get >/dev/null ||
    die "libvips >= $want with headers is needed; install it with this system's packages, then run this again"
  may_install build-essential, pkg-config and "libvips-dev >= $want (an older one is built anew)"
  as_root apt-get update -q >/dev/null
  local offered
  offered=$(candidate libvips-dev)
  if [ -n "$offered" ] && at_least "$offered" "$want"; then
    install_packages build-essential pkg-config libvips-dev
  else
    (build_from_source)
  fi
  ready || die "the installed libvips ($(installed)) is still older than $want"
}

main() {
  ready || install_libvips
  local codecs
  mapfile -t codecs < <(missing_codecs)
  if [ ${#codecs[@]} -gt 0 ]; then
    may_install "${codecs[@]}"
    as_root apt-get update -q >/dev/null
    install_packages "${codecs[@]}"
  fi
  say "$(installed) is installed"
}

main "$@"
