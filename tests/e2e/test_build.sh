#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# A copy of the tree builds as nobody, without a network, without git, and with
# nothing in the environment but the PATH of a user and, to be quick, no optimising;
# for arm64 as well.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"

as_nobody() {
	unshare -n runuser -u nobody -- env -i PATH=/usr/bin:/bin CFLAGS=-O0 sh -c "cd '$tree/copy' && $1" 2>&1
}

check() { # name, command of nobody
	local output
	if output=$(as_nobody "$2"); then
		echo "ok $1"
	else
		echo "not ok $1: $(tail -n 3 <<< "$output" | tr '\n' ' ')"
	fi
}

sysroot=$(scripts/cross-sysroot arm64 2> "$tree/cross-sysroot.log") ||
	tail -n 3 "$tree/cross-sysroot.log" >&2

mkdir "$tree/copy"
tar --exclude=./build --exclude=./.git -cf - . | tar --no-same-owner -xf - -C "$tree/copy"
chown -R nobody: "$tree/copy"

check a_copied_tree_builds_as_any_user_offline "make -j2"
check the_program_it_built_runs "build/driftwatch version"
check a_second_make_has_nothing_to_build "test -z \"\$(make)\""
check a_changed_header_rebuilds_who_includes_it \
	"touch userspace/base/memory.h && make -j2 | grep -q 'CC  *userspace/agent/daemon.o'"
check it_builds_for_arm64 "nice make -j2 BUILD=arm64 ARCH=arm64 \
	CROSS_COMPILE=aarch64-linux-gnu- SYSROOT='$sysroot' &&
	readelf -h arm64/driftwatch | grep -q AArch64 && rm -r arm64"
check install_puts_the_program_below_destdir \
	"make install DESTDIR='$tree/copy/image' PREFIX=/usr && image=image/usr/bin/driftwatch && test -x \$image"
check clean_leaves_the_tree_as_it_was \
	"make clean && rm -rf image && test -z \"\$(find . -newer LICENSE -name '*.o')\" && test ! -e build"
