// The three functions that componentize-js takes from jco, whose 270 MB of bundlers it needs for
// nothing else: by the wasm-tools that jco has inside.

import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function preview1AdapterReactorPath() {
  return process.env.PREVIEW1_ADAPTER;
}

export async function componentNew(core, [[name, adapter]]) {
  const folder = await mkdtemp(join(tmpdir(), "jco-"));
  try {
    const [from, adapt, to] = ["core", "adapter", "component"].map((file) => join(folder, file));
    await writeFile(from, core);
    await writeFile(adapt, adapter);
    const adapted = ["--adapt", `${name}=${adapt}`, "-o", to];
    execFileSync(process.env.WASM_TOOLS, ["component", "new", from, ...adapted]);
    return await readFile(to);
  } finally {
    await rm(folder, { recursive: true });
  }
}

// What was used for it is of no interest here.
export async function metadataAdd(component) {
  return component;
}
