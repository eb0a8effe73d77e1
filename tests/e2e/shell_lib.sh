# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the tests in shell share: running driftwatch and saying what failed.
# Sourced; moves to the root of the tree and makes $scratch, in $scratch_parent if set.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

driftwatch=${DRIFTWATCH:-$PWD/build/driftwatch}
scratch=$(mktemp -d "${scratch_parent:-${TMPDIR:-/tmp}}/driftwatch-test.XXXXXX") || exit 1
chmod 755 "$scratch"
trap 'rm -rf "$scratch"' EXIT

# Run driftwatch; status, stdout and stderr land in $status, $out and $err, the
# stdout's bytes in $scratch/out.
# shellcheck disable=SC2034 # for those who source this
call() {
	timeout --foreground 300 "$driftwatch" "$@" > "$scratch/out" 2> "$scratch/err" </dev/null
	status=$?
	out=$(tr -d '\0' < "$scratch/out")
	err=$(tr -d '\0' < "$scratch/err")
}

run() { call "$@"; }

# The last run must have ended so: "what was expected, the condition".
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
