#!/bin/sh
# SPDX-License-Identifier: MIT
# debian_lists.sh: of which Debian the tests take what is not installed; for a script to
# read in. It asks where this machine's own lists of Debian are from, and nowhere else.

# debian_origins: the address and the suite of each of the machine's lists.
debian_origins() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Origin: Debian' | sort -u
}

# debian_mirror: the same of the one that is no updates of another.
debian_mirror() {
	debian_origins | grep -v -- '-[a-z]*$' | head -n 1
}

# debian_lists WORK TYPE ARCH [SUITE]: from here on apt asks for deb or deb-src of machines of
# that kind, of SUITE and its updates, else of the machine's own; what it hears stays in WORK,
# and the machine's lists as they are. What failed is told on standard error.
debian_lists() {
	mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
	case ${4-} in
	'') edit= ;;
	*-*) edit="/ [a-z]*$/!d; s/ .*/ $4/" ;; # it has no updates
	*) edit="s/ [a-z]*/ $4/" ;;
	esac
	unset APT_CONFIG
	debian_origins | sed "$edit" | sort -u |
		sed "s:.*:$2 [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] & main:" >"$1/sources"
	test -s "$1/sources" || {
		echo "apt has no lists of Debian (after apt-get update it does)" >&2
		return 1
	}
	cat >"$1/apt.conf" <<-EOF
		APT::Architecture "$3";
		APT::Architectures { "$3"; };
		Dir::Etc::SourceList "$1/sources";
		Dir::Etc::SourceParts "-";
		Dir::State::Lists "$1/lists";
		Dir::State::Status "/dev/null";
		Dir::Cache "$1/cache";
		APT::Sandbox::User "root";
	EOF
	export APT_CONFIG="$1/apt.conf"
	apt-get -q update >"$1/log" 2>&1 || {
		cat "$1/log" >&2
		return 1
	}
}
