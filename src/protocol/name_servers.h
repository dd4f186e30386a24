/*
 * name_servers: which name servers a guest gets, from `vmm_agent.dns`, `ip=`
 * and NET_RECONFIG; and the text of its resolv.conf. Pure.
 *
 * The option is one of
 *   ""           what ip= says: dns0 and dns1, else the gateway
 *   off          resolv.conf is left alone
 *   gateway      the gateway, whatever name servers ip= has
 *   ADDR[,ADDR]  these, IPv4 or IPv6, at most three
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_NAME_SERVERS_H
#define PROTOCOL_NAME_SERVERS_H

#include <arpa/inet.h>

/* MAXNS of resolv.conf(5). */
#define NAME_SERVERS_MAX 3
#define NAME_SERVERS_PROBLEM_SIZE 160

/* "nameserver ", an address, a newline, for each; and a NUL. */
#define NAME_SERVERS_TEXT_SIZE (NAME_SERVERS_MAX * (12 + INET6_ADDRSTRLEN) + 1)

struct name_servers {
	unsigned count;
	char address[NAME_SERVERS_MAX][INET6_ADDRSTRLEN];
};

/* Whether OPTION is one of the forms above: 0 or -EINVAL. */
int name_servers_check_option(const char *option);

/* The name servers at boot. IP_VALUE is the value of ip=, or NULL. Returns 0 with
 * *RET, of at least one; -ENODATA where resolv.conf is to be left alone without
 * a word; -EINVAL where so, with PROBLEM saying why in a line. */
int name_servers_at_boot(const char *option, const char *ip_value, struct name_servers *ret,
    char problem[NAME_SERVERS_PROBLEM_SIZE]);

/* The name servers when the guest's network has changed and GATEWAY is the new
 * one. Returns as name_servers_at_boot(). */
int name_servers_for_gateway(const char *option, const char *gateway, struct name_servers *ret);

/* Writes the whole of a resolv.conf to TEXT. */
void name_servers_format(const struct name_servers *servers, char text[NAME_SERVERS_TEXT_SIZE]);

#endif
