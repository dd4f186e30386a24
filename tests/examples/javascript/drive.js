// SPDX-License-Identifier: MIT

/**
 * Drives guest.js for tests/examples/run, which says what the arguments are, and prints what came
 * of it as one line of JSON.
 */
import { Guest, GuestError } from './guest.js';

const [address, action, ...words] = process.argv.slice(2);
const given = { boot: 0, steps: [], args: [] };
const start = {};
const set = {
  boot: (value) => (given.boot = Number(value)),
  deadline: (value) => (start.signal = AbortSignal.timeout(Number(value))),
  failing: () => (given.failing = true),
  step: (value) => given.steps.push(value.split('=')),
  cwd: (value) => (start.cwd = value),
  user: (value) => (start.user = value),
  timeout: (value) => (start.timeoutSeconds = Number(value)),
  mode: (value) => (start.mode = Number(value)),
  env: (value) => (start.env = { ...start.env, [value.split('=', 1)[0]]: value.slice(value.indexOf('=') + 1) }),
  tty: (value) => ([start.tty] = [value.split('x').map(Number)].map(([columns, rows]) => ({ columns, rows }))),
};
while (words.length && words[0] !== '--') {
  const [, name, value] = words.shift().match(/^--([a-z]+)=?(.*)$/s);
  set[name](value);
}
given.args = words.slice(1);

const guest = new Guest(address, { boot: given.boot });
const outcome = { stdout: '', stderr: '' };

async function* stdin() {
  yield* process.stdin;
  if (given.failing) throw new Error('the source fails');
}

/** Does the steps whose turn it is; false if the last one was to leave. */
function step(session, seen) {
  const actions = {
    stdin: (hex) => session.stdin.write(Buffer.from(hex, 'hex')),
    eof: () => session.stdin.end(),
    resize: (size) => session.resize(...size.split('x').map(Number)),
    signal: (number) => session.kill(Number(number)),
  };
  while (given.steps.length) {
    const [name, value] = given.steps[0];
    if (name === 'await' && !outcome.stdout.slice(seen.length).includes(value)) break;
    given.steps.shift();
    if (name === 'leave') return false;
    if (name === 'await') seen.length = outcome.stdout.length;
    else actions[name](value);
  }
  return true;
}

async function run() {
  const session = await guest.start(given.args, start);
  const seen = { length: 0 };
  if (given.steps.length === 0) session.feed(stdin());
  if (!step(session, seen)) return { failure: 'left' };
  for await (const { stream, data } of session) {
    outcome[stream] += data.toString('hex');
    if (!step(session, seen)) return { failure: 'left' };
  }
  return session.exit;
}

async function get() {
  for await (const data of guest.get(given.args[0], start)) outcome.stdout += data.toString('hex');
}

const actions = {
  run,
  get,
  put: () => guest.put(given.args[0], stdin(), start),
  request: ([frame, json]) => guest.request(Number(frame), json && JSON.parse(json), start),
};
const failures = { GUEST_BUSY: 'busy', GUEST_REFUSED: 'refused', GUEST_LOST: 'lost', GUEST_PROTOCOL: 'protocol' };

try {
  Object.assign(outcome, await actions[action](given.args));
} catch (error) {
  outcome.failure = failures[error.code] ?? (error instanceof GuestError ? 'file' : 'io');
  if (error.name === 'TimeoutError') outcome.failure = 'deadline';
  Object.assign(outcome, { code: error.exitCode, text: error.message });
}
console.log(JSON.stringify(outcome));
