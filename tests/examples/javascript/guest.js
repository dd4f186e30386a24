// SPDX-License-Identifier: MIT

/**
 * Runs programs in a microVM, and moves files in and out of it, by talking to vmm-guest-agent.
 * This file has the requests, wire.js what is below, guest.d.ts the types: copy the three into your
 * tree; they stand on Node's own modules. What goes over the wire is said in PROTOCOL.md. Each
 * request is a connection of its own, so that a Guest may be asked any number of things at once.
 *
 * A guest is not trusted here. Whatever it sends, memory stays bounded: output and files are given
 * out as they come, and what has to be held is refused above a limit. For how long a request may
 * take is its AbortSignal's to say: a guest can hang.
 *
 * Node has no vsock: an agent is reached by the Unix socket of a Firecracker or Cloud Hypervisor
 * device, or of an agent that listens on one.
 */
import { CHUNK, GuestError, HELD_MAX, open, protocolError } from './wire.js';

export { GuestError };

const START = 0x01, STDIN = 0x02, RESIZE = 0x03, EOF = 0x04, SIGNAL = 0x07;
const STDOUT = 0x10, STDERR = 0x11, EXIT = 0x12, STATUS = 0x50;
const FILE_WRITE = 0x20, FILE_DATA = 0x21, FILE_DONE = 0x22, FILE_READ = 0x23;
const FILE_ACK = 0x30, FILE_ERR = 0x31;
export const STATUS_REQ = 0x40; // for request(); PROTOCOL.md has the others

const PORT_EXEC = 52, PORT_FILE = 53;

/** One VM, seen from its host. */
export class Guest {
  constructor(address, { boot = 0 } = {}) {
    if (!address.startsWith('unix:')) throw new TypeError(`the address should be unix:PATH, not ${address}`);
    this.path = address.slice('unix:'.length);
    this.boot = boot;
  }

  async run(cmd, { stdin = '', maxBuffer = HELD_MAX, ...options } = {}) {
    const session = await this.start(cmd, options);
    const kept = { stdout: [], stderr: [] };
    let room = maxBuffer;
    session.feed(stdin);
    for await (const { stream, data } of session) {
      if ((room -= data.length) < 0) throw new RangeError(`more than ${maxBuffer} bytes of output`);
      if (kept[stream].push(data) > 1024) kept[stream] = [Buffer.concat(kept[stream])];
    }
    return { ...session.exit, stdout: Buffer.concat(kept.stdout), stderr: Buffer.concat(kept.stderr) };
  }

  async start(cmd, { env, cwd, user, timeoutSeconds, tty, signal } = {}) {
    // For a report the agent tells of the program's own end, so that its 125 is not the agent's.
    const request = { cmd, env, working_dir: cwd, user, timeout_seconds: timeoutSeconds, report: true };
    if (tty) Object.assign(request, { tty: true, tty_width: tty.columns, tty_height: tty.rows });
    return new Session(await this.#open(PORT_EXEC, START, request, signal));
  }

  async request(frame, payload, { signal } = {}) {
    const session = new Session(await this.#open(PORT_EXEC, frame, payload, signal));
    for await (const _ of session);
    return { ...session.exit, status: session.status };
  }

  async status(options) {
    return (await this.request(STATUS_REQ, undefined, options)).status;
  }

  async put(path, source, { mode = 0, signal } = {}) {
    const connection = await this.#open(PORT_FILE, FILE_WRITE, { path, mode }, signal);
    // Beside the reading of the answer: the guest may refuse in the middle, and is sent no more then.
    connection.feed(source, connection.writable(FILE_DATA, FILE_DONE));
    for await (const _ of fileData(connection, FILE_ACK));
  }

  async *get(path, { signal } = {}) {
    yield* fileData(await this.#open(PORT_FILE, FILE_READ, { path }, signal), FILE_DONE);
  }

  #open(port, frame, request, signal) {
    return open(this.path, this.boot, port, frame, request, signal);
  }
}

/** A program that runs. */
export class Session {
  #connection;
  exit = null;
  status = null;

  constructor(connection) {
    this.#connection = connection;
    this.stdin = connection.writable(STDIN, EOF);
  }

  /** Beside the reading of output: a program may write before it has read all. */
  feed(source) {
    this.#connection.feed(source, this.stdin);
  }

  kill(signal) {
    const payload = Buffer.alloc(4);
    payload.writeInt32LE(signal);
    void this.#connection.send(SIGNAL, payload);
  }

  resize(columns, rows) {
    void this.#connection.send(RESIZE, Buffer.from(Uint16Array.of(columns, rows).buffer));
  }

  /** To EXIT, which the agent owes for every request of port 52: what is written to it meanwhile
   * may fail. */
  async *[Symbol.asyncIterator]() {
    const connection = this.#connection;
    let words = ''; // of the last STDERR: the agent's own, if it has any
    try {
      for (;;) {
        const frame = await connection.next();
        if (frame === STDERR) words = '';
        if (frame === STDOUT || frame === STDERR) {
          for await (const data of connection.rest()) {
            if (frame === STDERR && words.length < CHUNK) words += data;
            yield { stream: frame === STDOUT ? 'stdout' : 'stderr', data };
          }
        } else if (frame === STATUS) {
          this.status = await connection.json();
        } else if (frame === EXIT) {
          this.exit = this.#end(await connection.hold(), words.trimEnd());
          return;
        }
      }
    } finally {
      connection.close();
    }
  }

  #end(payload, words) {
    if (payload.length < 8) throw protocolError(`an EXIT of ${payload.length} bytes`);
    const exit = { code: payload.readInt32LE(0), signal: payload.readInt32LE(4), reason: this.status?.reason ?? '' };
    if (this.status?.event !== 'exited' && exit.code >= 125 && exit.code <= 127) {
      const busy = exit.code === 125 && words.startsWith('busy');
      throw new GuestError(busy ? 'GUEST_BUSY' : 'GUEST_REFUSED', words, { exitCode: exit.code });
    }
    return exit;
  }
}

/** The data of a request of port 53, to its last frame. */
async function* fileData(connection, last) {
  try {
    for (;;) {
      const frame = await connection.next();
      if (frame === last) return;
      if (frame === FILE_DATA) yield* connection.rest();
      if (frame !== FILE_ERR) continue;
      const text = (await connection.hold()).toString();
      throw new GuestError(text.startsWith('EBUSY: busy') ? 'GUEST_BUSY' : text.split(':', 1)[0], text);
    }
  } finally {
    connection.close();
  }
}
