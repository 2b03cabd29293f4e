#!/bin/sh
# machine.sh [COMMAND]: the README's commands on a machine that has git, make and Python alone, that reaches the outside by a proxy
# alone and knows no names, by somebody who is not root, in a folder with blanks. COMMAND, of a shell, takes the place of `make test`.
# The machine is a folder, .tools/bare. Needs root, and Debian's debootstrap, tinyproxy-bin, socat and iproute2.
set -eu
cd "$(dirname "$0")/../.."

[ "$(id -u)" = 0 ] || { echo "only root can make a machine" >&2; exit 1; }
for program in debootstrap tinyproxy socat ip unshare; do
    command -v "$program" >/dev/null || { echo "$program is missing: install Debian's debootstrap, tinyproxy-bin, socat, iproute2" >&2; exit 1; }
done

bare=$PWD/.tools/bare
root=$bare/root
folder="/home/anna/a folder with blanks/switchboard"
mkdir -p "$bare"
if [ ! -e "$bare/made" ]; then
    rm -rf "$root"
    debootstrap --variant=minbase --include=git,make,python3,python3-venv,ca-certificates bookworm "$root" >"$bare/debootstrap.log"
    chroot "$root" useradd --create-home anna
    echo "127.0.0.1 localhost" >"$root/etc/hosts"
    rm -f "$root/etc/resolv.conf"
    touch "$bare/made"
fi
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
rm -rf "$root/home/anna/a folder with blanks"
mkdir -p "$root$folder"
git ls-files -z --cached --others --exclude-standard | xargs -0 tar -c | tar -xC "$root$folder"
cp "tests/bare/commands.sh" "$root/home/anna/"
chroot "$root" chown -R anna: /home/anna

# The only way out: a port of the machine leads to a socket, and that to the proxy.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
rm -f "$bare/out"
printf 'Port %s\nListen 127.0.0.1\nAllow 127.0.0.1\nConnectPort 443\nLogFile "%s"\nLogLevel Connect\n' "$port" "$bare/proxy.log" >"$bare/proxy.conf"
: >"$bare/proxy.log"
tinyproxy -d -c "$bare/proxy.conf" >/dev/null &
proxy=$!
socat "UNIX-LISTEN:$bare/out,fork" "TCP:127.0.0.1:$port" &
way=$!
trap 'kill $proxy $way; rm -f "$bare/out"' EXIT

told="HTTP_PROXY=http://127.0.0.1:3128 HTTPS_PROXY=http://127.0.0.1:3128 http_proxy=http://127.0.0.1:3128 https_proxy=http://127.0.0.1:3128"
for name in PIP_CERT SSL_CERT_FILE NODE_EXTRA_CA_CERTS; do
    told="$told $name=/etc/ssl/certs/ca-certificates.crt"
done
# shellcheck disable=SC2016
BARE=$bare FOLDER=$folder TOLD=$told TEST=${1:-make test} unshare --mount --net --pid --fork --kill-child sh -euc '
    ip link set lo up
    mount --make-rprivate /
    mount -t proc proc "$BARE/root/proc"
    mount -t tmpfs tmpfs "$BARE/root/dev/shm"
    socat TCP-LISTEN:3128,bind=127.0.0.1,fork "UNIX-CONNECT:$BARE/out" &
    chroot "$BARE/root" su anna -c "cd \"$FOLDER\" && env -i HOME=/home/anna USER=anna LANG=C.UTF-8 PATH=/usr/bin:/bin $TOLD TEST=\"\$TEST\" sh /home/anna/commands.sh"
'
echo "by the proxy: $(grep -c CONNECT "$bare/proxy.log") connections"
grep -q CONNECT "$bare/proxy.log"
