#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# driftwatch run ends as docker run does: exit codes, signals, what is left running.
# shellcheck source=tests/e2e/run_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/run_lib.sh"

run true
expect "true is 0" test "$status" -eq 0
run -- sh -c 'exit 7'
expect "exit 7 is 7" test "$status" -eq 7
run sh -c 'exit 126'
expect "126 of the command is handed on" test "$status" -eq 126
expect "and is not taken for ours" lacks "$err" "cannot execute"
end_test the_exit_status_is_the_commands

run sh -c 'kill -TERM $$'
expect "SIGTERM is 143" test "$status" -eq 143
run sh -c 'kill -KILL $$'
expect "SIGKILL is 137" test "$status" -eq 137
end_test a_signal_that_ends_the_command_is_128_and_its_number

run no-such-command-anywhere
expect "127" test "$status" -eq 127
expect "the command is named" contains "$err" "no-such-command-anywhere: not found"
expect "no drift is printed" test -z "$out"
run /no/such/path
expect "127 for a path" test "$status" -eq 127
run ''
expect "127 for an empty name" test "$status" -eq 127
end_test a_command_that_is_not_found_is_127

run /etc/passwd
expect "126" test "$status" -eq 126
expect "the reason is named" contains "$err" "Permission denied"
run /etc
expect "126 for a directory" test "$status" -eq 126
printf 'exit 0\n' > "$scratch/no-interpreter"
chmod 755 "$scratch/no-interpreter"
run "$scratch/no-interpreter"
expect "126 for a file that is no program" test "$status" -eq 126
end_test a_file_that_cannot_be_executed_is_126

run --lower /no/such/directory true
expect "a lower directory that is missing" test "$status" -eq 125
expect "it is named" contains "$err" "/no/such/directory"
run --lower /etc/passwd true
expect "a lower directory that is a file" test "$status" -eq 125
run --volume /no/such/directory:/data true
expect "a volume that is missing" test "$status" -eq 125
mkdir "$scratch/full"
touch "$scratch/full/precious"
run --keep "$scratch/full" true
expect "a directory that is not empty" test "$status" -eq 125
expect "it says what to do" contains "$err" "new or an empty directory"
expect "and is left alone" test -e "$scratch/full/precious"
run --keep /proc/self true
expect "a file system that carries no overlay" test "$status" -eq 125
run --volume "$scratch/full:/proc/self/x" true
expect "a place where nothing can be mounted" test "$status" -eq 125
expect "one line of error" test "$(wc -l < "$scratch/err")" -eq 1
end_test failures_of_our_own_are_125

runuser -u nobody -- "$driftwatch" run true > "$scratch/out" 2> "$scratch/err"
status=$? out=$(cat "$scratch/out") err=$(cat "$scratch/err")
expect "125" test "$status" -eq 125
expect "it says what to do" contains "$err" "sudo"
end_test without_root_it_says_so

run --volume nonsense true
expect "a volume without a path" test "$status" -eq 2
run --tmpfs relative true
expect "a tmpfs that is relative" test "$status" -eq 2
run --tier nonsense true
expect "a tier that is none" test "$status" -eq 2
run
expect "no command" test "$status" -eq 2
end_test wrong_usage_is_2

# --- options of the command are not ours

run ls --version
expect "--version is ls's" contains "$out" "coreutils"
run -- -no-such-command
expect "after -- even a leading dash is the command" test "$status" -eq 127
end_test options_behind_the_command_are_its_own

# --- processes

before=$SECONDS
run sh -c 'sleep 300 & setsid sleep 300 & (sleep 300 &) ; echo done'
expect "the command's status" test "$status" -eq 0
expect "nobody waits for them" test $((SECONDS - before)) -lt 60
expect "its output" contains "$out" "done"
end_test what_the_command_leaves_running_is_killed

run sh -c 'echo $$; for i in 1 2 3 4 5; do (sh -c "sleep 0.01 &" &); done; sleep 0.3; ps -e -o stat='
expect "no zombie stays" lacks "$out" "Z"
expect "the command is alone with init" test "$(grep -c . <<< "${out%%$'\n\n'*}")" -le 5
end_test orphans_are_reaped

