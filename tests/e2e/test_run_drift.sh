#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# The drift that driftwatch run prints is what lies in the layer, no more and no less.
# shellcheck source=tests/e2e/run_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/run_lib.sh"

# A small root: programs are the host's libc-free busybox, the rest are files to change.
image=$scratch/image
mkdir -p "$image"/{bin,etc/conf.d,usr/lib/sub/deep,var/log,tmp,data,proc,sys,dev,empty}
cp "$(command -v busybox)" "$image/bin/busybox"
for applet in sh cat cp mv rm mkdir rmdir ln chmod chown touch dd mknod mkfifo truncate echo \
	sync seq setsid sleep; do
	ln -s busybox "$image/bin/$applet"
done
for name in etc/a etc/b etc/conf.d/c usr/lib/one.so usr/lib/sub/two.so usr/lib/sub/deep/three var/log/log; do
	echo "of the image: $name" > "$image/$name"
done
ln -s a "$image/etc/link"
find "$image" -exec touch -h -d '2020-01-02 03:04:05.678' {} +

# Run a script in a container over the image; keep its layer and compare.
layer=0
drift_is_layer() { # script, option...
	local script=$1 differences
	shift
	layer=$((layer + 1))
	run -q -o json --lower "$image" --keep "$scratch/layer$layer" "$@" -- /bin/sh -c "$script"
	differences=$(tests/e2e/run_upper.py "$image" "$scratch/layer$layer/upper" "$scratch/out" 2>&1) && return
	problems+="${problems:+; }drift and layer differ: $differences"
	return 1
}

change_of() { # path: what the answer says of it
	jq -r --arg path "$1" '.files[] | select(.path == $path) | .change' "$scratch/out"
}

value_of() { # path, key
	jq -r --arg path "$1" ".files[] | select(.path == \$path) | $2" "$scratch/out"
}

drift_is_layer 'echo new > /etc/new; echo more >> /etc/a; rm /etc/b; mkdir -p /srv/x/y; cp /bin/busybox /srv/x/y/miner'
expect "an added file" test "$(change_of /etc/new)" = added
expect "a changed file" test "$(change_of /etc/a)" = modified
expect "a deleted file" test "$(change_of /etc/b)" = deleted
expect "its directory" test "$(change_of /etc)" = modified
expect "what the shell wrote" test "$(value_of /etc/new .written_bytes)" = 4
expect "the writer" test "$(value_of /etc/new .last_writer.comm)" = sh
expect "an executable" test "$(value_of /srv/x/y/miner .executable)" = true
expect "its size" test "$(value_of /srv/x/y/miner .size)" = "$(stat -c %s "$image/bin/busybox")"
end_test added_modified_and_deleted_files_are_listed

drift_is_layer 'mv /etc/a /etc/moved; rm -r /usr/lib/sub; mkdir /usr/lib/sub; echo x > /usr/lib/sub/two.so
	rm -r /etc/conf.d; echo file > /etc/conf.d; rm /etc/link; mkdir /etc/link; ln /etc/moved /etc/hard
	chmod 600 /var/log/log; chown 7:8 /usr/lib/one.so; touch -d "2001-01-01 00:00:00" /etc/b; chmod 700 /empty'
end_test renames_replaced_directories_and_attributes_are_listed

drift_is_layer 'truncate -s 0 /etc/a; mkfifo /fifo; mknod /node c 7 9; ln -s nowhere /etc/dangling
	dd if=/dev/zero of=/var/big bs=4096 count=100; : > /var/log/log; rmdir /empty; rm /etc/link'
expect "the bytes of 100 calls" test "$(value_of /var/big .written_bytes)" = 409600
end_test special_files_and_truncation_are_listed

drift_is_layer 'cat /etc/a /etc/b > /dev/null; : >> /etc/a; echo x > /tmp/t; rm /tmp/t; mkdir /tmp/d; rmdir /tmp/d'
expect "the file opened for writing alone is no drift" test -z "$(change_of /etc/a)"
end_test reading_and_passing_files_are_no_drift

mkdir "$scratch/volume"
drift_is_layer 'echo v > /data/in-volume; echo t > /scratch/in-tmpfs; echo s > /dev/shm/s; echo l > /etc/in-layer' \
	--volume "$scratch/volume:/data" --tmpfs /scratch
expect "the volume has it" test "$(cat "$scratch/volume/in-volume")" = v
expect "the volume's file is no drift" test -z "$(change_of /data/in-volume)"
expect "nor the tmpfs's" test -z "$(change_of /scratch/in-tmpfs)"
expect "nor what lies in /dev/shm" test -z "$(change_of /dev/shm/s)"
expect "the layer's is" test "$(change_of /etc/in-layer)" = added
end_test volumes_and_tmpfs_are_no_drift

