/*
 * SPDX-License-Identifier: MIT
 */
#include "agent/config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config_table.h"
#include "platform/text.h"
#include "protocol/kcmdline.h"
#include "protocol/name_servers.h"

#define CONFIG_OPTIONS_MAX 64
#define CONFIG_NAME_MAX 32
#define CONFIG_HELP_COLUMN 30
#define CONFIG_VALUES_MAX 64

static void *
config_member(struct config *config, const struct config_option *option)
{
	return (char *)config + option->offset;
}

/* ---- one value --------------------------------------------------------- */

static bool
config_set_number(
    struct config *config, const struct config_option *option, const char *text, char *error)
{
	const char *problem;
	long long number = strtonum(text, option->min, option->max, &problem);

	if (problem != NULL) {
		(void)text_format(error, CONFIG_ERROR_MAX, "a number from %u to %u is needed",
		    option->min, option->max);
		return false;
	}
	*(uint32_t *)config_member(config, option) = (uint32_t)number;
	return true;
}

static bool
config_set_word(
    struct config *config, const struct config_option *option, const char *text, char *error)
{
	size_t len = strlcpy(error, "one of these is needed:", CONFIG_ERROR_MAX);

	for (uint32_t i = 0; option->words[i] != NULL; i++) {
		if (strcmp(option->words[i], text) == 0) {
			*(uint32_t *)config_member(config, option) = i;
			return true;
		}
		len += text_format(error + len, CONFIG_ERROR_MAX - len, " %s", option->words[i]);
	}
	return false;
}

static bool
config_set_text(
    struct config *config, const struct config_option *option, const char *text, char *error)
{
	if (strlen(text) >= CONFIG_TEXT_MAX) {
		(void)text_format(
		    error, CONFIG_ERROR_MAX, "longer than %d bytes", CONFIG_TEXT_MAX - 1);
		return false;
	}
	(void)strlcpy(config_member(config, option), text, CONFIG_TEXT_MAX);
	return true;
}

static bool
config_set_dns(
    struct config *config, const struct config_option *option, const char *text, char *error)
{
	if (name_servers_check_option(text) == 0)
		return config_set_text(config, option, text, error);
	(void)strlcpy(error,
	    "off, gateway, or addresses (at most three, a comma between them) are needed",
	    CONFIG_ERROR_MAX);
	return false;
}

static bool
config_set_address(
    struct config *config, const struct config_option *option, const char *text, char *error)
{
	int r = address_parse(text, config_member(config, option));

	if (r == 0)
		return true;
	(void)strlcpy(error,
	    r == -ENAMETOOLONG ? "the path is too long for a socket"
			       : "vsock or unix:PATH is needed",
	    CONFIG_ERROR_MAX);
	return false;
}

static bool
config_set_port(
    struct config *config, const struct config_option *option, const char *text, char *error)
{
	if (address_parse_port(text, config_member(config, option)) == 0)
		return true;
	(void)strlcpy(error, "vsock:CID:PORT is needed", CONFIG_ERROR_MAX);
	return false;
}

/* Sets OPTION to TEXT, or leaves it as it is, with what is wrong in ERROR. */
static bool
config_set(struct config *config, const struct config_option *option, const char *text, char *error)
{
	switch (option->kind) {
	case CONFIG_NUMBER:
		return config_set_number(config, option, text, error);
	case CONFIG_WORD:
		return config_set_word(config, option, text, error);
	case CONFIG_TEXT:
		return config_set_text(config, option, text, error);
	case CONFIG_DNS:
		return config_set_dns(config, option, text, error);
	case CONFIG_ADDRESS:
		return config_set_address(config, option, text, error);
	case CONFIG_PORT:
		return config_set_port(config, option, text, error);
	case CONFIG_FLAG:
		*(uint32_t *)config_member(config, option) = text[0] != '0';
		return true;
	}
	return false;
}

static void __attribute__((format(printf, 2, 3)))
config_complain(config_complaint_fn *complain, const char *format, ...)
{
	char text[2 * CONFIG_ERROR_MAX];
	va_list args;

	va_start(args, format);
	(void)text_format_args(text, sizeof(text), format, args);
	va_end(args);
	complain(text);
}

void
config_init(struct config *config)
{
	char error[CONFIG_ERROR_MAX];

	*config = (struct config){ 0 };
	for (size_t i = 0; i < config_table_len; i++)
		(void)config_set(config, &config_table[i], config_table[i].initial, error);
}

/* ---- the kernel command line ------------------------------------------- */

static bool
config_is_ours(const struct kcmdline_word *word)
{
	const size_t prefix_len = strlen(CONFIG_KERNEL_PREFIX);

	return word->name_len >= prefix_len &&
	       strncmp(word->name, CONFIG_KERNEL_PREFIX, prefix_len) == 0;
}

static const struct config_option *
config_find_kernel(const struct kcmdline_word *word)
{
	const size_t prefix_len = strlen(CONFIG_KERNEL_PREFIX);
	struct kcmdline_word name = *word;

	name.name += prefix_len;
	name.name_len -= prefix_len;
	for (size_t i = 0; i < config_table_len; i++) {
		if (config_table[i].kind != CONFIG_FLAG &&
		    kcmdline_is_named(&name, config_table[i].name))
			return &config_table[i];
	}
	return NULL;
}

static void
config_read_word(
    struct config *config, const struct kcmdline_word *word, config_complaint_fn *complain)
{
	const struct config_option *option = config_find_kernel(word);
	int name_len = (int)word->name_len;
	char error[CONFIG_ERROR_MAX];
	char value[CONFIG_TEXT_MAX];

