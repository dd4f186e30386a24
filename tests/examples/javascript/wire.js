// SPDX-License-Identifier: MIT

/**
 * The wire: a connection, and frames on it. A frame is its type, a length of 32 bits, little endian,
 * and so many bytes.
 */
import net from 'node:net';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export const CHUNK = 64 << 10;
export const HELD_MAX = 1 << 20; // what is held of a frame that is not given out, and of what is not read
const FRAME_MAX = 16 << 20; // the largest legal length
const ANSWER_MS = 10_000; // for the answer to one attempt to connect
const PAUSE_MS = 20; // between two

// To try again makes no sense. Else the socket may not be there yet, nobody listen at it, or nobody
// in the guest.
const FINAL = new Set(['GUEST_PROTOCOL', 'EACCES', 'EPERM']);

export class GuestError extends Error {
  constructor(code, message, more = {}) {
    super(message);
    this.name = 'GuestError';
    Object.assign(this, { code }, more);
  }
}

export const protocolError = (what) => new GuestError('GUEST_PROTOCOL', `what answers is not the agent: ${what}`);

/** Connects, for as long as the VM may be booting, and sends the request's frame. */
export async function open(path, boot, port, frame, request, signal) {
  for (const booted = performance.now() + boot; ; ) {
    signal?.throwIfAborted();
    const connection = new Connection(path, signal);
    try {
      await connection.shakeHands(port);
      void connection.send(frame, request === undefined ? '' : JSON.stringify(request));
      return connection;
    } catch (error) {
      connection.close();
      if (FINAL.has(error.code) || performance.now() + PAUSE_MS > booted) throw error;
    }
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => {});
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
}