run -q -o json --lower "$image" --volume "$scratch/volume:/data:ro" -- /bin/sh -c 'echo x > /data/no'
expect "refused" test "$status" -ne 0
expect "nothing arrived" test ! -e "$scratch/volume/no"
end_test a_read_only_volume_cannot_be_written

# Names that break lines, terminals, JSON, shells and decoders.
# shellcheck disable=SC2016 # for the shell inside
drift_is_layer 'cd /srv 2>/dev/null || { mkdir /srv; cd /srv; }
	for name in "$(printf "a\nA /etc/passwd")" "$(printf "\033[2J\033]0;x\a")" "$(printf "\377\376bad")" \
		"$(printf "\342\200\256gnp.exe")" " " "\\" "\"" "-rf" "*" "$(printf "%0255d" 1)" \
		".wh.fake" "$(printf "\351t\351")" "..." "$(printf "\r")"; do
		echo x > "./$name" && mkdir "./$name.d" && echo y > "./$name.d/$name"
	done 2> /dev/null
	i=0; while [ $i -lt 60 ]; do d=$(printf "%0200d" $i); mkdir "$d" && cd "$d"; i=$((i+1)); done; echo deep > deep'
expect "the command did its work" test "$status" -eq 0
expect "invalid UTF-8 is given in base64" jq -e '[.files[] | select(.path_b64)] | length >= 3' "$scratch/out" > "$scratch/jq"
end_test hostile_names_are_listed_exactly

# shellcheck disable=SC2016 # for the shell inside
run -q --lower "$image" -- /bin/sh -c 'printf x > "/etc/$(printf "\033[31mred\nA  /etc/forged")"'
expect "no escape sequence in the text" lacks "$out" $'\033'
expect "no forged line" lacks "$out" $'\nA  /etc/forged'
end_test hostile_names_are_inert_in_the_text

# shellcheck disable=SC2016 # for the shell inside
run --lower "$image" -- /bin/sh -c 'echo x > "/etc/$(printf "\033[31mred\nline")"; echo y > /etc/plain'
expect "the tail names the file" contains "$err" "/etc/plain"
expect "the tail names the writer" contains "$err" "by sh["
expect "no escape sequence in the tail" lacks "$err" $'\033'
expect "text goes to stdout" contains "$out" "/etc/plain"
end_test changes_are_told_on_stderr_while_it_runs

run -q -o json --lower "$image" -- /bin/sh -c 'echo the command says this; echo x > /etc/x'
expect "stdout is JSON alone" jq -e .files "$scratch/out" > "$scratch/jq"
expect "the command's output is on stderr" contains "$err" "the command says this"
expect "the container is named" test "$(jq -r .container.runtime "$scratch/out")" = driftwatch
end_test json_has_stdout_for_itself

run -q --metrics --lower "$image" -- /bin/sh -c 'echo 12345 > /etc/x'
expect "bytes of the layer are counted" grep -qE '^driftwatch_[a-z_]*bytes_total\{.*target="layer".*\} 6$' "$scratch/out"
expect "the scrape is well-formed" promtool check metrics < <(sed -n '/^# HELP/,$p' "$scratch/out") > "$scratch/promtool" 2>&1
end_test metrics_follow_the_drift

# shellcheck disable=SC2016 # for the shell inside
drift_is_layer 'for i in $(seq 1 40); do (for k in $(seq 1 25); do echo $i > /tmp/$i.$k; [ $((k % 3)) = 0 ] && rm /tmp/$i.$k; done) & done; wait'
expect "the command did its work" test "$status" -eq 0
end_test many_processes_at_once_are_listed_exactly

# The last act of a command is in the list, also of one that kills itself while writing.
# shellcheck disable=SC2016 # for the shell inside
drift_is_layer 'for i in $(seq 1 50); do echo $i >> /etc/a; done; echo last > /etc/last; kill -9 $$'
expect "137" test "$status" -eq 137
expect "the last file" test "$(change_of /etc/last)" = added
end_test the_last_act_is_listed

expect "only upper/ is kept" test "$(ls "$scratch/layer1")" = upper
expect "the image is as it was" test -z "$(find "$image" -newermt '2020-01-03')"
expect "nothing is left over" test -z "$(leftovers | grep -v ^/sys)"
end_test the_layer_is_kept_and_nothing_else
