/*
 * soak: sessions of all kinds, by hosts good and bad, while workers are killed, stopped
 * and replaced. One figure a line, as TAP.
 *
 *     soak --agent PROGRAM [--sessions N] [--seconds S] [--seed N] [--visitors N]
 *
 * It ends with the first of N sessions or S seconds; 0 seconds are no bound.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chaos.h"
#include "host.h"
#include "visitor.h"

#define MAIN_VISITORS 24
#define MAIN_VISITORS_MAX 256
#define MAIN_WORKERS 48

/* How much memory may seem to grow: pages that are first used on the way. */
#define MAIN_GROWTH_KB 2048

struct options {
	const char *agent;
	uint64_t sessions;
	unsigned seconds;
	unsigned seed;
	unsigned visitors;
};

/* ---- what the sessions find --------------------------------------------- */

static void *
main_echo_one(void *argument)
{
	int fd = (int)(intptr_t)argument;
	char buffer[65536];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t sent = 0; sent < n;) {
			ssize_t step = send(fd, buffer + sent, (size_t)(n - sent), MSG_NOSIGNAL);

			if (step <= 0)
				break;
			sent += step;
		}
	}
	(void)close(fd);
	return NULL;
}

static void *
main_echo(void *argument)
{
	int listen_fd = (int)(intptr_t)argument;

	for (;;) {
		pthread_t thread;
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		if (pthread_create(&thread, NULL, main_echo_one, (void *)(intptr_t)fd) == 0)
			(void)pthread_detach(thread);
		else
			(void)close(fd);
	}
	return NULL;
}

/* A server that says what it hears. Returns its port. */
static unsigned
main_serve_echo(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_t thread;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 256) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0 ||
	    pthread_create(&thread, NULL, main_echo, (void *)(intptr_t)fd) != 0)
		err(1, "the server for CONNECT");
	(void)pthread_detach(thread);
	return ntohs(address.sin_port);
}

static void
main_make_noise(struct soak *soak, unsigned seed)
{
	uint64_t state = seed * 2654435761u + 1;
	int fd;

	soak->noise = malloc(NOISE_LEN);
	if (soak->noise == NULL)
		err(1, "noise");
	for (size_t i = 0; i < NOISE_LEN; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		soak->noise[i] = (uint8_t)(state >> 56);
	}
	(void)snprintf(soak->noise_path, sizeof(soak->noise_path), "%s/noise", soak->folder);
	fd = open(soak->noise_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, soak->noise, NOISE_LEN) != NOISE_LEN || close(fd) < 0)
		err(1, "%s", soak->noise_path);
}

static struct visitor *
main_make_visitor(struct soak *soak, unsigned number, unsigned seed)
{
	struct visitor *visitor = calloc(1, sizeof(*visitor));

	if (visitor == NULL)
		err(1, "visitor");
	visitor->soak = soak;
	visitor->number = number;
	visitor->random = ((uint64_t)seed << 32 | number) * 0x9e3779b97f4a7c15ull + 1;
	visitor->talk.fd = -1;
	visitor->file_start = FILE_NONE;
	(void)snprintf(visitor->file, sizeof(visitor->file), "%s/file-%u", soak->folder, number);
	(void)snprintf(
	    visitor->directory, sizeof(visitor->directory), "%s/tree-%u", soak->folder, number);
	if (mkdir(visitor->directory, 0755) < 0)
		err(1, "%s", visitor->directory);
	return visitor;
}

/* ---- the run ------------------------------------------------------------ */

static void
main_soak(struct soak *soak, struct chaos *chaos, const struct options *options)
{
	pthread_t threads[MAIN_VISITORS_MAX];
	pthread_t chaos_thread;

	for (unsigned i = 0; i < options->visitors; i++) {
		struct visitor *visitor = main_make_visitor(soak, i, options->seed);

		if (pthread_create(&threads[i], NULL, visitor_run, visitor) != 0)
			errx(1, "no thread");
	}
	if (pthread_create(&chaos_thread, NULL, chaos_run, chaos) != 0)
		errx(1, "no thread");
	for (unsigned i = 0; i < options->visitors; i++)
		(void)pthread_join(threads[i], NULL);
	atomic_store(&chaos->is_over, true);
	(void)pthread_join(chaos_thread, NULL);
}

/* ---- the report --------------------------------------------------------- */

static unsigned main_line;
static bool main_has_failed;

static void __attribute__((format(printf, 2, 3))) main_tell(bool is_well, const char *format, ...)
{
	va_list arguments;

	main_has_failed = main_has_failed || !is_well;
	(void)printf("%s %u - ", is_well ? "ok" : "not ok", ++main_line);
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)printf("\n");
}

static unsigned main_litter;

static int
main_count_litter(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	main_litter += strncmp(path + where->base, ".vmm-guest-", 11) == 0;
	return 0;
}

static int
main_remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static uint64_t
main_count(const struct soak *soak, enum outcome outcome)
{
	return atomic_load(&soak->outcomes[outcome]);
}

