/*
 * restored: "vmm-guest-ctl restored": what a guest needs after its snapshot was
 * restored, in one round trip.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "ctl/command.h"
#include "ctl/control.h"
#include "protocol/restored_request.h"

#define RESTORED_ENTROPY_LEN 64
#define RESTORED_NS_PER_S 1000000000ll
#define RESTORED_PREFIX_MAX 32

static const char restored_help[] =
    "Usage: vmm-guest-ctl restored [--net IP/PREFIX,GATEWAY] [--json]\n"
    "\n"
    "To be called right after a snapshot was restored: sets the guest's clock to this\n"
    "machine's, feeds its random pool (or it would draw the same numbers as the other\n"
    "clones of the snapshot), and gives it an address of its own.\n"
    "\n"
    "      --net IP/PREFIX,GATEWAY  the address, the length of its network's prefix,\n"
    "                               and the gateway, as 10.0.3.7/24,10.0.3.1\n"
    "      --json                   print the agent's answer: how long each step took\n"
    "  -h, --help                   show this help\n"
    "\n"
    "Exit status: 0, or 1 if a step failed; the others are done all the same.\n";

static const struct option restored_options[] = {
	{ "net", required_argument, NULL, 'n' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

struct restored_net {
	char ip[INET_ADDRSTRLEN];
	char netmask[INET_ADDRSTRLEN];
	char gateway[INET_ADDRSTRLEN];
};

/* Reads "IP/PREFIX,GATEWAY". Returns 0 or -EINVAL. */
static int
restored_parse_net(const char *text, struct restored_net *ret)
{
	char *slash;
	char *comma;
	char *copy = strdup(text);
	struct in_addr address;
	uint64_t prefix = 0;
	int r = -EINVAL;

	if (copy == NULL)
		return -EINVAL;
	slash = strchr(copy, '/');
	comma = slash != NULL ? strchr(slash, ',') : NULL;
	if (comma != NULL) {
		*slash = *comma = '\0';
		if (inet_pton(AF_INET, copy, &address) == 1 &&
		    inet_pton(AF_INET, comma + 1, &address) == 1)
			r = command_parse_number(slash + 1, 1, RESTORED_PREFIX_MAX, &prefix);
	}
	if (r == 0) {
		address.s_addr = htonl(UINT32_MAX << (RESTORED_PREFIX_MAX - prefix));
		(void)inet_ntop(AF_INET, &address, ret->netmask, sizeof(ret->netmask));
		(void)strlcpy(ret->ip, copy, sizeof(ret->ip));
		(void)strlcpy(ret->gateway, comma + 1, sizeof(ret->gateway));
	}
	free(copy);
	return r;
}

/* Complains of the steps that failed, or that all did. */
static int
restored_complain(const struct control_answer *answer)
{
	struct restored_status status = { 0 };
	struct json_error error = { 0 };

	if (answer->status == NULL ||
	    restored_status_parse(answer->status, answer->status_len, &status, &error) < 0 ||
	    status.errors_count == 0)
		return command_fail("the agent could not do it; its log in the guest says why");
	for (unsigned i = 0; i < status.errors_count; i++)
		(void)command_fail("%s", status.errors[i]);
	return COMMAND_FAILED;
}

static int
restored_send(const struct restored_net *net, bool print)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	uint8_t entropy[RESTORED_ENTROPY_LEN];
	struct restored_format format = { .entropy = entropy, .entropy_len = sizeof(entropy) };
	struct client_error error = { "" };
	struct timespec now;
	size_t len;
	char *json;
	int r;

	if (getrandom(entropy, sizeof(entropy), 0) != (ssize_t)sizeof(entropy))
		return command_fail("no randomness to be had: %s", strerror(errno));
	if (net != NULL) {
		format.ip = net->ip;
		format.netmask = net->netmask;
		format.gateway = net->gateway;
	}
	(void)clock_gettime(CLOCK_REALTIME, &now);
	format.unix_ns = now.tv_sec * RESTORED_NS_PER_S + now.tv_nsec;
	json = restored_request_format(&format, &len);
	if (json == NULL)
		return command_fail("out of memory");
	r = control_ask(VMM_GUEST_RESTORED, json, len, -1, &answer, &error);
	free(json);
	if (r < 0)
		return command_fail("%s", error.text);
	if (print && answer.status != NULL)
		command_print_json(stdout, answer.status, answer.status_len);
	return answer.exit.code == VMM_GUEST_EXIT_OK ? 0 : restored_complain(&answer);
}

static int
restored_run(int argc, char **argv)
{
	struct restored_net net;
	bool has_net = false;
	bool print = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", restored_options, NULL)) != -1) {
		switch (c) {
		case 'n':
			if (restored_parse_net(optarg, &net) < 0)
				return command_misuse(&restored_command,
				    "--net: '%s' is not IP/PREFIX,GATEWAY", optarg);
			has_net = true;
			break;
		case 'j':
			print = true;
			break;
		case 'h':
			return command_help(&restored_command);
		default:
			return command_misuse(&restored_command, NULL);
		}
	}
	if (optind < argc)
		return command_misuse(&restored_command, "it takes no arguments");
	return restored_send(has_net ? &net : NULL, print);
}

const struct command restored_command = {
	.name = "restored",
	.summary = "put the guest right after its snapshot was restored",
	.help = restored_help,
	.run = restored_run,
};
