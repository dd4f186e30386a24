// SPDX-License-Identifier: MIT

/** The types of guest.js: what a host asks of vmm-guest-agent, and what it is told. */

import type { Writable } from 'node:stream';

/** What is sent: whole, or as it comes. A stream is destroyed when its request is over. */
export type Source = string | Uint8Array | Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

export interface Limit {
  /**
   * When it aborts, the connection is closed, whatever the guest does, and its reason is thrown:
   * `AbortSignal.timeout(5000)`. The guest kills a program whose connection is closed, and keeps
   * the old file where a new one was being put.
   */
  signal?: AbortSignal;
}

export interface StartOptions extends Limit {
  /** Added to the guest's own. */
  env?: Record<string, string>;
  /** `/` if it is not given. */
  cwd?: string;
  /** `name` or `uid`, with `:group` or `:gid` or without; root if it is not given. */
  user?: string;
  /** After so long the guest kills all that the program started. */
  timeoutSeconds?: number;
  /** Run it on a terminal of this size; all output is stdout then. */
  tty?: { columns: number; rows: number };
}

export interface RunOptions extends StartOptions {
  /** Standard input; empty if it is not given. */
  stdin?: Source;
  /** So much output is kept at most, 1 MiB if it is not given; more is a RangeError. */
  maxBuffer?: number;
}

/** How a program ended. */
export interface Exit {
  /** 128 and the signal's number if a signal killed it. */
  code: number;
  /** 0 if none did. */
  signal: number;
  /** `exited`, `signaled`, `timeout`, `oom`, …, as PROTOCOL.md has them; "" of an agent that does not tell it. */
  reason: string;
}

export interface RunResult extends Exit {
  stdout: Buffer;
  stderr: Buffer;
}

export interface Answer extends Exit {
  /** The last STATUS, if there was one. */
  status: Record<string, unknown> | null;
}

export interface Output {
  stream: 'stdout' | 'stderr';
  data: Buffer;
}

/**
 * Why a request failed. `code` is
 * - `GUEST_BUSY`: the agent has no place for it now, and did nothing of it
 * - `GUEST_REFUSED`: the agent could not run the program (`exitCode` 126, 127) or not serve the
 *   request (125); the message is its own. A program that exits with such a code is no error
 * - `GUEST_LOST`: the connection ended before the agent had said how it did
 * - `GUEST_TIMEOUT`: the VMM did not answer an attempt to connect
 * - `GUEST_PROTOCOL`: what answers does not speak the protocol
 * - an errno's name, as `ENOENT`: what the guest says of a file
 *
 * Other errors are those of connecting (`ECONNREFUSED`), of a source, and the signal's reason.
 */
export class GuestError extends Error {
  readonly name: 'GuestError';
  readonly code: string;
  /** Of `GUEST_BUSY` and `GUEST_REFUSED`. */
  readonly exitCode?: number;
  /** Of `GUEST_LOST`: the socket's error, if there was one. */
  readonly cause?: unknown;
}

/** Of `Guest.request`: what the agent is, does and has done. */
export const STATUS_REQ: 0x40;

/** One VM, seen from its host. */
export class Guest {
  /**
   * @param address `unix:PATH`, the vsock socket of Firecracker or Cloud Hypervisor.
   * @param options `boot`: for so many milliseconds connecting is tried again, as the VM may be booting.
   */
  constructor(address: string, options?: { boot?: number });

  /** Runs a program to its end, and keeps its output. */
  run(cmd: readonly string[], options?: RunOptions): Promise<RunResult>;

  /** Starts a program, whose session must be iterated over. */
  start(cmd: readonly string[], options?: StartOptions): Promise<Session>;

  /**
   * Sends one of those requests of port 52 that are answered by EXIT, with or without a STATUS before
   * it: `STATUS_REQ`, 0x43 (RESTORED), … A code that is not 0 is no error: the request says what it means.
   */
  request(frame: number, payload?: object, options?: Limit): Promise<Answer>;

  status(options?: Limit): Promise<Record<string, unknown>>;

  /**
   * Writes a file, whole or not at all: where the source fails, or the signal aborts, the old one
   * stays. Of `mode` 0, which is the default, a new file gets 0644, and one that is there keeps its own.
   */
  put(path: string, source: Source, options?: Limit & { mode?: number }): Promise<void>;

  /** Reads a file, as it comes. Where it throws, what came until then is not the whole file. */
  get(path: string, options?: Limit): AsyncGenerator<Buffer, void, undefined>;
}

/**
 * A program that runs. Iterating gives its output; a program whose output is not taken stands
 * still. Whoever leaves the loop before its end ends the session, and the guest kills the program.
 */
export class Session implements AsyncIterable<Output> {
  private constructor();

  /** Its end is the program's end of file; it is destroyed with the session. */
  readonly stdin: Writable;

  /** How it ended, once the loop has. */
  readonly exit: Exit | null;

  /** The last STATUS: what the agent reports of the program. */
  readonly status: Record<string, unknown> | null;

  /** Sends all of a source, and the end of file behind it. One that fails ends the session, with its error. */
  feed(source: Source): void;

  /** Sends a signal, by its number, to the program's whole process group. */
  kill(signal: number): void;

  /** Tells the program's terminal its new size. */
  resize(columns: number, rows: number): void;

  [Symbol.asyncIterator](): AsyncGenerator<Output, void, undefined>;
}
