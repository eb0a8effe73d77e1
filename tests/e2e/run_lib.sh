# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Shared by test_run_*.sh: run driftwatch, collect what it said, report a test.
# Source it from tests/e2e; it moves to the tree's root and makes $scratch.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
driftwatch=${DRIFTWATCH:-$PWD/build/driftwatch}

if ((EUID != 0)); then
	echo "not ok needs_root: driftwatch run makes a container"
	exit 1
fi

# On the root file system, which carries overlays; /tmp may be a tmpfs.
scratch=$(mktemp -d /var/tmp/driftwatch-test.XXXXXX) || exit 1
trap 'rm -rf "$scratch"' EXIT

# driftwatch run ARG...; its status, stdout and stderr land in $status, $out and $err.
run() {
	"$driftwatch" run "$@" > "$scratch/out" 2> "$scratch/err" </dev/null
	status=$?
	out=$(tr -d '\0' < "$scratch/out")
	err=$(tr -d '\0' < "$scratch/err")
}

problems=
expect() { # description, condition...
	local description=$1
	shift
	"$@" || problems+="${problems:+; }$description (status $status, stdout '${out:0:200}', stderr '${err:0:300}')"
}

end_test() { # name
	if [[ -z $problems ]]; then
		echo "ok $1"
	else
		echo "not ok $1: ${problems//$'\n'/ }"
	fi
	problems=
}

contains() { [[ $1 == *"$2"* ]]; }
lacks() { [[ $1 != *"$2"* ]]; }

# What a run must not leave behind, one a line.
leftovers() {
	find /var/tmp /var/lib/driftwatch/run -maxdepth 1 -name 'driftwatch-run-*' 2>/dev/null
	find /run/driftwatch/containers -name '*.json*' 2>/dev/null
	find /sys/fs/cgroup /sys/fs/cgroup/unified -maxdepth 1 -name 'driftwatch-*' 2>/dev/null
	grep driftwatch-run- /proc/self/mountinfo
}

# Until a condition holds, at most 20 s.
wait_until() { # condition...
	local deadline=$((SECONDS + 20))
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.02
	done
}
