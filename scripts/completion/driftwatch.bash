# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# bash completion of driftwatch(8).

# Names of containers, where an agent answers: without one, each TAB would load BPF.
_driftwatch_containers() {
	local i socket=/run/driftwatch/driftwatch.sock
	for ((i = 1; i < COMP_CWORD; i++)); do
		# readline splits at = when that is in COMP_WORDBREAKS
		[[ ${COMP_WORDS[i]} == --socket=* ]] && socket=${COMP_WORDS[i]#*=}
		if [[ ${COMP_WORDS[i]} == --socket ]]; then
			[[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
			socket=${COMP_WORDS[i + 1]}
		fi
	done
	[[ -S $socket ]] || return 0
	# A name with anything else in it must not reach the command line.
	"${COMP_WORDS[0]}" --socket "$socket" -q ps -a --no-headers -o text 2>/dev/null |
		awk '{ print $2 }' | grep -xE '[A-Za-z0-9_./-]+'
}

_driftwatch_command() {
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-o | --output | --socket | --host-root | --color | --log-level | --log-format)
			[[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
			((i++))
			;;
		-*) ;;
		*) echo "${COMP_WORDS[i]}" && return ;;
		esac
	done
}

_driftwatch_formats() { # command
	case $1 in
	ps) echo text wide json csv ;;
	files) echo text json csv ;;
	tail | run | verify | doctor | version) echo text json ;;
	*) echo text ;;
	esac
}

_driftwatch_options() { # command
	local global='--output= --socket= --host-root= --color= --log-level= --log-format=
		--quiet --verbose --help --usage --version'
	case $1 in
	run) echo "$global --lower= --volume= --tmpfs= --keep= --metrics --tier=" ;;
	agent) echo "$global --config= --web.listen-address= --state-dir= --runtime-root= --tier=
		--btf= --max-containers= --max-files= --max-files-total= --max-compare-bytes=
		--max-watched= --max-counted= --ring-bytes=
		--max-series= --dead-retention= --verify-interval= --duration= --pin-dir= --no-pin
		--keep-pins --unpin" ;;
	tail) echo "$global --op= --path= --target= --raw --duration= --exec-only" ;;
	ps) echo "$global --all --no-trunc --no-headers" ;;
	files) echo "$global --all --no-runtime --change= --exec --no-trunc --no-headers" ;;
	diff) echo "$global --scan --null --exit-code --no-runtime" ;;
	*) echo "$global" ;;
	esac
}

# Values of the option before the cursor; false when it takes none that is known.
_driftwatch_values() { # option, command
	case $1 in
	-o | --output) _driftwatch_formats "$2" ;;
	--color) echo auto always never ;;
	--log-level) echo error warning info debug ;;
	--log-format) echo plain text json journal ;;
	--tier) echo auto vfs-fexit vfs-kprobe fs syscall ;;
	--target) echo layer volume tmpfs other all ;;
	--change) echo added modified deleted ;;
	-e | --op) echo write create mkdir symlink mknod link unlink rmdir rename truncate \
		fallocate chmod chown utimes xattr exec ;;
	*) return 1 ;;
	esac
}

_driftwatch() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command values
	command=$(_driftwatch_command)
	[[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}
	[[ $current == = ]] && previous=${COMP_WORDS[COMP_CWORD - 1]} current=
	COMPREPLY=()

	if values=$(_driftwatch_values "$previous" "$command"); then
		mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current")
		return
	fi
	case $previous in
	--socket | --host-root | --config | --state-dir | --runtime-root | --btf | --pin-dir | \
		--lower | --volume | --keep)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	-n | --path | --duration | --max-* | --dead-retention | --verify-interval | --web.listen-address | --tmpfs) return ;;
	esac

	if [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_driftwatch_options "$command")" -- "$current")
		[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
	elif [[ -z $command || $command == help ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			'run agent tail ps files diff verify metrics doctor version help' -- "$current")
	elif [[ $command == run ]]; then
		mapfile -t COMPREPLY < <(compgen -c -- "$current")
	elif [[ $command == tail || $command == files || $command == diff || $command == verify ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_driftwatch_containers)" -- "$current")
	fi
}

complete -F _driftwatch driftwatch
