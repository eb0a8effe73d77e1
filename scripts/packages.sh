# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# The Debian 12 packages that driftwatch needs, and how a script run by sudo
# installs them and builds. Sourced by scripts/test and scripts/try; the only
# place that names packages.

# To build.
# shellcheck disable=SC2034 # the lists are for those who source this file
packages_build=(gcc libc6-dev make pkg-config clang bpftool libbpf-dev libelf-dev zlib1g-dev
	libjansson-dev libmicrohttpd-dev uthash-dev)

# To show off: the built-in scenario compiles nothing and needs nothing more.
# shellcheck disable=SC2034
packages_try=("${packages_build[@]}")

# To test: what checks the code, then the runtimes, file systems and tools under test.
# shellcheck disable=SC2034
packages_test=("${packages_build[@]}"
	gcc-aarch64-linux-gnu libcmocka-dev clang-format clang-tidy shellcheck mandoc
	docker.io iptables containerd containernetworking-plugins runc crun podman conmon fuse-overlayfs
	e2fsprogs xfsprogs btrfs-progs
	prometheus busybox-static python3 python3-grpcio python3-jsonschema jq curl iproute2 util-linux procps libcap2-bin
	git sqlite3 strace)

# To test in full: programs that are heavy to install, watched at work.
# shellcheck disable=SC2034
packages_full=(postgresql nginx-light)

# To measure (scripts/bench): what driftwatch is compared with, and what is compared.
# shellcheck disable=SC2034
packages_bench=("${packages_build[@]}"
	python3 util-linux e2fsprogs dpkg-dev tar docker.io busybox-static
	bpftrace fatrace inotify-tools strace)

# To boot kernels in virtual machines (scripts/vmtest).
# shellcheck disable=SC2034
packages_vm=("${packages_build[@]}"
	gcc-aarch64-linux-gnu qemu-system-x86 qemu-system-arm busybox-static e2fsprogs python3 lz4 zstd xz-utils tar)

# For the scenarios of scripts/vmtest, which take the runtimes into the machine.
# shellcheck disable=SC2034
packages_scenarios=(runc crun podman conmon docker.io containerd xfsprogs)

# Print those of the given packages that are not installed.
packages_missing() {
	local package
	for package in "$@"; do
		[[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
			echo "$package"
	done
}

policy=/usr/sbin/policy-rc.d

# Debian starts a service as it installs it; policy-rc.d (101: not allowed) is how one asks it
# not to. One that stands there already is left alone.
packages_forbid_services() {
	[[ ! -e $policy ]] || return 0
	echo "Keeping the services among them from being started: $policy, removed again below."
	printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy"
	trap packages_allow_services EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

packages_allow_services() {
	rm -f "$policy"
	trap - EXIT INT TERM
	echo "Removed $policy."
}

# Install those of the given packages that are missing, saying which. Needs root.
packages_install() {
	local missing forbidden=
	mapfile -t missing < <(packages_missing "$@")
	((${#missing[@]})) || return 0

	echo "Installing from Debian: ${missing[*]}"
	[[ -e $policy ]] || forbidden=1
	packages_forbid_services
	(
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -q -q </dev/null
		apt-get install -q -q -y --no-install-recommends \
			-o DPkg::Lock::Timeout=300 \
			-o Dpkg::Options::=--force-confold "${missing[@]}" </dev/null >/dev/null
	)
	local status=$?
	[[ -z $forbidden ]] || packages_allow_services
	((status == 0)) || echo "apt-get could not install them (status $status)" >&2
	return "$status"
}

# Under sudo the tree belongs to somebody else, who wants to `make clean` later.
build_give_back() {
	if [[ -n ${SUDO_UID:-} && -d build && $(stat -c %u .) == "$SUDO_UID" ]]; then
		chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" build
	fi
}
