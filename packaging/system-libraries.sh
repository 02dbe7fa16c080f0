#!/bin/sh
# Installs, by apt, the Debian or Ubuntu libraries that Qt needs and that are missing here; with --compiler also a C
# compiler, which a few tests need and which are skipped where it cannot be had; with --freezer what PyInstaller needs.
# Asks the loader which are there (package names differ between releases), so that a machine that
# has them all is not touched and needs no root.
set -eu

wanted="
libEGL.so.1:libegl1 libGL.so.1:libgl1 libdbus-1.so.3:libdbus-1-3 libfontconfig.so.1:libfontconfig1
libfreetype.so.6:libfreetype6 libglib-2.0.so.0:libglib2.0-0 libX11.so.6:libx11-6
libxkbcommon.so.0:libxkbcommon0 libX11-xcb.so.1:libx11-xcb1 libxcb-cursor.so.0:libxcb-cursor0
libxcb-icccm.so.4:libxcb-icccm4 libxcb-image.so.0:libxcb-image0 libxcb-keysyms.so.1:libxcb-keysyms1
libxcb-randr.so.0:libxcb-randr0 libxcb-render-util.so.0:libxcb-render-util0
libxcb-render.so.0:libxcb-render0 libxcb-shape.so.0:libxcb-shape0 libxcb-shm.so.0:libxcb-shm0
libxcb-sync.so.1:libxcb-sync1 libxcb-util.so.1:libxcb-util1 libxcb-xfixes.so.0:libxcb-xfixes0
libxcb-xkb.so.1:libxcb-xkb1 libxcb.so.1:libxcb1 libxkbcommon-x11.so.0:libxkbcommon-x11-0
"
PATH="$PATH:/usr/sbin:/sbin"
present=$(ldconfig -p)
missing=""
for pair in $wanted; do
    case "$present" in
        *"${pair%%:*} "*) ;;
        *) missing="$missing ${pair##*:}" ;;
    esac
done
[ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || missing="$missing fonts-dejavu-core"
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"

if [ "${1:-}" = --freezer ]; then
    command -v objcopy >/dev/null || missing="$missing binutils"
    shared='import ctypes, sysconfig; ctypes.CDLL(sysconfig.get_config_var("INSTSONAME"))'
    "${PYTHON:-python3}" -c "$shared" 2>/dev/null || # Debian and Ubuntu keep the library of their Python in a package
        missing="$missing $("${PYTHON:-python3}" -c 'import sys; print("libpython3.%d" % sys.version_info[1])')"
fi

wished=""
[ "${1:-}" != --compiler ] || command -v cc >/dev/null || command -v gcc >/dev/null || wished=" gcc libc6-dev"

# Ends the script: with an error if something is missing that is needed, else with a word about what is only wished for.
give_up() {
    [ -z "$missing" ] || { echo "$1" >&2; exit 1; }
    echo "There is no C compiler and none can be installed here: the tests that need it are skipped." >&2
    exit 0
}

[ -n "$missing$wished" ] || exit 0
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        give_up "The libraries$missing cannot be installed, because this user is not root and sudo is not there: ask an administrator to run: apt-get install$missing"
    as_root="sudo"
    [ -n "$missing" ] || as_root="sudo -n" # nobody is asked for a password for what is only wished for
fi
command -v apt-get >/dev/null ||
    give_up "The libraries$missing cannot be installed, because this machine has no apt: install them with its own package manager."
echo "Installing system packages:$missing$wished"
# shellcheck disable=SC2086  # a list of packages
{
    $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing$wished >/dev/null
} || give_up "The libraries$missing cannot be installed, because apt-get failed: see its message above."
