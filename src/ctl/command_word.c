/*
 * command_word: the words of other programs, and distances of spelling.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/command_word.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define COMMAND_WORD_MAX 32
#define COMMAND_WORD_SHORT 4

/* What docker, kubectl, ssh, adb, systemctl and shells call it. A word that has become a
 * command of ours never comes here. */
static const struct {
	const char *word;
	const char *name;
} command_words[] = {
	{ "run", "exec" },
	{ "start", "exec" },
	{ "spawn", "exec" },
	{ "cmd", "exec" },
	{ "command", "exec" },
	{ "put", "cp" },
	{ "get", "cp" },
	{ "push", "cp" },
	{ "pull", "cp" },
	{ "copy", "cp" },
	{ "upload", "cp" },
	{ "download", "cp" },
	{ "scp", "cp" },
	{ "sftp", "cp" },
	{ "rsync", "cp" },
	{ "send", "cp" },
	{ "receive", "cp" },
	{ "write", "cp" },
	{ "ssh", "shell" },
	{ "sh", "shell" },
	{ "bash", "shell" },
	{ "zsh", "shell" },
	{ "login", "shell" },
	{ "enter", "shell" },
	{ "console", "shell" },
	{ "terminal", "shell" },
	{ "tty", "shell" },
	{ "stop", "shutdown" },
	{ "halt", "shutdown" },
	{ "poweroff", "shutdown" },
	{ "power-off", "shutdown" },
	{ "reboot", "shutdown" },
	{ "restart", "shutdown" },
	{ "log", "logs" },
	{ "output", "logs" },
	{ "resume", "attach" },
	{ "reattach", "attach" },
	{ "join", "attach" },
	{ "htop", "ps" },
	{ "list", "ps" },
	{ "processes", "ps" },
	{ "jobs", "sessions" },
	{ "port-forward", "forward" },
	{ "portforward", "forward" },
	{ "tunnel", "forward" },
	{ "proxy", "forward" },
	{ "expose", "forward" },
	{ "read", "cat" },
	{ "type", "cat" },
	{ "dir", "ls" },
	{ "ll", "ls" },
	{ "del", "rm" },
	{ "delete", "rm" },
	{ "remove", "rm" },
	{ "unlink", "rm" },
	{ "rename", "mv" },
	{ "move", "mv" },
	{ "md", "mkdir" },
	{ "info", "status" },
	{ "inspect", "status" },
	{ "ping", "wait" },
	{ "signal", "kill" },
	{ "freeze", "quiesce" },
	{ "pause", "quiesce" },
	{ "snapshot", "quiesce" },
	{ "unfreeze", "thaw" },
	{ "unpause", "thaw" },
	{ "restore", "restored" },
	{ "date", "clock-sync" },
	{ "time-sync", "clock-sync" },
	{ "inotify", "watch" },
};

static void
command_word_lower(unsigned *value, unsigned other)
{
	if (other < *value)
		*value = other;
}

/* How many letters have to be changed, added, left out, or exchanged with the next
 * one (optimal string alignment). */
static unsigned
command_word_distance(const char *a, const char *b)
{
	unsigned table[COMMAND_WORD_MAX + 1][COMMAND_WORD_MAX + 1];
	size_t a_len = strlen(a);
	size_t b_len = strlen(b);

	if (a_len > COMMAND_WORD_MAX || b_len > COMMAND_WORD_MAX)
		return COMMAND_WORD_MAX;
	for (unsigned i = 0; i <= a_len; i++) {
		for (unsigned j = 0; j <= b_len; j++) {
			unsigned *best = &table[i][j];

			*best = i + j;
			if (i > 0)
				command_word_lower(best, table[i - 1][j] + 1);
			if (j > 0)
				command_word_lower(best, table[i][j - 1] + 1);
			if (i > 0 && j > 0)
				command_word_lower(
				    best, table[i - 1][j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				command_word_lower(best, table[i - 2][j - 2] + 1);
		}
	}
	return table[a_len][b_len];
}

/* A word of a few letters is near to any other of them. */
static unsigned
command_word_limit(const char *word)
{
	size_t len = strlen(word);

	return len <= COMMAND_WORD_SHORT ? 1 : (unsigned)len / 3 + 1;
}

static const char *
command_word_nearest(const char *word, const char *const *names, int count)
{
	unsigned limit = command_word_limit(word);
	const char *nearest = NULL;

	for (int i = 0; i < count; i++) {
		unsigned distance = command_word_distance(word, names[i]);

		if (distance <= limit) {
			limit = distance;
			nearest = names[i];
			if (distance == 0)
				break;
			limit--;
		}
	}
	return nearest;
}

const char *
command_word_meant(const char *word, const char *const *names, int count)
{
	for (size_t i = 0; i < sizeof(command_words) / sizeof(command_words[0]); i++) {
		if (strcmp(word, command_words[i].word) == 0)
			return command_words[i].name;
	}
	return command_word_nearest(word, names, count);
}
