# SPDX-License-Identifier: GPL-2.0-only
# fish completion of driftwatch(8).

set -l commands run agent tail ps files diff verify metrics doctor version help

function __driftwatch_containers
    # Without an agent, each TAB would load BPF. A name with anything else in it must
    # not reach the command line.
    test -S /run/driftwatch/driftwatch.sock
    and driftwatch -q ps -a --no-headers -o text 2>/dev/null | awk '{ print $2 }' |
        string match -r '^[A-Za-z0-9_./-]+$'
end

function __driftwatch_formats
    set -l words (commandline -opc)
    if contains ps $words
        printf '%s\n' text wide json csv
    else if contains files $words
        printf '%s\n' text json csv
    else if contains tail $words; or contains run $words; or contains verify $words; or contains doctor $words; or contains version $words
        printf '%s\n' text json
    else
        echo text
    end
end

complete -c driftwatch -f

complete -c driftwatch -s o -l output -x -a '(__driftwatch_formats)' -d 'Print in this format'
complete -c driftwatch -l socket -r -F -d 'Talk to the agent here'
complete -c driftwatch -l host-root -x -a '(__fish_complete_directories)' -d 'Where the host root is mounted'
complete -c driftwatch -l color -x -a 'auto always never' -d 'Colour of text'
complete -c driftwatch -l log-level -x -a 'error warning info debug' -d 'What is logged'
complete -c driftwatch -l log-format -x -a 'plain text json journal' -d 'How it is logged'
complete -c driftwatch -s q -l quiet -d 'Errors only'
complete -c driftwatch -s v -l verbose -d 'Say more'
complete -c driftwatch -s '?' -l help -d 'Explain the command'
complete -c driftwatch -l usage -d 'Its options in short'
complete -c driftwatch -l version -d 'Print the version'

set -l none "not __fish_seen_subcommand_from $commands"
complete -c driftwatch -n $none -a run -d 'Run a command in a throwaway container'
complete -c driftwatch -n $none -a agent -d 'Watch every container of this machine'
complete -c driftwatch -n $none -a tail -d 'Follow changes as they happen'
complete -c driftwatch -n $none -a ps -d 'List containers with their drift'
complete -c driftwatch -n $none -a files -d 'List the changed files of a container'
complete -c driftwatch -n $none -a diff -d 'List changes as docker diff does'
complete -c driftwatch -n $none -a verify -d 'Compare ledgers with their layers'
complete -c driftwatch -n $none -a metrics -d 'Print one Prometheus scrape'
complete -c driftwatch -n $none -a doctor -d 'Check what can be seen here'
complete -c driftwatch -n $none -a version -d 'Print the version'
complete -c driftwatch -n $none -a help -d 'Explain a command'
complete -c driftwatch -n '__fish_seen_subcommand_from help' -a "$commands"

set -l in __fish_seen_subcommand_from
complete -c driftwatch -n "$in tail files diff verify" -a '(__driftwatch_containers)'

complete -c driftwatch -n "$in run" -l lower -x -a '(__fish_complete_directories)' -d 'Root of the container'
complete -c driftwatch -n "$in run" -l volume -x -a '(__fish_complete_directories)' -d 'Show a directory in the container'
complete -c driftwatch -n "$in run" -l tmpfs -x -d 'Mount an empty tmpfs here'
complete -c driftwatch -n "$in run" -l keep -x -a '(__fish_complete_directories)' -d 'Leave the layer here'
complete -c driftwatch -n "$in run" -l metrics -d 'Print the counters at the end'
complete -c driftwatch -n "$in run agent" -l tier -x -a 'auto vfs-fexit vfs-kprobe fs syscall' -d 'How writes are counted'
complete -c driftwatch -n "$in run" -a '(__fish_complete_subcommand --fcs-skip=2)'

complete -c driftwatch -n "$in agent" -l config -r -F -d 'Read settings from here'
complete -c driftwatch -n "$in agent" -l web.listen-address -x -d 'Serve metrics here'
complete -c driftwatch -n "$in agent" -l state-dir -x -a '(__fish_complete_directories)' -d 'Keep the ledger here'
complete -c driftwatch -n "$in agent" -l runtime-root -x -d 'Look for containers here too'
complete -c driftwatch -n "$in agent" -l btf -r -F -d 'Type information of the kernel'
complete -c driftwatch -n "$in agent" -l max-containers -x -d 'Containers counted at once'
complete -c driftwatch -n "$in agent" -l max-files -x -d 'Files listed per container'
complete -c driftwatch -n "$in agent" -l max-files-total -x -d 'Files listed for all containers'
complete -c driftwatch -n "$in agent" -l max-compare-bytes -x -d 'Compare files up to this size'
complete -c driftwatch -n "$in agent" -l max-watched -x -d 'Inodes watched in the kernel'
complete -c driftwatch -n "$in agent" -l max-counted -x -d 'Files counted at once in the kernel'
complete -c driftwatch -n "$in agent" -l ring-bytes -x -d 'Room for records that wait in the kernel'
complete -c driftwatch -n "$in agent" -l max-series -x -d 'Series of containers in one scrape'
complete -c driftwatch -n "$in agent" -l dead-retention -x -d 'Keep removed containers this long'
complete -c driftwatch -n "$in agent" -l verify-interval -x -d 'Compare ledgers with layers this often'
complete -c driftwatch -n "$in agent tail" -l duration -x -d 'End after this time'
complete -c driftwatch -n "$in agent" -l pin-dir -x -a '(__fish_complete_directories)' -d 'Pin the kernel side here'
complete -c driftwatch -n "$in agent" -l no-pin -d 'Pin nothing'
complete -c driftwatch -n "$in agent" -l keep-pins -d 'Leave the kernel side counting'
complete -c driftwatch -n "$in agent" -l unpin -d 'Remove what an agent that is gone left'

complete -c driftwatch -n "$in tail" -s e -l op -x -a 'write create mkdir symlink mknod link unlink rmdir rename truncate fallocate chmod chown utimes xattr exec' -d 'Only these operations'
complete -c driftwatch -n "$in tail" -l path -x -d 'Only paths that match'
complete -c driftwatch -n "$in tail" -l target -x -a 'layer volume tmpfs other all' -d 'What was written to'
complete -c driftwatch -n "$in tail" -l raw -d 'A line per burst of writes'
complete -c driftwatch -n "$in tail" -s n -x -d 'End after so many events'
complete -c driftwatch -n "$in tail" -l exec-only -d 'Only executions of files of the layer'

complete -c driftwatch -n "$in ps" -s a -l all -d 'Exited and removed ones, too'
complete -c driftwatch -n "$in files" -l all -d 'Touched and tampered ones, too'
complete -c driftwatch -n "$in ps files" -l no-trunc -d 'Nothing narrowed'
complete -c driftwatch -n "$in ps files" -l no-headers -d 'No column titles'
complete -c driftwatch -n "$in files diff" -l no-runtime -d 'Leave out what the runtime made'
complete -c driftwatch -n "$in files" -l change -x -a 'added modified deleted' -d 'Only these'
complete -c driftwatch -n "$in files" -l exec -d 'Only executable files'
complete -c driftwatch -n "$in diff" -l scan -d 'Read the layer now, without agent and BPF'
complete -c driftwatch -n "$in diff" -s 0 -l null -d 'End each line with NUL'
complete -c driftwatch -n "$in diff" -l exit-code -d 'Exit with 3 when there is drift'
