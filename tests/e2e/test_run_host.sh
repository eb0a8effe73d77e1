#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# driftwatch run leaves the machine as it was, whatever the command does.
# shellcheck source=tests/e2e/run_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/run_lib.sh"

# Everything that tells whether a file was touched, but the times of reading.
list_host() {
	find /etc /usr/share/doc /usr/local /var/lib/dpkg /opt /srv -xdev \
		-printf '%p %y %m %U %G %s %T@ %C@ %i %l\n' 2>/dev/null | sort
}

host_is_untouched() { # since the last list_host > $scratch/before
	list_host > "$scratch/after"
	diff "$scratch/before" "$scratch/after" > "$scratch/diff" && return
	problems+="${problems:+; }changed on the host: $(head -n 5 "$scratch/diff")"
	return 1
}

list_host > "$scratch/before"
# shellcheck disable=SC2016 # for the shell inside
run -q -- sh -c 'set -x; rm -rf /usr/share/doc/*; echo x >> /etc/passwd; chmod 777 /etc/shadow; chown 1:1 /root
	mv /etc/hosts /etc/hosts.moved; ln -f /etc/fstab /etc/linked; mkdir -p /opt/a/b; touch -d 2001-01-01 /etc/profile
	truncate -s 0 /var/lib/dpkg/status; cp /bin/true /usr/local/bin/miner; /usr/local/bin/miner; echo y > /srv/y'
expect "the command did it all" test "$status" -eq 0
expect "the miner is listed" contains "$out" "/usr/local/bin/miner"
expect "the emptied database is listed" contains "$out" "/var/lib/dpkg/status"
expect "the host's files are untouched" host_is_untouched
end_test what_the_command_destroys_is_whole_outside

listed() { jq -e "$1" "$scratch/out" > "$scratch/jq"; }
fresh_lists() { find /var/lib/apt/lists -name '*_Packages*' | grep -q .; }
if fresh_lists || apt-get update > "$scratch/apt" 2>&1; then
	list_host > "$scratch/before"
	run -q -o json -- apt-get install -y hello
	expect "apt-get succeeds" test "$status" -eq 0
	expect "complete" test "$(jq .complete "$scratch/out")" = true
	expect "the program is listed" listed \
		'.files[] | select(.path == "/usr/bin/hello" and .change == "added" and .executable and .last_writer.comm == "dpkg")'
	expect "dpkg's database is listed" listed \
		'.files[] | select(.path == "/var/lib/dpkg/status" and .change == "modified")'
	expect "nothing of /dev, /proc, /run, /sys is" test -z \
		"$(jq -r '.files[].path' "$scratch/out" | grep -E '^/(dev|proc|run|sys)(/|$)')"
	expect "the host has no hello" test ! -e /usr/bin/hello
	expect "the host's files are untouched" host_is_untouched
	out=
	end_test apt_get_installs_a_package_in_the_container_alone
else
	echo "skip apt_get_installs_a_package_in_the_container_alone: no package lists, and apt-get update failed"
fi

# --- what the command cannot reach

disk=$(findmnt -no MAJ:MIN / | tr ':' ' ')
# shellcheck disable=SC2086,SC2016 # two numbers; for the shell inside
run -q -- sh -c 'mknod /tmp/disk b $0 $1 && head -c 1 /tmp/disk' $disk
expect "a device node of the layer opens nothing" contains "$err" "Permission denied"
run -q -- mount -t tmpfs none /mnt
expect "no mounts" test "$status" -ne 0
run -q -- sh -c 'echo 1 > /proc/sys/vm/drop_caches'
expect "no kernel settings" contains "$err" "Read-only file system"
run -q -- touch /sys/x
expect "no sysfs" contains "$err" "Read-only file system"
run -q -- hostname elsewhere
expect "no host name" test "$status" -ne 0
run -q -- sh -c 'ls /dev /dev/pts; head -c 1 /dev/zero > /dev/null'
expect "the usual devices" test "$status" -eq 0
expect "no disks" lacks "$out" "vda"
end_test the_machines_devices_and_settings_are_out_of_reach

