#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The commands against an agent that answers with canned, partly hostile data:
# what they ask for, what they print, how they end. Needs no runtime and no BPF.
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cli_lib.sh"
start_fake_agent

asked() { grep -qxF -- "$1" "$log"; }

# The paths that the fake agent has, in its order, with bytes that are no text.
printf 'D /bin/tee\nC /etc/passwd\nA /tmp/\xff\e[2J\n\xe2\x80\xae\nA /usr/local/bin/x\n' > "$scratch/lines"
printf 'D /bin/tee\0C /etc/passwd\0A /tmp/\xff\e[2J\n\xe2\x80\xae\0A /usr/local/bin/x\0' > "$scratch/nul"

# --- diff

ask diff web1
expect "status 0 though there is drift" test "$status" -eq 0
expect "nothing on stderr" test -z "$err"
expect "raw lines, nothing else" cmp -s "$scratch/out" "$scratch/lines"
end_test diff_prints_raw_lines_and_nothing_else

ask diff -0 web1
expect "raw bytes" cmp -s "$scratch/out" "$scratch/nul"
ask diff web1 --null
expect "--null is -0" cmp -s "$scratch/out" "$scratch/nul"
end_test diff_ends_lines_with_nul_when_asked

ask diff --exit-code web1
expect "status 3" test "$status" -eq 3
expect "the lines are printed all the same" cmp -s "$scratch/out" "$scratch/lines"
ask diff --exit-code --no-runtime web1
expect "status 0 without drift" test "$status" -eq 0
expect "nothing printed" test ! -s "$scratch/out"
expect "the agent does the choosing" asked '/api/v1/containers/web1/diff?no_runtime=1'
end_test drift_is_an_exit_code_only_when_asked

ask diff c0ffee
expect "status 0" test "$status" -eq 0
expect "a warning on stderr" contains "$err" "warning: this list may lack something"
expect "stdout is the list alone" cmp -s "$scratch/out" "$scratch/lines"
ask -q diff c0ffee
expect "-q keeps it quiet" test -z "$err"
end_test an_incomplete_diff_says_so_on_stderr

ask_on_terminal diff web1
expect "nothing a terminal obeys" is_inert
expect "the name can be read" contains "$out" 'A /tmp/\xff\x1b[2J\n\xe2\x80\xae'
ask_on_terminal diff -0 web1
expect "-0 is raw everywhere" contains "$out" $'\e[2J'
end_test diff_is_escaped_on_a_terminal

# --- naming containers

ask diff nobody
expect "status 1" test "$status" -eq 1
expect "candidates named" contains "$err" "there is web1 (b5b89da10000), db\\n1"
expect "nothing on stdout" test ! -s "$scratch/out"
ask files ''
expect "an ambiguous one: status 1" test "$status" -eq 1
expect "candidates named" contains "$err" "ambiguous: web1"
ask tail nobody
expect "tail: status 1" test "$status" -eq 1
expect "candidates named" contains "$err" "there is web1"
end_test an_unknown_container_is_status_1_with_candidates

ask diff 'shop/web-1/nginx?x&y=%'
expect "one path component" asked '/api/v1/containers/shop%2Fweb-1%2Fnginx%3Fx%26y%3D%25/diff'
ask diff $'a b\nc'
expect "no blank ends the request" asked '/api/v1/containers/a%20b%0Ac/diff'
end_test a_reference_cannot_break_the_request

# --- ps

ask ps
expect "status 0" test "$status" -eq 0
expect "a header" contains "$out" "CONTAINER "
expect "a short id" contains "$out" "b5b89da10000  web1"
expect "incomplete says why" contains "$out" "no: ring_full"
expect "a name stays on its line" test "$(wc -l < "$scratch/out")" -eq 3
expect "no colour in a pipe" lacks "$out" $'\e'
end_test ps_lists_containers

ask ps --no-headers
expect "no header" lacks "$out" "CONTAINER"
ask ps --no-trunc
expect "full ids" contains "$out" "b5b89da100000000000000000000000000000000000000000000000000000000"
ask ps -a
expect "the agent is asked for all" asked '/api/v1/containers?all=1'
expect "exited ones are listed" contains "$out" "exited"
expect "what is not known is a dash" contains "$out" "exited  "
ask ps -o wide
expect "wide has more columns" contains "$out" "IMAGE ID"
end_test ps_has_its_options

