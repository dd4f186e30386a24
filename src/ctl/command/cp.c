/*
 * cp: "vmm-guest-ctl cp": which way a copy goes, and under which names.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/copy/copy.h"
#include "ctl/copy/copy_agent.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_features.h"
#include "ctl/signals.h"
#include "ctl/target.h"
#include "platform/address.h"

static struct copy cp_main;

static int
cp_take_archive(const struct options_row *row, char *text)
{
	(void)row;
	(void)text;
	cp_main.recursive = true;
	cp_main.preserve = true;
	cp_main.keeps_links = true;
	return 0;
}

static const struct options_row cp_options[] = {
	OPTIONS_FLAG(
	    "recursive", 'r', &cp_main.recursive, "copy directories with all that is in them"),
	OPTIONS_HIDDEN('R', options_take_flag, &cp_main.recursive),
	OPTIONS_FLAG("preserve", 'p', &cp_main.preserve,
	    "keep modes and times of modification; without it new files get the source's "
	    "permissions less our umask, and files that were there keep their own"),
	OPTIONS_CALL("archive", 'a', NULL, cp_take_archive, NULL, NULL,
	    "-rp, and links stay links: a symbolic one that is named is not followed, and what has "
	    "several names stays one"),
	OPTIONS_FLAG("verbose", 'v', &cp_main.verbose, "say each file that was copied"),
	OPTIONS_FLAG(
	    "quiet", 'q', &cp_main.quiet, "no progress line (there is none but on a terminal)"),
	OPTIONS_TEXT("user", 'u', "USER", &cp_main.user,
	    "read and write in the guest with the rights of USER, who then owns new files"),
	OPTIONS_BYTES("max-size", "BYTES", &cp_main.max_size,
	    "take no more than BYTES out of a guest in all, holes of files included"),
	OPTIONS_CALL("max-entries", 0, "N", options_take_bytes, &cp_main.max_entries, "a number",
	    "take no more than N files, directories and links out of a guest in all"),
	OPTIONS_END,
};

static bool
cp_is_guest(const char *path)
{
	return strncmp(path, GUEST_ENTRY_MARK, strlen(GUEST_ENTRY_MARK)) == 0;
}

static bool
cp_has_slash(const char *path)
{
	size_t len = strlen(path);

	return len > 0 && path[len - 1] == '/';
}

/* DIRECTORY and the last part of SOURCE, or DIRECTORY alone where SOURCE has none, in a
 * new block; NULL: no memory. */
static char *
cp_name_in(const char *directory, const char *source)
{
	const char *end = source + strlen(source);
	const char *name;
	char *copy;
	char *path;

	while (end > source + 1 && end[-1] == '/')
		end--;
	name = end;
	while (name > source && name[-1] != '/')
		name--;
	copy = strndup(name, (size_t)(end - name));
	if (copy == NULL)
		return NULL;
	if (copy[0] != '\0' && copy[0] != '/' && strcmp(copy, "-") != 0 && strcmp(copy, ".") != 0 &&
	    strcmp(copy, "..") != 0)
		path = guest_entry_join(directory, copy);
	else
		path = strdup(directory);
	free(copy);
	return path;
}

/* Whether TARGET is a directory, on whichever side; -errno with ERROR filled in. */
static int
cp_is_directory(const char *target, bool to_guest, const char *user, struct client_error *error)
{
	struct copy_patience patience = { 0 };
	enum guest_entry_type type;
	struct stat st;
	int r;

	if (!to_guest)
		return stat(target, &st) == 0 && S_ISDIR(st.st_mode);
	do
		r = guest_entry_type(target_agent(), target, user, &type, error);
	while (copy_try_again(&patience, &r));
	return r < 0 ? r : type == GUEST_ENTRY_DIR;
}

/* The progress line moves on, or says that nothing does, also while all threads wait. */
static void
cp_tick(void)
{
	progress_add(&cp_main.progress, 0);
}

