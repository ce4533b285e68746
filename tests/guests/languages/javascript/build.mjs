// build.mjs ENGINE SOURCE WIT WORLD RESULT: a component of JavaScript.

import { readFile, writeFile } from "node:fs/promises";

const [engine, source, wit, world, result] = process.argv.slice(2);

if (engine === "starlingmonkey") {
  const { componentize } = await import("@bytecodealliance/componentize-js");
  const { component } = await componentize(await readFile(source, "utf8"), {
    witPath: wit,
    worldName: world,
    disableFeatures: ["http", "fetch-event"], // nothing here provides wasi:http
  });
  await writeFile(result, component);
} else {
  const { componentize } = await import("componentize-qjs");
  const { component } = await componentize({
    witPath: wit,
    world,
    jsSource: await readFile(source, "utf8"),
    sync: true, // there are no asynchronous functions in WASI 0.2
  });
  await writeFile(result, component);
}