static void
main_report_sessions(const struct soak *soak, const struct chaos *chaos, double seconds)
{
	uint64_t told = main_count(soak, OUTCOME_TOLD);
	uint64_t cut = main_count(soak, OUTCOME_BROKEN);
	uint64_t early = main_count(soak, OUTCOME_TURNED_AWAY);
	uint64_t total = 0;

	for (int i = 0; i < OUTCOMES; i++)
		total += main_count(soak, (enum outcome)i);
	main_tell(main_count(soak, OUTCOME_WELL) > total / 2,
	    "sessions: %" PRIu64 ", of which %" PRIu64 " went well, %.0f a second", total,
	    main_count(soak, OUTCOME_WELL), (double)total / seconds);
	main_tell(chaos->kills > 0 && chaos->stops > 0 && chaos->hups > 0,
	    "kills: %u; stops: %u; replacements of all: %u", chaos->kills, chaos->stops,
	    chaos->hups);
	main_tell(main_count(soak, OUTCOME_UNANSWERED) == 0, "unanswered: %" PRIu64,
	    main_count(soak, OUTCOME_UNANSWERED));
	main_tell(main_count(soak, OUTCOME_REFUSED) <= total / 100 + 3,
	    "refused for want of a worker: %" PRIu64, main_count(soak, OUTCOME_REFUSED));
	main_tell(main_count(soak, OUTCOME_WRONG) == 0, "wrong bytes or answers: %" PRIu64,
	    main_count(soak, OUTCOME_WRONG));
	main_tell(
	    told + cut + early <= chaos->kills, "told that their worker was lost: %" PRIu64, told);
	main_tell(cut + early <= chaos->kills / 4 + 3,
	    "cut within a frame: %" PRIu64 "; before the port was known: %" PRIu64, cut, early);
}

static void
main_report_agent(struct host *host, const struct chaos *chaos, const struct host_state *before)
{
	bool is_alive = host_is_alive(host);
	bool is_settled;
	struct host_state after = { 0 };
	struct host_deaths deaths;
	int status;

	is_settled = is_alive && host_settle(host, &after);
	main_tell(is_settled, "processes left: %d", (int)after.processes - (int)host->workers);
	main_tell(
	    after.descriptors <= before->descriptors && after.worker_fds <= before->worker_fds,
	    "descriptors more: %d, and %d in a worker",
	    (int)after.descriptors - (int)before->descriptors,
	    (int)after.worker_fds - (int)before->worker_fds);
	main_tell(after.memory_kb <= before->memory_kb + MAIN_GROWTH_KB,
	    "memory grown by %ld KiB of %lu", (long)after.memory_kb - (long)before->memory_kb,
	    before->memory_kb);
	status = host_stop(host);
	main_tell(is_alive && status == 0, "end of the agent: status %d", status);
	host_read_log(host, chaos->killed, chaos->kills, &deaths);
	main_tell(deaths.strange == 0, "deaths of workers that nobody killed: %u", deaths.strange);
	/* A worker that is leaving exits first, now and then: the signal meets a zombie. */
	main_tell(chaos->kills - deaths.killed <= chaos->kills / 20 + 2,
	    "deaths of workers that were killed: %u", deaths.killed);
	main_tell(deaths.waited_ms == 0, "worker time lost to back-off: %lu ms", deaths.waited_ms);
}

static void
main_parse(struct options *options, int argc, char **argv)
{
	static const struct option table[] = { { "agent", 1, NULL, 'a' },
		{ "sessions", 1, NULL, 'n' }, { "seconds", 1, NULL, 't' }, { "seed", 1, NULL, 's' },
		{ "visitors", 1, NULL, 'v' }, { 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "", table, NULL)) >= 0) {
		switch (option) {
		case 'a':
			options->agent = optarg;
			break;
		case 'n':
			options->sessions = strtoull(optarg, NULL, 10);
			break;
		case 't':
			options->seconds = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			options->seed = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'v':
			options->visitors = (unsigned)strtoul(optarg, NULL, 10);
			break;
		default:
			exit(2);
		}
	}
	if (options->visitors == 0 || options->visitors > MAIN_VISITORS_MAX)
		errx(2, "1 to %d visitors", MAIN_VISITORS_MAX);
}

int
main(int argc, char **argv)
{
	struct options options = { .agent = "./vmm-guest-agent",
		.sessions = UINT64_MAX,
		.seconds = 20,
		.seed = 1,
		.visitors = MAIN_VISITORS };
	char folder[] = "/tmp/vga-soak-XXXXXX";
	struct soak soak = { .folder = folder };
	struct host host = { 0 };
	static struct chaos chaos;
	struct host_state before = { 0 };
	uint64_t begun;

	main_parse(&options, argc, argv);
	(void)signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(folder) == NULL || chmod(folder, 0755) < 0)
		err(1, "%s", folder);
	setvbuf(stdout, NULL, _IOLBF, 0);
	main_make_noise(&soak, options.seed);
	soak.echo_port = main_serve_echo();
	host_start(&host, options.agent, folder, MAIN_WORKERS);
	soak.path = host.socket;
	chaos.host = &host;
	chaos.random = (uint64_t)options.seed * 0x9e3779b97f4a7c15ull + 7;
	main_tell(host_settle(&host, &before), "an agent of %u workers", host.workers);
	begun = talk_now_ms();
	soak.sessions_max = options.sessions;
	soak.until_ms = options.seconds > 0 ? begun + options.seconds * 1000ull : UINT64_MAX;
	main_soak(&soak, &chaos, &options);
	main_report_sessions(&soak, &chaos, (double)(talk_now_ms() - begun) / 1000);
	main_report_agent(&host, &chaos, &before);
	(void)nftw(folder, main_count_litter, 32, FTW_PHYS);
	main_tell(main_litter == 0, "temporary files left: %u", main_litter);
	(void)printf("1..%u\n", main_line);
	if (main_has_failed && getenv("SOAK_KEEP") != NULL)
		(void)printf("# kept: %s\n", folder);
	else
		(void)nftw(folder, main_remove_one, 32, FTW_DEPTH | FTW_PHYS);
	return main_has_failed;
}