/* "x/." is called "x/" in what is said, and is the same. */
static void
cp_trim(char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 2] == '/' && (path[len - 1] == '.' || path[len - 1] == '/'))
		path[--len] = '\0';
}

/* Copies each source under the name it is to have. */
static int
cp_all(struct copy *copy, char **sources, const char *target, bool to_guest)
{
	struct client_error error = { "" };
	bool slash = cp_has_slash(target);
	bool is_stdout = !to_guest && copy_out_stream(target) >= 0;
	int is_directory = is_stdout ? 0 : cp_is_directory(target, to_guest, copy->user, &error);

	if (is_directory < 0)
		return command_fail("%s", error.text);
	if (copy->sources > 1 && !is_directory && !is_stdout)
		return command_fail("%s%s is not a directory, which %d sources need",
		    to_guest ? GUEST_ENTRY_MARK : "", target, copy->sources);
	copy->to_guest = to_guest;
	copy->names = is_stdout ? stderr : stdout;
	progress_start(&copy->progress,
	    !copy->quiet && !copy->verbose && (!is_stdout || !isatty(STDOUT_FILENO)));
	target_set_tick(cp_tick, PROGRESS_PERIOD_MS);
	for (int i = 0; i < copy->sources && !signals_have_come(); i++) {
		const char *source = to_guest ? sources[i] : guest_entry_path(sources[i]);
		char *name = is_directory || slash ? cp_name_in(target, source) : strdup(target);

		if (name == NULL)
			return command_fail("out of memory");
		cp_trim(sources[i]);
		if (to_guest)
			copy_in(copy, source, name);
		else
			copy_out(copy, source, name, strcmp(name, target) == 0);
		free(name);
	}
	return 0;
}

/* Room for directories whose files are still under way. */
static void
cp_raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* What is half received has to be removed first; all else may just end. */
static void
cp_catch_signals(void)
{
	signals_catch(SIGINT);
	signals_catch(SIGTERM);
	signals_catch(SIGHUP);
	signals_catch(SIGQUIT);
	/* A file that is larger than we may write (setrlimit(2)) is an error as any. */
	(void)signal(SIGXFSZ, SIG_IGN);
}

/* What an agent is too old for is not done in silence, and never with other rights. */
static int
cp_check_agent(struct copy *copy, bool to_guest)
{
	bool asks_for_times = to_guest && copy->preserve;
	struct client_error error = { "" };
	unsigned have;
	int r;

	if (copy->user[0] == '\0' && !asks_for_times && !(to_guest && copy->recursive))
		return 0;
	r = copy_agent_look(copy, &error);
	have = copy->agent.features;
	/* Without an answer all goes as it did before there was `more`. */
	if (r < 0 && (copy->user[0] != '\0' || asks_for_times))
		return command_fail("%s", error.text);
	if (copy->user[0] != '\0' && (have & (copy->recursive ? COPY_SET : COPY_USER)) == 0)
		return command_fail(GUEST_FEATURES_TOO_OLD_FOR_USER);
	/* Workers that are few each serve many connections, one after the other: who keeps one
	 * has the others wait, also for his own. */
	copy->asks_ahead = to_guest && copy->recursive && (have & COPY_AHEAD) != 0 &&
			   copy->agent.limits.idle > COPY_THREADS_AHEAD;
	copy->sets_times = asks_for_times && (have & COPY_SET) != 0;
	if (asks_for_times && !copy->sets_times) {
		copy->failed = true;
		(void)command_fail("the agent is too old to keep times");
	}
	return 0;
}

static int
cp_copy(struct copy *copy, char **sources, const char *target, bool to_guest)
{
	int status;

	if (!to_guest && copy_out_stream(target) < 0)
		cp_catch_signals();
	cp_raise_nofile();
	status = cp_check_agent(copy, to_guest);
	if (status != 0)
		return status;
	status = cp_all(copy, sources, target, to_guest);
	copy_finish(copy);
	progress_stop(&copy->progress);
	if (signals_have_come())
		signals_die(signals_take());
	return copy->failed ? COMMAND_FAILED : status;
}

