# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016,SC2162
# bash-completion for vmm-guest-ctl. What there is to say it asks of the client, whose tables
# "help --words" prints: command, option, argument and help a line, the command's own line
# with its ways of use. Names of sessions, and paths, it asks of the guest, for 2 s at most.

# The client as on the command line so far: with its address.
_vmm_guest_ctl_ask() {
	timeout "${VMM_GUEST_COMPLETION_SECONDS:-2}" "${words[0]}" "${address[@]}" "$@" 2>/dev/null </dev/null
}

_vmm_guest_ctl_words() {
	"${words[0]}" help --words 2>/dev/null | awk -F '\t' "$@"
}

# Names of sessions. The guest may be an attacker's: bash expands the words of "compgen -W", and
# what is offered goes into the command line as it is.
_vmm_guest_ctl_sessions() {
	local name
	while IFS= read -r name; do
		[[ $name == "$cur"* ]] && COMPREPLY+=("$name")
	done < <(_vmm_guest_ctl_ask sessions | awk 'NR > 1 {
		word = $1 == "-" ? $2 : $1
		if (word ~ /^[A-Za-z0-9._][A-Za-z0-9._-]*$/) print word
	}')
}

# What is in the guest's directory of PATH, behind PREFIX, directories with a "/". On both sides
# of it words have backslashes.
_vmm_guest_ctl_paths() {
	local prefix=$1 path='' directory='' name line
	IFS= read -d '' path < <(printf '%s\0' "$2")
	case $path in */*) directory=${path%/*}/ ;; esac
	compopt -o nospace
	while IFS= read -r line; do
		name=$directory${line:1}
		[[ $name == "$path"* ]] || continue
		printf -v name '%s%q' "$prefix" "$name"
		case $line in d*) name+=/ ;; esac
		COMPREPLY+=("$name")
	done < <(_vmm_guest_ctl_ask ls -l -- "${directory:-.}" |
		sed -nE 's/ -> .*//; s/^(.)[^ ]*( +[^ ]+){5} /\1/p')
}

# What may stand where --help says KIND.
_vmm_guest_ctl_kind() {
	case $1 in
	*SESSION*) _vmm_guest_ctl_sessions ;;
	*SOURCE* | *TARGET*)
		case $cur in
		vm:*) _vmm_guest_ctl_paths vm: "${cur#vm:}" ;;
		*) mapfile -t COMPREPLY < <(compgen -W vm: -- "$cur") && compopt -o nospace -o default ;;
		esac
		;;
	*PATH* | *FROM* | DIR) _vmm_guest_ctl_paths "" "$cur" ;;
	*SIGNAL*) mapfile -t COMPREPLY < <(compgen -W "TERM KILL INT HUP QUIT USR1 USR2 STOP CONT" -- "$cur") ;;
	FILE | "[=FILE]") compopt -o default ;;
	ADDRESS)
		case $cur in
		unix:*) mapfile -t COMPREPLY < <(compgen -P unix: -f -- "${cur#unix:}") && compopt -o filenames ;;
		*) mapfile -t COMPREPLY < <(compgen -W "unix: vsock:" -- "$cur") && compopt -o nospace -o default ;;
		esac
		;;
	*COMMAND*) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
	esac
}

_vmm_guest_ctl() {
	local cur prev words cword command="" argument place address=()
	_get_comp_words_by_ref -n := cur prev words cword
	for ((place = 1; place < cword; place++)); do
		case ${words[place]} in
		-a | --address) address=(-a "${words[++place]}") ;;
		-*) ;;
		*) command=${words[place]} && break ;;
		esac
	done
	COMPREPLY=()
	argument=$(_vmm_guest_ctl_words -v c="$command" -v o="$prev" '$1 == c && $2 == o && o != "" { print $3 }')
	[ "$prev" = --name ] && argument=SESSION
	if [ -n "$argument" ] && [[ $argument != "["* ]]; then
		_vmm_guest_ctl_kind "$argument"
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_vmm_guest_ctl_words -v c="$command" \
			'$1 == c && $2 != "" { print $2 }')" -- "$cur")
	elif [ -z "$command" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_vmm_guest_ctl_words '$1 != "" && $2 == "" { print $1 }')" -- "$cur")
	elif [ "$command" = help ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_vmm_guest_ctl_words '$1 != "" && $2 == "" { print $1 }')" -- "$cur")
	else
		_vmm_guest_ctl_kind "$(_vmm_guest_ctl_words -v c="$command" \
			'$1 == c && $2 == "" { gsub(/\[-[^]]*\]/, "", $3); print $3 }')"
	fi
	declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
}

complete -F _vmm_guest_ctl vmm-guest-ctl
