/*
 * owner_host: the connection that a durable session was started on, which may go before the
 * session ends.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>

#include "session/durable/attach_run.h"
#include "session/durable/owner_host.h"
#include "shared/attachment.h"

int
owner_host_events(const struct owner *owner, bool reads)
{
	short out = follow_wants_room(&owner->follow) ? POLLOUT : 0;

	switch (owner->host) {
	case OWNER_HOST_ATTACHED:
		return POLLRDHUP | out | (reads ? POLLIN : 0);
	case OWNER_HOST_DETACHING:
		return out;
	case OWNER_HOST_LEAVING:
		/* That it has gone shows all the time. */
		return reads ? POLLIN : -1;
	case OWNER_HOST_LINGERS:
		return POLLIN;
	case OWNER_HOST_GONE:
		break;
	}
	return -1;
}

static bool
owner_host_listens(const struct owner *owner)
{
	return owner->host == OWNER_HOST_ATTACHED || owner->host == OWNER_HOST_DETACHING;
}

bool
owner_has_more(const struct owner *owner)
{
	if (owner->has_input || owner->untold > 0)
		return true;
	return owner_host_listens(owner) && follow_has_more(&owner->follow);
}

/* What became of a push. Returns whether the last frame has gone. */
static bool
owner_pushed(struct owner *owner, int r)
{
	if (r == 1)
		return true;
	if (r == -EPIPE)
		owner_leave(owner, true);
	else if (r < 0)
		owner_close(owner);
	return false;
}

bool
owner_push(struct owner *owner, bool has_room)
{
	if (!owner_host_listens(owner) || (follow_wants_room(&owner->follow) && !has_room))
		return false;
	owner->is_ahead &= !has_room;
	return owner_pushed(owner, follow_push(&owner->follow));
}

void
owner_push_direct(struct owner *owner, bool is_stderr, size_t len)
{
	(void)owner_pushed(owner, follow_push_direct(&owner->follow, is_stderr, len));
}

void
owner_detach(struct owner *owner, const char *why)
{
	if (owner->host != OWNER_HOST_ATTACHED &&
	    (owner->host != OWNER_HOST_LEAVING || owner->is_deaf))
		return;
	owner->host = OWNER_HOST_DETACHING;
	follow_detach(&owner->follow, why);
	/* What is under way to it is in the connection's buffer. */
	attachment_end(owner->session->board, owner->session->slot_index);
}

void
owner_leave(struct owner *owner, bool is_deaf)
{
	owner->is_deaf |= is_deaf;
	if (is_deaf && owner->host == OWNER_HOST_DETACHING)
		owner_close(owner);
	if (is_deaf && owner->host == OWNER_HOST_ATTACHED)
		conn_stop_pushing(&owner->session->conn);
	if (owner->host != OWNER_HOST_ATTACHED)
		return;
	owner->host = OWNER_HOST_LEAVING;
	follow_leave(&owner->follow);
	owner_look_who_is_there(owner);
}

void
owner_let_go(struct owner *owner)
{
	owner_detach(owner, NULL);
	if (owner->host == OWNER_HOST_LEAVING)
		owner_close(owner);
}

void
owner_hang_up(struct owner *owner)
{
	owner->host = OWNER_HOST_GONE;
	conn_close(&owner->session->conn);
}

void
owner_close(struct owner *owner)
{
	attachment_end(owner->session->board, owner->session->slot_index);
	owner->linger_ms = conn_begin_finish(&owner->session->conn);
	session_drop_duplicate(owner->session);
	owner->host = OWNER_HOST_LINGERS;
	if (!owner->follow.has_last || owner->linger_ms == 0)
		owner_hang_up(owner);
}

bool
owner_see_off(struct owner *owner)
{
	const struct follow *follow = &owner->follow;

	if (owner->host == OWNER_HOST_LEAVING)
		owner_let_go(owner);
	if (owner_host_listens(owner))
		attach_run(&owner->follow, false);
	return follow->error != -ESTALE || !conn_has_room(&owner->session->conn);
}

void
owner_linger(struct owner *owner)
{
	if (conn_drop(&owner->session->conn, owner->linger_ms))
		owner_hang_up(owner);
}

void
owner_done(struct owner *owner)
{
	follow_done(&owner->follow);
}
