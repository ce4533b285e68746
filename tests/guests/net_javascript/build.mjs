// build.mjs SOURCE WIT WORLD RESULT: a component of JavaScript, with `fetch`.

import { readFile, writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const [source, wit, world, result] = process.argv.slice(2);

const { component } = await componentize(await readFile(source, "utf8"), {
  witPath: wit,
  worldName: world,
});
await writeFile(result, component);
