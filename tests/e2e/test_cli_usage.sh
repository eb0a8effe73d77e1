#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Commands asked wrongly, or with nobody to ask: one clear line and the right status.
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cli_lib.sh"

# Wrong usage: status 2, a word on stderr, nothing on stdout.
refuses() { # what stderr must say, arguments...
	local needle=$1
	shift
	run "$@"
	expect "$*: status 2" test "$status" -eq 2
	expect "$*: says '$needle'" contains "$err" "$needle"
	expect "$*: nothing on stdout" test ! -s "$scratch/out"
}

refuses "of which container" diff
refuses "of which container" files
refuses "one container" diff a b
refuses "one container" files a b
refuses "no operand" ps web1
refuses "no operand" metrics web1
refuses "no operand" doctor web1
end_test operands_are_counted

refuses "added, modified and deleted" files web1 --change sideways
refuses "added, modified and deleted" files web1 --change added,
refuses "added, modified and deleted" files web1 --change ''
end_test a_wrong_change_is_refused

refuses "'snorkel'" tail -e snorkel
refuses "create" tail -e create,snorkel
refuses "'snorkel'" tail --target snorkel
refuses "volume" tail --target layer,snorkel
refuses "above 0" tail -n 0
refuses "above 0" tail -n -1
refuses "above 0" tail -n many
refuses "--duration" tail --duration soon
refuses "--duration" tail --duration 0
end_test tails_filters_are_checked_before_anything_else

refuses "this command has: text, wide, json, csv" ps -o xml
refuses "this command has: text, json, csv" files web1 -o wide
refuses "this command has: text" diff web1 -o json
refuses "this command has: text, json" tail -o csv
refuses "this command has: text" metrics -o json
refuses "this command has: text, json" doctor -o csv
end_test formats_are_named_when_there_is_no_such

refuses "--scan" diff --scan --no-runtime web1
end_test options_that_exclude_each_other_are_refused

for command in "ps" "files web1" "diff web1" "tail" "metrics"; do
	# shellcheck disable=SC2086 # two words on purpose
	run --socket "$scratch/none" $command
	expect "$command: status 1" test "$status" -eq 1
	expect "$command: names the socket" contains "$err" "$scratch/none"
	expect "$command: one line" test "$(wc -l < "$scratch/err")" -eq 1
	expect "$command: nothing on stdout" test ! -s "$scratch/out"
done
run --socket "$(printf 'x%.0s' {1..200})" ps
expect "a name too long for a socket: status 1" test "$status" -eq 1
end_test a_given_socket_without_an_agent_is_a_failure

# A copy that nobody may run, in case the tree itself is out of reach.
install -m 755 "$driftwatch" "$scratch/copy"
as_nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$scratch/copy" "$@" \
		> "$scratch/out" 2> "$scratch/err" </dev/null
	status=$?
	out=$(cat "$scratch/out")
	err=$(cat "$scratch/err")
}

if [[ -e /run/driftwatch/driftwatch.sock ]]; then
	echo "skip without_root_and_agent_the_status_is_4: an agent runs on this machine"
else
	for command in "ps" "files web1" "diff web1" "diff --scan web1" "tail" "metrics"; do
		# shellcheck disable=SC2086
		as_nobody $command
		expect "$command: status 4" test "$status" -eq 4
		expect "$command: says what to do" contains "$err" "root"
		expect "$command: nothing on stdout" test ! -s "$scratch/out"
	done
	as_nobody doctor
	expect "doctor: status 4" test "$status" -eq 4
	expect "doctor: a report all the same" contains "$out" "does not work here"
	expect "doctor: what to do" contains "$out" "-> run it as root"
	end_test without_root_and_agent_the_status_is_4
fi

start_fake_agent
chmod 600 "$socket"
as_nobody --socket "$socket" ps
expect "status 4" test "$status" -eq 4
expect "what to do" contains "$err" "group"
end_test a_socket_one_may_not_use_is_status_4
