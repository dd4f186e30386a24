/*
 * netif: network interfaces and IPv4 routes, by ioctl(2): the guest may hold no
 * program but ours. Source: netdevice(7); route changes as in the kernel's
 * net/ipv4/fib_frontend.c, ip_rt_ioctl().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_NETIF_H
#define PLATFORM_NETIF_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>

/* Sets the interface NAME up. Returns 0 or -errno. */
int netif_set_up(const char *name);

/* Finds the guest's interface: eth0, else the one of the lowest index that is
 * neither a loopback nor a tunnel. Returns 0 with its name in *RET, or -ENODEV. */
int netif_find(char ret[IFNAMSIZ]);

/* Whether the interface NAME has an IPv4 address. Returns 1, 0, or -errno: -ENODEV
 * where there is no such interface. */
int netif_has_address(const char *name);

struct netif_network {
	struct in_addr address;
	struct in_addr netmask;
	struct in_addr gateway;
};

/* What netif_configure() does, in this order. */
enum netif_step {
	NETIF_ADDRESS = 0,
	NETIF_NETMASK,
	NETIF_ROUTE_DELETE,
	NETIF_ROUTE_ADD,
	NETIF_STEPS
};

/* In words, for a log: "set the address" and so on. */
const char *netif_step_name(enum netif_step step);

/* Gives the interface NAME the address and netmask of NETWORK, which replace the
 * first ones that it has, sets it up, deletes its default routes and adds one by
 * the gateway, also where the gateway is not in its subnet. RET_US gets the
 * microseconds of each step that was done. Returns 0; or -errno, with the step
 * that failed in *RET_FAILED: those after it have not been tried. */
int netif_configure(const char *name, const struct netif_network *network,
    uint32_t ret_us[NETIF_STEPS], enum netif_step *ret_failed);

#endif
