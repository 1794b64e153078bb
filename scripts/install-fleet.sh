#!/usr/bin/env bash
# Installs the programs that `npm run test:fleet` starts: Redis, PostgreSQL, HAProxy and nginx. Debian and its relatives, as
# root. Does only what is missing; elsewhere it says so and lets things be.
set -euo pipefail
packages=()
[ -x /usr/bin/redis-server ] || packages+=(redis-server)
compgen -G "/usr/lib/postgresql/*/bin/postgres" > /dev/null || packages+=(postgresql)
[ -x /usr/sbin/haproxy ] || packages+=(haproxy)
[ -x /usr/sbin/nginx ] || packages+=(nginx)
[ ${#packages[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "SKIPPED: ${packages[*]} cannot be installed here (needs root and apt)" >&2
  exit 0
fi
apt-get update -qq
# The tests start the programs themselves: a policy of 101 keeps the packages from starting services.
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
