# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Virtual machines with a story of their own, beside the suite of scripts/vmtest: real
# runtimes, other cgroup hierarchies, kernels that are short of something. Sourced by it.
# shellcheck disable=SC2154 # what scripts/vmtest has

# NAME -> KERNEL, and what is added to its command line. Inside, tests/vm/scenario runs
# tests/vm/scenario_NAME, which prints what was right and what was not by itself.
declare -A vm_scenarios=(
	[podman]="6.1 cgroups=v2"
	[cgroup-v1]="6.1 cgroups=v1"
	[cgroup-hybrid]="6.1 cgroups=hybrid"
	[docker]="6.12 cgroups=v2"
	[preempt]="6.12 cgroups=v2 preempt=full"
	[xfs]="6.12 cgroups=v2"
)
# Modules beside the usual ones, and +those that the scenario loads itself, of /late.
declare -A vm_scenario_modules=([xfs]="loop +xfs")
scenario_disk_size=1800M

# Programs of this machine that a scenario needs: those of the runtimes.
scenario_programs=(runc crun podman conmon docker dockerd docker-init containerd
	containerd-shim-runc-v2 ctr mkfs.xfs)

# A program of this machine and every library that it loads, at the same paths.
scenario_copy() { # program root
	local path library
	path=$(readlink -f "$(PATH=/usr/sbin:/usr/bin; command -v "$1")") &&
		install -D -m 755 "$path" "$2/usr/bin/$1" || return 1
	ldd "$path" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
		mkdir -p "$2${library%/*}" && cp -L "$library" "$2$library"
	done
}

scenario_image() { # file
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/e2e python3 -c '
import sys
from driftlib import image
base = image.base_layer(image.build_ops(sys.argv[1]))
image.write_archive(sys.argv[2], "dw/ops:1", [base])' "$work_dir" "$1"
}

# The disk of all scenarios, made of that of the suite and the runtimes.
scenario_make_disk() {
	local root=$work_dir/root-scenarios name
	[[ ! -e $work_dir/disk-scenarios ]] || return 0
	make_disk amd64 && cp -a "$work_dir/root-amd64" "$root" || return 1
	mkdir -p "$root"/{etc/containers,var/lib,var/tmp,usr/bin,scenarios} || return 1
	for name in "${scenario_programs[@]}"; do
		scenario_copy "$name" "$root" || return 1
	done
	install -m 755 tests/vm/scenario "$root/guest" &&
		cp tests/vm/scenario_* "$root/scenarios/" &&
		scenario_image "$root/image.tar" &&
		mkfs.ext4 -q -F -d "$root" "$work_dir/disk-scenarios" "$scenario_disk_size"
}

run_scenario() { # name
	local kernel arguments package tree dir=$work_dir/$1 start=$SECONDS modules
	read -r kernel arguments <<< "${vm_scenarios[$1]}"
	if ! package=$(vm_provide_kernel "$kernel"); then
		echo "not ok $1: no package of kernel $kernel can be fetched"
		return 1
	fi
	tree=$apt_suite_cache/$package
	read -ra modules <<< "${vm_scenario_modules[$1]:-}"
	rm -rf "$dir" && mkdir -p "$dir"
	scenario_make_disk > "$dir/make.log" 2>&1 &&
		cp --sparse=always "$work_dir/disk-scenarios" "$dir/disk" &&
		tests/vm/make_initramfs.py "$tree" "$work_dir/root-amd64/bin/busybox" tests/vm/init \
			"$dir/initramfs" "${guest_modules[@]}" "${modules[@]}" &&
		vm_qemu amd64 "$dir" "$tree/kernel" "apparmor=0 scenario=$1 $arguments" -m 2048
	debugfs -R "rdump /results $dir" "$dir/disk" 2> "$dir/debugfs.log"
	rm -f "$dir/disk" "$dir/initramfs"
	echo "# $1 on $package: $((SECONDS - start)) s"
	[[ ! -e $dir/results/report ]] || sed -n "s/^\(ok\|not ok\|#\) /\1 $1: /p" "$dir/results/report"
	if [[ $(tail -n 1 "$dir/results/report" 2>/dev/null) != ended ]]; then
		echo "not ok $1: did not come to its end: $(tail -n 3 "$dir/console" | tr '\n' '|')"
		return 1
	fi
	! grep -q '^not ok' "$dir/results/report"
}
