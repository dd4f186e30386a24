/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/netif.h"

#include <errno.h>
#include <net/route.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/io_result.h"

#define NETIF_PREFERRED "eth0"

/* Default routes that one interface can reasonably have. */
#define NETIF_ROUTES_MAX 16

static struct ifreq
netif_request(const char *name)
{
	struct ifreq request = { 0 };

	(void)strlcpy(request.ifr_name, name, sizeof(request.ifr_name));
	return request;
}

static void
netif_put_address(struct sockaddr *socket_address, struct in_addr address)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = address };

	memcpy(socket_address, &in, sizeof(in));
}

static int
netif_open(void)
{
	return io_result(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int
netif_up(int fd, const char *name)
{
	struct ifreq request = netif_request(name);

	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	if (request.ifr_flags & IFF_UP)
		return 0;
	request.ifr_flags |= IFF_UP;
	return io_result(ioctl(fd, SIOCSIFFLAGS, &request));
}

int
netif_set_up(const char *name)
{
	int CLEANUP_FD fd = netif_open();

	return fd < 0 ? fd : netif_up(fd, name);
}

/* ---- finding ------------------------------------------------------------ */

static bool
netif_is_candidate(int fd, const char *name)
{
	struct ifreq request = netif_request(name);

	/* Tunnels and dummies, which some kernels make at boot, know no ARP. */
	return ioctl(fd, SIOCGIFFLAGS, &request) == 0 &&
	       (request.ifr_flags & (IFF_LOOPBACK | IFF_NOARP)) == 0;
}

int
netif_find(char ret[IFNAMSIZ])
{
	int CLEANUP_FD fd = netif_open();
	struct if_nameindex *list;
	unsigned best = 0;

	if (fd < 0)
		return fd;
	if (if_nametoindex(NETIF_PREFERRED) != 0) {
		(void)strlcpy(ret, NETIF_PREFERRED, IFNAMSIZ);
		return 0;
	}
	list = if_nameindex();
	for (const struct if_nameindex *i = list; i != NULL && i->if_index != 0; i++) {
		if ((best != 0 && i->if_index > best) || !netif_is_candidate(fd, i->if_name))
			continue;
		best = i->if_index;
		(void)strlcpy(ret, i->if_name, IFNAMSIZ);
	}
	if_freenameindex(list);
	return best != 0 ? 0 : -ENODEV;
}

int
netif_has_address(const char *name)
{
	int CLEANUP_FD fd = netif_open();
	struct ifreq request = netif_request(name);

	if (fd < 0)
		return fd;
	if (ioctl(fd, SIOCGIFADDR, &request) == 0)
		return 1;
	return errno == EADDRNOTAVAIL ? 0 : -errno;
}

/* ---- changing ----------------------------------------------------------- */

/* An interface that is down takes no routes. */
static int
netif_do_address(int fd, const char *name, const struct netif_network *network)
{
	struct ifreq request = netif_request(name);

	netif_put_address(&request.ifr_addr, network->address);
	if (ioctl(fd, SIOCSIFADDR, &request) < 0)
		return -errno;
	return netif_up(fd, name);
}

static int
netif_do_netmask(int fd, const char *name, const struct netif_network *network)
{
	struct ifreq request = netif_request(name);

	netif_put_address(&request.ifr_netmask, network->netmask);
	return io_result(ioctl(fd, SIOCSIFNETMASK, &request));
}

/* A route by the interface DEVICE, which the kernel only reads. */
static struct rtentry
netif_route(char *device, struct in_addr to, struct in_addr mask)
{
	struct rtentry route = { .rt_flags = RTF_UP, .rt_dev = device };

	netif_put_address(&route.rt_dst, to);
	netif_put_address(&route.rt_genmask, mask);
	return route;
}

static int
netif_do_route_delete(int fd, const char *name, const struct netif_network *network)
{
	struct in_addr any = { .s_addr = INADDR_ANY };
	char device[IFNAMSIZ];
	struct rtentry route = netif_route(device, any, any);

	(void)network;
	(void)strlcpy(device, name, sizeof(device));
	for (int i = 0; i < NETIF_ROUTES_MAX; i++) {
		if (ioctl(fd, SIOCDELRT, &route) < 0)
			return errno == ESRCH ? 0 : -errno;
	}
	return 0;
}

static int
netif_do_route_add(int fd, const char *name, const struct netif_network *network)
{
	struct in_addr any = { .s_addr = INADDR_ANY };
	struct in_addr host = { .s_addr = INADDR_NONE };
	char device[IFNAMSIZ];
	struct rtentry route = netif_route(device, any, any);
	struct rtentry to_gateway = netif_route(device, network->gateway, host);

	(void)strlcpy(device, name, sizeof(device));
	route.rt_flags |= RTF_GATEWAY;
	netif_put_address(&route.rt_gateway, network->gateway);
	if (ioctl(fd, SIOCADDRT, &route) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENETUNREACH)
		return -errno;
	/* The gateway is not in the subnet, as with a netmask of 32 bits: a route of
	 * its own leads there. */
	to_gateway.rt_flags |= RTF_HOST;
	if (ioctl(fd, SIOCADDRT, &to_gateway) < 0 && errno != EEXIST)
		return -errno;
	return ioctl(fd, SIOCADDRT, &route) < 0 && errno != EEXIST ? -errno : 0;
}

static const struct {
	const char *name;
	int (*run)(int fd, const char *name, const struct netif_network *network);
} netif_steps[NETIF_STEPS] = {
	[NETIF_ADDRESS] = { "set the address", netif_do_address },
	[NETIF_NETMASK] = { "set the netmask", netif_do_netmask },
	[NETIF_ROUTE_DELETE] = { "delete the default route", netif_do_route_delete },
	[NETIF_ROUTE_ADD] = { "add the default route", netif_do_route_add },
};

const char *
netif_step_name(enum netif_step step)
{
	return netif_steps[step].name;
}

int
netif_configure(const char *name, const struct netif_network *network, uint32_t ret_us[NETIF_STEPS],
    enum netif_step *ret_failed)
{
	int CLEANUP_FD fd = netif_open();

	*ret_failed = NETIF_ADDRESS;
	if (fd < 0)
		return fd;
	for (enum netif_step step = 0; step < NETIF_STEPS; step++) {
		uint64_t start = clock_mono_us();
		int r = netif_steps[step].run(fd, name, network);

		ret_us[step] = (uint32_t)(clock_mono_us() - start);
		if (r < 0) {
			*ret_failed = step;
			return r;
		}
	}
	return 0;
}
