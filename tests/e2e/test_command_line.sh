#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The command line itself: global options, exit codes, messages. Needs no agent.
# shellcheck source=tests/e2e/shell_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/shell_lib.sh"
commands=(run agent tail ps files diff verify metrics doctor version help)

run
expect "no command is wrong usage" test "$status" -eq 2
expect "it says where help is" contains "$err" "driftwatch help"
end_test no_command_is_wrong_usage

run snorkel
expect "status 2" test "$status" -eq 2
expect "the word is named" contains "$err" "snorkel"
run dif
expect "status 2" test "$status" -eq 2
expect "the nearest command is suggested" contains "$err" "'diff'"
end_test an_unknown_command_is_named_and_the_nearest_suggested

run $'x\e[2J\ny'
expect "no escape sequence reaches the terminal" test "$(tr -d '\40-\176' < "$scratch/err" | wc -c)" -eq 1
end_test a_hostile_command_word_is_escaped

run -o json version
before=$out
expect "option before" jq -e .version <<< "$out" > "$scratch/jq"
run version -o json
expect "option after" test "$out" = "$before"
run --color=never version --output=json -q
expect "both" test "$out" = "$before"
end_test global_options_stand_before_and_after_the_command

for command in "${commands[@]}"; do
	run "$command" --help
	expect "$command --help ends well" test "$status" -eq 0
	expect "$command --help shows usage" contains "$out" "Usage: driftwatch"
	run help "$command"
	expect "help $command ends well" test "$status" -eq 0
	run help
	expect "help lists $command" contains "$out" "  $command"
done
end_test every_command_explains_itself

for command in run agent tail ps files diff verify metrics doctor version; do
	run "$command" --no-such-option
	expect "$command" test "$status" -eq 2
	run --color=purple "$command"
	expect "$command, global option" test "$status" -eq 2
done
end_test a_wrong_option_is_wrong_usage_everywhere

for command in tail ps files diff verify doctor version; do
	run "$command" -o nonsense web
	expect "$command -o nonsense" test "$status" -eq 2
done
end_test an_unknown_output_format_is_wrong_usage

"$driftwatch" version > /dev/full 2> "$scratch/err"
status=$? err=$(cat "$scratch/err")
expect "status 1" test "$status" -eq 1
expect "the reason is named" contains "$err" "No space left"
end_test output_that_cannot_be_written_is_a_failure

# A pipe whose reader has left: the write end is opened before the reader goes.
mkfifo "$scratch/pipe"
exec {reader}<>"$scratch/pipe"
exec {writer}>"$scratch/pipe"
exec {reader}<&-
exec {saved}>&1 >&"$writer" {writer}>&-
"$driftwatch" help 2> "$scratch/err"
exec >&"$saved" {saved}>&-
err=$(cat "$scratch/err")
expect "nothing is said" test -z "$err"
end_test a_reader_that_leaves_ends_it_quietly

first=$(sed -n 's/^## *\([0-9][^ ]*\).*/\1/p' CHANGELOG.md | head -n 1)
run --version
expect "version" test "$out" = "driftwatch $first"
end_test the_version_is_the_newest_of_the_changelog