/* "cp -a unix:/run/vm.sock ...", by who takes -a for the agent's address. */
static bool
cp_is_misplaced_address(const char *source)
{
	struct address address;

	return cp_main.keeps_links && access(source, F_OK) < 0 &&
	       address_parse(source, &address) == 0;
}

/* Checks on which sides the COUNT paths are. Returns -1 if it is well, or the exit
 * status. */
static int
cp_check_sides(char **paths, int count)
{
	bool to_guest = cp_is_guest(paths[count - 1]);

	for (int i = 0; i < count - 1; i++) {
		if (cp_is_misplaced_address(paths[i]))
			return command_misuse(&cp_command,
			    "there is no file '%s'; the agent's address, -a ADDRESS, goes before "
			    "'cp'",
			    paths[i]);
		if (!to_guest && !cp_is_guest(paths[i]))
			return command_misuse(&cp_command,
			    "'%s' and '%s' are both on this machine: 'vm:' marks the guest's side",
			    paths[i], paths[count - 1]);
		if (to_guest && cp_is_guest(paths[i]))
			return command_misuse(&cp_command,
			    "'%s' and '%s' are both in the guest: 'vmm-guest-ctl exec cp' copies "
			    "there",
			    paths[i], paths[count - 1]);
	}
	return -1;
}

static int
cp_prepare(int argc, char **argv)
{
	(void)argv;
	copy_init(&cp_main);
	return argc;
}

static int
cp_run(int count, char **operands)
{
	bool to_guest = cp_is_guest(operands[count - 1]);
	int status = cp_check_sides(operands, count);

	if (status >= 0)
		return status;
	cp_main.sources = count - 1;
	return cp_copy(&cp_main, operands, guest_entry_path(operands[count - 1]), to_guest);
}

const struct command cp_command = {
	.name = "cp",
	.summary = "copy files into the guest or out of it",
	.usage = "[OPTION]... SOURCE... TARGET",
	.about =
	    "Copies files into the guest or out of it. 'vm:' in front of a path marks the\n"
	    "guest's side; a path there starts at / in any case. '-' is our standard input\n"
	    "or output. Where TARGET is a directory, or ends with a slash, the copy gets the\n"
	    "name of its source in it; what is missing of the way to TARGET is made, there as\n"
	    "here.\n",
	.more = "\n"
		"A target is the old file or the new one, never half of it, whatever happens in\n"
		"between; a file here that has more names than one is written into at the end.\n"
		"What is there keeps its owner, and here its ACL and attributes. Below a\n"
		"directory symbolic links are copied as links, and what is not a file, directory\n"
		"or link is left out. A link here is followed where TARGET names it, not where\n"
		"it is in TARGET: the guest may have had it made. Owners are not copied; set-id\n"
		"bits are, but only into the guest and with -p. Into a tree that a user of the\n"
		"guest can write, copy with -u: what is done with the agent's own rights follows\n"
		"the links that the user puts there.\n"
		"A file that the guest is sent is at most 256 MiB, or what the agent's option\n"
		"max_file_mib says; a larger one is told of before anything of it is sent, and\n"
		"holes count. A file with holes has them on the other side too.\n"
		"\n"
		"Exit status: 0 if all was copied, else 1.\n"
		"\n"
		"Examples:\n"
		"  vmm-guest-ctl cp app.conf vm:/etc/app/\n"
		"  vmm-guest-ctl cp -rp site vm:/srv/www\n"
		"  vmm-guest-ctl cp vm:/var/log/syslog - | grep error\n",
	.options = cp_options,
	.operands_min = 2,
	.operands_max = COMMAND_OPERANDS_ANY,
	.operands = "a source and a target are needed",
	.prepare = cp_prepare,
	.run = cp_run,
};
