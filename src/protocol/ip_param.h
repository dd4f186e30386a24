/*
 * ip_param: the value of the kernel's `ip=`, by which a VMM tells a guest its
 * network. The kernel sets the interface up itself (or not, where it was built
 * without); here it is read for what the kernel does not do: name servers and
 * the hostname. Pure.
 * Source: Documentation/admin-guide/nfs/nfsroot.rst.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_IP_PARAM_H
#define PROTOCOL_IP_PARAM_H

#include <netinet/in.h>

enum ip_param_field {
	IP_PARAM_CLIENT = 0,
	IP_PARAM_SERVER,
	IP_PARAM_GATEWAY,
	IP_PARAM_NETMASK,
	IP_PARAM_HOSTNAME,
	IP_PARAM_DEVICE,
	IP_PARAM_AUTOCONF,
	IP_PARAM_DNS0,
	IP_PARAM_DNS1,
	IP_PARAM_FIELDS
};

/* A field is cut at 64 bytes, where the kernel cuts a hostname. */
#define IP_PARAM_FIELD_SIZE 65

/* "member 'text' is not …", in one line. */
#define IP_PARAM_PROBLEM_SIZE 160

struct ip_param {
	char field[IP_PARAM_FIELDS][IP_PARAM_FIELD_SIZE]; /* empty: not given */
};

/* Cuts VALUE at its colons; fields behind the last known one are left out. A
 * lone word of autoconfiguration (`dhcp`, `off`…) is the seventh field. */
void ip_param_parse(const char *value, struct ip_param *ret);

/* Whether TEXT is four decimal numbers with dots, as inet_pton(3) takes them. */
int ip_param_parse_quad(const char *text, struct in_addr *ret);

/* Whether client, gateway and netmask are all there, and are dotted quads.
 * Returns 0, or -EINVAL with PROBLEM saying which is missing or wrong. */
int ip_param_check(const struct ip_param *param, char problem[IP_PARAM_PROBLEM_SIZE]);

#endif
