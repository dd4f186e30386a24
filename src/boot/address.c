/*
 * boot_address: the guest's address from ip=, where the kernel has not set it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "boot/step.h"

#include <errno.h>
#include <string.h>

#include "platform/log.h"
#include "platform/netif.h"
#include "protocol/ip_param.h"

static int
boot_address_find_card(const struct ip_param *param, char ret[IFNAMSIZ])
{
	const char *named = param->field[IP_PARAM_DEVICE];

	if (named[0] == '\0')
		return netif_find(ret);
	return strlcpy(ret, named, IFNAMSIZ) < IFNAMSIZ ? 0 : -ENODEV;
}

void
boot_address(const struct boot_settings *settings)
{
	char problem[IP_PARAM_PROBLEM_SIZE];
	struct netif_network network;
	uint32_t times[NETIF_STEPS];
	enum netif_step failed;
	struct ip_param param;
	char card[IFNAMSIZ];
	int r;

	ip_param_parse(settings->kernel_ip, &param);
	/* The step of the name servers logs what is wrong with it. */
	if (ip_param_check(&param, problem) < 0 || boot_address_find_card(&param, card) < 0 ||
	    netif_has_address(card) != 0)
		return;
	(void)ip_param_parse_quad(param.field[IP_PARAM_CLIENT], &network.address);
	(void)ip_param_parse_quad(param.field[IP_PARAM_NETMASK], &network.netmask);
	(void)ip_param_parse_quad(param.field[IP_PARAM_GATEWAY], &network.gateway);
	r = netif_configure(card, &network, times, &failed);
	if (r < 0)
		log_error(r, "boot: can't %s of %s", netif_step_name(failed), card);
}
