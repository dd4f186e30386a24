// SPDX-License-Identifier: MIT

/**
 * Runs programs in a microVM, and moves files in and out of it, by talking to vmm-guest-agent.
 * It is this one file, on Node's own modules, with its types in guest.d.ts: copy both into your
 * tree. What goes over the wire is said in PROTOCOL.md. Each request is a connection of its own,
 * so that a Guest may be asked any number of things at once.
 *
 * A guest is not trusted here. Whatever it sends, memory stays bounded: output and files are given
 * out as they come, and what has to be held is refused above a limit. For how long a request may
 * take is its AbortSignal's to say: a guest can hang.
 *
 * Node has no vsock: an agent is reached by the Unix socket of a Firecracker or Cloud Hypervisor
 * device, or of an agent that listens on one.
 */
import net from 'node:net';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

// A frame is its type, a length of 32 bits, little endian, and so many bytes.
const START = 0x01, STDIN = 0x02, RESIZE = 0x03, EOF = 0x04, SIGNAL = 0x07;
const STDOUT = 0x10, STDERR = 0x11, EXIT = 0x12, STATUS = 0x50;
const FILE_WRITE = 0x20, FILE_DATA = 0x21, FILE_DONE = 0x22, FILE_READ = 0x23;
const FILE_ACK = 0x30, FILE_ERR = 0x31;
export const STATUS_REQ = 0x40; // for request(); PROTOCOL.md has the others

const PORT_EXEC = 52, PORT_FILE = 53;
const FRAME_MAX = 16 << 20; // the largest legal length
const HELD_MAX = 1 << 20; // what is held of a frame that is not given out, and of what is not read
const CHUNK = 64 << 10;
const ANSWER_MS = 10_000; // for the answer to one attempt to connect

// The socket is not there, nobody listens at it, or nobody does in the guest.
const BOOTING = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EAGAIN', 'GUEST_LOST', 'GUEST_TIMEOUT']);

export class GuestError extends Error {
  constructor(code, message, more = {}) {
    super(message);
    this.name = 'GuestError';
    Object.assign(this, { code }, more);
  }
}