run -q -- sh -c 'ps -e -o pid= -o args='
expect "its own processes alone" test "$(grep -cE '^ *[0-9]+ ' <<< "$out")" -le 3
run -q -- sh -c 'cat /proc/self/cgroup'
expect "its own cgroup" grep -qE '^0::/driftwatch-[0-9a-f]{64}$' <<< "$out"
end_test it_has_processes_and_a_cgroup_of_its_own

run -q -- cat /etc/resolv.conf
expect "name servers are known" test "${out%%$'\n\n'*}" = "$(cat /etc/resolv.conf)"
run -q -- sh -c 'cat /proc/net/route'
expect "routes are the machine's" contains "$out" "$(tail -n 1 /proc/net/route | cut -f 1-3)"
end_test the_network_is_the_machines

# overlayfs answers ELOOP where the layer would be seen through itself.
run -q -- sh -c 'ls -R /var/tmp > /dev/null'
expect "the layer cannot be seen" lacks "$err" "symbolic links"
run -q --keep "$scratch/kept" -- ls -R "$scratch/kept"
expect "nor one that is kept" test "$status" -eq 0
expect "it looks empty" lacks "$out" "upper"
end_test the_layer_is_hidden_from_the_container

mkdir -p "$scratch/work"
echo '#!/bin/sh
pwd' > "$scratch/work/here"
chmod 755 "$scratch/work/here"
out=$(cd "$scratch/work" && "$driftwatch" -q run ./here 2>&1)
expect "the same directory" contains "$out" "$scratch/work"
end_test the_command_starts_where_it_was_called

# --- another file system, in the midst of the root

truncate -s 20M "$scratch/disk.img"
mkfs.ext4 -q "$scratch/disk.img"
mkdir "$scratch/mnt"
if mount -o loop "$scratch/disk.img" "$scratch/mnt" 2> "$scratch/mount"; then
	echo 'on another disk' > "$scratch/mnt/file"
	run -- sh -c "cat $scratch/mnt/file; echo no > $scratch/mnt/file"
	umount "$scratch/mnt"
	expect "it can be read" contains "$out" "on another disk"
	expect "it cannot be written" contains "$err" "Read-only file system"
	expect "that is said" grep -q "read-only in the container: .*$scratch/mnt" "$scratch/err"
	end_test other_file_systems_are_read_only
else
	echo "skip other_file_systems_are_read_only: no loop device: $(cat "$scratch/mount")"
fi

# --- odd places

odd="$scratch/o,d:d \\ p"
mkdir -p "$odd/lower/bin" "$odd/vo:l,"
cp "$(command -v busybox)" "$odd/lower/bin/busybox"
run -q --lower "$odd/lower" --keep "$odd/ke,ep:\\" --volume "$odd/vo:l,:/da ta" -- \
	/bin/busybox sh -c 'echo x > /f && echo v > "/da ta/v"'
expect "it works" test "$status" -eq 0
expect "the layer is there" test -e "$odd/ke,ep:\\/upper/f"
expect "the volume is there" test -e "$odd/vo:l,/v"
end_test paths_with_commas_colons_and_backslashes_work

mkdir -p "$scratch/linked"/{bin,etc,real}
cp "$(command -v busybox)" "$scratch/linked/bin/busybox"
ln -s /etc "$scratch/linked/proc"
ln -s ../../../../../../real "$scratch/linked/data"
ln -s /tmp/elsewhere "$scratch/linked/nowhere"
mkdir "$scratch/etc-volume"
run -q --lower "$scratch/linked" --volume "$scratch/etc-volume:/data/sub" -- \
	/bin/busybox sh -c 'echo x > /data/sub/x; echo y > /real/sub/y'
expect "links are followed inside" test -e "$scratch/etc-volume/x" -a -e "$scratch/etc-volume/y"
run -q --lower "$scratch/linked" --volume "$scratch/etc-volume:/nowhere" -- /bin/busybox true
expect "a link to nowhere is no place" test "$status" -eq 125
expect "nothing is mounted on the host" test -z "$(grep "$scratch" /proc/self/mountinfo)"
end_test links_of_the_lower_directory_lead_nowhere_outside

expect "nothing is left over" test -z "$(leftovers | grep -v ^/sys)"
end_test nothing_is_left_over