	if (option == NULL) {
		config_complain(complain, "%.*s: no such option", name_len, word->name);
		return;
	}
	if (word->value == NULL) {
		config_complain(complain, "%.*s: a value is needed", name_len, word->name);
		return;
	}
	if (word->value_len >= sizeof(value)) {
		config_complain(complain, "%.*s: longer than %d bytes", name_len, word->name,
		    CONFIG_TEXT_MAX - 1);
		return;
	}
	memcpy(value, word->value, word->value_len);
	value[word->value_len] = '\0';
	if (!config_set(config, option, value, error))
		config_complain(complain, "%.*s=%s: %s", name_len, word->name, value, error);
}

void
config_read_kernel(struct config *config, const char *line, config_complaint_fn *complain)
{
	struct kcmdline_word word;

	(void)kcmdline_get(line, "ip", config->kernel_ip, sizeof(config->kernel_ip));
	while (kcmdline_next(&line, &word)) {
		if (config_is_ours(&word))
			config_read_word(config, &word, complain);
	}
}

/* ---- argv -------------------------------------------------------------- */

/* The table's names as getopt_long(3) wants them, with hyphens. */
static void
config_make_getopt(struct option *options, char (*names)[CONFIG_NAME_MAX])
{
	for (size_t i = 0; i < config_table_len; i++) {
		(void)strlcpy(names[i], config_table[i].name, sizeof(names[i]));
		for (char *c = names[i]; *c != '\0'; c++) {
			if (*c == '_')
				*c = '-';
		}
		options[i] = (struct option){
			.name = names[i],
			.has_arg =
			    config_table[i].kind == CONFIG_FLAG ? no_argument : required_argument,
		};
	}
	options[config_table_len] = (struct option){ 0 };
}

/* getopt(3) has one letter at a time of short options, of which we have none; then
 * WORD may be the one before. */
static void
config_complain_unknown(const char *word, config_complaint_fn *complain)
{
	if (optopt > 0 && optopt < CHAR_MAX)
		config_complain(complain, "-%c: no such option; see --help", optopt);
	else
		config_complain(complain, "%s: no such option; see --help", word);
}

/* What came from both command lines together. Returns the number of complaints. */
static int
config_check_ports(struct config *config, config_complaint_fn *complain)
{
	struct config initial;

	if (config->exec_port != config->file_port)
		return 0;
	config_complain(complain, "exec_port and file_port are both %" PRIu32, config->exec_port);
	config_init(&initial);
	config->exec_port = initial.exec_port;
	config->file_port = initial.file_port;
	return 1;
}

int
config_read_argv(struct config *config, int argc, char **argv, config_complaint_fn *complain)
{
	struct option options[CONFIG_OPTIONS_MAX];
	char names[CONFIG_OPTIONS_MAX][CONFIG_NAME_MAX];
	char error[CONFIG_ERROR_MAX];
	int complaints = 0;
	int found;
	int index = 0;

	config_make_getopt(options, names);
	opterr = 0;
	optind = 0; /* glibc: scan from the start, however often we are called */
	while ((found = getopt_long(argc, argv, ":", options, &index)) != -1) {
		const char *value = optarg != NULL ? optarg : "1";

		if (found == ':')
			config_complain(complain, "%s: a value is needed", argv[optind - 1]);
		else if (found != 0)
			config_complain_unknown(argv[optind - 1], complain);
		else if (!config_set(config, &config_table[index], value, error))
			config_complain(complain, "--%s=%s: %s", options[index].name, value, error);
		else
			continue;
		complaints++;
	}
	for (; optind < argc; optind++, complaints++)
		config_complain(complain, "%s: not an option; see --help", argv[optind]);
	return complaints + config_check_ports(config, complain);
}

/* The default, and what may be instead unless that is any number. */
static void
config_format_values(const struct config_option *option, char values[CONFIG_VALUES_MAX])
{
	values[0] = '\0';
	if (option->kind == CONFIG_NUMBER && option->max < UINT32_MAX - 1)
		(void)text_format(values, CONFIG_VALUES_MAX, " [%s; %" PRIu32 " to %" PRIu32 "]",
		    option->initial, option->min, option->max);
	else if (option->kind != CONFIG_FLAG && option->initial[0] != '\0')
		(void)text_format(values, CONFIG_VALUES_MAX, " [%s]", option->initial);
}

void
config_print_help(const char *program)
{
	struct option options[CONFIG_OPTIONS_MAX];
	char names[CONFIG_OPTIONS_MAX][CONFIG_NAME_MAX];

	config_make_getopt(options, names);
	(void)printf("Usage: %s [--OPTION=VALUE]...\n\n"
		     "The agent inside a microVM, as PID 1 or as a service: over vsock it runs\n"
		     "programs, moves files and sets the clock for the host.\n\n"
		     "Each option but the last four is also taken from the kernel command line,\n"
		     "as " CONFIG_KERNEL_PREFIX "workers=8; what stands here wins.\n\n",
	    program);
	for (size_t i = 0; i < config_table_len; i++) {
		const struct config_option *option = &config_table[i];
		int left = printf("  --%s", names[i]);
		char values[CONFIG_VALUES_MAX];

		if (option->value_name != NULL)
			left += printf("=%s", option->value_name);
		config_format_values(option, values);
		(void)printf("%*s %s%s\n",
		    left < CONFIG_HELP_COLUMN ? CONFIG_HELP_COLUMN - left : 0, "", option->help,
		    values);
	}
}