const protocolError = (what) => new GuestError('GUEST_PROTOCOL', `what answers is not the agent: ${what}`);

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
    for await (const _ of connection.file(FILE_ACK));
  }

  async *get(path, { signal } = {}) {
    yield* (await this.#open(PORT_FILE, FILE_READ, { path }, signal)).file(FILE_DONE);
  }

  /** Connects, for as long as the VM may be booting, and sends the request's frame. */
  async #open(port, frame, request, signal) {
    const booted = performance.now() + this.boot;
    for (let pause = 10; ; pause = Math.min(pause * 1.5, 2000)) {
      signal?.throwIfAborted();
      const connection = new Connection(this.path, signal);
      try {
        await connection.shakeHands(port);
        void connection.send(frame, request === undefined ? '' : JSON.stringify(request));
        return connection;
      } catch (error) {
        connection.close();
        if (!BOOTING.has(error.code) || performance.now() + pause > booted) throw error;
      }
      await sleep(pause, undefined, { signal }).catch(() => {});
    }
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

/**
 * A socket on which a write that fails ends nothing: the agent may have answered, and closed, and
 * net.Socket would drop the answer with the error.
 */
class Socket extends net.Socket {
  writeFailed = false;

  #settle = (done) => (error) => {
    this.writeFailed ||= Boolean(error);
    done();
  };

  _write(data, encoding, done) {
    super._write(data, encoding, this.#settle(done));
  }

  _writev(chunks, done) {
    super._writev(chunks, this.#settle(done));
  }
}

class Connection {
  #socket;
  #signal;
  #queue = []; // what came and was not given out
  #queued = 0;
  #left = 0; // bytes of the frame under way that were not given out
  #over; // why nothing comes any more
  #wake = () => {}; // who waits for more
  #waiting = []; // who waits to write more
  #closed = new AbortController(); // for whoever feeds it

  constructor(path, signal) {
    this.#signal = signal;
    this.#socket = new Socket({ allowHalfOpen: true }).connect({ path });
    signal?.addEventListener('abort', this.#abort);
    // Into a queue of our own: a socket that is closed drops what it holds.
    this.#socket.on('data', (data) => {
      this.#queue.push(data);
      this.#queued += data.length;
      if (this.#queued > HELD_MAX || this.#queue.length > 1024) this.#socket.pause();
      this.#wake();
    });
    this.#socket.on('drain', this.#drained);
    this.#socket.on('end', () => this.close());
    this.#socket.on('error', (error) => this.close(this.#fromSocket(error)));
    this.#socket.on('close', () => this.close());
  }

  #abort = () => this.close(this.#signal.reason);

  #drained = () => {
    if (this.#over || !this.#socket.writeFailed) this.#waiting.splice(0).forEach((resolve) => resolve());
  };

  #fromSocket(error) {
    return error.syscall === 'connect' ? error : this.#lost(error);
  }

  #lost(cause) {
    return new GuestError('GUEST_LOST', 'the connection to the guest was lost', { cause });
  }

  close(why = this.#lost()) {
    if (this.#over) return;
    this.#over = why;
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#socket.destroy();
    this.#closed.abort();
    this.#drained();
    this.#wake();
  }

  /** Asks the VMM for a port of the guest. It closes while nobody listens there. */
  async shakeHands(port) {
    const timer = setTimeout(() => this.close(new GuestError('GUEST_TIMEOUT', 'no answer')), ANSWER_MS);
    try {
      this.#socket.write(`CONNECT ${port}\n`);
      let line = '';
      while (!line.endsWith('\n') && line.length < 32) {
        this.#left = 1;
        line += await this.hold();
      }
      if (!line.startsWith('OK ')) throw protocolError('no OK to CONNECT');
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a frame, and waits until there is room for more. That it can't be sent is not an error:
   * why stands in the answer, and with that the wait ends. */
  async send(frame, payload = '') {
    const bytes = Buffer.from(payload);
    const header = Buffer.alloc(5);
    header.writeUInt8(frame);
    header.writeUInt32LE(bytes.length, 1);
    if (this.#over) return;
    if (this.#socket.write(Buffer.concat([header, bytes])) && !this.#socket.writeFailed) return;
    await new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** A stream whose bytes become frames, and whose end another. It is destroyed with the connection. */
  writable(frame, end) {
    const settle = (sent, done) => void sent.then(() => done(), done);
    const sendAll = async (bytes) => {
      for (let at = 0; at < bytes.length; at += CHUNK) await this.send(frame, bytes.subarray(at, at + CHUNK));
    };
    const writable = new Writable({
      highWaterMark: CHUNK,
      write: (bytes, _, done) => settle(sendAll(bytes), done),
      final: (done) => settle(this.send(end), done),
    });
    writable.on('error', () => {});
    this.#closed.signal.addEventListener('abort', () => writable.destroy());
    return writable;
  }

  /** Sends all of a source. One that fails must not look like one that ends. */
  feed(source, writable) {
    const whole = typeof source === 'string' || ArrayBuffer.isView(source);
    pipeline(whole ? [source] : source, writable, { signal: this.#closed.signal }).catch((error) => this.close(error));
  }

  /** Begins the next frame. What was left of the one before is dropped. */
  async next() {
    for await (const _ of this.rest());
    this.#left = 5;
    const header = await this.hold();
    this.#left = header.readUInt32LE(1);
    if (this.#left > FRAME_MAX) throw protocolError(`a frame of ${this.#left} bytes`);
    return header[0];
  }

  /** The rest of the frame, as it comes. */
  async *rest() {
    while (this.#left > 0) {
      while (this.#queue.length === 0) {
        if (this.#over) throw this.#over;
        await new Promise((resolve) => (this.#wake = resolve));
      }
      const first = this.#queue.shift();
      const data = first.subarray(0, this.#left);
      if (data.length < first.length) this.#queue.unshift(first.subarray(data.length));
      this.#left -= data.length;
      this.#queued -= data.length;
      if (this.#queue.length === 0) this.#socket.resume();
      yield data;
    }
  }

  /** The rest of the frame, whole. */
  async hold() {
    if (this.#left > HELD_MAX) throw protocolError(`${this.#left} bytes to be held`);
    const held = Buffer.alloc(this.#left);
    let at = 0;
    for await (const data of this.rest()) at += data.copy(held, at);
    return held;
  }

  async json() {
    try {
      return JSON.parse(await this.hold());
    } catch (error) {
      throw error instanceof SyntaxError ? protocolError('a STATUS that is not JSON') : error;
    }
  }

  /** The data of a request of port 53, to its last frame. */
  async *file(last) {
    try {
      for (;;) {
        const frame = await this.next();
        if (frame === last) return;
        if (frame === FILE_DATA) yield* this.rest();
        if (frame !== FILE_ERR) continue;
        const text = (await this.hold()).toString();
        throw new GuestError(text.startsWith('EBUSY: busy') ? 'GUEST_BUSY' : text.split(':', 1)[0], text);
      }
    } finally {
      this.close();
    }
  }
}
