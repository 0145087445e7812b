# Installs the Debian packages of packaging/debian-packages.txt. Sourced by ./dev, which sets `root` and `say`.
# shellcheck shell=bash disable=SC2154

policy_file=/usr/sbin/policy-rc.d

# The packages of the groups that are named: `packages_of build test`.
packages_of() {
    local wanted=" $* " package groups group
    while read -r package groups _; do
        [[ -z $package || $package == \#* ]] && continue
        for group in ${groups//,/ }; do
            if [[ $wanted == *" $group "* ]]; then
                echo "$package"
                break
            fi
        done
    done <"$root/packaging/debian-packages.txt"
}

# Of the packages that are named, those that are not installed.
missing_of() {
    local installed package
    # dpkg-query fails when one is unknown to it; what it prints for the others still holds.
    installed=$(dpkg-query --show --showformat='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
    for package in "$@"; do
        # Node.js from elsewhere than Debian brings its own npm, beside which Debian's cannot be.
        [[ $package == npm ]] && command -v npm >/dev/null && continue
        grep -qxF "$package installed" <<<"$installed" || echo "$package"
    done
}

as_root() {
    if [[ $(id -u) == 0 ]]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        say "this needs root: run 'apt-get install $*' as root, or install sudo"
        return 1
    fi
}

# While packages are installed no service may start: nginx is here for tests and to be measured, not to take port 80.
forbid_services() {
    [[ -e $policy_file ]] && as_root mv "$policy_file" "$policy_file.before-keyward"
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy_file" >/dev/null
    as_root chmod 755 "$policy_file"
}

allow_services() {
    as_root rm -f "$policy_file"
    [[ -e $policy_file.before-keyward ]] && as_root mv "$policy_file.before-keyward" "$policy_file"
    return 0
}

# Nor may it start at the next boot.
keep_nginx_off() {
    [[ -d /run/systemd/system ]] && as_root systemctl --quiet disable nginx.service 2>/dev/null
    if grep -lsx nginx /proc/[0-9]*/comm >/dev/null; then
        say "note: nginx runs on this machine; Keyward's benchmark starts one of its own and needs none"
    fi
    return 0
}

apt_install() {
    as_root apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "$@"
}

# Package lists may be absent (a fresh container) or stale (a file that is gone): then they are fetched, once.
install_or_update() {
    local log=$1
    shift
    apt_install "$@" >"$log" 2>&1 && return 0
    say "packages: updating the lists"
    as_root apt-get -qq update >"$log" 2>&1 && apt_install "$@" >>"$log" 2>&1
}

install_packages() {
    local log status=0
    log=$(mktemp)
    say "packages: installing $# ($*)"
    trap allow_services EXIT
    forbid_services
    install_or_update "$log" "$@" || status=$?
    allow_services
    trap - EXIT
    if [[ $status != 0 ]]; then
        tail -n 20 "$log" >&2
        say "packages: could not be installed; the last lines of apt-get are above"
    elif [[ " $* " == *" nginx-light "* ]]; then
        keep_nginx_off
    fi
    rm -f "$log"
    return "$status"
}

# What the groups need is there afterwards. Quick when nothing is missing.
need_packages() {
    local -a wanted missing
    if ! command -v dpkg-query >/dev/null; then
        say "note: not Debian: see packaging/debian-packages.txt for what must be there"
        return 0
    fi
    mapfile -t wanted < <(packages_of "$@")
    mapfile -t missing < <(missing_of "${wanted[@]}")
    [[ ${#missing[@]} == 0 ]] || install_packages "${missing[@]}"
}
