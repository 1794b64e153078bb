#!/usr/bin/env bash
# Installs what `npm run verify:everywhere` drives besides the runtimes it brings: Chromium, Firefox, and ARM64 emulation.
# Debian and its relatives, as root. Does only what is missing; elsewhere it says so and lets things be.
set -euo pipefail
packages=()
[ -x /usr/bin/chromium ] || packages+=(chromium)
[ -x /usr/bin/firefox-esr ] || [ -x /usr/bin/firefox ] || packages+=(firefox-esr)
if [ "$(uname -m)" != aarch64 ]; then
  [ -x /usr/bin/qemu-aarch64-static ] || packages+=(qemu-user-static)
  [ -e /usr/aarch64-linux-gnu/lib/libstdc++.so.6 ] || packages+=(libc6-arm64-cross libstdc++6-arm64-cross)
fi
[ ${#packages[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "SKIPPED: ${packages[*]} cannot be installed here (needs root and apt)" >&2
  exit 0
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" fonts-dejavu-core > /dev/null
