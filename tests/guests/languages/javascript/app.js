// What a tool in JavaScript can do: one function for each row of docs/languages.md.

import { getEnvironment } from "wasi:cli/environment@0.2.0";
import { exit } from "wasi:cli/exit@0.2.0";
import { getStderr } from "wasi:cli/stderr@0.2.0";
import { getStdout } from "wasi:cli/stdout@0.2.0";
import { now as instant, subscribeDuration } from "wasi:clocks/monotonic-clock@0.2.0";
import { now as today } from "wasi:clocks/wall-clock@0.2.0";
import { getDirectories } from "wasi:filesystem/preopens@0.2.0";
import { getRandomBytes } from "wasi:random/random@0.2.0";

const same = (value) => value;

// A u64 is a number in QuickJS, which rounds it beyond 2^53, and a BigInt in StarlingMonkey.
const wide = (number) => (typeof instant() === "bigint" ? BigInt(number) : number);

export {
  same as echoText,
  same as echoNumbers,
  same as echoMood,
  same as echoDays,
  same as echoPlace,
  same as echoPerson,
  same as echoOption,
  same as echoList,
  same as echoBytes,
  same as echoTuple,
};

export function echoResult(value) {
  if (value.tag === "err") throw value.val;
  return value.val;
}

export function print(out, err) {
  getStdout().blockingWriteAndFlush(utf8(`${out}\n`));
  getStderr().blockingWriteAndFlush(utf8(`${err}\n`));
}

export function readFile(path) {
  const file = open(path, {}, { read: true });
  const bytes = file.read(wide(65536), wide(0))[0];
  return decodeURIComponent(escape(String.fromCharCode(...bytes)));
}

export function writeFile(path, text) {
  open(path, { create: true, truncate: true }, { write: true }).write(utf8(text), wide(0));
}

// WASI knows no path from a root: only ones from a directory that was granted.
function open(path, how, rights) {
  for (const [directory, name] of getDirectories()) {
    if (path.startsWith(`${name}/`)) {
      try {
        return directory.openAt({ symlinkFollow: true }, path.slice(name.length + 1), how, rights);
      } catch (error) {
        throw String(error.payload ?? error);
      }
    }
  }
  throw "no-entry";
}

export function variable(name) {
  return getEnvironment().find(([key]) => key === name)?.[1];
}

export function now() {
  const { seconds, nanoseconds } = today();
  return wide(Number(seconds) * 1000 + Math.floor(nanoseconds / 1e6));
}

export function random() {
  return getRandomBytes(wide(16));
}

export function sleep(milliseconds) {
  const began = Number(instant());
  subscribeDuration(wide(milliseconds * 1e6)).block();
  return Math.floor((Number(instant()) - began) / 1e6);
}

export function exitWith(code) {
  exit(code === 0 ? { tag: "ok" } : { tag: "err" });
}

export function fail() {
  throw new Error("so it goes");
}

export function spin() {
  for (;;);
}

// Neither engine has TextEncoder for sure.
function utf8(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (letter) => letter.charCodeAt(0));
}