ask ps -o json
expect "one object" test "$(jq -sr 'length' "$scratch/out")" = 1
expect "its schema" test "$(jq -r .schema "$scratch/out")" = driftwatch.ps/1
expect "the containers" test "$(jq -r '.containers | length' "$scratch/out")" = 2
end_test ps_json_is_one_object

ask ps -o csv
expect "every record is whole" python3 - "$scratch/out" <<'PYTHON'
import csv, sys
with open(sys.argv[1], newline="") as file:
    rows = list(csv.DictReader(file))
sys.exit(not (rows[1]["name"] == "db\n1" and rows[0]["drift.bytes"] == "4096"
              and rows[0]["created"] == "2026-11-21T10:00:00.000000000Z"
              and rows[1]["image"] == "" and rows[1]["incomplete_reasons"] == "ring_full"))
PYTHON
end_test ps_csv_can_be_read_back

ask_on_terminal ps
expect "colour" contains "$out" $'\e[33mno: ring_full'
expect "it fits" test "$(sed 's/\x1b\[[0-9;]*m//g' "$scratch/out" | wc -L)" -le 80
NO_COLOR=1 ask_on_terminal ps
expect "no colour with NO_COLOR" lacks "$out" $'\e['
ask --color=always ps
expect "colour when asked for" contains "$out" $'\e[33m'
end_test colour_is_for_terminals

# --- files

ask files web1
expect "status 0" test "$status" -eq 0
expect "one line each, and the header" test "$(wc -l < "$scratch/out")" -eq 5
expect "nothing a terminal obeys" is_inert
expect "executables are marked" contains "$out" "A x"
expect "the writer's name is escaped" contains "$out" 's\xffh[7]'
end_test files_lists_who_and_how_much

ask files web1 --all --no-runtime
expect "both are asked for" asked '/api/v1/containers/web1/files?all=1&no_runtime=1'
ask files web1 --change added,deleted -o json
expect "only those" test "$(jq -c '[.files[].change]' "$scratch/out")" = '["deleted","added","added"]'
ask files web1 --exec -o json
expect "only executables" test "$(jq -r '.files[].path' "$scratch/out")" = /usr/local/bin/x
ask files web1 --change deleted --no-headers
expect "text too" test "$(wc -l < "$scratch/out")" -eq 1
end_test files_can_be_narrowed_down

ask files web1 -o json
expect "its schema" test "$(jq -r .schema "$scratch/out")" = driftwatch.files/1
expect "raw names by base64" test "$(jq -r '.files[2].path_b64' "$scratch/out")" = "$(printf '/tmp/\xff\e[2J\n\xe2\x80\xae' | base64)"
expect "completeness" test "$(jq -r .complete "$scratch/out")" = true
ask files web1 -o csv
expect "csv has raw names" grep -qaF $'/tmp/\xff\e[2J' "$scratch/out"
ask_on_terminal files web1 -o csv
expect "but not on a terminal" is_inert
ask_on_terminal files web1 -o json
expect "nor does json" is_inert
end_test files_has_formats_for_programs

ask files c0ffee
expect "status 0" test "$status" -eq 0
expect "why it may lack something" contains "$err" "may lack something: ring_full"
end_test an_incomplete_list_says_why

# --- tail

ask tail -n 2 web1 'db*'
expect "status 0" test "$status" -eq 0
expect "both changes and what lies between" test "$(wc -l < "$scratch/out")" -eq 4
expect "loss is told" contains "$out" "-- lost 118 events (ring_full) --"
expect "derived is marked" contains "$out" "ADD  ~create  /tmp/\\xff"
expect "nothing a terminal obeys" is_inert
expect "containers and the layer are asked for" asked '/api/v1/events?container=web1&container=db%2A&target=layer'
end_test tail_shows_events_until_it_has_enough

ask tail -n 1 -o json
expect "one object a line" test "$(jq -r .type "$scratch/out" | paste -sd ' ')" = "container_start drift"
end_test tail_json_is_one_object_a_line

