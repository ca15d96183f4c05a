#!/usr/bin/env bash
# Installs the servers that the tests start, and says what it installs; with the word fleet, those of the developer's fleet alone.
# Root is needed for installing only.
set -euo pipefail
PATH=$PATH:/usr/sbin

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
command -v nginx >/dev/null || missing+=(nginx-light)
command -v curl >/dev/null || missing+=(curl)
if [ "${1:-}" != fleet ]; then
  command -v varnishd >/dev/null || missing+=(varnish)
  # Its programs alone: tests make a cluster of their own, so that none is made and started here.
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
  # The samples in docs/signing are run in their languages.
  command -v node >/dev/null || missing+=(nodejs)
  command -v python3 >/dev/null || missing+=(python3)
  command -v php >/dev/null || missing+=(php-cli)
  # It reads the manual page.
  command -v mandoc >/dev/null || missing+=(mandoc)
  # A real page uploads with it, and looks at /docs.
  command -v chromium >/dev/null || missing+=(chromium)
fi
[ ${#missing[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null || { echo "tests: ${missing[*]} needed; install with this system's packages" >&2; exit 1; }
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null ||
    { echo "tests: root is needed to install ${missing[*]}; install them as root, or sudo, then run this again" >&2; exit 1; }
  as_root=(sudo)
fi
echo "tests: installing ${missing[*]}"
# Installing them must not start them: tests start their own on free ports.
case " ${missing[*]} " in *" postgresql "*)
	"${as_root[@]}" mkdir -p /etc/postgresql-common
	[ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null ;;
esac
"${as_root[@]}" apt-get update -q >/dev/null
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
