/*
 * progress: drawn by whichever thread finds that it is due.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/quantity.h"
#include "ctl/terminal.h"
#include "platform/clock.h"

#define PROGRESS_FIRST_MS 500 /* what is quicker than this needs no line */
#define PROGRESS_MS_PER_S 1000
#define PROGRESS_LINE_MAX 256
#define PROGRESS_BAR_MIN 10
#define PROGRESS_BAR_MAX 40

static void
progress_format_left(char *text, size_t size, uint64_t seconds)
{
	if (seconds >= 3600)
		(void)snprintf(text, size, "%u:%02u:%02u left", (unsigned)(seconds / 3600),
		    (unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
	else
		(void)snprintf(
		    text, size, "%u:%02u left", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
}

/* "[=====>    ] ", where there is room for it. */
static void
progress_format_bar(char *text, int width, double part)
{
	int filled;

	text[0] = '\0';
	if (width > PROGRESS_BAR_MAX)
		width = PROGRESS_BAR_MAX;
	if (width < PROGRESS_BAR_MIN)
		return;
	filled = (int)(part * width);
	memset(text + 1, '=', (size_t)filled);
	memset(text + 1 + filled, ' ', (size_t)(width - filled));
	if (filled < width)
		text[1 + filled] = '>';
	text[0] = '[';
	memcpy(text + 1 + width, "] ", sizeof("] "));
}

/* How many files, how much, how fast. */
static int
progress_format_done(
    const struct progress *progress, char *text, size_t size, uint64_t bytes, uint64_t elapsed_ms)
{
	char amount[QUANTITY_MAX];
	char rate[QUANTITY_MAX];
	char files[64] = "";

	if (progress->files_total > 1)
		(void)snprintf(files, sizeof(files), "%llu%s files  ",
		    (unsigned long long)progress->files, progress->total_is_known ? "" : "+");
	quantity_format_bytes(amount, bytes);
	quantity_format_bytes(
	    rate, (uint64_t)((double)bytes * PROGRESS_MS_PER_S / (double)(elapsed_ms + 1)));
	return snprintf(text, size, "%s%s  %s/s", files, amount, rate);
}

static void
progress_draw(struct progress *progress)
{
	struct frame_resize terminal = { .columns = 80 };
	uint64_t elapsed_ms = clock_mono_ms() - progress->started_ms;
	uint64_t bytes = progress->bytes;
	uint64_t total = progress->bytes_total;
	char done[PROGRESS_LINE_MAX];
	char bar[PROGRESS_BAR_MAX + 8] = "";
	char left[64] = "";
	int len = progress_format_done(progress, done, sizeof(done), bytes, elapsed_ms);

	(void)terminal_get_size(&terminal);
	if (progress->total_is_known && total > 0 && bytes <= total && elapsed_ms > 0) {
		double part = (double)bytes / (double)total;

		if (bytes > 0)
			progress_format_left(left, sizeof(left),
			    (uint64_t)((double)elapsed_ms * (1 - part) / part) / PROGRESS_MS_PER_S);
		progress_format_bar(bar,
		    terminal.columns - len - (int)strlen(left) - (int)sizeof("100% [] ----"), part);
		(void)fprintf(stderr, "\r%3d%% %s%s  %s\033[K", (int)(part * 100), bar, done, left);
	} else {
		(void)fprintf(stderr, "\r%.*s\033[K", terminal.columns - 1, done);
	}
	(void)fflush(stderr);
	progress->is_drawn = true;
}

static void
progress_erase(struct progress *progress)
{
	if (progress->is_drawn)
		(void)fputs("\r\033[K", stderr);
	progress->is_drawn = false;
}

void
progress_start(struct progress *progress, bool wanted)
{
	*progress = (struct progress){ .started_ms = clock_mono_ms(),
		.is_shown = wanted && isatty(STDERR_FILENO),
		.lock = PTHREAD_MUTEX_INITIALIZER };
	progress->due_ms = progress->started_ms + PROGRESS_FIRST_MS;
}

/* One thread draws; the others have better things to do than to wait for that. */
void
progress_add(struct progress *progress, int64_t bytes)
{
	uint64_t now;

	progress->bytes += (uint64_t)bytes;
	if (!progress->is_shown)
		return;
	now = clock_mono_ms();
	if (now < progress->due_ms || pthread_mutex_trylock(&progress->lock) != 0)
		return;
	progress->due_ms = now + PROGRESS_PERIOD_MS;
	progress_draw(progress);
	(void)pthread_mutex_unlock(&progress->lock);
}

void
progress_stop(struct progress *progress)
{
	progress_erase(progress);
	progress->is_shown = false;
}

void
progress_complain(struct progress *progress, const char *text)
{
	(void)pthread_mutex_lock(&progress->lock);
	progress_erase(progress);
	(void)command_fail("%s", text);
	(void)pthread_mutex_unlock(&progress->lock);
}
