#!/bin/busybox sh
# The first process of the machine: sets it up, runs the tests, turns it off. The kernel's command line names the terminal that
# the tests' lines go to.
/bin/busybox mkdir -p /busybox
/bin/busybox --install -s /busybox
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/busybox HOME=/root TMPDIR=/tmp
export WHARF_BIN=/wharf/wharf WHARFCTL_BIN=/wharf/wharfctl WHARF_GUESTS=/wharf/guests WHARF_INSTALLED=/wharf/root
export WHARF_PARITY_FILES=/wharf/parity WHARF_REFERENCE=/wharf/reference/usr/lib/cni WHARF_FIXTURES=/wharf/fixtures
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
# Its birth is when Wharf takes the machine to have started; the folder of the initramfs may be older than the clock.
mount -t tmpfs run /run
exec </dev/null >"$WHARF_LINES" 2>&1
stty raw -echo <"$WHARF_LINES"

# Others are loaded when they are asked for, but with busybox two askers at once may get an answer while the module of the
# first still starts: what several tests use is there before them.
MODULES="bridge veth 8021q ifb sch_tbf sch_ingress cls_u32 cls_matchall act_mirred nfnetlink nf_tables nf_conntrack
    nf_conntrack_netlink nf_nat nft_compat nft_chain_nat nft_ct nft_nat nft_masq nft_fib_inet nft_meta_bridge ip_tables
    ip6_tables iptable_nat ip6table_nat xt_tcpudp xt_comment xt_mark xt_addrtype xt_conntrack xt_nat xt_MASQUERADE xt_multiport"

begin() {
    uname -srm || return
    for module in $MODULES; do
        modprobe "$module" || return
    done
    ip link set lo up || return
    # Without it the tests of VLANs would skip themselves.
    ip link add probe type bridge vlan_filtering 1 && ip link del probe || return
    # Where nothing is installed, the install compiles the guests: that the compiler works for this processor, too, is shown.
    [ -d /wharf/root ] ||
        WHARF_ROOT=/wharf/root /wharf/wharfctl install --drop-in --guests /wharf/guests --binary /wharf/wharf || return
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
