/*
 * restored: "vmm-guest-ctl restored": what a guest needs after its snapshot was
 * restored, in one round trip.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "ctl/command.h"
#include "ctl/request.h"
#include "protocol/restored_request.h"

#define RESTORED_ENTROPY_LEN 64
#define RESTORED_NS_PER_S 1000000000ll
#define RESTORED_PREFIX_MAX 32

struct restored_net {
	char ip[INET_ADDRSTRLEN];
	char netmask[INET_ADDRSTRLEN];
	char gateway[INET_ADDRSTRLEN];
};

static struct restored_net restored_net; /* "" in all of it: none was given */
static bool restored_prints;

/* Reads "IP/PREFIX,GATEWAY". Returns 0 or -EINVAL. */
static int
restored_take_net(const struct options_row *row, char *text)
{
	struct restored_net *ret = row->into;
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

static const struct options_row restored_options[] = {
	OPTIONS_CALL("net", 0, "IP/PREFIX,GATEWAY", restored_take_net, &restored_net,
	    "IP/PREFIX,GATEWAY",
	    "the address, the length of its network's prefix, and the gateway, as "
	    "10.0.3.7/24,10.0.3.1"),
	OPTIONS_FLAG(
	    "json", 0, &restored_prints, "print the agent's answer: how long each step took"),
	OPTIONS_END,
};

/* The steps that failed, each by itself. */
static int
restored_complain(const struct control_answer *answer)
{
	struct restored_status status = { 0 };
	struct json_error error = { 0 };

	if (answer->status == NULL ||
	    restored_status_parse(answer->status, answer->status_len, &status, &error) < 0)
		return 0;
	for (unsigned i = 0; i < status.errors_count; i++)
		(void)command_fail("%s", status.errors[i]);
	return status.errors_count > 0 ? COMMAND_FAILED : 0;
}

static int
restored_run(int count, char **operands)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	uint8_t entropy[RESTORED_ENTROPY_LEN];
	struct restored_format format = { .entropy = entropy, .entropy_len = sizeof(entropy) };
	struct request request = {
		.type = VMM_GUEST_RESTORED,
		.refused = "the agent could not do it; its log in the guest says why",
		.complain = restored_complain,
	};
	struct timespec now;
	int status;

	(void)count;
	(void)operands;
	if (getrandom(entropy, sizeof(entropy), 0) != (ssize_t)sizeof(entropy))
		return command_fail("can't get random bytes: %s", strerror(errno));
	if (restored_net.ip[0] != '\0') {
		format.ip = restored_net.ip;
		format.netmask = restored_net.netmask;
		format.gateway = restored_net.gateway;
	}
	(void)clock_gettime(CLOCK_REALTIME, &now);
	format.unix_ns = now.tv_sec * RESTORED_NS_PER_S + now.tv_nsec;
	status =
	    request_run_json(&request, restored_request_format(&format, &request.len), &answer);
	if (restored_prints && answer.status != NULL)
		command_print_json(stdout, answer.status, answer.status_len);
	return status;
}

const struct command restored_command = {
	.name = "restored",
	.summary = "put the guest right after its snapshot was restored",
	.usage = "[--net IP/PREFIX,GATEWAY] [--json]",
	.about =
	    "To be called right after a snapshot was restored: sets the guest's clock to this\n"
	    "machine's, feeds its random pool (or it would draw the same numbers as the other\n"
	    "clones of the snapshot), and gives it an address of its own.\n",
	.more = "\nExit status: 0, or 1 if a step failed; the others are done all the same.\n",
	.options = restored_options,
	.run = restored_run,
};
