# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the test_cli_*.sh share: running driftwatch, saying what failed, a fake agent.
# Sourced; expects to be in the root of the tree.

driftwatch=${DRIFTWATCH:-$PWD/build/driftwatch}
scratch=$(mktemp -d) || exit 1
chmod 755 "$scratch"
socket=$scratch/driftwatch.sock
log=$scratch/requests
agent_pid=
problems=

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

# Run driftwatch; status, stdout and stderr land in $status, $out and $err, the
# stdout's bytes in $scratch/out.
# shellcheck disable=SC2034 # for those who source this
run() {
	timeout 60 "$driftwatch" "$@" > "$scratch/out" 2> "$scratch/err" </dev/null
	status=$?
	out=$(tr -d '\0' < "$scratch/out")
	err=$(cat "$scratch/err")
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

# The last run must have ended so: "what was expected, the condition".
expect() { # description, condition...
	local description=$1
	shift
	"$@" || problems+="${problems:+; }$description (status $status, stdout '${out:0:160}', stderr '${err:0:200}')"
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

# stdout holds printable ASCII, newlines and the given further bytes only.
is_inert() { [[ $(tr -d "\\n\\40-\\176${1:-}" < "$scratch/out" | wc -c) == 0 ]]; }
