#!/bin/sh
# Installs EchoGFR from this kit, without a network. See INSTALL.txt.
#
#   sh install.sh            as root: verify everything, then install
#   sh install.sh --check    as anybody: only verify
#
# Nothing of the kit is run or installed before its signature and every checksum were verified. apt is given the kit's
# packages for this one call: its own sources and lists stay as they are.
set -eu
LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

version='@VERSION@'
suite='@SUITE@'
architecture='@ARCHITECTURE@'
signed='@SIGNED@'
sums=SHA256SUMS
keyring=keys/kit-signing-key.gpg

usage() {
    echo "usage: sh install.sh [--check] [--signer FINGERPRINT] [--unsigned] [--yes]"
    echo "  --check               verify the kit and this computer, and install nothing"
    echo "  --signer FINGERPRINT  who must have signed the kit; without it you are asked to compare"
    echo "  --unsigned            install a kit that says that it is not signed"
    echo "  --yes                 ask nothing more"
}

# One sentence: what failed, because of what, what to do.
refuse() {
    echo "EchoGFR was not installed, because $1: $2." >&2
    exit 1
}

check_only='' signer='' unsigned='' yes=''
while [ $# -gt 0 ]; do
    case $1 in
        --check) check_only=1 ;;
        --signer)
            [ $# -ge 2 ] || refuse "--signer is given without a fingerprint" "see sh install.sh --help"
            signer=$(printf %s "$2" | tr -d ' :' | tr a-f A-F)
            shift
            ;;
        --unsigned) unsigned=1 ;;
        --yes) yes=1 ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) refuse "install.sh knows no '$1'" "see sh install.sh --help" ;;
    esac
    shift
done

cd -- "$(dirname -- "$0")" || refuse "the folder of the kit cannot be entered" "copy the kit again"
for tool in gpgv sha256sum apt-get dpkg dpkg-query; do
    command -v "$tool" >/dev/null || refuse "this computer has no $tool" "install on Debian or Ubuntu, where it comes with the system"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

verify_signature() {
    if [ "$signed" = no ]; then
        [ -n "$unsigned" ] ||
            refuse "this kit is UNSIGNED, so nobody stands for it" "get a signed one, or give --unsigned if you know where it was made"
        echo "This kit is UNSIGNED: only its checksums are verified."
        return
    fi
    for file in "$sums" "$sums.sig" "$keyring"; do
        [ -r "$file" ] || refuse "$file is missing from the kit" "copy the kit again"
    done
    gpgv --ignore-time-conflict --status-fd 1 --keyring "./$keyring" "./$sums.sig" "./$sums" >"$work/status" 2>/dev/null || :
    if grep -q '^\[GNUPG:\] BADSIG' "$work/status"; then
        refuse "$sums was changed after it was signed" "copy the kit again from where it was made"
    elif grep -q '^\[GNUPG:\] \(NO_PUBKEY\|ERRSIG\)' "$work/status"; then
        refuse "the kit was signed by another key than the one that lies in it" "get the kit again from its maker"
    elif grep -q '^\[GNUPG:\] \(EXPKEYSIG\|EXPSIG\|REVKEYSIG\)' "$work/status"; then
        refuse "the key that signed the kit has expired or was revoked" "get a newer kit from its maker"
    fi
    by=$(sed -n 's/^\[GNUPG:\] VALIDSIG .* \([0-9A-F]\{40,\}\)$/\1/p' "$work/status")
    [ -n "$by" ] || refuse "the signature of the kit cannot be read" "copy the kit again"
    confirm_signer
}

