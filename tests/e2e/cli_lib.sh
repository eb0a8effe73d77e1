# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the test_cli_*.sh share: a fake agent to ask, and what it must not be able to print.
# shellcheck source=tests/e2e/shell_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/shell_lib.sh"

socket=$scratch/driftwatch.sock
log=$scratch/requests
agent_pid=

cleanup() {
	[[ -z $agent_pid ]] || kill "$agent_pid" 2>/dev/null
	rm -rf "$scratch"
}
trap cleanup EXIT

start_fake_agent() {
	local line
	coproc AGENT { exec python3 tests/e2e/fake_agent.py "$socket" "$log"; }
	# shellcheck disable=SC2153 # bash sets it, by the coproc's name
	agent_pid=$AGENT_PID
	read -r -t 30 line <&"${AGENT[0]}"
	[[ $line == ready ]] || { echo "not ok the_fake_agent_starts: it said '$line'" && exit 1; }
}

# Run driftwatch against the fake agent.
ask() { run --socket "$socket" "$@"; }

# The same with a terminal of 80 columns as stdout and stderr.
# shellcheck disable=SC2034
ask_on_terminal() {
	local command
	printf -v command '%q ' "$driftwatch" --socket "$socket" "$@"
	COLUMNS=80 TERM=xterm script -qec "$command" "$scratch/typescript" > /dev/null </dev/null
	status=$?
	sed -e '1{/^Script started/d}' -e '/^Script done/,$d' "$scratch/typescript" |
		tr -d '\r' > "$scratch/out"
	out=$(tr -d '\0' < "$scratch/out")
}

# stdout holds printable ASCII, newlines and the given further bytes only.
is_inert() { [[ $(tr -d "\\n\\40-\\176${1:-}" < "$scratch/out" | wc -c) == 0 ]]; }
