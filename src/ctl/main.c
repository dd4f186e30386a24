/*
 * main: vmm-guest-ctl, the host's client of the agent in a microVM: the options
 * that all commands share, and the table of commands.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/command_word.h"
#include "ctl/target.h"
#include "platform/fd.h"

static const struct command *const main_commands[] = {
	&exec_command,
	&shell_command,
	&attach_command,
	&logs_command,
	&sessions_command,
	&forget_command,
	&cp_command,
	&cat_command,
	&ls_command,
	&stat_command,
	&mkdir_command,
	&mv_command,
	&rm_command,
	&watch_command,
	&ps_command,
	&kill_command,
	&status_command,
	&top_command,
	&doctor_command,
	&wait_command,
	&wait_port_command,
	&forward_command,
	&quiesce_command,
	&thaw_command,
	&clock_sync_command,
	&restored_command,
	&shutdown_command,
};

#define MAIN_COMMANDS ((int)(sizeof(main_commands) / sizeof(main_commands[0])))

static const char *main_address;
static uint64_t main_wait_ms;
static bool main_shows_version;

/* 0 would be for ever. */
static int
main_take_wait(const struct options_row *row, char *text)
{
	int r = options_take_ms(row, text);

	return r == 0 && main_wait_ms == 0 ? -EINVAL : r;
}

static const struct options_row main_options[] = {
	OPTIONS_TEXT("address", 'a', "ADDRESS", &main_address,
	    "where the agent is (default: $VMM_GUEST_ADDR):\n"
	    "  unix:PATH  or PATH, the Unix socket of the VM's vsock\n"
	    "             device (Firecracker, Cloud Hypervisor)\n"
	    "  vsock:CID  the VM's context id (QEMU)"),
	OPTIONS_CALL("wait", 0, "S", main_take_wait, &main_wait_ms, OPTIONS_OF_SECONDS,
	    "give up where the agent has not begun to answer after S seconds, whatever the "
	    "command; without it that is said after 5 s, and waited for"),
	OPTIONS_FLAG("version", 0, &main_shows_version, "show the version"),
	OPTIONS_END,
};

static void
main_print_help(void)
{
	(void)printf("Usage: " COMMAND_PROGRAM " [-a ADDRESS] [--wait S] COMMAND [ARGUMENT]...\n"
		     "\n"
		     "Talks to vmm-guest-agent in a microVM.\n"
		     "\n"
		     "Commands:\n");
	for (int i = 0; i < MAIN_COMMANDS; i++)
		(void)printf("  %-12s %s\n", main_commands[i]->name, main_commands[i]->summary);
	(void)printf("\nOptions:\n");
	options_print(main_options);
	(void)printf("\n'" COMMAND_PROGRAM " COMMAND --help' tells more of a command.\n");
}

/* "help --words": what a shell completes by, a line a word, with tabs between its parts:
 * command (none: it stands in front of them), option (none: the command itself), argument
 * (or the command's ways of use, with ';' between them), and what it is. */
static void
main_print_words(void)
{
	options_print_words("", main_options);
	for (int i = 0; i < MAIN_COMMANDS; i++) {
		const struct command *command = main_commands[i];

		(void)printf("%s\t\t", command->name);
		for (const char *c = command->usage; *c != '\0'; c++)
			(void)putchar(*c != '\n' ? *c : ';');
		(void)printf("\t%s\n", command->summary);
		options_print_words(command->name, command->options);
	}
}

static int
main_unknown_command(const char *name)
{
	const char *names[MAIN_COMMANDS];
	const char *nearest;

	if (command_is_address(name)) {
		(void)fprintf(
		    stderr, COMMAND_PROGRAM ": '%s' is an address: -a goes in front of it\n", name);
		return COMMAND_MISUSED;
	}
	for (int i = 0; i < MAIN_COMMANDS; i++)
		names[i] = main_commands[i]->name;
	nearest = command_word_meant(name, names, MAIN_COMMANDS);
	(void)fprintf(stderr, COMMAND_PROGRAM ": there is no command '%s'", name);
	if (nearest != NULL) {
		(void)fprintf(stderr, "; did you mean '%s'?\n", nearest);
		return COMMAND_MISUSED;
	}
	(void)fprintf(stderr, "; there are");
	for (int i = 0; i < MAIN_COMMANDS; i++)
		(void)fprintf(stderr, "%s %s", i == 0 ? "" : ",", names[i]);
	(void)fprintf(stderr, "\n");
	return COMMAND_MISUSED;
}

/* Output that could not be written is a failure, whatever else went well; a file that
 * is on another machine may say so when it is closed. Returns STATUS, or FAILED if that
 * would be a success. */
static int
main_close(int status, int failed)
{
	bool has_failed = ferror(stdout);

	if (fclose(stdout) == 0 && !has_failed)
		return status;
	(void)fprintf(stderr, COMMAND_PROGRAM ": can't write to standard output\n");
	return status != 0 ? status : failed;
}

static const struct command *
main_find(const char *name)
{
	for (int i = 0; i < MAIN_COMMANDS; i++) {
		if (strcmp(name, main_commands[i]->name) == 0)
			return main_commands[i];
	}
	return NULL;
}

/* "help", and "help COMMAND". */
static int
main_help(const char *name)
{
	const struct command *command = name != NULL ? main_find(name) : NULL;

	if (name != NULL && strcmp(name, "--words") == 0) {
		main_print_words();
		return main_close(0, COMMAND_FAILED);
	}
	if (name != NULL && command == NULL)
		return main_unknown_command(name);
	if (command != NULL)
		(void)command_help(command);
	else
		main_print_help();
	return main_close(0, COMMAND_FAILED);
}

/* ARGV begins with the command's name. */
static int
main_command(int argc, char **argv)
{
	const struct command *command;

	if (argc == 0) {
		(void)fprintf(stderr,
		    COMMAND_PROGRAM ": which command? '" COMMAND_PROGRAM " --help' lists them.\n");
		return COMMAND_MISUSED;
	}
	if (strcmp(argv[0], "help") == 0)
		return main_help(argv[1]);
	command = main_find(argv[0]);
	if (command == NULL)
		return main_unknown_command(argv[0]);
	/* An exit status of a program must not be taken for ours. */
	return main_close(command_run(command, argc, argv),
	    command->misused != 0 ? command->misused : COMMAND_FAILED);
}

int
main(int argc, char **argv)
{
	fd_open_standard(false);
	switch (options_read(main_options, true, argc, argv)) {
	case OPTIONS_HELP:
		main_print_help();
		return main_close(0, COMMAND_FAILED);
	case OPTIONS_WRONG:
		(void)fprintf(stderr, "Try '" COMMAND_PROGRAM " --help' for more.\n");
		return COMMAND_MISUSED;
	case OPTIONS_READ:
		break;
	}
	if (main_shows_version || (optind < argc && strcmp(argv[optind], "version") == 0)) {
		(void)printf(COMMAND_PROGRAM " %s\n", PACKAGE_VERSION);
		return main_close(0, COMMAND_FAILED);
	}
	target_open(main_address, main_wait_ms);
	return main_command(argc - optind, argv + optind);
}