confirm_signer() {
    if [ -n "$signer" ]; then
        [ "$signer" = "$by" ] ||
            refuse "the kit was signed by $by and not by $signer" "get it from the maker whom you trust"
    elif [ -t 0 ] && [ -z "$yes" ]; then
        printf 'The kit was signed with the key\n\n    %s\n\n' "$(printf %s "$by" | sed 's/..../& /g')"
        printf 'Is that the fingerprint that its maker gave you on paper or by telephone? Type yes or no: '
        read -r answer || answer=no
        [ "$answer" = yes ] || refuse "the fingerprint is not the one you know" "ask the maker of the kit"
    elif [ -n "$check_only" ]; then
        echo "Signed with the key $by. Compare it with what its maker gave you."
    else
        refuse "nobody is there to compare the fingerprint of the key, $by" "give it as --signer FINGERPRINT"
    fi
}

verify_files() {
    [ -r "$sums" ] || refuse "$sums is missing from the kit" "copy the kit again"
    echo "Verifying $(grep -c . "$sums") files ..."
    if sha256sum --check --strict --quiet "$sums" >"$work/checked" 2>/dev/null; then
        return
    fi
    first=$(sed -n 's/: FAILED.*$//p' "$work/checked" | head -n 1)
    [ -n "$first" ] || refuse "$sums cannot be read" "copy the kit again"
    [ -e "$first" ] || refuse "$first is missing from the kit" "copy the kit again"
    refuse "$first is not the file that was put into the kit" "copy the kit again"
}

verify_computer() {
    here=$(dpkg --print-architecture)
    [ "$here" = "$architecture" ] ||
        refuse "the kit is for $architecture, and this computer is $here" "get the kit for $here"
    names=$(sed -n 's/^\(VERSION_CODENAME\|UBUNTU_CODENAME\|DEBIAN_CODENAME\)=//p' /etc/os-release | tr -d '"')
    for name in $names; do
        [ "$name" != "$suite" ] || return 0
    done
    refuse "the kit is for $suite, and this computer runs ${names:-a system without a codename}" "get the kit for it"
}

installed() {
    dpkg-query -W -f '${db:Status-Status} ${Version}' echogfr 2>/dev/null | sed -n 's/^installed //p'
}

verify_version() {
    there=$(installed)
    if [ -n "$there" ] && dpkg --compare-versions "$there" gt "$version"; then
        refuse "EchoGFR $there, which is newer than the $version of this kit, is installed" "keep it, or remove it first"
    fi
}

# apt with the kit as its only source; what it writes goes to a folder that is deleted afterwards.
kit_apt() {
    apt-get -q -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root \
        -o Acquire::Languages=none -o Acquire::Check-Date=false -o APT::Install-Recommends=false "$@"
}

install_packages() {
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    ln -s "$PWD/repository" "$work/repository" # a name without blanks, whatever the medium is called
    if [ "$signed" = no ]; then
        echo "deb [trusted=yes] file:$work/repository ./" >"$work/sources.list"
    else
        cp "$keyring" "$work/key.gpg"
        echo "deb [signed-by=$work/key.gpg] file:$work/repository ./" >"$work/sources.list"
    fi
    chmod -R a+rX "$work"
    kit_apt update >"$work/said" 2>&1 || {
        cat "$work/said" >&2
        refuse "apt does not accept the packages of the kit" "see its message above"
    }
    set -- install echogfr="$version"
    [ -z "$yes" ] || set -- --yes "$@"
    DEBIAN_FRONTEND=${DEBIAN_FRONTEND:-noninteractive} kit_apt "$@" ||
        refuse "apt could not install it, or was told not to" "see its message above"
}

verify_signature
verify_files
verify_computer
verify_version
if [ -n "$check_only" ]; then
    echo "The kit is whole and is for this computer: EchoGFR $version, $suite, $architecture."
    exit 0
fi
[ "$(id -u)" -eq 0 ] || refuse "only root may install programs" "type: sudo sh install.sh"
install_packages
[ "$(installed)" = "$version" ] || refuse "apt did not install it" "see its message above"
echo
echo "EchoGFR $version is installed. Go on with step 4 of INSTALL.txt, as the person who will use it: echogfr doctor"
