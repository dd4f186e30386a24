/*
 * doctor/check_names: whether names lead anywhere: /etc/hosts and /etc/resolv.conf.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "ctl/doctor/check.h"

#define CHECK_NAME_MAX 65

/* Whether TEXT, of hosts(5), has NAME for an address that begins with PREFIX. */
static bool
check_hosts_have(const char *text, const char *prefix, const char *name)
{
	for (; *text != '\0'; text += strcspn(text, "\n"), text += *text != '\0') {
		const char *line = text + strspn(text, " \t");
		size_t address = strcspn(line, " \t\n#");
		size_t len = strcspn(line, "\n#");

		if (address < len && strncmp(line, prefix, strlen(prefix)) == 0 &&
		    check_has_word(line + address, len - address, name))
			return true;
	}
	return false;
}

void
check_hosts(const struct facts *facts, struct finding *ret)
{
	const char *hosts = check_text(facts, FACTS_HOSTS);
	char name[CHECK_NAME_MAX];

	(void)strlcpy(name, check_text(facts, FACTS_HOSTNAME), sizeof(name));
	name[strcspn(name, "\n")] = '\0';
	if (!check_hosts_have(hosts, "127.", "localhost") &&
	    !check_hosts_have(hosts, "::1", "localhost"))
		finding_set(ret, DIAGNOSIS_WRONG, "have the line '127.0.0.1 localhost' in it",
		    hosts[0] == '\0' ? "it is not there, or empty: 'localhost' leads nowhere"
				     : "'localhost' leads nowhere");
	else if (name[0] != '\0' && strcmp(name, "(none)") != 0 && strcmp(name, "localhost") != 0 &&
		 !check_hosts_have(hosts, "", name))
		finding_set(ret, DIAGNOSIS_ODD,
		    "have a line '127.0.1.1 NAME' in it: sudo and others look themselves up",
		    "the guest's own name, '%s', is not in it", name);
	else
		finding_set(
		    ret, DIAGNOSIS_OK, NULL, "'localhost' and the guest's own name are in it");
}

/* /proc/net/dev: a line an interface behind two of titles, "  eth0: 1234 …". */
static bool
check_has_network(const char *text)
{
	for (; *text != '\0'; text += strcspn(text, "\n"), text += *text != '\0') {
		const char *name = text + strspn(text, " ");
		size_t len = strcspn(name, ":\n|");

		if (name[len] == ':' && !(len == 2 && memcmp(name, "lo", 2) == 0) &&
		    strncmp(name, "sit", 3) != 0 && strncmp(name, "tunl", 4) != 0)
			return true;
	}
	return false;
}

static unsigned
check_count_servers(const char *text)
{
	static const char word[] = "nameserver";
	unsigned count = 0;

	for (; *text != '\0'; text += strcspn(text, "\n"), text += *text != '\0') {
		const char *value = text + sizeof(word) - 1;

		if (strncmp(text, word, sizeof(word) - 1) == 0 && strspn(value, " \t") > 0 &&
		    strcspn(value + strspn(value, " \t"), " \t\n") > 0)
			count++;
	}
	return count;
}

void
check_resolv(const struct facts *facts, struct finding *ret)
{
	unsigned count = check_count_servers(check_text(facts, FACTS_RESOLV));

	if (count > 0)
		finding_set(
		    ret, DIAGNOSIS_OK, NULL, "%u name server%s", count, count > 1 ? "s" : "");
	else if (!check_has_network(check_text(facts, FACTS_NETWORK)))
		finding_set(
		    ret, DIAGNOSIS_OK, NULL, "no name server, and no network to ask one by");
	else
		finding_set(ret, DIAGNOSIS_WRONG,
		    "vmm_agent.dns=ADDRESS on the kernel's command line, or write the file",
		    "no name server: names of the network lead nowhere");
}
