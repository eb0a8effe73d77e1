# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# The kernels of scripts/vmtest: which Debian package each is, fetched and unpacked, never
# installed. Sourced by scripts/vmtest, from the top of the tree.

# shellcheck source=scripts/apt-suite.sh
. scripts/apt-suite.sh

# NAME -> ARCH SUITE PACKAGE. PACKAGE is a metapackage that names the newest one, or, where
# Debian has none for this kernel, a pattern.
# shellcheck disable=SC2034 # also for those who source this file
declare -A vm_kernels=(
	[5.10]="amd64 bullseye-security linux-image-cloud-amd64"
	[6.1]="amd64 bookworm-security linux-image-cloud-amd64"
	[6.12]="amd64 bookworm-security linux-image-6.12-cloud-amd64"
	[6.18]="amd64 trixie-backports linux-image-6.18.*-cloud-amd64"
	[newest]="amd64 trixie-backports linux-image-cloud-amd64"
	[6.1-arm64]="arm64 bookworm-security linux-image-cloud-arm64"
	[6.12-arm64]="arm64 bookworm-security linux-image-6.12-cloud-arm64"
)

vm_newest_package() { # metapackage or pattern
	if [[ $1 == *'*'* ]]; then
		apt-cache pkgnames | grep -x "${1//\*/.*}" | sort -V | tail -n 1
	else
		apt-cache depends "$1" | sed -n 's/^ *Depends: *\(linux-image-.*\)/\1/p'
	fi
}

# Since 7.x linux-image-* is empty, and names those that have the kernel and its modules.
vm_parts_of() { # package
	local parts
	parts=$(apt-cache depends "$1" | sed -n 's/^ *Depends: *\(linux-\(binary\|modules\)-.*\)/\1/p')
	echo "${parts:-$1}"
}

# Put what QEMU starts at TREE/kernel.
vm_kernel_image() { # tree arch
	local vmlinuz
	for vmlinuz in "$1"/boot/vmlinuz-* "$1"/usr/lib/modules/*/vmlinuz; do
		[[ ! -e $vmlinuz ]] || break
	done
	if [[ $2 == arm64 ]]; then
		cp "$vmlinuz" "$1/kernel"
	else
		tests/vm/extract_vmlinux.py "$vmlinuz" "$1/kernel"
	fi
}

vm_fetch() { # package arch
	local dir=$apt_suite_cache/$1 work deb
	[[ ! -e $dir/kernel ]] || return 0
	work=$(mktemp -d "$apt_suite_cache/.new.XXXXXX") || return 1
	# shellcheck disable=SC2046 # one word for each part
	(cd "$work" && apt-get download -q -q $(vm_parts_of "$1") 2>&1 | grep -v unsandboxed)
	for deb in "$work"/*.deb; do
		dpkg -x "$deb" "$work/tree" || break
	done
	if [[ -d $work/tree ]] && vm_kernel_image "$work/tree" "$2"; then
		rm -rf "$dir" && mv "$work/tree" "$dir"
	fi
	rm -rf "$work"
	[[ -e $dir/kernel ]]
}

# Print the name of the directory in $apt_suite_cache that has the kernel, fetched when need be.
vm_provide_kernel() (# kernel; a subshell: the suite is this kernel's alone
	read -r arch suite package <<< "${vm_kernels[$1]}"
	apt_suite "$suite" "$arch" >&2
	package=$(vm_newest_package "$package")
	[[ -n $package ]] && vm_fetch "$package" "$arch" >&2 && echo "$package"
)
