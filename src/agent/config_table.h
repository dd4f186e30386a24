/*
 * config_table: the one table of options, from which the parsers and --help take
 * names, ranges and defaults.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AGENT_CONFIG_TABLE_H
#define AGENT_CONFIG_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "agent/config.h"

enum config_kind {
	CONFIG_NUMBER,	/* uint32_t within [min, max] */
	CONFIG_WORD,	/* uint32_t, the index in WORDS */
	CONFIG_TEXT,	/* char[CONFIG_TEXT_MAX] */
	CONFIG_ADDRESS, /* struct address */
	CONFIG_PORT,	/* struct address_port */
	CONFIG_DNS,	/* char[CONFIG_TEXT_MAX], as in name_servers.h */
	CONFIG_FLAG,	/* uint32_t, 1 if it is given; on the command line alone */
};

struct config_option {
	const char *name;
	unsigned kind : 4; /* enum config_kind */
	unsigned min : 4;
	unsigned offset : 24; /* in struct config */
	uint32_t max;
	const char *const *words; /* NULL at the end */
	const char *initial;	  /* the default, as one would write it */
	const char *value_name;	  /* in --help */
	const char *help;
};

extern const struct config_option config_table[];
extern const size_t config_table_len;

#endif
