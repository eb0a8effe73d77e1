# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What differs between the machines that scripts/vmtest emulates: QEMU's arguments and the
# programs on the disk. Sourced by it, from the top of the tree.

boot_seconds=1400 # for one VM with all tiers; a minute or two on an idle machine

# In place of this machine's programs below @root, those of arm64, built when need be.
vm_translate_to_arm64() { # root
	local sysroot build=build/arm64 cross=aarch64-linux-gnu-
	sysroot=$(scripts/cross-sysroot arm64) &&
		make -j2 BUILD="$build" ARCH=arm64 CROSS_COMPILE=$cross SYSROOT="$sysroot" \
			> "${1%/*}/build.log" &&
		${cross}gcc --sysroot="$sysroot" -static -O2 -std=gnu17 -D_GNU_SOURCE \
			-Wno-unused-result -o "$1/container/bin/ops" tests/e2e/ops/*.c -lpthread &&
		install -m 755 "$build/driftwatch" "$1/bin/driftwatch" &&
		cp "$sysroot/bin/busybox" "$1/bin/busybox" &&
		cp "$sysroot/bin/busybox" "$1/container/bin/busybox" || return 1
	# Every library there is, rather than following who needs whom.
	rm -rf "${1:?}"/{lib,lib64,usr/lib}
	mkdir -p "$1/lib/aarch64-linux-gnu" &&
		cp "$sysroot"/lib/aarch64-linux-gnu/*.so.[0-9]* "$1/lib/aarch64-linux-gnu/" &&
		cp -L "$sysroot"/lib/ld-linux-aarch64.so.1 "$1/lib/"
}

vm_emulate() { # arch dir kernel kernel-arguments qemu-arguments...
	local program=qemu-system-x86_64 console=ttyS0 arguments
	# qemu64 boots in half the time that cpu max takes.
	local machine=(-M q35 -cpu qemu64)
	if [[ $1 == arm64 ]]; then
		program=qemu-system-aarch64 console=ttyAMA0
		machine=(-M virt -cpu "max,pauth-impdef=on")
	fi
	# A kernel that hangs ends itself, with its stack on the console.
	arguments="console=$console quiet loglevel=4 panic=-1 watchdog_thresh=60 softlockup_panic=1
		nokaslr mitigations=off tsc=reliable no_timer_check rdinit=/init $4"
	# One thread for both processors: where they run at once, one of them may go on with what
	# QEMU translated of code that the other has patched since (trampolines, static keys).
	nice -n 5 timeout --foreground "${VMTEST_TIMEOUT:-$boot_seconds}" "$program" "${machine[@]}" \
		-accel tcg,thread=single,tb-size=512 -smp 2 -m 1024 -nodefaults -no-user-config \
		-display none -no-reboot -serial "file:$2/console" \
		-drive "if=virtio,format=raw,file=$2/disk,cache=unsafe" \
		-kernel "$3" -initrd "$2/initramfs" -append "${arguments//[$'\t\n']/ }" "${@:5}"
}

# Run a machine of @arch on what is in @dir, disk and initramfs; its console is left there.
# What QEMU emulates of a kernel that patches itself fails now and then while it boots: that
# says nothing about us, who have not begun.
vm_qemu() { # arch dir kernel kernel-arguments qemu-arguments...
	local tries
	for tries in 1 2 3; do
		vm_emulate "$@"
		if grep -q 'init has begun' "$2/console" || ! grep -q 'Kernel panic' "$2/console"; then
			return
		fi
		cp "$2/console" "$2/console.$tries"
		echo "# ${2##*/}: the kernel did not get to its first program (console.$tries)"
	done
}
