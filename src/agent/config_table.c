/*
 * SPDX-License-Identifier: MIT
 */
#include "agent/config_table.h"

#include "shared/scoreboard.h"

static const char *const config_levels[] = { "error", "info", "debug", NULL };
static const char *const config_targets[] = { "stderr", "kmsg", NULL };
static const char *const config_peers[] = { "host", "any", NULL };
static const char *const config_actions[] = { "auto", "reboot", "poweroff", "halt", NULL };
static const char *const config_ends[] = { "agent", "guest", NULL };
static const char *const config_cgroups[] = { "off", "auto", NULL };

/* clang-format off */
#define AT(member) .offset = offsetof(struct config, member)
#define NUMBER(member, low, high) .kind = CONFIG_NUMBER, AT(member), .min = low, .max = high
#define WORD(member, list) .kind = CONFIG_WORD, AT(member), .words = list
#define FLAG(member) .kind = CONFIG_FLAG, AT(member)

const struct config_option config_table[] = {
	{ "workers", NUMBER(workers, 0, SCOREBOARD_WORKERS_MAX),
	  .initial = "0", .value_name = "N",
	  .help = "sessions at once; 0: by memory" },
	{ "reserved", NUMBER(reserved, 0, SCOREBOARD_WORKERS_MAX - 1),
	  .initial = "2", .value_name = "N",
	  .help = "workers kept from programs" },
	{ "recycle", NUMBER(recycle, 0, UINT32_MAX),
	  .initial = "1000", .value_name = "N",
	  .help = "a worker's sessions; 0: no end" },
	{ "listen", .kind = CONFIG_ADDRESS, AT(listen),
	  .initial = "vsock", .value_name = "ADDR",
	  .help = "vsock or unix:PATH" },
	{ "exec_port", NUMBER(exec_port, 1, UINT32_MAX - 1),
	  .initial = "52", .value_name = "PORT",
	  .help = "vsock port of programs" },
	{ "file_port", NUMBER(file_port, 1, UINT32_MAX - 1),
	  .initial = "53", .value_name = "PORT",
	  .help = "vsock port of files" },
	{ "ready_port", NUMBER(ready_port, 0, UINT32_MAX - 1),
	  .initial = "51", .value_name = "PORT",
	  .help = "the host's, told when we serve; 0: none" },
	{ "notify", .kind = CONFIG_PORT, AT(notify),
	  .initial = "", .value_name = "WHERE",
	  .help = "vsock:CID:PORT, told READY=1 when we serve" },
	{ "peer", WORD(any_peer, config_peers),
	  .initial = "host", .value_name = "host|any",
	  .help = "who may connect; any is for tests" },
	{ "max_file_mib", NUMBER(max_file_mib, 1, 1024 * 1024),
	  .initial = "256", .value_name = "MIB",
	  .help = "largest file to be written" },
	{ "first_frame_timeout", NUMBER(first_frame_timeout, 1, 86400),
	  .initial = "30", .value_name = "S",
	  .help = "for a connection's first frame" },
	{ "stall_timeout", NUMBER(stall_timeout, 1, 86400),
	  .initial = "60", .value_name = "S",
	  .help = "for a file that does not move" },
	{ "journals_mib", NUMBER(journals_mib, 0, 512),
	  .initial = "512", .value_name = "MIB",
	  .help = "of durable sessions; 0: there are none" },
	{ "log", WORD(log, config_levels),
	  .initial = "info", .value_name = "LEVEL",
	  .help = "error, info or debug" },
	{ "log_to", WORD(log_to, config_targets),
	  .initial = "stderr", .value_name = "WHERE",
	  .help = "stderr or kmsg" },
	{ "on_exit", WORD(on_exit, config_actions),
	  .initial = "auto", .value_name = "ACTION",
	  .help = "auto, reboot, poweroff or halt" },
	{ "on_shutdown", WORD(on_shutdown, config_ends),
	  .initial = "agent", .value_name = "WHAT",
	  .help = "agent or guest: what SHUTDOWN ends as a service" },
	{ "hostname", .kind = CONFIG_TEXT, AT(hostname),
	  .initial = "", .value_name = "NAME",
	  .help = "else from ip=, else /etc/hostname" },
	{ "dns", .kind = CONFIG_DNS, AT(dns),
	  .initial = "", .value_name = "WHAT",
	  .help = "off, gateway, or ADDR[,ADDR]" },
	{ "cgroup", WORD(cgroup, config_cgroups),
	  .initial = "auto", .value_name = "auto|off",
	  .help = "a cgroup for each session" },
	{ "boot", FLAG(boot), .initial = "0",
	  .help = "do the boot steps though we are not PID 1" },
	{ "once", FLAG(once), .initial = "0",
	  .help = "serve one connection in this process" },
	{ "help", FLAG(help), .initial = "0",
	  .help = "print this" },
	{ "version", FLAG(version), .initial = "0",
	  .help = "print the version" },
};
/* clang-format on */

const size_t config_table_len = sizeof(config_table) / sizeof(config_table[0]);
