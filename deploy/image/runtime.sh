#!/bin/sh
# Makes a Debian 13 root ready to run deckle: the second stage of deploy/docker/Dockerfile, and of prove.sh beside this file.
# It installs what the binary loads, adds the user it runs as, and takes away what nobody uses there.
set -eu

# The user of the image. It is a number for schedulers that want to see that it is not root.
id=10001

export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# libheif loads its codecs, which nothing depends on: AVIF is read and written by aom (dav1d reads it sooner), HEIC by the other two.
# jemalloc gives memory back after a burst, which glibc's arenas do not.
apt-get install -y -q --no-install-recommends ca-certificates libvips42t64 libjemalloc2 \
  libheif-plugin-aomenc libheif-plugin-dav1d libheif-plugin-libde265 libheif-plugin-x265 >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log /var/log/alternatives.log

# Licences stay; manuals and translations go.
find /usr/share/doc -type f ! -name copyright -delete
rm -rf /usr/share/man/* /usr/share/info/* /usr/share/locale/*

groupadd --gid "$id" deckle
useradd --uid "$id" --gid "$id" --home-dir /data --no-create-home --shell /usr/sbin/nologin deckle
install -d -o "$id" -g "$id" -m 0750 /data
