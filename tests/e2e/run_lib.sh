# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the test_run_*.sh share: `driftwatch run`, and what it may not leave behind.
if ((EUID != 0)); then
	echo "not ok needs_root: driftwatch run makes a container"
	exit 1
fi

# On the root file system, which carries overlays; /tmp may be a tmpfs.
# shellcheck disable=SC2034 # for shell_lib.sh
scratch_parent=/var/tmp
# shellcheck source=tests/e2e/shell_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/shell_lib.sh"

run() { call run "$@"; }

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
