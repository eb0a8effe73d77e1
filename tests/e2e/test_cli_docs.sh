#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# --help, the man page and the completions tell the same: every option of every
# command, and no other.
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cli_lib.sh"

commands=(run agent tail ps files diff verify metrics doctor version)
man=scripts/man/driftwatch.8
bash_file=scripts/completion/driftwatch.bash
zsh_file=scripts/completion/_driftwatch
fish_file=scripts/completion/driftwatch.fish

# Long options of a command, or of all, as --help lists them.
options_of() {
	"$driftwatch" "$1" --help | sed -nE 's/^ {2,6}(-., )?(--[a-z][a-z.-]*).*/\2/p' | sort -u
}
for command in "${commands[@]}"; do
	options_of "$command" > "$scratch/options.$command"
done
sort -u "$scratch"/options.* > "$scratch/options"
status=0 out=$(wc -l < "$scratch/options") err=

expect "there are some" test "$out" -ge 30
while read -r option; do
	name=${option#--}
	expect "the man page has $option" grep -qE -- "(Fl |, )-${name//./\\.}( |,|\$)" "$man"
	expect "bash has $option" grep -qE -- "$option([ =\"']|\$)" "$bash_file"
	expect "zsh has $option" grep -qE -- "$option([=[}])" "$zsh_file"
	expect "fish has $option" grep -qE -- "-l $name( |\$)" "$fish_file"
done < "$scratch/options"
end_test every_option_is_documented_and_completed

sed -nE 's/^\.It .*Fl (-[a-z][a-z.-]*).*/-\1/p; s/^\.It Fl . .*, (Fl )?(-[a-z][a-z-]*).*/-\2/p' "$man" | sort -u > "$scratch/man"
sed -nE 's/^complete .* -l ([a-z][a-z.-]*).*/--\1/p' "$fish_file" | sort -u > "$scratch/fish"
grep -oE -- '--[a-z][a-z.-]*[=[}]' "$zsh_file" | tr -d '=[}' | sort -u > "$scratch/zsh"
for file in man fish zsh; do
	out=$(comm -13 "$scratch/options" "$scratch/$file" | grep -vxE -- '--help|--usage|--version')
	expect "$file has none that is not there" test -z "$out"
	expect "$file was read" test -s "$scratch/$file"
done
end_test no_option_is_documented_that_is_not_there

# In the manual's directory each page finds the other.
out=$(cd scripts/man && mandoc -Tlint driftwatch.8 driftwatch.conf.5 2>&1)
expect "mandoc has nothing to say" test -z "$out"
end_test the_man_pages_are_clean

for command in "${commands[@]}" help; do
	expect "the man page has $command" grep -qE "^\.Ss (.*, )?$command( |\$)" "$man"
	expect "zsh has $command" grep -qE "'$command:" "$zsh_file"
	expect "fish has $command" grep -qE -- "-a $command " "$fish_file"
	expect "bash has $command" grep -qE "^[[:space:]]+'([a-z]+ )*$command( [a-z]+)*' --" "$bash_file"
done
end_test every_command_is_documented_and_completed

out=$(sed -nE 's/^\.It Cm ([a-z_]+) Pq.*/\1/p' scripts/man/driftwatch.conf.5 | sort)
keys=$("$driftwatch" agent --help | sed -nE 's/^ {6}--([a-z][a-z.-]*).*/\1/p' | tr '.-' '__' |
	grep -vxE 'color|config|unpin|help|usage|version|output|quiet|verbose' | sort)
expect "the same keys as options ($keys)" test "$out" = "$keys"
end_test every_setting_is_in_the_manual_of_the_file

# What bash offers for a line; the cursor stands behind its last word.
complete_line() {
	bash --norc -c '
		. "$1"; shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		compopt() { :; }
		_driftwatch
		printf "%s\n" "${COMPREPLY[@]}"' bash "$bash_file" "$@" 2>&1
}

out=$(complete_line "$driftwatch" doc)
expect "a command" test "$out" = doctor
out=$(complete_line "$driftwatch" ps -o w)
expect "a format of the command" test "$out" = wide
out=$(complete_line "$driftwatch" diff --exi)
expect "an option of the command" test "$out" = --exit-code
out=$(complete_line "$driftwatch" --output json diff --exi)
expect "behind an option with a value" test "$out" = --exit-code
end_test bash_completes_commands_options_and_values

start_fake_agent
out=$(complete_line "$driftwatch" diff --socket "$socket" '' | sort | paste -sd ' ')
expect "plain names, and no part of a hostile one" test "$out" = "old web1"
end_test bash_completes_containers_but_no_hostile_names

for shell in zsh fish; do
	file=$zsh_file
	[[ $shell == fish ]] && file=$fish_file
	if command -v $shell > /dev/null; then
		expect "$shell can read it" $shell -n "$file"
		end_test "${shell}_can_read_its_completion"
	else
		echo "skip ${shell}_can_read_its_completion: $shell is not installed"
	fi
done
