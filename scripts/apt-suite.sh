# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Packages of other Debian suites and architectures than this machine's, to look at without
# installing them. Sourced.

# What was fetched stays here, and can be removed at any time.
apt_suite_cache=${XDG_CACHE_HOME:-/var/cache}/driftwatch-vm

# Let apt-get and apt-cache, in this shell, see @suite of the machine's own mirror alone, for
# @arch, with lists and caches of their own: dpkg and what is installed do not come into it.
apt_suite() { # suite arch
	local apt=$apt_suite_cache/apt-$1-$2 own=bookworm
	[[ $1 != *-security ]] || own=bookworm-security
	mkdir -p "$apt"/{sources,lists/partial,cache/archives/partial} || return 1
	# The first stanza that names the machine's suite of this kind.
	cat /etc/apt/sources.list.d/*.sources | awk -v RS= -v own="$own" '
		$0 ~ "Suites:([^\n]* )?" own "[ \n]" { print; exit }' |
		sed "s/^Suites:.*/Suites: $1/; s/^#.*//; /^$/d" > "$apt/sources/suite.sources"
	[[ -s $apt/sources/suite.sources ]] || return 1
	cat > "$apt/apt.conf" <<- END
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$apt/sources";
		Dir::State::lists "$apt/lists";
		Dir::State::status "/dev/null";
		Dir::Cache "$apt/cache";
		APT::Architecture "$2";
		APT::Architectures { "$2"; };
		Acquire::Languages "none";
	END
	export APT_CONFIG=$apt/apt.conf
	apt-get update -q -q # without a network, what the last one left
}