ask tail -n 1 -e create,write --op unlink --target volume,tmpfs --path '/etc/*' --raw
expect "filters go to the agent" asked '/api/v1/events?raw=1&op=create&op=write&op=unlink&target=volume&target=tmpfs&path=%2Fetc%2F%2A'
ask tail -n 1 --target all --exec-only
expect "all is all four" asked '/api/v1/events?op=exec&target=layer&target=volume&target=tmpfs&target=other'
end_test tail_filters_at_the_agent

ask tail --duration 300ms
expect "status 0" test "$status" -eq 0
expect "all events until then" test "$(wc -l < "$scratch/out")" -eq 4
end_test tail_ends_when_its_time_is_up

ask tail --path /go-away
expect "status 1" test "$status" -eq 1
expect "what happened" contains "$err" "went away"
end_test an_agent_that_goes_away_is_told

# Interrupted once the agent's last line has been read, so that nothing is waited for.
mkfifo "$scratch/pipe"
for signal in INT TERM; do
	exec {keep}<> "$scratch/pipe"
	"$driftwatch" --socket "$socket" tail -o json > "$scratch/pipe" {keep}<&- &
	tail_pid=$!
	for _ in 1 2 3 4; do
		read -r -t 20 line <&"$keep" || problems="no line within 20 s"
	done
	kill -"$signal" "$tail_pid"
	wait "$tail_pid"
	status=$?
	exec {keep}<&-
	expect "status 0 on SIG$signal" test "$status" -eq 0
done
end_test tail_ends_well_when_interrupted

# It has nothing to print, so only the closed pipe can tell it.
exec {keep}<> "$scratch/pipe"
timeout 20 "$driftwatch" --socket "$socket" tail > "$scratch/pipe" 2> "$scratch/err" {keep}<&- &
tail_pid=$!
for _ in 1 2 3 4; do
	read -r -t 20 line <&"$keep" || problems="no line within 20 s"
done
exec {keep}<&-
wait "$tail_pid"
status=$? err=$(cat "$scratch/err")
expect "status 0" test "$status" -eq 0
expect "nothing is said" test -z "$err"
end_test tail_ends_quietly_when_its_reader_leaves

# --- metrics, doctor

ask metrics
expect "status 0" test "$status" -eq 0
expect "the agent's scrape" contains "$out" "driftwatch_up 1"
end_test metrics_prints_the_agents_scrape

ask doctor -o json
expect "status 0" test "$status" -eq 0
expect "its schema" test "$(jq -r .schema "$scratch/out")" = driftwatch.doctor/1
expect "it works" test "$(jq -r .works "$scratch/out")" = true
expect "the agent's tier" test "$(jq -r '.seen_by + " " + .tier' "$scratch/out")" = "agent fs"
expect "every finding says what to do" test "$(jq -r '[.findings[] | select(.todo == "" or .todo == null)] | length' "$scratch/out")" = 0
expect "what is not seen is a finding" test "$(jq -r '[.findings[] | select(.what | contains("volumes"))] | length' "$scratch/out")" = 1
ask doctor
expect "text" contains "$out" "works here"
expect "hooks with reasons" contains "$out" "fexit/vfs_write"
end_test doctor_tells_what_the_agent_sees

# --- options before and after

ask -o json ps
before=$out
ask ps -o json
expect "-o before and after the command" test "$out" = "$before"
run diff web1 --socket "$socket" -0
expect "after the operand" cmp -s "$scratch/out" "$scratch/nul"
run files web1 -o json --socket="$socket" --change added
expect "mixed" test "$(jq -r '.files | length' "$scratch/out")" = 2
end_test options_stand_anywhere

for command in "ps" "files web1" "diff web1" "metrics" "doctor"; do
	# shellcheck disable=SC2086 # two words on purpose
	"$driftwatch" --socket "$socket" $command > /dev/full 2> "$scratch/err"
	status=$? err=$(cat "$scratch/err")
	expect "$command: status 1" test "$status" -eq 1
	expect "$command: the reason" contains "$err" "No space left"
done
end_test output_that_cannot_be_written_is_a_failure
