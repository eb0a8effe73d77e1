#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A kernel that does not show its types: a refusal that names what is missing and the
# option, and with the option an agent that sees, and leaves the mounts as they were.
set -u
program=${DRIFTWATCH:-build/driftwatch}
dir=$(mktemp -d) || exit 1
agent=
trap '[[ -z $agent ]] || { kill "$agent" && wait "$agent"; }; rm -rf "$dir"' EXIT

check() { # name, command...
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		echo "ok $name"
	else
		echo "not ok $name: $(tail -n 3 <<< "$output" | tr '\n' ' ')"
	fi
}

# In a mount namespace of its own, where the types are hidden.
# shellcheck disable=SC2016 # for that shell
hidden=(unshare -m sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "$@"' -)

start_agent() { # options...
	"${hidden[@]}" "$program" agent --socket "$dir/socket" --state-dir "$dir/state" \
		--web.listen-address none "$@" > "$dir/log" 2>&1 &
	agent=$!
	while ! "$program" ps --socket "$dir/socket" > "$dir/ps" 2>&1 || [[ ! -S $dir/socket ]]; do
		kill -0 "$agent" 2> "$dir/kill" || break
		sleep 0.1
	done
}

metric() {
	"$program" metrics --socket "$dir/socket" | grep -qx "$1"
}

cp /sys/kernel/btf/vmlinux "$dir/types"

start_agent
wait "$agent"
status=$?
agent=
check an_agent_ends_with_the_status_of_a_kernel [ $status = 5 ]
check it_names_the_option_of_the_kernel grep -q CONFIG_DEBUG_INFO_BTF "$dir/log"
check it_names_our_option grep -q -- --btf "$dir/log"
"${hidden[@]}" "$program" doctor --socket "$dir/none" > "$dir/doctor" 2>&1
status=$?
check doctor_ends_with_the_same [ $status = 5 ]
check doctor_names_the_option_of_the_kernel grep -q CONFIG_DEBUG_INFO_BTF "$dir/doctor"

start_agent --btf /bin/true
wait "$agent"
agent=
check a_file_without_types_is_named grep -q /bin/true "$dir/log"

start_agent --btf "$dir/types"
check with_its_types_the_agent_runs kill -0 "$agent"
check its_hooks_see_writes metric 'driftwatch_self_test{result="passed"} 1'
types_of_agent=/proc/$agent/root/sys/kernel/btf
check its_mounts_are_as_they_were [ ! -e "$types_of_agent/vmlinux" ]
