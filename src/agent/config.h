/*
 * config: what the operator set, from argv and the kernel command line. One table
 * (config_table.c) has names, ranges, defaults and help.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/address.h"

#define CONFIG_TEXT_MAX 256
#define CONFIG_ERROR_MAX 256

/* In front of a name on the kernel command line. */
#define CONFIG_KERNEL_PREFIX "vmm_agent."

struct config {
	uint32_t workers; /* 0: by memory */
	uint32_t reserved;
	uint32_t recycle;
	struct address listen;
	uint32_t exec_port;
	uint32_t file_port;
	uint32_t ready_port;
	struct address_port notify;
	uint32_t any_peer; /* bool */
	uint32_t max_file_mib;
	uint32_t first_frame_timeout; /* seconds */
	uint32_t stall_timeout;	      /* seconds */
	uint32_t journals_mib;	      /* 0: no durable sessions */
	uint32_t log;		      /* enum log_level */
	uint32_t log_to;	      /* enum log_target */
	uint32_t on_exit;	      /* enum shutdown_action */
	uint32_t on_shutdown;	      /* bool: SHUTDOWN ends the guest of a service, too */
	char hostname[CONFIG_TEXT_MAX];
	char dns[CONFIG_TEXT_MAX];
	uint32_t cgroup; /* bool: use cgroups where they are to be had */
	uint32_t boot;	 /* bool; on the command line alone, as are the next three */
	uint32_t once;
	uint32_t help;
	uint32_t version;
	char kernel_ip[CONFIG_TEXT_MAX]; /* the kernel's own ip=, "" if there is none */
};

/* Fills in every default. */
void config_init(struct config *config);

/* Called with each thing that is not understood: TEXT says what and why. */
typedef void config_complaint_fn(const char *text);

/* Takes vmm_agent.NAME=VALUE and ip= from LINE, the kernel command line. What is
 * not understood is complained of and left as it was. */
void config_read_kernel(struct config *config, const char *line, config_complaint_fn *complain);

/* Takes the options of ARGV; what is wrong is complained of and left as it was.
 * Returns how many complaints there were. ARGV may be reordered (getopt(3)). */
int config_read_argv(struct config *config, int argc, char **argv, config_complaint_fn *complain);

/* Prints the help that --help gives to standard output. */
void config_print_help(const char *program);

#endif
