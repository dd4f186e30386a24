/*
 * net_apply: a new address, netmask, default route and resolv.conf.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/control/net_apply.h"

#include <errno.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/log.h"
#include "platform/netif.h"
#include "platform/etc_file.h"
#include "platform/text.h"
#include "platform/watchdog.h"
#include "protocol/name_servers.h"

/* How long a file system may take with resolv.conf. */
#define NET_APPLY_FILE_MAX_MS 10000

static int
net_apply_interface(const struct net_request *request, struct net_apply_result *result)
{
	struct netif_network network = {
		.address = request->address,
		.netmask = request->netmask,
		.gateway = request->gateway,
	};
	uint32_t times[NETIF_STEPS] = { 0 };
	enum netif_step failed;
	char name[IFNAMSIZ];
	int r = netif_find(name);

	if (r < 0) {
		(void)strlcpy(
		    result->problem, "there is no network interface", sizeof(result->problem));
		return r;
	}
	r = netif_configure(name, &network, times, &failed);
	if (r < 0)
		(void)text_format(result->problem, sizeof(result->problem), "can't %s of %s: %s",
		    netif_step_name(failed), name, strerror(-r));
	result->times[NET_REQUEST_ADDRESS_US] = times[NETIF_ADDRESS];
	result->times[NET_REQUEST_NETMASK_US] = times[NETIF_NETMASK];
	result->times[NET_REQUEST_ROUTE_DELETE_US] = times[NETIF_ROUTE_DELETE];
	result->times[NET_REQUEST_ROUTE_ADD_US] = times[NETIF_ROUTE_ADD];
	return r;
}

static int
net_apply_resolv_conf(const struct net_request *request, const char *dns)
{
	char text[NAME_SERVERS_TEXT_SIZE];
	struct name_servers servers;
	int r = name_servers_for_gateway(dns, request->gateway_text, &servers);

	if (r < 0)
		return r == -ENODATA ? 0 : r;
	name_servers_format(&servers, text);
	watchdog_set(NET_APPLY_FILE_MAX_MS);
	r = etc_file_write(&etc_file_resolv_conf, text);
	watchdog_set(0);
	return r;
}

bool
net_apply_writes(const struct net_request *request, const char *dns)
{
	struct name_servers servers;

	return name_servers_for_gateway(dns, request->gateway_text, &servers) == 0;
}

int
net_apply(const struct net_request *request, const char *dns, struct net_apply_result *ret)
{
	uint64_t start = clock_mono_us();
	uint64_t resolv_start;
	int r;

	*ret = (struct net_apply_result){ .problem = "" };
	r = net_apply_interface(request, ret);
	if (r == 0) {
		resolv_start = clock_mono_us();
		ret->resolv_conf_error = net_apply_resolv_conf(request, dns);
		ret->times[NET_REQUEST_RESOLV_CONF_US] = (uint32_t)(clock_mono_us() - resolv_start);
	}
	ret->times[NET_REQUEST_TOTAL_US] = (uint32_t)(clock_mono_us() - start);
	return r;
}

void
net_apply_log(const struct net_apply_result *result, const char *who)
{
	if (result->problem[0] != '\0')
		log_warnx("%s: %s", who, result->problem);
	if (result->resolv_conf_error < 0)
		log_warnx("%s: can't write /etc/resolv.conf: %s", who,
		    strerror(-result->resolv_conf_error));
}
