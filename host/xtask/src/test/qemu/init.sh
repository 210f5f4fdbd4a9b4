#!/bin/busybox sh
# The first process of the machine: sets it up, runs the tests, turns it off. The tests' lines go to the second serial
# port; the first one is the kernel's.
/bin/busybox mkdir -p /busybox
/bin/busybox --install -s /busybox
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/busybox HOME=/root TMPDIR=/tmp
export WHARF_BIN=/wharf/wharf WHARFCTL_BIN=/wharf/wharfctl WHARF_GUESTS=/wharf/guests WHARF_INSTALLED=/wharf/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/null >/dev/ttyS1 2>&1
stty raw -echo </dev/ttyS1

begin() {
    uname -sr || return
    ip link set lo up || return
    # What this machine is for: without it the tests would skip themselves.
    ip link add probe type bridge vlan_filtering 1 && ip link del probe || return
}

if begin; then
    # Lines of a program's path and its arguments.
    while read -r program arguments; do
        echo "wharf-machine: begin $program"
        # shellcheck disable=SC2086
        "$program" $arguments
        echo "wharf-machine: exit $? $program"
    done </tests/list
    echo "wharf-machine: end"
fi
reboot -f
