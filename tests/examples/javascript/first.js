// SPDX-License-Identifier: MIT

/** The first answer: what README shows. */
import { Guest } from './guest.js';

const guest = new Guest(process.argv[2], { boot: 30_000 });
const { code, stdout } = await guest.run(['echo', 'hello'], { signal: AbortSignal.timeout(60_000) });
console.log(`${stdout}exit code ${code}`);