# A signal sent to driftwatch reaches the command, which may answer as it likes.
signal_goes_to_command() { # signal
	rm -f "$scratch/out" # of an earlier one, it would say "up" too soon
	"$driftwatch" -q run sh -c 'trap "exit 42" USR1 HUP TERM INT; echo up; while :; do sleep 0.05; done' \
		> "$scratch/out" 2> "$scratch/err" </dev/null &
	local pid=$!
	wait_until grep -qs up "$scratch/out"
	kill "-$1" "$pid"
	wait "$pid"
	status=$? out=$(cat "$scratch/out") err=$(cat "$scratch/err")
	test "$status" -eq 42
}
for signal in TERM HUP USR1; do
	expect "SIG$signal" signal_goes_to_command "$signal"
done
end_test signals_sent_to_driftwatch_reach_the_command

# Ctrl-C on a terminal: script(1) makes one; the command must see one SIGINT, not two.
if command -v script > /dev/null; then
	mkfifo "$scratch/keys"
	rm -f "$scratch/out"
	# A shell's background job is started with SIGINT ignored.
	script -qec "env --default-signal=INT,QUIT $driftwatch -q run sh -c 'trap \"echo int; n=x\$n\" INT; echo up; sleep 1; sleep 1; echo got-\$n-; exit 9'" \
		/dev/null < "$scratch/keys" > "$scratch/out" 2>&1 &
	pid=$!
	exec {keys}> "$scratch/keys"
	wait_until grep -qs up "$scratch/out"
	printf '\003' >&"$keys"
	wait "$pid"
	status=$? out=$(tr -d '\r' < "$scratch/out") err=
	exec {keys}>&-
	expect "the command's status" test "$status" -eq 9
	expect "one SIGINT" contains "$out" "got-x-"
	end_test ctrl_c_reaches_the_command_once

	# A shell with job control takes the terminal; whoever comes next must be able to read.
	rm -f "$scratch/out" "$scratch/keys"
	mkfifo "$scratch/keys"
	script -qec "sh -c '$driftwatch -q run bash --norc -i; read word; echo got-\$word-'" \
		/dev/null < "$scratch/keys" > "$scratch/out" 2>&1 &
	pid=$!
	exec {keys}> "$scratch/keys"
	wait_until grep -qs 'bash-.*#' "$scratch/out"
	printf 'exit 4\n' >&"$keys"
	wait_until grep -qs '^The command\|^Drift' "$scratch/out"
	printf 'word\n' >&"$keys"
	wait_until grep -qs 'got-word-' "$scratch/out"
	status=$? out=$(tr -d '\r' < "$scratch/out") err=
	exec {keys}>&-
	expect "the next reader gets what is typed" test "$status" -eq 0
	kill "$pid" 2> /dev/null
	wait "$pid" 2> /dev/null
	end_test a_shell_gives_the_terminal_back
else
	echo "skip ctrl_c_reaches_the_command_once: no script(1)"
fi

run sh -c 'read line && echo "got $line"'
expect "stdin is empty here" test "$status" -eq 1
# shellcheck disable=SC2016 # for the shell inside
out=$(echo words | "$driftwatch" -q run sh -c 'read line && echo "got $line"' 2> "$scratch/err")
expect "stdin is the command's" contains "$out" "got words"
end_test standard_input_is_the_commands

"$driftwatch" -q run sleep 300 > "$scratch/out" 2>&1 </dev/null &
pid=$!
container_of() { pgrep -P "$pid" > "$scratch/init"; }
wait_until container_of
init=$(cat "$scratch/init")
command_of() { pgrep -P "$init" > "$scratch/command"; }
wait_until command_of
kill -KILL "$pid"
wait "$pid" 2> /dev/null
gone() { [[ ! -d /proc/$init ]] || grep -q 'State:.Z' "/proc/$init/status"; }
expect "the container died with it" wait_until gone
for directory in $(leftovers | grep '^/var'); do
	touch -d '-2 minutes' "$directory" # a young one may be about to be locked
done
run true
expect "a later run removes its layer and state" test -z "$(leftovers | grep -v ^/sys)"
end_test a_driftwatch_that_is_killed_leaves_nothing_for_long

expect "nothing is left over" test -z "$(leftovers | grep -v ^/sys)"
end_test nothing_is_left_over
